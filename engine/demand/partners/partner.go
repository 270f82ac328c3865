package partners

import (
	"math/bits"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// Max is how many partners a book has at most.
const Max = 256

// ID is a partner's place in its book. It is the same in all shards, and in
// every later book of the process in which the partner stands; a place that was
// given up is free again only two books later. So what is under way while a
// book is replaced still knows whom it is about.
type ID uint16

// Set is a set of partners.
type Set [Max / 64]uint64

// Has reports whether p is in the set.
func (s *Set) Has(p ID) bool { return s[p/64]>>(p%64)&1 != 0 }

// Add puts p into the set.
func (s *Set) Add(p ID) { s[p/64] |= 1 << (p % 64) }

// Remove takes p out of the set.
func (s *Set) Remove(p ID) { s[p/64] &^= 1 << (p % 64) }

// And keeps what is in o too.
func (s *Set) And(o *Set) {
	for i := range s {
		s[i] &= o[i]
	}
}

// Or adds what is in o.
func (s *Set) Or(o *Set) {
	for i := range s {
		s[i] |= o[i]
	}
}

// AndNot takes out what is in o.
func (s *Set) AndNot(o *Set) {
	for i := range s {
		s[i] &^= o[i]
	}
}

// Empty reports whether nobody is in the set.
func (s *Set) Empty() bool {
	var all uint64
	for _, w := range s {
		all |= w
	}
	return all == 0
}

// Len counts the set.
func (s *Set) Len() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// Protocol of an endpoint.
type Protocol uint8

// Protocols. Auto: HTTP/2 where ALPN offers it, else HTTP/1.1.
const (
	Auto Protocol = iota
	HTTP1
	HTTP2
)

// Endpoint is where a node sends a partner's requests. Immutable.
type Endpoint struct {
	Region   string
	URL      string
	Protocol Protocol
	Gzip     bool
	// Network is the way there and back.
	Network time.Duration
	// ConnsMin and ConnsMax are of a shard.
	ConnsMin, ConnsMax int
	Headers            []Header
	TLS                TLSSpec
}

// Header is a field sent with every request.
type Header struct{ Name, Value string }

// Partner is a DSP as a node sees it. Immutable.
type Partner struct {
	ID   ID
	Name string // the id in the file
	Tier uint8  // 1, 2, 3
	// Paused partners stand in the book, and are not asked.
	Paused   bool
	Endpoint Endpoint
	// Near: the endpoint is of the node's own region.
	Near bool

	Currency unit.Currency
	Formats  openrtb.MediaMask
	Seats    []string
	// OnlyDeals: it may bid on Deals, and no others.
	OnlyDeals bool
	Deals     []string
	// Adjust is what a unit of its price is worth, in millionths.
	Adjust unit.CPMMicros
	// QPS is the node's cap in calls a second, 0 = none; Egress bytes a second.
	QPS    float64
	Egress int64

	TimeoutMin, TimeoutMax  time.Duration
	LossNotices, WinNotices bool

	// Edit is what its requests differ in but for tmax, floors and deals.
	Edit   openrtb.Edit
	ImpExt []openrtb.MemberEdit

	lists   blocklist
	present bool
}

// Adjusted is what a bid's price, in the auction's currency, is worth: rounded
// down.
func (p *Partner) Adjusted(price unit.CPMMicros) unit.CPMMicros {
	return scale(price, p.Adjust, unit.MicrosPerUnit, 0)
}

// Asked is the price a bid needs to be worth the floor: rounded up, so that
// Adjusted of it is no less.
func (p *Partner) Asked(floor unit.CPMMicros) unit.CPMMicros {
	return scale(floor, unit.MicrosPerUnit, p.Adjust, p.Adjust-1)
}

// scale is (n × by + more) / per, at most the highest there is; 0 for n ≤ 0.
func scale(n, by, per, more unit.CPMMicros) unit.CPMMicros {
	if n <= 0 || by == per {
		return max(n, 0)
	}
	hi, lo := bits.Mul64(uint64(n), uint64(by))
	lo, carry := bits.Add64(lo, uint64(more), 0)
	if hi += carry; hi >= uint64(per) {
		return priceMax
	}
	q, _ := bits.Div64(hi, lo, uint64(per))
	return unit.CPMMicros(min(q, uint64(priceMax)))
}

const priceMax = unit.CPMMicros(1<<63 - 1)
