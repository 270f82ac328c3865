package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// checkpointMagic names the format and its version. The version before knew no
// refunds; it is still read.
const (
	checkpointMagic  = "millrace-book-2\n"
	checkpointMagic1 = "millrace-book-1\n"
)

// ErrCheckpoint is wrapped by every fault of a checkpoint. The caller guards
// it with a checksum; these faults mean another version, or a defect.
var ErrCheckpoint = errors.New("ledger: not a checkpoint")

// AppendCheckpoint appends the whole book, in an order that depends on its
// content alone.
func (b *Book) AppendCheckpoint(dst []byte) []byte {
	uv := binary.AppendUvarint
	dst = append(dst, checkpointMagic...)
	dst = uv(dst, uint64(b.node))
	dst = uv(dst, uint64(b.stamp))
	dst = uv(dst, b.breaches)
	dst = uv(dst, uint64(len(b.epochs)))
	for i := range b.epochs {
		e := &b.epochs[i]
		dst = uv(uv(dst, uint64(e.Epoch)), uint64(e.Shards))
		dst = binary.AppendVarint(binary.AppendVarint(dst, int64(e.Started)), int64(e.Ended))
	}
	accounts := b.Accounts()
	dst = uv(dst, uint64(len(accounts)))
	for i := range accounts {
		dst = accounts[i].append(dst)
	}
	leases := b.Leases()
	dst = uv(dst, uint64(len(leases)))
	for i := range leases {
		dst = leases[i].append(dst)
	}
	dst = appendSeen(dst, b.seen)
	return appendSeen(dst, b.refunds)
}

func appendSeen(dst []byte, sets map[shardKey]*Seen) []byte {
	uv := binary.AppendUvarint
	keys := slices.SortedFunc(maps.Keys(sets), func(x, y shardKey) int {
		return cmp.Or(cmp.Compare(x.epoch, y.epoch), cmp.Compare(x.shard, y.shard))
	})
	dst = uv(dst, uint64(len(keys)))
	for _, k := range keys {
		dst = uv(uv(dst, uint64(k.epoch)), uint64(k.shard))
		dst = sets[k].append(dst)
	}
	return dst
}

func (a *Balance) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(a.Account))
	dst = le.AppendUint64(dst, uint64(a.Campaign))
	dst = append(dst, a.Currency[:]...)
	name := a.Name[:min(len(a.Name), NameMax)]
	dst = append(append(dst, byte(len(name))), name...)
	for _, v := range [...]unit.Nanos{a.Daily, a.Total, a.Committed, a.Posted, a.Refunded} {
		dst = binary.AppendVarint(dst, int64(v))
	}
	dst = binary.AppendUvarint(dst, a.Unbilled)
	for _, d := range a.Days {
		for _, v := range [...]int64{int64(d.Day), int64(d.Committed), int64(d.Posted), int64(d.Refunded)} {
			dst = binary.AppendVarint(dst, v)
		}
	}
	return dst
}

func (l *Lease) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(l.Account))
	dst = le.AppendUint64(dst, uint64(l.Campaign))
	for _, v := range [...]int64{int64(l.Day), int64(l.Epoch), int64(l.Granted), int64(l.Returned), int64(l.Posted)} {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

func (s *Seen) append(dst []byte) []byte {
	uv := binary.AppendUvarint
	dst = uv(uv(dst, s.first), uint64(len(s.pages)))
	for _, p := range s.pages {
		if p == nil {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		dst = binary.AppendVarint(binary.AppendVarint(dst, p.issuedMin), p.issuedMax)
		for k := range p.bits {
			dst = appendBits(dst, &p.bits[k])
		}
	}
	return dst
}

// appendBits writes the words that are not zero, each after the gap since the
// last: clicks are rare, impressions are not, and a page is 8 KiB a kind.
func appendBits(dst []byte, words *[PageWins / 64]uint64) []byte {
	n := 0
	for _, w := range words {
		if w != 0 {
			n++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	gap := uint64(0)
	for _, w := range words {
		if w == 0 {
			gap++
			continue
		}
		dst = binary.AppendUvarint(dst, gap)
		dst = binary.LittleEndian.AppendUint64(dst, w)
		gap = 0
	}
	return dst
}

// reader takes a checkpoint apart; after a fault it gives zeros.
type reader struct {
	b   []byte
	bad bool
	// refunds: the version tells them.
	refunds bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of items that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

// DecodeCheckpoint reads what AppendCheckpoint wrote, all of it.
func DecodeCheckpoint(data []byte, node unit.NodeID, tokenTTL time.Duration) (*Book, error) {
	r := &reader{b: data}
	switch string(r.take(len(checkpointMagic))) {
	case checkpointMagic:
		r.refunds = true
	case checkpointMagic1:
	default:
		return nil, fmt.Errorf("%w: it does not start with %q; another version wrote it", ErrCheckpoint, checkpointMagic[:len(checkpointMagic)-1])
	}
	b := NewBook(node, tokenTTL)
	if n := unit.NodeID(r.uvarint()); n != node && !r.bad {
		return nil, fmt.Errorf("%w: it is of node %d, this is node %d; point each node at its own data folder", ErrCheckpoint, n, node)
	}
	b.stamp = Stamp(r.uvarint())
	b.breaches = r.uvarint()
	for range r.count(4) {
		b.epochs = append(b.epochs, EpochInfo{
			Epoch: unit.Epoch(r.uvarint()), Shards: int(uint32(r.uvarint())),
			Started: unit.WallTime(r.varint()), Ended: unit.WallTime(r.varint()),
		})
	}
	for range r.count(37) {
		a := r.balance()
		b.accounts[a.Account] = a
	}
	for range r.count(21) {
		l := r.lease()
		b.leases[leaseKey{l.Account, l.Day, l.Epoch}] = l
	}
	r.sets(b.seen)
	if r.refunds {
		r.sets(b.refunds)
	}
	if r.bad || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: cut, padded or damaged", ErrCheckpoint)
	}
	return b, nil
}

func (r *reader) balance() *Balance {
	a := &Balance{Account: unit.AccountID(r.u64()), Campaign: unit.CampaignID(r.u64())}
	copy(a.Currency[:], r.take(3))
	a.Name = string(r.take(int(r.byte())))
	for _, v := range [...]*unit.Nanos{&a.Daily, &a.Total, &a.Committed, &a.Posted} {
		*v = unit.Nanos(r.varint())
	}
	if r.refunds {
		a.Refunded = unit.Nanos(r.varint())
	}
	a.Unbilled = r.uvarint()
	for i := range a.Days {
		d := DayBalance{Day: unit.Day(r.varint()), Committed: unit.Nanos(r.varint()), Posted: unit.Nanos(r.varint())}
		if r.refunds {
			d.Refunded = unit.Nanos(r.varint())
		}
		a.Days[i] = d
	}
	return a
}

func (r *reader) sets(into map[shardKey]*Seen) {
	for range r.count(4) {
		k := shardKey{unit.Epoch(r.uvarint()), unit.ShardID(r.uvarint())}
		into[k] = r.seen()
	}
}

func (r *reader) lease() *Lease {
	return &Lease{
		Account: unit.AccountID(r.u64()), Campaign: unit.CampaignID(r.u64()),
		Day: unit.Day(r.varint()), Epoch: unit.Epoch(r.varint()),
		Granted: unit.Nanos(r.varint()), Returned: unit.Nanos(r.varint()), Posted: unit.Nanos(r.varint()),
	}
}

func (r *reader) seen() *Seen {
	s := &Seen{first: r.uvarint()}
	for range r.count(1) {
		if r.byte() == 0 {
			s.pages = append(s.pages, nil)
			continue
		}
		p := &page{issuedMin: r.varint(), issuedMax: r.varint()}
		for k := range event.Kinds {
			at := uint64(0)
			for range r.count(9) {
				at += r.uvarint()
				w := r.u64()
				if r.bad || at >= PageWins/64 {
					r.bad = true
					return s
				}
				p.bits[k][at] = w
				at++
			}
		}
		s.pages = append(s.pages, p)
		s.count++
		if r.bad {
			return s
		}
	}
	return s
}
