package demand

import (
	"time"

	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
	"millrace/engine/demand/partners"
)

// Skip is why a partner that might have bid was not asked.
type Skip uint8

// Reasons.
const (
	// Unhealthy: of tier 2, with a health below the limit.
	Unhealthy Skip = iota
	// TooDear: what is expected of it is less than its scarce calls or bytes are
	// worth.
	TooDear
	// OverBudget: no calls or bytes left.
	OverBudget
	// CircuitOpen: half open, and the probes are under way.
	CircuitOpen
	// NoTime: less than is worth asking for.
	NoTime
	// NoRoom: the fan-out or the stage's ladder left none.
	NoRoom

	Skips = int(NoRoom) + 1
)

var skipNames = [Skips]string{"unhealthy", "too_dear", "over_budget", "circuit_open", "no_time", "no_room"}

// String is the reason as a metric label.
func (s Skip) String() string { return skipNames[s] }

// PartnerCounts are a partner's sums since the start, of one shard or added.
type PartnerCounts struct {
	Asked    uint64
	Outcomes [Outcomes]uint64
	// Bids are answers with one, Offers the bids that stood, Lies those that
	// broke a rule.
	Bids, Offers, Lies, Wins uint64
	// Late answers came when their call had ended. The desk never hears of them:
	// whoever has the connections adds what they saw.
	Late    uint64
	Value   unit.CPMMicros // of the wins
	Skipped [Skips]uint64
}

func (n *PartnerCounts) note(r *Result) {
	n.Outcomes[r.Outcome]++
	if r.Bids > 0 {
		n.Bids++
	}
	n.Lies += uint64(r.Lies)
}

func (n *PartnerCounts) add(o *PartnerCounts) {
	n.Asked += o.Asked
	for i := range n.Outcomes {
		n.Outcomes[i] += o.Outcomes[i]
	}
	n.Bids += o.Bids
	n.Offers += o.Offers
	n.Lies += o.Lies
	n.Wins += o.Wins
	n.Late += o.Late
	n.Value += o.Value
	for i := range n.Skipped {
		n.Skipped[i] += o.Skipped[i]
	}
}

// Counts are a desk's own sums.
type Counts struct {
	Requests uint64
	// Unsent messages to other shards.
	Unsent uint64
}

// PartnerStatus is how a partner stands.
type PartnerStatus struct {
	Name   string
	Tier   uint8
	Paused bool
	Near   bool
	// Circuit is the worst of the shards', Open how many shards have it open,
	// Cause and Until those of the worst; Opened counts openings.
	Circuit breaker.State
	Cause   breaker.Cause
	Until   unit.MonoTime
	Open    int
	Opened  uint64

	// Health and what follows are learned by all shards from all, decaying.
	Health        Health
	P50, P95, P99 time.Duration // sketch.Longest: not known to end
	BidRate       float32
	WinRate       float32
	CallValue     float32 // CPM micros
	Timeout       time.Duration

	Counts PartnerCounts
}

// Status is how the demand side of a node stands, gathered over its shards.
type Status struct {
	Version  uint64
	Shards   int
	Rungs    [breaker.Rungs]int // shards on each
	Counts   Counts
	Partners []PartnerStatus // in the order of the file
}

// Gather adds the desk's part. Cold: called inside the shard's turn, shard
// after shard, on one Status.
func (d *Desk) Gather(s *Status) {
	if d.book == nil {
		return
	}
	if s.Version != d.book.Version || len(s.Partners) != len(d.book.Order) {
		*s = Status{Version: d.book.Version, Partners: make([]PartnerStatus, len(d.book.Order))}
	}
	s.Shards++
	s.Rungs[d.stage.Rung()]++
	s.Counts.Requests += d.counts.Requests
	s.Counts.Unsent += d.counts.Unsent
	for i, p := range d.book.Order {
		d.gather(&s.Partners[i], p)
	}
}

func (d *Desk) gather(s *PartnerStatus, p partners.ID) {
	x, q := &d.who[p], d.book.Partner(p)
	s.Name, s.Tier, s.Paused, s.Near = q.Name, q.Tier, q.Paused, q.Near
	s.Counts.add(&x.counts)
	c := &x.circuit
	s.Opened += c.Opened()
	if c.State() != breaker.Closed {
		s.Open++
		if s.Circuit != breaker.Open {
			s.Circuit, s.Until = c.State(), c.Until()
		}
	}
	if c.Cause() != breaker.None {
		s.Cause = c.Cause()
	}
	// Learned by all from all: the last shard's is as good as any.
	curve := &d.tables.curve[p]
	s.P50, _ = curve.Quantile(0.50)
	s.P95, _ = curve.Quantile(0.95)
	s.P99, _ = curve.Quantile(0.99)
	n := &x.learned.n
	s.BidRate, s.WinRate = share(n[nBids], n[nCalls], 0, 0), share(n[nWins], n[nOffers], 0, 0)
	s.CallValue = share(n[nValue], n[nCalls], 0, 0) * 1000
	s.Health, s.Timeout = x.health, x.timeout
}
