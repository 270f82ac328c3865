package market

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/bench/sim"
	"millrace/codec/rulebook"
	"millrace/netio/dsp"
)

// asked is what the world knows of one request.
type asked struct {
	id       string
	received openrtb2.BidRequest
	body     []byte
	market   *market // in force when it was sent out
	lines    []line  // in force when it was decided
	at       int64   // monotonic nanoseconds
	calls    []*callRecord
	stopped  bool // decided because the asking ended
}

// callRecord is one bidder's part.
type callRecord struct {
	partner   *partner
	sent      openrtb2.BidRequest
	reply     sim.Reply
	returned  bool
	cancelled bool
}

// offer is a bid that may win.
type offer struct {
	by       *partner
	call     int
	place    int
	imp      int
	bid      *openrtb2.Bid
	seat     string
	group    int
	priority int
	at       int
	worth    int64 // adjusted, in dollars
	inUSD    int64
	cur      string
	floorUSD int64 // of its deal
}

// expectation is what the oracle finds.
type expectation struct {
	bids map[string]winner // by impression
	told map[string]int    // loss notices, by bidder's number, and how often
}

type winner struct {
	crid  string
	price int64
	pays  int64 // of a bidder
	// theirs: it is a bidder's.
	theirs bool
}

// policy is what the program's own is by default, with the file's rates.
func policy() *rulebook.Policy {
	return &rulebook.Policy{Rates: map[string]float64{"USD": 1, "EUR": 0.9}}
}

func micros(f float64) int64 {
	if f < 0 {
		return -int64(-f*one + 0.5)
	}
	return int64(f*one + 0.5)
}

// convert works a price out in another currency, rounded half away from zero.
func convert(v int64, from, to string) (int64, bool) {
	per := map[string]*big.Rat{"USD": big.NewRat(1, 1), "EUR": big.NewRat(9, 10)}
	if from == to {
		return v, true
	}
	if per[from] == nil || per[to] == nil {
		return 0, false
	}
	x := new(big.Rat).Quo(new(big.Rat).Mul(new(big.Rat).SetInt64(v), per[to]), per[from])
	x.Add(x, big.NewRat(1, 2))
	return new(big.Int).Div(x.Num(), x.Denom()).Int64(), true
}

// expect reads the answers that were taken and finds the winners.
func (a *asked) expect() expectation {
	e := expectation{bids: map[string]winner{}, told: map[string]int{}}
	offers, judged := a.offers()
	dropped := map[int]bool{}
	for {
		won := a.decide(offers, dropped, &e)
		broken := a.broken(offers, won, dropped)
		if broken == 0 {
			break
		}
		dropped[broken] = true
	}
	winners := map[*openrtb2.Bid]bool{}
	for i := range offers {
		if w, ok := e.bids[a.received.Imp[offers[i].imp].ID]; ok && w.crid == offers[i].bid.CrID && !winners[offers[i].bid] && w.theirs && !seen(winners, offers[i].bid.CrID) {
			winners[offers[i].bid] = true
		}
	}
	if a.received.Test == 1 {
		return e
	}
	for _, j := range judged {
		if j.by.loss && j.bid.LURL != "" && !winners[j.bid] {
			e.told[j.bid.LURL[len("https://l.example/"):strings.Index(j.bid.LURL, "?")]]++
		}
	}
	return e
}

func seen(winners map[*openrtb2.Bid]bool, crid string) bool {
	for b := range winners {
		if b.CrID == crid {
			return true
		}
	}
	return false
}

// judgedBid is a bid of an answer that was taken.
type judgedBid struct {
	by  *partner
	bid *openrtb2.Bid
}

// offers are the bids that stand, and all that were judged.
func (a *asked) offers() (offers []offer, judged []judgedBid) {
	groups := 0
	for n, c := range a.calls {
		if !c.returned || c.reply.Outcome != dsp.Answered || c.reply.Status < 200 || c.reply.Status > 299 {
			continue
		}
		var res openrtb2.BidResponse
		if json.Unmarshal(c.reply.Body, &res) != nil {
			continue
		}
		cur := res.Cur
		if cur == "" {
			cur = "USD"
		}
		broken := rulebook.Judge(&c.sent, &res, policy())
		at := 0
		for s := range res.SeatBid {
			seat := &res.SeatBid[s]
			number := 0
			for i := range seat.Bid {
				b := &seat.Bid[i]
				judged = append(judged, judgedBid{c.partner, b})
				place := at
				at++
				if len(broken[place]) > 0 || bad(c.partner, b) {
					continue
				}
				if seat.Group == 1 && number == 0 {
					groups++
					number = groups
				}
				o := a.offer(c, b, cur)
				o.call, o.place, o.seat, o.group = n, place, seat.Seat, number
				offers = append(offers, o)
			}
		}
	}
	return offers, judged
}

// bad applies the partner's own block list.
func bad(p *partner, b *openrtb2.Bid) bool {
	return p.badv != "" && slices.ContainsFunc(b.ADomain, func(d string) bool { return d == p.badv || strings.HasSuffix(d, "."+p.badv) })
}

// offer works out what a bid is worth.
func (a *asked) offer(c *callRecord, b *openrtb2.Bid, cur string) offer {
	o := offer{by: c.partner, bid: b, cur: cur, priority: 10, at: 1}
	for i := range a.received.Imp {
		if a.received.Imp[i].ID == b.ImpID {
			o.imp = i
		}
	}
	o.inUSD, _ = convert(micros(b.Price), cur, "USD")
	if b.DealID != "" {
		o.priority = 9
		for _, d := range a.received.Imp[o.imp].PMP.Deals {
			if d.ID == b.DealID {
				o.floorUSD = micros(d.BidFloor)
				if d.AT != 0 {
					o.at = int(d.AT)
				}
			}
		}
	}
	o.worth = o.inUSD * o.by.adjust / one
	if o.at == 3 {
		o.worth = o.inUSD
		if o.floorUSD > 0 {
			o.worth = o.floorUSD
		}
	}
	return o
}

// stands reports whether the offer is worth what the exchange and we ask.
func (a *asked) stands(o *offer) bool {
	if o.bid.DealID != "" {
		return o.worth >= o.floorUSD
	}
	return o.worth >= max(micros(a.received.Imp[o.imp].BidFloor), a.market.floor)
}

// own is the line that would have the impression, and its price.
func (a *asked) own(imp int) (l *line, crid string, price int64) {
	if len(a.received.Cur) == 1 { // EUR
		return nil, "", 0
	}
	floor := micros(a.received.Imp[imp].BidFloor)
	for i := range a.lines {
		x := &a.lines[i]
		if x.kind != "house" && x.price < floor {
			continue
		}
		if l == nil || x.tier < l.tier || x.tier == l.tier && x.price > l.price {
			l, crid, price = x, fmt.Sprint("own", i), x.price
			if x.kind == "house" {
				price = max(floor, 10_000)
			}
		}
	}
	return l, crid, price
}

// decide finds the winner of each impression, and reports how many impressions
// each group has.
func (a *asked) decide(offers []offer, dropped map[int]bool, e *expectation) map[int]int {
	clear(e.bids)
	won := map[int]int{}
	for imp := range a.received.Imp {
		own, crid, price := a.own(imp)
		list := a.ordered(offers, imp, dropped)
		if len(list) > 0 && (own == nil || list[0].priority < own.tier || list[0].priority == own.tier && list[0].worth > own.price) {
			o := list[0]
			e.bids[a.received.Imp[imp].ID] = a.clear(o, list[1:], own)
			if o.group > 0 {
				won[o.group]++
			}
		} else if own != nil {
			e.bids[a.received.Imp[imp].ID] = winner{crid: crid, price: price}
		}
	}
	return won
}

// ordered are the offers on an impression, the first first.
func (a *asked) ordered(offers []offer, imp int, dropped map[int]bool) (list []*offer) {
	for i := range offers {
		if o := &offers[i]; o.imp == imp && !dropped[o.group] && a.stands(o) {
			list = append(list, o)
		}
	}
	key := func(o *offer) string {
		// Numbers written so that texts compare as they do: prices falling.
		return fmt.Sprintf("%02d|%019d|%d|%s|%s|%03d|%03d", o.priority, int64(1)<<60-o.worth, o.by.tier, o.seat, o.bid.ID, o.call, o.place)
	}
	sort.Slice(list, func(i, j int) bool { return key(list[i]) < key(list[j]) })
	return list
}

// clear is what the winner pays, and what we answer.
func (a *asked) clear(o *offer, behind []*offer, own *line) winner {
	w := winner{crid: o.bid.CrID, pays: micros(o.bid.Price), theirs: true}
	worth := o.worth
	switch {
	case o.at == 3:
		if o.floorUSD > 0 {
			pays, _ := convert(o.floorUSD, "USD", o.cur)
			w.pays = min(w.pays, pays)
		}
	case o.at == 2 && o.bid.DealID != "":
		second := int64(0)
		for _, x := range behind {
			if x.by != o.by {
				second = max(second, x.worth)
			}
		}
		if own != nil {
			price := own.price
			if own.kind == "house" {
				price = 0 // pays nothing
			}
			second = max(second, price)
		}
		least := (second*one + o.by.adjust - 1) / o.by.adjust
		cleared := min(o.inUSD, max(least+10_000, o.floorUSD))
		pays, _ := convert(cleared, "USD", o.cur)
		w.pays, worth = min(w.pays, pays), cleared*o.by.adjust/one
	}
	w.price = worth
	if len(a.received.Cur) == 1 {
		w.price, _ = convert(worth, "USD", "EUR")
	}
	return w
}

// broken is the first group that has some of its impressions and not all; 0 is
// none.
func (a *asked) broken(offers []offer, won map[int]int, dropped map[int]bool) int {
	size := map[int]map[int]bool{}
	for i := range offers {
		if g := offers[i].group; g > 0 {
			if size[g] == nil {
				size[g] = map[int]bool{}
			}
			size[g][offers[i].imp] = true
		}
	}
	for g := 1; g <= len(size); g++ {
		if !dropped[g] && won[g] > 0 && won[g] < len(size[g]) {
			return g
		}
	}
	return 0
}
