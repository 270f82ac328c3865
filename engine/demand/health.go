package demand

import (
	"millrace/engine/demand/partners"
	"millrace/engine/demand/sketch"
)

// Health is a partner's score and its four parts, each from 0 to 1.
//
//	               of the usual bids:     all   half   a quarter   a tenth   none
//	60 ms on average, wins as others do   0.53   0.46        0.40      0.18      0
//	half of its calls never answered      0.44   0.37        0.31      0.14      0
//
// with as much less value as bids. Demoted is who is below healthy, until it is
// readmitted above it: what is learned of calls that come and go is never still.
type Health struct {
	Score                         float32
	Latency, BidRate, Win, Income float32
}

// Weights of the parts.
const (
	latencyWeight = 0.3
	bidWeight     = 0.25
	winWeight     = 0.25
	valueWeight   = 0.2
)

const (
	// readmission is how far above the limit the score is of who comes back.
	readmission = 0.05
	// plenty: from a quarter of the usual share of bids or value on, being fast and
	// winning are worth what they are; below, in proportion less. To be quick to say
	// no is no merit, nor is a share of no bids that win.
	plenty = 5
)

// against is x measured by what is usual: 0 for nothing, a half for the usual.
func against(x, usual float32) float32 {
	if x+usual == 0 {
		return 0.5
	}
	return x / (x + usual)
}

// healths scores everybody.
func (d *Desk) healths() {
	pool := &d.tables.pool
	bid, win := share(pool.n[nBids], pool.n[nCalls], 0, 0), share(pool.n[nWins], pool.n[nOffers], 0, 0)
	worth := share(pool.n[nValue], pool.n[nCalls], 0, 0) * 1000
	usual := d.usualSpeed()
	d.healthy = partners.Set{}
	for _, p := range d.book.Order {
		x := &d.who[p]
		h, n := &x.health, &x.learned.n
		if h.Latency = usual; d.sure(p) {
			h.Latency = d.speed(p)
		}
		h.BidRate = against(share(n[nBids], n[nCalls], pool.n[nBids], pool.n[nCalls]), bid)
		h.Win = against(x.win, win)
		h.Income = against(x.worth, worth)
		use := min(plenty*max(h.BidRate, h.Income), 1)
		h.Latency, h.Win = h.Latency*use, h.Win*use
		h.Score = latencyWeight*h.Latency + bidWeight*h.BidRate + winWeight*h.Win + valueWeight*h.Income
		limit := d.book.Settings.Healthy
		if x.demoted {
			limit += readmission
		}
		if x.demoted = float64(h.Score) < limit; !x.demoted {
			d.healthy.Add(p)
		}
	}
}

// readmit takes a partner back whose circuit has closed: how long it took when it
// was ill says nothing of how long it takes, and whether it is worth its calls is
// judged anew.
func (d *Desk) readmit(p partners.ID, x *partner) {
	x.learned.lat = sketch.Latency{}
	x.demoted = false
	d.healthy.Add(p)
}

// sure tells whether enough calls of a partner are known to speak of its latency.
func (d *Desk) sure(p partners.ID) bool { return d.who[p].learned.lat.Calls() >= sureCalls }

// speed is how fast a partner is, from 0 to 1: a mean, which calls that are given
// up wear down bit by bit. A quantile would be lost with the one that is one too
// many, and with it a partner that is no worse than the others.
func (d *Desk) speed(p partners.ID) float32 {
	s := &d.book.Settings
	return d.tables.curve[p].Speed(s.Fast, s.Slow)
}

// usualSpeed is the mean of those of whom it is known, for those of whom it is
// not; 1 if it is of nobody.
func (d *Desk) usualSpeed() float32 {
	sum, n := float32(0), 0
	for _, p := range d.book.Order {
		if d.sure(p) {
			sum += d.speed(p)
			n++
		}
	}
	if n == 0 {
		return 1
	}
	return sum / float32(n)
}
