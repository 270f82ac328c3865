package openrtb

import "millrace/codec/unit"

// Version is the OpenRTB version whose places a bidder wants fields in.
type Version uint8

// Versions. They differ in where gdpr, us_privacy, gpp, gpp_sid, consent,
// eids, schain and rwdd stand: in the ext of their object (2.5) or in the
// object itself (2.6).
const (
	// AsReceived leaves them where they came.
	AsReceived Version = iota
	V25
	V26
)

// Op is what an edit does to a field.
type Op uint8

// Operations. The zero value keeps the field.
const (
	Keep Op = iota
	Set
	Remove
)

// TextEdit edits a string; Text is escaped on the way out.
type TextEdit struct {
	Op   Op
	Text []byte
}

// JSONEdit edits a value of any type; JSON must be a valid JSON value.
type JSONEdit struct {
	Op   Op
	JSON []byte
}

// Flag is a 0 or 1 to write, or nothing.
type Flag uint8

// Flags.
const (
	KeepFlag Flag = iota
	FlagOff
	FlagOn
)

// MemberEdit sets a member of an object, or removes it where JSON is nil. The
// name must need no escaping.
type MemberEdit struct {
	Name string
	JSON []byte
}

// ExtEdit edits an ext object: all of it, or with Keep some of its members;
// what it does not name stays byte for byte.
type ExtEdit struct {
	JSONEdit
	Members []MemberEdit
}

func (e *ExtEdit) empty() bool { return e.Op == Keep && len(e.Members) == 0 }

// ImpEdit edits one impression.
type ImpEdit struct {
	// Imp is the index in the view of the request as received.
	Imp int32
	// Drop leaves the impression out.
	Drop bool
	// HasFloor sets bidfloor to Floor.
	HasFloor bool
	Floor    unit.CPMMicros
	// FloorCur sets bidfloorcur; the zero value keeps it.
	FloorCur unit.Currency
	// OnlyDeals leaves out the deals whose id is not in Deals.
	OnlyDeals bool
	Deals     []string
	Ext       ExtEdit
}

// Edit is what one bidder's request differs in. The zero value changes nothing.
// The texts and lists it refers to must stay unchanged while it is used.
type Edit struct {
	Version Version

	TMax int32       // milliseconds; 0 keeps it
	At   AuctionType // 0 keeps it
	Test Flag
	// Cur replaces the list of currencies, if not empty.
	Cur []unit.Currency

	// Added to the lists of the request. WSeat replaces bseat: a request
	// cannot have both (bids are still judged by the received one).
	BCat, BAdv, BApp, WSeat []string

	// User replaces or removes the whole object; ID and BuyerUID are then
	// edited in what is left, and made anew where they are set.
	User JSONEdit
	// AnonymousUser leaves nothing of the user but the consent string.
	AnonymousUser bool
	UserID        TextEdit
	BuyerUID      TextEdit

	// SChainNode is the JSON object of our own node, appended to the supply
	// chain. Where there is no chain one is made, with complete as told; one
	// that is no object is replaced by one that is not complete.
	SChainNode     []byte
	SChainComplete bool

	// Imps are edits of impressions in ascending order of Imp. OnlyImps leaves
	// out those that are not listed.
	Imps     []ImpEdit
	OnlyImps bool

	Ext ExtEdit
}

// Patcher makes the requests of bidders out of the bytes that came in: Begin
// finds where the members lie that an edit can touch, once; Append copies
// everything between them as it is. The edits common to all bidders and the
// places of the version are written once a version, into a shared body; a
// bidder's own edits are then a few splices.
//
//	body  {"id":…,"imp":[{…},{…}],"tmax":120,"user":{…,"ext":{"consent":…}},…
//	                                                       │ common edits, 2.6 places
//	shared[V26] {"id":…,"imp":[{…},{…}],"tmax":120,"user":{…,"consent":…},…
//	             └──── copied ──────┴cut┘        └splice      └splice (buyeruid)
//
// Of duplicate keys only the last is sent on, which is the one that was read.
//
// A Patcher is owned by one goroutine (a shard) and allocates nothing once
// warm. What it is given must stay unchanged until the last Append of the
// request; the zero value is ready for use.
type Patcher struct {
	body   []byte
	common *Edit
	plain  layout
	shared [3]sharedBody

	changes []change
	text    []byte // what splices and vectors insert
	depth   int    // of objects being made in text
	key     [keyMax]byte
}

// sharedBody is the body of a version, with the common edits made.
type sharedBody struct {
	ready bool
	body  []byte
	at    *layout
	buf   []byte
	own   layout
	index index
}

// Begin reads where the members of a body lie that Parse has accepted into r.
// common, which may be nil, is what every bidder's request differs in; its
// Version is not looked at. A body that is read but is not JSON (NaN in a
// number's place) cannot be sent on: that is a Syntax fault.
func (p *Patcher) Begin(r *BidRequest, body []byte, common *Edit) Error {
	p.body, p.common = body, common
	p.text = emptied(p.text)
	for v := range p.shared {
		p.shared[v].ready = false
	}
	return p.scan(&p.plain, nil, body, &r.index)
}

// scan fills a layout; of a shared body, with what is known of the received.
func (p *Patcher) scan(l, from *layout, body []byte, x *index) Error {
	s := layoutScan{l: l, x: x.at, from: from}
	s.parser = parser{b: body, key: &p.key, imp: -1}
	s.run()
	return s.err
}

// Append appends the request for a bidder. Nothing is appended if the edit
// leaves no impression, or if the JSON of the common edits is none.
func (p *Patcher) Append(dst []byte, e *Edit) []byte {
	mark := len(p.text)
	if s := p.gather(e); s != nil {
		dst = p.write(dst, s.body, s.at)
	}
	p.text = p.text[:mark]
	return dst
}

// AppendVector appends the pieces of the request for a bidder, for a writer
// that takes many, and tells their length together. Most are of the received
// or the shared body. They are valid until the next Begin, and as long as the
// received body is.
func (p *Patcher) AppendVector(dst [][]byte, e *Edit) (pieces [][]byte, size int) {
	s := p.gather(e)
	if s == nil {
		return dst, 0
	}
	return p.writeVector(dst, s.body, s.at)
}

// gather gathers the splices of e in order; nil if there is nothing to send.
func (p *Patcher) gather(e *Edit) *sharedBody {
	s := &p.shared[min(e.Version, V26)]
	if !s.ready && !p.share(s, min(e.Version, V26)) {
		return nil
	}
	p.changes = p.changes[:0]
	if !p.collect(s.body, s.at, e, AsReceived) {
		return nil
	}
	p.order(s.at)
	return s
}

var noEdit Edit

// share makes the body of a version.
func (p *Patcher) share(s *sharedBody, v Version) bool {
	p.changes = p.changes[:0]
	mark := len(p.text)
	common := p.common
	if common == nil {
		common = &noEdit
	}
	for i := range p.plain.imps {
		p.plain.imps[i].fate = impStays
	}
	for i := range p.plain.dead {
		// What no edit touches stays, also an ext that names a thing twice.
		if d := &p.plain.dead[i]; v != AsReceived || d.in != inUserExt && d.in != inRegsExt && d.in != inSourceExt {
			p.cut(d.in, &d.place)
			if d.in >= inImps {
				p.plain.imps[(d.in-inImps)/impContainers].fate = impChanges
			}
		}
	}
	if !p.collect(p.body, &p.plain, common, v) {
		return false
	}
	if len(p.changes) == 0 {
		s.ready, s.body, s.at = true, p.body, &p.plain
		return true
	}
	p.order(&p.plain)
	s.buf = p.write(emptied(s.buf), p.body, &p.plain)
	p.text = p.text[:mark]
	s.body, s.at = s.buf, &s.own
	if s.ready = s.valid(p, common); !s.ready {
		return false
	}
	return true
}

// valid indexes a shared body and reads where its members lie. The received
// body was valid, so only what the edits bring of JSON needs a look.
func (s *sharedBody) valid(p *Patcher, common *Edit) bool {
	if !common.valid() {
		return false
	}
	_, ok := s.index.build(s.body)
	return ok && p.scan(s.at, &p.plain, s.body, &s.index).OK()
}

// valid reports whether the JSON of an edit is JSON.
func (e *Edit) valid() bool {
	ok := (e.User.Op != Set || ValidJSON(e.User.JSON)) && (len(e.SChainNode) == 0 || ValidJSON(e.SChainNode)) && e.Ext.valid()
	for i := range e.Imps {
		ok = ok && e.Imps[i].Ext.valid()
	}
	return ok
}

func (e *ExtEdit) valid() bool {
	if e.Op == Set {
		return ValidJSON(e.JSON)
	}
	for i := range e.Members {
		if m := &e.Members[i]; m.JSON != nil && !ValidJSON(m.JSON) {
			return false
		}
	}
	return true
}

// ValidJSON reports whether b is one JSON value without space around it, nested
// no deeper than a body may be. Whoever configures edits asks it, since a
// bidder's own are written as they are.
func ValidJSON(b []byte) bool {
	p := parser{b: b, imp: -1, limit: Limits{Depth: DepthMax}}
	return len(b) > 0 && p.skip(0) == len(b)
}
