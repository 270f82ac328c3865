package event

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
	"time"

	"millrace/codec/unit"
)

// Status is the outcome of Parse.
type Status uint8

// Outcomes of Parse, in the order in which they are found out.
const (
	// OK: authentic, of the kind asked for, and not expired.
	OK Status = iota
	// Malformed: not the text of any token.
	Malformed
	// UnknownKey: signed with a key that the ring does not have (any more).
	UnknownKey
	// Forged: the authentication code is wrong.
	Forged
	// WrongKind: authentic, for another kind of event.
	WrongKind
	// Expired: authentic, and its time is over. The token is filled in.
	Expired
)

// String is the status as a metric label.
func (s Status) String() string {
	names := [...]string{"ok", "malformed", "unknown_key", "forged", "wrong_kind", "expired"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

const (
	macBytes = 16
	// What a token carries before its landing page is its version, less 1, in
	// bits: a Policy, a Group, both or (version 1) neither, or a Sale alone.
	carriesPolicy = 0x01
	carriesGroup  = 0x02
	carriesSale   = 0x04
	versionMax    = 1 + carriesSale

	// The second byte: version in the high bits, kind in the low, flags between.
	kindMask        = 0x03
	flagTest        = 0x04
	flagBillable    = 0x08
	flagLineAccount = 0x10
	versionShift    = 5

	// fieldsMax bounds the encoding of everything but the landing page.
	fieldsMax = 2 + 4*binary.MaxVarintLen32 + 4*binary.MaxVarintLen64 + 6*8 + 3 + 2*binary.MaxVarintLen64 + policyMax + groupMax + saleMax
	policyMax = binary.MaxVarintLen64 + 1 + 5*2
	groupMax  = 3
	saleMax   = 1 + binary.MaxVarintLen64 + 3 + 1 + BuyerMax
	// fieldsMin is the shortest: every varint one byte, no line account.
	fieldsMin = 2 + 3 + 1 + 5*8 + 2 + 3 + 1 + 2
)

// Signer writes and reads tokens. It is owned by one goroutine or shard.
type Signer struct {
	macs   [256]hash.Hash // by key id; nil = unknown
	active uint8
	raw    []byte // the token being signed
	sum    []byte // the MAC being made
}

// Append appends the token's text. It returns dst as it was if the kind is not
// valid or the landing page is longer than LandingMax, which the catalog's
// compiler rules out, or if the name of a sale's buyer is longer than BuyerMax.
func (s *Signer) Append(dst []byte, t *Token) []byte {
	if !t.Kind.Valid() || len(t.Landing) > LandingMax || len(t.Sale.Buyer) > BuyerMax {
		return dst
	}
	s.raw = slices.Grow(s.raw[:0], fieldsMax+len(t.Landing)+macBytes)
	raw := appendFields(append(s.raw, s.active), t)
	raw = append(raw, t.Landing...)
	s.mac(s.macs[s.active], raw)
	s.raw = append(raw, s.sum[:macBytes]...)
	return base64.RawURLEncoding.AppendEncode(dst, s.raw)
}

// Parse reads and verifies an event's token. It decodes into scratch, grown as
// needed, and returns it; t.Landing and t.Sale.Buyer point there. Only with OK and
// Expired is t whole. Text that is not a token costs no hash, and a comparison of
// codes takes the same time wherever they differ.
func (s *Signer) Parse(src []byte, now unit.WallTime, kind Kind, t *Token, scratch []byte) ([]byte, Status) {
	raw, status := s.read(src, t, scratch)
	switch {
	case status != OK:
	case t.Kind != kind || t.Sale.Notice > Billed:
		status = WrongKind
	case now >= t.Expires:
		status = Expired
	}
	return raw, status
}

// ParseNotice is Parse for a notice that is no event.
func (s *Signer) ParseNotice(src []byte, now unit.WallTime, n Notice, t *Token, scratch []byte) ([]byte, Status) {
	raw, status := s.read(src, t, scratch)
	switch {
	case status != OK:
	case t.Sale.Notice != n:
		status = WrongKind
	case now >= t.Expires:
		status = Expired
	}
	return raw, status
}

// read reads and authenticates a token of any kind and age.
func (s *Signer) read(src []byte, t *Token, scratch []byte) ([]byte, Status) {
	// The decoder would skip line breaks; a token has one spelling.
	if len(src) > TextMax || bytes.IndexByte(src, '\n') >= 0 || bytes.IndexByte(src, '\r') >= 0 {
		return scratch, Malformed
	}
	raw, ok := decodeText(src, scratch)
	if !ok || len(raw) < fieldsMin+macBytes {
		return raw, Malformed
	}
	signed := raw[:len(raw)-macBytes]
	mac := s.macs[signed[0]]
	if mac == nil {
		return raw, UnknownKey
	}
	s.mac(mac, signed)
	if subtle.ConstantTimeCompare(s.sum[:macBytes], raw[len(signed):]) != 1 {
		return raw, Forged
	}
	if !readFields(signed[1:], t) {
		return raw, Malformed
	}
	return raw, OK
}

// mac leaves the authentication code of b in s.sum.
func (s *Signer) mac(h hash.Hash, b []byte) {
	h.Reset()
	_, _ = h.Write(b)
	s.sum = h.Sum(s.sum[:0])
}

func decodeText(src, scratch []byte) (raw []byte, ok bool) {
	n := base64.RawURLEncoding.DecodedLen(len(src))
	raw = slices.Grow(scratch[:0], n)[:n]
	n, err := strictEncoding.Decode(raw, src)
	return raw[:n], err == nil
}

// strictEncoding refuses spare bits that are not zero.
var strictEncoding = base64.RawURLEncoding.Strict()

func appendFields(b []byte, t *Token) []byte {
	version := byte(1)
	sold := t.Sale.Notice.Valid()
	chosen, grouped := t.Policy != Policy{} && !sold, t.Group > 0 && t.Group <= GroupMax && !sold
	if sold {
		version += carriesSale
	}
	if chosen {
		version += carriesPolicy
	}
	if grouped {
		version += carriesGroup
	}
	head := version<<versionShift | byte(t.Kind)&kindMask
	if t.Test {
		head |= flagTest
	}
	if t.Billable {
		head |= flagBillable
	}
	if t.LineAccount != 0 {
		head |= flagLineAccount
	}
	b = append(b, head)
	b = binary.AppendUvarint(b, uint64(t.Win.Node))
	b = binary.AppendUvarint(b, uint64(t.Win.Epoch))
	b = binary.AppendUvarint(b, uint64(t.Win.Shard))
	b = binary.AppendUvarint(b, t.Win.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.User))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Campaign))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Line))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Creative))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.CampaignAccount))
	if t.LineAccount != 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(t.LineAccount))
	}
	b = binary.AppendVarint(b, int64(t.Price))
	b = binary.AppendVarint(b, int64(t.Reserved))
	b = append(b, t.Currency[:]...)
	b = binary.AppendVarint(b, int64(t.Day))
	b = binary.AppendVarint(b, floorSeconds(t.Issued))
	b = binary.AppendVarint(b, ceilSeconds(t.Expires))
	if chosen {
		b = appendPolicy(b, &t.Policy)
	}
	if grouped {
		b = binary.AppendUvarint(b, uint64(t.Group))
	}
	if sold {
		b = appendSale(b, &t.Sale)
	}
	return b
}

func appendSale(b []byte, s *Sale) []byte {
	b = binary.AppendVarint(append(b, byte(s.Notice)), int64(s.Bid))
	b = append(append(b, s.Currency[:]...), byte(len(s.Buyer)))
	return append(b, s.Buyer...)
}

func appendPolicy(b []byte, p *Policy) []byte {
	b = append(binary.AppendUvarint(b, p.Model), p.Flags())
	b = binary.LittleEndian.AppendUint16(b, p.Epoch)
	b = binary.LittleEndian.AppendUint16(b, uint16(p.Click))
	b = binary.LittleEndian.AppendUint16(b, uint16(p.Conversion))
	b = binary.LittleEndian.AppendUint16(b, uint16(p.Other))
	return binary.LittleEndian.AppendUint16(b, uint16(p.Propensity))
}

// readFields reads what appendFields wrote. The bytes are authentic: a fault
// here means another version of the encoding under the same key.
func readFields(b []byte, t *Token) bool {
	v := b[0] >> versionShift
	if v == 0 || v > versionMax {
		return false
	}
	carries := v - 1
	r := reader{b: b[1:], ok: true}
	*t = Token{
		Kind:            Kind(b[0] & kindMask),
		Test:            b[0]&flagTest != 0,
		Billable:        b[0]&flagBillable != 0,
		Win:             WinID{Node: unit.NodeID(r.uvarint()), Epoch: unit.Epoch(r.uvarint()), Shard: unit.ShardID(r.uvarint()), Seq: r.uvarint()},
		User:            unit.UserID(r.fixed()),
		Campaign:        unit.CampaignID(r.fixed()),
		Line:            unit.LineID(r.fixed()),
		Creative:        unit.CreativeID(r.fixed()),
		CampaignAccount: unit.AccountID(r.fixed()),
	}
	if b[0]&flagLineAccount != 0 {
		t.LineAccount = unit.AccountID(r.fixed())
	}
	t.Price = unit.Nanos(r.varint())
	t.Reserved = unit.Nanos(r.varint())
	r.currency(&t.Currency)
	t.Day = unit.Day(r.varint())
	t.Issued = unit.WallFromUnix(r.varint())
	t.Expires = unit.WallFromUnix(r.varint())
	if carries&carriesPolicy != 0 {
		r.policy(&t.Policy)
	}
	if carries&carriesGroup != 0 {
		n := r.uvarint()
		t.Group = Group(n)
		r.ok = r.ok && n > 0 && n <= uint64(GroupMax)
	}
	if carries&carriesSale != 0 {
		r.sale(&t.Sale)
	}
	if r.ok && len(r.b) > 0 {
		t.Landing = r.b
	}
	return r.ok && t.Kind.Valid()
}

// reader consumes fields; the first one missing clears ok for good.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return v * r.take(n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	return v * int64(r.take(n))
}

// policy reads what appendPolicy wrote.
func (r *reader) policy(p *Policy) {
	p.Model = r.uvarint()
	if !r.ok || len(r.b) < policyMax-binary.MaxVarintLen64 {
		r.ok = false
		return
	}
	le := binary.LittleEndian
	p.Epoch = le.Uint16(r.b[1:])
	p.Click, p.Conversion = Probability(le.Uint16(r.b[3:])), Probability(le.Uint16(r.b[5:]))
	p.Other, p.Propensity = Probability(le.Uint16(r.b[7:])), Probability(le.Uint16(r.b[9:]))
	r.ok = p.SetFlags(r.b[0]) && *p != Policy{}
	r.b = r.b[policyMax-binary.MaxVarintLen64:]
}

func (r *reader) currency(c *unit.Currency) {
	if !r.ok || len(r.b) < len(c) {
		r.ok = false
		return
	}
	r.b = r.b[copy(c[:], r.b):]
}

// sale reads what appendSale wrote.
func (r *reader) sale(s *Sale) {
	if !r.ok || len(r.b) == 0 {
		r.ok = false
		return
	}
	s.Notice, r.b = Notice(r.b[0]), r.b[1:]
	s.Bid = unit.Nanos(r.varint())
	r.currency(&s.Currency)
	if !r.ok || len(r.b) == 0 || len(r.b) <= int(r.b[0]) || r.b[0] > BuyerMax {
		r.ok = false
		return
	}
	n := 1 + int(r.b[0])
	s.Buyer, r.b = r.b[1:n], r.b[n:]
	r.ok = s.Notice.Valid()
}

func (r *reader) fixed() uint64 {
	if len(r.b) < 8 {
		r.ok = false
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

// take consumes n bytes and is 1, or fails and is 0.
func (r *reader) take(n int) uint64 {
	if n <= 0 || !r.ok {
		r.ok = false
		return 0
	}
	r.b = r.b[n:]
	return 1
}

func floorSeconds(t unit.WallTime) int64 {
	s := int64(t) / int64(time.Second)
	if int64(t)%int64(time.Second) < 0 {
		s--
	}
	return s
}

func ceilSeconds(t unit.WallTime) int64 {
	s := floorSeconds(t)
	if unit.WallFromUnix(s) < t {
		s++
	}
	return s
}
