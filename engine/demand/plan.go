package demand

import (
	"math"
	"math/bits"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand/partners"
	"millrace/engine/demand/sketch"
)

// FanoutMax is how many partners one request goes to at most.
const FanoutMax = partners.FanoutMax

// Ask is a request to plan.
type Ask struct {
	Request *openrtb.BidRequest
	// Size of the body in bytes: what a call will about cost of an egress budget.
	Size int
	// Arrived is when the first byte of the request came, Now the time.
	Arrived, Now unit.MonoTime
	Wall         unit.WallTime
}

// Choice is a partner to ask.
type Choice struct {
	Partner partners.ID
	// Probe: the partner's circuit is half open, and this call may close it.
	Probe bool
	// Explore: it is asked to learn, not for what is expected of it.
	Explore bool
	// TMax to send, in milliseconds.
	TMax int32
	// Deadline is when its answer is too late.
	Deadline unit.MonoTime
	// Imps it is asked for.
	Imps Imps
	// Value is what the call is expected to bring, in CPM micros of the
	// auction's currency summed over its impressions.
	Value float32
}

// Imps is a set of impressions of a request, by index.
type Imps [partners.ImpsMax / 64]uint64

// Has reports whether impression i is in the set.
func (s *Imps) Has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

func (s *Imps) add(i int) { s[i/64] |= 1 << (i % 64) }

// Plan is whom to ask for a request. Choices and Imps are valid until the next
// Plan of the desk; the book is for good.
type Plan struct {
	Book *partners.Book
	// Choices in the order of what is expected of them, tier 1 first.
	Choices []Choice
	// Imps say of each impression its class and floor.
	Imps []partners.ImpMatch
	// Deadline is when waiting ends, whoever is missing.
	Deadline unit.MonoTime
	// Arrived is the Ask's.
	Arrived unit.MonoTime
	// Publisher is for a partners.Screen of the bids.
	Publisher int32

	size int
}

// Plan chooses whom to ask for a request, and takes what that costs from the
// budgets.
func (d *Desk) Plan(a *Ask) *Plan {
	p := &d.plan
	*p = Plan{Book: d.book, Choices: p.Choices[:0], Arrived: a.Arrived}
	if d.book == nil {
		return p
	}
	s := &d.book.Settings
	p.size, p.Deadline = a.Size, d.deadline(a)
	d.book.Match(a.Request, a.Wall, &d.match)
	p.Imps, p.Publisher = d.match.Imps, d.match.Publisher()
	d.counts.Requests++
	limit := min(d.stage.Limit(&s.Stage), s.Fanout)
	if limit == 0 {
		// Nobody will be waited for: what the answer takes is what it took so far.
		// Without this the ladder would never hear of a good answer again.
		d.stage.Observe(&s.Stage, a.Now.Sub(a.Arrived), a.Now)
	}
	if limit == 0 || p.Deadline.Sub(a.Now) < s.Least {
		return p
	}
	d.fill(a.Now)
	d.choose(a, limit)
	return p
}

// closing is how long before the hard end the collection ends, at most: the answer
// is to be out by then. Its way from the timer to the socket takes half a
// millisecond, the auction included; the rest is for machines that wake late.
const closing = 2 * time.Millisecond

// deadline is the end of the collection: the hard one, or what the request's
// own time leaves for it.
func (d *Desk) deadline(a *Ask) unit.MonoTime {
	s := &d.book.Settings
	tmax := s.TMax
	if a.Request.TMax > 0 {
		tmax = time.Duration(a.Request.TMax) * time.Millisecond
	}
	return a.Arrived.Add(min(s.Hard-min(closing, s.Hard/50), tmax-s.Answer))
}

// choose fills the plan.
func (d *Desk) choose(a *Ask, limit int) {
	d.left = d.left[:0]
	keys := d.keys[:d.sorted()]
	for i, key := range keys {
		p := partners.ID(key)
		if len(d.plan.Choices) == limit {
			d.leave(keys[i:])
			break
		}
		d.ask(a, p, false)
	}
	if len(d.left) == 0 || d.random.Float64() >= d.book.Settings.Explore {
		return
	}
	if len(d.plan.Choices) < FanoutMax {
		d.ask(a, d.left[d.random.Uint64()%uint64(len(d.left))], true)
	}
}

// leave notes those for whom there was no room.
func (d *Desk) leave(keys []uint64) {
	for _, key := range keys {
		d.who[partners.ID(key)].counts.Skipped[NoRoom]++
		d.left = append(d.left, partners.ID(key))
	}
}

// sorted values those who may be asked and sorts them: tier 1 first, then the
// higher value, then the better tier, then the ID. It returns how many there
// are.
//
//	key  1 bit not tier 1 │ 32 bits value, inverted │ 2 bits tier │ 16 bits ID
func (d *Desk) sorted() int {
	who := d.match.Partners
	who.AndNot(&d.shut)
	tier2 := *d.book.Tier(2)
	tier2.And(&who)
	tier2.And(d.book.Near())
	demoted := tier2
	demoted.AndNot(&d.healthy)
	demoted.AndNot(&d.probing) // few calls, and they tell more than its past
	tier2.AndNot(&demoted)
	tier1 := *d.book.Tier(1)
	tier1.And(&who)
	chosen := tier1
	chosen.Or(&tier2)
	if d.match.Premium {
		tier3 := *d.book.Tier(3)
		tier3.And(&who)
		chosen.Or(&tier3)
	}
	both := chosen
	both.Or(&demoted)
	d.appraise(&both)
	n := 0
	for _, p := range d.order {
		if !chosen.Has(p) {
			if demoted.Has(p) {
				d.who[p].counts.Skipped[Unhealthy]++
				d.left = append(d.left, p)
			}
			continue
		}
		key := uint64(^math.Float32bits(d.values[p]))<<18 | uint64(d.book.Partners[p].Tier)<<16 | uint64(p)
		if !tier1.Has(p) {
			key |= 1 << 50
		}
		i := n
		for ; i > 0 && d.keys[i-1] > key; i-- {
			d.keys[i] = d.keys[i-1]
		}
		d.keys[i] = key
		n++
	}
	return n
}

// appraise sums what each of a set is expected to bring.
func (d *Desk) appraise(who *partners.Set) {
	for w, word := range who {
		for ; word != 0; word &= word - 1 {
			d.values[w*64+bits.TrailingZeros64(word)] = 0
		}
	}
	for i := range d.match.Imps {
		m := &d.match.Imps[i]
		row := d.tables.gain[m.Class][sketch.PriceBucket(m.Floor)]
		for w, word := range who {
			for word &= m.Partners[w]; word != 0; word &= word - 1 {
				p := w*64 + bits.TrailingZeros64(word)
				d.values[p] += row[p]
			}
		}
	}
}

// ask makes a choice of a partner, if its budgets and the time allow it.
func (d *Desk) ask(a *Ask, p partners.ID, explore bool) {
	x, partner := &d.who[p], &d.book.Partners[p]
	value := d.values[p]
	size := int64(a.Size)
	x.calls.wanted++
	x.bytes.wanted += size
	d.egress.wanted += size
	if partner.Tier != 1 && !explore && value < x.calls.price+(x.bytes.price+d.egress.price)*float32(size) {
		x.counts.Skipped[TooDear]++
		d.left = append(d.left, p)
		return
	}
	c := Choice{Partner: p, Explore: explore, Value: value, Deadline: min(a.Now.Add(x.timeout), d.plan.Deadline)}
	if c.TMax = d.tmax(a, partner, c.Deadline); c.TMax == 0 {
		x.counts.Skipped[NoTime]++
		return
	}
	if !x.calls.has(1000) || !x.bytes.has(size) || !d.egress.has(size) {
		x.calls.denied = x.calls.denied || !x.calls.has(1000)
		x.bytes.denied = x.bytes.denied || !x.bytes.has(size)
		d.egress.denied = d.egress.denied || !d.egress.has(size)
		x.counts.Skipped[OverBudget]++
		return
	}
	if d.probing.Has(p) {
		if c.Probe = x.circuit.Probe(&d.book.Settings.Breaker, a.Now); !c.Probe {
			x.counts.Skipped[CircuitOpen]++
			return
		}
	}
	x.calls.spend(1000)
	x.bytes.spend(size)
	d.egress.spend(size)
	for i := range d.match.Imps {
		if d.match.Imps[i].Partners.Has(p) {
			c.Imps.add(i)
		}
	}
	x.counts.Asked++
	d.plan.Choices = append(d.plan.Choices, c)
}

// tmax is what to tell a partner: what the request's own leaves (rule 15), and
// no more than we wait. 0 is not worth asking.
func (d *Desk) tmax(a *Ask, p *partners.Partner, deadline unit.MonoTime) int32 {
	s := &d.book.Settings
	out, ok := openrtb.BidderTMax(a.Request.TMax, &openrtb.Allowance{
		Elapsed: a.Now.Sub(a.Arrived), Network: p.Endpoint.Network, Answer: s.Answer, Least: s.Least, Absent: int32(s.TMax / time.Millisecond),
	})
	left := deadline.Sub(a.Now) - p.Endpoint.Network
	if !ok || left < min(s.Least, p.TimeoutMax) {
		return 0
	}
	return min(out, int32(left/time.Millisecond))
}

// Common is what all partners' requests differ in: for Patcher.Begin. Valid as
// long as the book.
func (d *Desk) Common() *openrtb.Edit { return d.book.Common(&d.match) }

// Edit is what the request for choice i of the plan differs in, for
// Patcher.Append. Valid until the next Edit or Plan.
func (d *Desk) Edit(a *Ask, i int) *openrtb.Edit {
	c := &d.plan.Choices[i]
	p := &d.book.Partners[c.Partner]
	d.edit = p.Edit
	e := &d.edit
	e.TMax = c.TMax
	if a.Request.CatTax > openrtb.IABContent10 {
		e.BCat = nil // the file's codes are of another list
	}
	if a.Request.WSeat.Len() > 0 {
		// The partner's seats must not be added to those that the request allows.
		e.WSeat = nil
	}
	rates := d.book.Rates(a.Wall)
	d.imps = d.imps[:0]
	for k := range d.match.Imps {
		if !c.Imps.Has(k) {
			continue
		}
		x := openrtb.ImpEdit{Imp: int32(k), OnlyDeals: p.OnlyDeals, Deals: p.Deals, Ext: openrtb.ExtEdit{Members: p.ImpExt}}
		if floor := d.match.Imps[k].Floor; floor > 0 {
			if floor, ok := rates.ConvertUp(p.Asked(floor), d.book.Currency, p.Currency); ok {
				x.HasFloor, x.Floor, x.FloorCur = true, floor, p.Currency
			}
		}
		d.imps = append(d.imps, x)
	}
	e.Imps, e.OnlyImps = d.imps, true
	return e
}
