package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// Kind is what a record says.
type Kind uint8

// Kinds of records. The numbers are on disk: never reuse one.
const (
	// EpochStarted opens a life of the node: Node, Epoch, Wall, Shards.
	EpochStarted Kind = iota + 1
	// AccountOpened names an account: Account, Campaign, Currency, Daily,
	// Total, Name. A later one for the same account replaces the name and the
	// limits.
	AccountOpened
	// Granted moves money from an account into a lease: Node, Epoch, Shard,
	// Seq, Account, Campaign, Day, Amount, and the limits it was checked
	// against.
	Granted
	// Returned moves unspent money from the lease of LeaseEpoch back to its
	// account.
	Returned
	// Posted is one billed event: Win, Event, Parts, Amount.
	Posted
	// Recorded is one event that was seen and not billed, with the Reason.
	Recorded
	// Refunded takes one posting back, whole: the fields of the Posted, so that
	// it can be read without it, the Reason, and in Name what the operator wrote.
	// The money goes back to the accounts, on the day it was posted to; the
	// leases it came from are as they were. An event is refunded at most once.
	Refunded

	kindEnd
)

var kindNames = [...]string{"", "epoch-started", "account-opened", "granted", "returned", "posted", "recorded", "refunded"}

// String is the kind's name in logs and exports.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return "unknown"
}

// Reason says why an event was recorded and not billed, or why it was refunded.
type Reason uint8

// Reasons. The numbers are on disk: never reuse one.
const (
	// NotBillable: the line does not pay for this kind of event.
	NotBillable Reason = iota + 1
	// TestTraffic: the win was for a test request.
	TestTraffic
	// Unfunded: neither the reservation nor the account had the money.
	Unfunded
	// UnknownEpoch: the win is of a life of which no journal is left, so
	// nothing proves that it was not billed before.
	UnknownEpoch
	// ForeignNode: the win was made by another node, which alone may bill it.
	ForeignNode
	// Fraud, Mistake, Goodwill: why a posting was refunded.
	Fraud
	Mistake
	Goodwill
	// Resold: a bidder has the impression. Amount is what it owes, Sale what the
	// impression cost; Campaign, Line and Creative are the bidder, its seat and
	// its creative, Name is the bidder's.
	Resold

	reasonEnd
)

var reasonNames = [...]string{"", "not-billable", "test", "unfunded", "unknown-epoch", "foreign-node", "fraud", "mistake", "goodwill", "resold"}

// String is the reason's name in metrics and exports.
func (r Reason) String() string {
	if r < reasonEnd {
		return reasonNames[r]
	}
	return "unknown"
}

// ParseRefundReason is the reason for a refund with that name.
func ParseRefundReason(name string) (Reason, error) {
	for r := Fraud; r <= Goodwill; r++ {
		if reasonNames[r] == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("reason %q: use fraud, mistake or goodwill", name)
}

// Part is one lease that a posting was taken from.
type Part struct {
	Account unit.AccountID
	Day     unit.Day
	Epoch   unit.Epoch
}

// Record is one line of the journal. Which fields count depends on the Kind.
type Record struct {
	Kind   Kind
	Event  event.Kind // Posted, Recorded, Refunded
	Reason Reason     // Recorded, Refunded
	Parts  uint8      // Posted, Refunded: how many entries of From are set

	Node  unit.NodeID // the node that wrote it
	Epoch unit.Epoch  // the life in which it was written
	// Shard and Seq identify the operation of a Granted or Returned within
	// (Node, Epoch); of an EpochStarted, Seq is the number of shards.
	Shard unit.ShardID
	Seq   uint64
	// Wall is when, by the clock of the writer; Stamp orders causally related
	// records of all nodes.
	Wall  unit.WallTime
	Stamp Stamp

	Account    unit.AccountID // AccountOpened, Granted, Returned
	Campaign   unit.CampaignID
	Day        unit.Day   // Granted, Returned
	LeaseEpoch unit.Epoch // Returned: the lease that shrinks
	Amount     unit.Nanos
	Currency   unit.Currency
	Daily      unit.Nanos // AccountOpened, Granted; 0 is unlimited
	Total      unit.Nanos // AccountOpened, Granted; 0 is unlimited

	Win      event.WinID   // Posted, Recorded, Refunded
	Issued   unit.WallTime // Posted, Recorded, Refunded: of the token, whole seconds
	User     unit.UserID
	Line     unit.LineID
	Creative unit.CreativeID
	// Policy is what chose the win; with it Posted and Recorded events are the
	// log from which models are judged and other policies valued. A Refunded has none.
	Policy event.Policy
	From   [2]Part

	// Sale is of a Recorded that was Resold.
	Sale Sale

	// Name of an account, the note of a Refunded, or the buyer of a Resold. It is a
	// slice of the decoded buffer; copy it to keep it.
	Name []byte
}

// Sale is what an impression that a bidder has cost us.
type Sale struct {
	// Bid is what we bid the exchange, and Reported what it says that it charges,
	// if Told; both in Currency.
	Bid, Reported unit.Nanos
	Currency      unit.Currency
	Told          bool
}

// NameMax is the longest name or note a record keeps, in bytes.
const NameMax = 255

// SizeMax is the longest encoding of a record, in bytes.
const SizeMax = 512

// ErrRecord is wrapped by every decoding fault.
var ErrRecord = errors.New("ledger: not a record")

// Append appends the encoding of r. Numbers are little-endian and fixed in
// width: a record is written once and read only after a crash, so the time of
// the writer counts and the byte saved does not.
func (r *Record) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, byte(r.Kind), byte(r.Event), byte(r.Reason), r.Parts)
	dst = le.AppendUint16(dst, uint16(r.Node))
	dst = le.AppendUint16(dst, uint16(r.Shard))
	dst = le.AppendUint32(dst, uint32(r.Epoch))
	dst = le.AppendUint32(dst, uint32(r.Day))
	dst = le.AppendUint64(dst, r.Seq)
	dst = le.AppendUint64(dst, uint64(r.Wall))
	dst = le.AppendUint64(dst, uint64(r.Stamp))
	switch r.Kind {
	case EpochStarted:
	case AccountOpened, Granted, Returned:
		dst = le.AppendUint64(dst, uint64(r.Account))
		dst = le.AppendUint64(dst, uint64(r.Campaign))
		dst = le.AppendUint64(dst, uint64(r.Amount))
		dst = le.AppendUint64(dst, uint64(r.Daily))
		dst = le.AppendUint64(dst, uint64(r.Total))
		dst = le.AppendUint32(dst, uint32(r.LeaseEpoch))
		dst = append(dst, r.Currency[:]...)
		dst = r.appendName(dst)
	case Posted, Recorded, Refunded:
		dst = r.appendEvent(dst)
	}
	return dst
}

func (r *Record) appendName(dst []byte) []byte {
	name := r.Name[:min(len(r.Name), NameMax)]
	return append(append(dst, byte(len(name))), name...)
}

func (r *Record) appendEvent(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(r.Campaign))
	dst = le.AppendUint64(dst, uint64(r.Amount))
	dst = le.AppendUint64(dst, uint64(r.User))
	dst = le.AppendUint64(dst, uint64(r.Line))
	dst = le.AppendUint64(dst, uint64(r.Creative))
	dst = le.AppendUint64(dst, uint64(r.Issued))
	dst = le.AppendUint64(dst, r.Win.Seq)
	dst = le.AppendUint32(dst, uint32(r.Win.Epoch))
	dst = le.AppendUint16(dst, uint16(r.Win.Node))
	dst = le.AppendUint16(dst, uint16(r.Win.Shard))
	var more byte
	switch {
	case r.Kind == Recorded && r.Reason == Resold:
		more = hasSale
	case r.Policy != (event.Policy{}) && r.Kind != Refunded:
		more = hasPolicy
	}
	dst = append(dst, r.Currency[0], r.Currency[1], r.Currency[2], more)
	for i := range r.From[:min(int(r.Parts), len(r.From))] {
		p := &r.From[i]
		dst = le.AppendUint64(dst, uint64(p.Account))
		dst = le.AppendUint32(dst, uint32(p.Day))
		dst = le.AppendUint32(dst, uint32(p.Epoch))
	}
	if more == hasPolicy {
		p := &r.Policy
		dst = le.AppendUint64(dst, p.Model)
		dst = append(dst, p.Flags(), 0)
		dst = le.AppendUint16(dst, p.Epoch)
		dst = le.AppendUint16(dst, uint16(p.Click))
		dst = le.AppendUint16(dst, uint16(p.Conversion))
		dst = le.AppendUint16(dst, uint16(p.Other))
		dst = le.AppendUint16(dst, uint16(p.Propensity))
	}
	if more == hasSale {
		dst = le.AppendUint64(dst, uint64(r.Sale.Bid))
		dst = le.AppendUint64(dst, uint64(r.Sale.Reported))
		dst = append(append(dst, r.Sale.Currency[:]...), told(r.Sale.Told))
	}
	if r.Kind == Refunded || more == hasSale {
		dst = r.appendName(dst)
	}
	return dst
}

func told(b bool) byte {
	if b {
		return 1
	}
	return 0
}

const (
	headSize    = 40
	accountSize = headSize + 48
	eventSize   = headSize + 68
	partSize    = 16
	policySize  = 20
	saleSize    = 20

	// In the byte after an event's currency: a policy, or a sale and a name,
	// follow the parts. Records of builds that knew none have a zero there.
	hasPolicy = 1
	hasSale   = 2
)

// Decode reads exactly one record from b. Name stays a slice of b.
func (r *Record) Decode(b []byte) error {
	*r = Record{}
	if len(b) < headSize {
		return fmt.Errorf("%w: %d bytes, want at least %d", ErrRecord, len(b), headSize)
	}
	le := binary.LittleEndian
	r.Kind, r.Event, r.Reason, r.Parts = Kind(b[0]), event.Kind(b[1]), Reason(b[2]), b[3]
	r.Node, r.Shard = unit.NodeID(le.Uint16(b[4:])), unit.ShardID(le.Uint16(b[6:]))
	r.Epoch, r.Day = unit.Epoch(le.Uint32(b[8:])), unit.Day(le.Uint32(b[12:]))
	r.Seq, r.Wall, r.Stamp = le.Uint64(b[16:]), unit.WallTime(le.Uint64(b[24:])), Stamp(le.Uint64(b[32:]))
	switch r.Kind {
	case EpochStarted:
		if len(b) != headSize {
			return fmt.Errorf("%w: %s of %d bytes, want %d", ErrRecord, r.Kind, len(b), headSize)
		}
	case AccountOpened, Granted, Returned:
		return r.decodeAccount(b)
	case Posted, Recorded, Refunded:
		return r.decodeEvent(b)
	default:
		return fmt.Errorf("%w: kind %d is unknown to this version", ErrRecord, b[0])
	}
	return nil
}

func (r *Record) decodeAccount(b []byte) error {
	if len(b) < accountSize || len(b) != accountSize+int(b[accountSize-1]) {
		return fmt.Errorf("%w: %s of %d bytes is cut or padded", ErrRecord, r.Kind, len(b))
	}
	le, a := binary.LittleEndian, b[headSize:]
	r.Account, r.Campaign = unit.AccountID(le.Uint64(a)), unit.CampaignID(le.Uint64(a[8:]))
	r.Amount, r.Daily, r.Total = unit.Nanos(le.Uint64(a[16:])), unit.Nanos(le.Uint64(a[24:])), unit.Nanos(le.Uint64(a[32:]))
	r.LeaseEpoch = unit.Epoch(le.Uint32(a[40:]))
	copy(r.Currency[:], a[44:47])
	if n := a[47]; n > 0 {
		r.Name = a[48:]
	}
	if r.Amount < 0 || r.Daily < 0 || r.Total < 0 {
		return fmt.Errorf("%w: %s of account %d with a negative amount", ErrRecord, r.Kind, r.Account)
	}
	return nil
}

func (r *Record) decodeEvent(b []byte) error {
	want := eventSize + int(r.Parts)*partSize
	if len(b) >= eventSize && b[eventSize-1] == hasPolicy {
		want += policySize
	}
	sold := r.Kind == Recorded && len(b) >= eventSize && b[eventSize-1] == hasSale
	if sold {
		want += saleSize
	}
	if noted := r.Kind == Refunded || sold; noted && len(b) > want {
		if n := int(b[want]); n > 0 && len(b) == want+1+n {
			r.Name = b[want+1:]
		}
		want += 1 + int(b[want])
	} else if noted {
		want++ // of the note's length, which is cut off
	}
	if int(r.Parts) > len(r.From) || len(b) != want {
		return fmt.Errorf("%w: %s of %d bytes with %d parts is cut or padded", ErrRecord, r.Kind, len(b), r.Parts)
	}
	le, a := binary.LittleEndian, b[headSize:]
	r.Campaign, r.Amount = unit.CampaignID(le.Uint64(a)), unit.Nanos(le.Uint64(a[8:]))
	r.User, r.Line, r.Creative = unit.UserID(le.Uint64(a[16:])), unit.LineID(le.Uint64(a[24:])), unit.CreativeID(le.Uint64(a[32:]))
	r.Issued = unit.WallTime(le.Uint64(a[40:]))
	r.Win = event.WinID{
		Seq: le.Uint64(a[48:]), Epoch: unit.Epoch(le.Uint32(a[56:])),
		Node: unit.NodeID(le.Uint16(a[60:])), Shard: unit.ShardID(le.Uint16(a[62:])),
	}
	copy(r.Currency[:], a[64:67])
	for i := range r.From[:r.Parts] {
		p := a[68+i*partSize:]
		r.From[i] = Part{unit.AccountID(le.Uint64(p)), unit.Day(le.Uint32(p[8:])), unit.Epoch(le.Uint32(p[12:]))}
	}
	known := a[67] == 0
	if a[67] == hasPolicy {
		p := a[68+int(r.Parts)*partSize:]
		r.Policy = event.Policy{
			Model: le.Uint64(p), Epoch: le.Uint16(p[10:]),
			Click: event.Probability(le.Uint16(p[12:])), Conversion: event.Probability(le.Uint16(p[14:])),
			Other: event.Probability(le.Uint16(p[16:])), Propensity: event.Probability(le.Uint16(p[18:])),
		}
		known = r.Policy.SetFlags(p[8]) && p[9] == 0 && r.Policy != event.Policy{}
	}
	switch {
	case sold:
		p := a[68+int(r.Parts)*partSize:]
		r.Sale = Sale{Bid: unit.Nanos(le.Uint64(p)), Reported: unit.Nanos(le.Uint64(p[8:])), Told: p[19] == 1}
		copy(r.Sale.Currency[:], p[16:19])
		known = r.Reason == Resold && p[19] <= 1 && r.Sale.Bid >= 0 && r.Sale.Reported >= 0
	case r.Reason == Resold:
		known = false
	case r.Kind == Refunded:
		known = a[67] == 0 && r.Parts > 0 && r.Reason >= Fraud
	}
	if !r.Event.Valid() || r.Amount < 0 || !known || r.Reason >= reasonEnd {
		return fmt.Errorf("%w: %s of event kind %d, amount %d, reason %d", ErrRecord, r.Kind, r.Event, r.Amount, r.Reason)
	}
	return nil
}

// Stamp is a hybrid logical clock reading: wall milliseconds above 16 bits of
// counter. Stamps of one writer rise strictly, and so do those of causally
// related records when the reading travels with the message (Merge).
type Stamp uint64

// Next is the stamp of an event at wall after everything stamped s.
func (s Stamp) Next(wall unit.WallTime) Stamp {
	if w := Stamp(wall/1e6) << 16; wall > 0 && w > s {
		return w
	}
	return s + 1
}

// Merge is the later of the two: what a receiver continues from.
func (s Stamp) Merge(o Stamp) Stamp { return max(s, o) }

// Wall is the millisecond part of the stamp.
func (s Stamp) Wall() unit.WallTime { return unit.WallTime(s>>16) * 1e6 }
