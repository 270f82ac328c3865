package demand

import (
	"millrace/codec/unit"
	"millrace/engine/demand/partners"
)

// budget is this shard's part of a cap in units a second: bytes, or thousandths
// of a call. The zero budget has no cap.
//
// A bucket alone would spend a second's calls on its first requests, whatever
// they are worth. The price keeps those for later whose value is below it: it
// goes up while the bucket is nearly empty and down while it is half full.
type budget struct {
	cap   int64 // the node's, units a second; 0 = none
	rate  int64 // this shard's now
	next  int64 // what the home gave for period nextAt, of the divided part
	level int64 // millionths of a unit
	burst int64 // the most the level gets to
	least int64 // a burst has room for it

	nextAt int64
	price  float32 // of a unit that is taken: a call, or a byte
	denied bool    // since the last look
	wanted int64   // units since the last period
	wants  []int64 // at home: by shard, of the last period told
}

const (
	millionths = 1_000_000
	// burstShare is how many seconds' worth a bucket holds, as 1/burstShare.
	burstShare = 5
	// fixedShare: one part in so many of a cap is every shard's for good.
	fixedShare = 4
)

func (b *budget) has(units int64) bool { return b.cap == 0 || b.level >= units*millionths }

func (b *budget) spend(units int64) {
	if b.cap > 0 {
		b.level -= units * millionths
	}
}

// back returns what a call took that never left, wants being what it wanted.
func (b *budget) back(units, wants int64) {
	if b.cap > 0 {
		b.level = min(b.level+units*millionths, b.burst)
	}
	b.wanted = max(b.wanted-wants, 0)
}

// set gives the budget another cap.
func (b *budget) set(cap, least int64, shards int) {
	if b.cap == cap && b.least == least {
		return
	}
	*b = budget{cap: cap, least: least, wants: make([]int64, shards)}
	if cap > 0 {
		b.begin(b.fixed(shards))
		b.level = b.burst
	}
}

// fixed is the part of the cap that is this shard's whatever happens.
func (b *budget) fixed(shards int) int64 {
	if shards == 1 {
		return b.cap
	}
	return b.cap / int64(shards) / fixedShare
}

// begin sets the rate of a period.
func (b *budget) begin(rate int64) {
	b.rate = rate
	b.burst = max(rate/burstShare, b.least) * millionths
	b.level = min(b.level, b.burst)
}

func (b *budget) fill(micros int64) {
	if b.cap > 0 {
		b.level = min(b.level+b.rate*micros, b.burst)
	}
}

// look moves the price, once a Tick. usual is what a unit brings on the
// average: where a price begins.
func (b *budget) look(usual float32) {
	if b.cap == 0 {
		return
	}
	least := usual / 16
	switch {
	case b.denied || b.level < b.burst/4:
		b.price = max(b.price*1.2, least)
	case b.level > b.burst/2:
		if b.price *= 0.8; b.price < least/16 {
			b.price = 0
		}
	}
	b.denied = false
}

// callUnits is a call in the units of a budget of calls.
const callUnits = 1000

// bytesLeast is room for the largest request.
const bytesLeast = 64 << 10

// budgets takes the caps of the book.
func (d *Desk) budgets(now unit.MonoTime) {
	for i := range d.who {
		x, p := &d.who[i], d.book.Partner(partners.ID(i))
		if p == nil {
			continue
		}
		x.calls.set(int64(p.QPS*callUnits), callUnits, d.shards)
		x.bytes.set(p.Egress, bytesLeast, d.shards)
	}
	d.egress.set(d.book.Settings.Egress, bytesLeast, d.shards)
	if d.filled == 0 {
		d.filled = now
		d.period = int64(now / unit.MonoTime(period))
	}
}

// fillEvery is how often budgets are filled at most.
const fillEvery = 2_000_000 // nanoseconds

// fill adds what the time since the last fill gives.
func (d *Desk) fill(now unit.MonoTime) {
	passed := now.Sub(d.filled)
	if passed < fillEvery {
		return
	}
	micros := min(int64(passed/1000), millionths)
	d.filled = d.filled.Add(passed / 1000 * 1000)
	for _, p := range d.book.Order {
		d.who[p].calls.fill(micros)
		d.who[p].bytes.fill(micros)
	}
	d.egress.fill(micros)
}

// prices looks at all budgets.
func (d *Desk) prices() {
	for _, p := range d.book.Order {
		x := &d.who[p]
		usual := d.weight(p) / partners.Classes
		x.calls.look(usual)
		x.bytes.look(usual / typicalBytes)
	}
	if len(d.order) > 0 {
		d.egress.look(d.weight(d.order[len(d.order)/2]) / partners.Classes / typicalBytes)
	}
}

// typicalBytes is the size of a request for where prices begin, nothing more.
const typicalBytes = 1500
