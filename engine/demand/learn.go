package demand

import (
	"math"
	"slices"
	"time"

	"millrace/engine/demand/partners"
	"millrace/engine/demand/sketch"
)

// Scalars of what is learned.
const (
	nCalls = iota // that were answered, or waited for in vain
	nBids         // answers with a bid
	nWins
	nOffers  // bids that stood
	nValue   // of what was won, in thousandths of CPM
	nWell    // calls that say that the partner is well, for other shards' circuits
	nIll     // and that it isn't
	nAsked   // impressions, one for each class
	_        // …
	_        //
	_        //
	scalars  = nAsked + partners.Classes
	latAt    = scalars
	pricesAt = latAt + 3*sketch.Buckets
	cells    = pricesAt + partners.Classes*sketch.PriceBuckets
)

// learned is what was seen of a partner on all shards, decaying.
type learned struct {
	n      [scalars]float32
	lat    sketch.Latency
	prices [partners.Classes]sketch.Prices
}

// cell is one of the numbers of l, by its place in news.
func (l *learned) cell(i int) *float32 {
	switch i -= latAt; {
	case i < 0:
		return &l.n[i+latAt]
	case i < sketch.Buckets:
		return &l.lat.Bid[i]
	case i < 2*sketch.Buckets:
		return &l.lat.NoBid[i-sketch.Buckets]
	case i < 3*sketch.Buckets:
		return &l.lat.Gone[i-2*sketch.Buckets]
	default:
		i -= 3 * sketch.Buckets
		return &l.prices[i/sketch.PriceBuckets][i%sketch.PriceBuckets]
	}
}

// news is what this shard saw since it last told the others: the same numbers
// in whole counts, which a float32 of a busy hour could not count up one by one.
type news struct {
	some bool
	n    [cells]uint32
}

func (n *news) add(i int, v uint32) {
	n.some = true
	if n.n[i] += v; n.n[i] < v {
		n.n[i] = math.MaxUint32
	}
}

// memoryCalls bounds how many calls are remembered: who is asked ten thousand
// times a second need not be judged by an hour of it. Of who is demoted fewer are,
// since it is asked only now and then, and would else not be seen to have changed
// before most of what was remembered is forgotten.
const (
	memoryCalls        = 10_000
	demotedMemoryCalls = 500
)

// decay forgets a period's part of everything.
func (d *Desk) decay() {
	f := float32(math.Exp2(-period.Seconds() / d.cfg.HalfLife.Seconds()))
	fast := float32(math.Exp2(-period.Seconds() / d.cfg.LatencyHalfLife.Seconds()))
	for _, p := range d.book.Order {
		x := &d.who[p]
		l, most := &x.learned, float32(memoryCalls)
		if x.demoted {
			most = demotedMemoryCalls
		}
		f := min(f, most/max(l.n[nCalls], 1))
		for i := range l.n {
			l.n[i] *= f
		}
		for c := range l.prices {
			l.prices[c].Decay(f)
		}
		l.lat.Decay(fast)
	}
}

// priorCalls is how many calls' worth of everybody's experience a partner
// begins with.
const priorCalls = 20

// sureCalls is how many calls a p95 needs to bound a timeout.
const sureCalls = 20

// tables are what choice and collection look up. Rebuilt once a second.
type tables struct {
	// gain is what asking a partner for an impression is expected to bring, by
	// class and bucket of the floor, then by partner: a row is what one
	// impression needs.
	gain [partners.Classes][sketch.PriceBuckets][]float32
	// reach is the probability that a partner's bid is in a price bucket or
	// above, if its answer has a bid: by partner and class.
	reach [][partners.Classes]sketch.Prices
	curve []sketch.Curve
	pool  learned        // everybody's
	usual sketch.Latency // of a few calls of everybody's
	row   sketch.Prices
}

func (t *tables) resize(n int) {
	for c := range t.gain {
		for k := range t.gain[c] {
			t.gain[c][k] = make([]float32, n)
		}
	}
	t.reach = make([][partners.Classes]sketch.Prices, n)
	t.curve = make([]sketch.Curve, n)
}

// rebuild makes the tables, healths and the order out of what was learned.
func (d *Desk) rebuild() {
	d.sum()
	for _, p := range d.book.Order {
		d.appraisal(p)
	}
	d.healths()
	d.rank()
}

// rebuildPart does a part of rebuild on each Tick of a period, so that no
// request waits for all of it.
func (d *Desk) rebuildPart(tick int) {
	const parts = periodTicks - 2
	switch {
	case tick == 0:
		d.exchange()
		d.decay()
	case tick == 1:
		d.sum()
	default:
		n := len(d.book.Order)
		for _, p := range d.book.Order[n*(tick-2)/parts : n*(tick-1)/parts] {
			d.appraisal(p)
		}
	}
	if tick == periodTicks-1 {
		d.healths()
		d.rank()
	}
}

// sum adds up what is known of everybody.
func (d *Desk) sum() {
	t := &d.tables
	t.pool, t.usual = learned{}, sketch.Latency{}
	for _, p := range d.book.Order {
		l := &d.who[p].learned
		for i := range t.pool.n {
			t.pool.n[i] += l.n[i]
		}
		for c := range t.pool.prices {
			t.pool.prices[c].Add(&l.prices[c], 1)
		}
		t.pool.lat.Add(&l.lat, 1)
	}
	if calls := t.pool.lat.Calls(); calls > 0 {
		t.usual.Add(&t.pool.lat, priorCalls/2/calls)
	}
}

// appraisal makes what is looked up of a partner.
func (d *Desk) appraisal(p partners.ID) {
	d.latency(p)
	d.value(p)
}

// latency fits the partner's curve, with a little of everybody's, and sets its
// timeout.
func (d *Desk) latency(p partners.ID) {
	x, c := &d.who[p], &d.tables.curve[p]
	l := d.tables.usual
	l.Add(&x.learned.lat, 1)
	c.Fit(&l)
	known := x.learned.lat.Calls() >= sureCalls
	x.p95 = sketch.Longest
	if t, ok := c.Quantile(0.95); ok && known {
		x.p95 = t
	}
	q := d.book.Partner(p)
	x.timeout = q.TimeoutMax
	if x.p95 < sketch.Longest {
		// Bids take longer than no bids, and it is bids that are waited for.
		t := time.Duration(float64(max(x.p95, c.BidQuantile(0.95))) * d.book.Settings.Margin)
		x.timeout = min(max(t, q.TimeoutMin), q.TimeoutMax)
	}
}

// share is a / b with prior weight of another such share.
func share(a, b, of, from float32) float32 {
	if from > 0 {
		a += priorCalls * of / from
		b += priorCalls
	}
	if b == 0 {
		return 0
	}
	return a / b
}

// value fills the partner's column of gains and its reach.
func (d *Desk) value(p partners.ID) {
	x, pool := &d.who[p], &d.tables.pool
	l := &x.learned
	x.win = min(share(l.n[nWins], l.n[nOffers], pool.n[nWins], pool.n[nOffers]), 1)
	x.worth = share(l.n[nValue], l.n[nCalls], pool.n[nValue], pool.n[nCalls]) * 1000
	bids := max(d.tables.curve[p].Bids(sketch.Longest), 1e-6)
	for c := range partners.Classes {
		var gain, reach, weight, each float32
		asked := l.n[nAsked+c]
		if all := pool.n[nAsked+c]; all > 0 {
			weight = priorCalls / all
			asked += priorCalls
		}
		if asked > 0 {
			each = 1 / asked
		}
		row := &d.tables.row
		for k := sketch.PriceBuckets - 1; k >= 0; k-- {
			per := (l.prices[c][k] + weight*pool.prices[c][k]) * each
			reach += per
			gain += per * float32(sketch.PriceOf(k))
			row[k] = reach
			d.tables.gain[c][k][p] = gain * x.win
		}
		// A bid on the impression, if there is one in the answer.
		scale := float32(0)
		if reach > 0 {
			scale = min(reach/bids, 1) / reach
		}
		for k := range row {
			d.tables.reach[p][c][k] = row[k] * scale
		}
	}
}

// rank orders partners by what they bring on the whole, so that the order of a
// request, which is much the same, is found by few exchanges.
func (d *Desk) rank() {
	d.order = append(d.order[:0], d.book.Order...)
	slices.SortFunc(d.order, func(a, b partners.ID) int {
		x, y := d.weight(a), d.weight(b)
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return int(a) - int(b)
	})
}

func (d *Desk) weight(p partners.ID) (sum float32) {
	for c := range partners.Classes {
		sum += d.tables.gain[c][0][p]
	}
	return sum
}
