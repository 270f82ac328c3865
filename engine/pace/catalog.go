package pace

import (
	"time"

	"millrace/codec/unit"
	"millrace/shards"
	"millrace/state/campaign"
	"millrace/state/pacing"
)

// Terms are what all shards need of a snapshot. Immutable.
type Terms struct {
	Snapshot *campaign.Snapshot
	units    []unit.Nanos // by account: what a won impression is expected to cost
	byID     map[unit.AccountID]int32
	linesOf  func(campaign.AccountIndex) []campaign.LineIndex
}

// NewTerms reads a snapshot. worth is the expected cost of a creative's
// impression, linesOf the line items that pay from an account.
func NewTerms(s *campaign.Snapshot, worth func(campaign.CreativeIndex) unit.Nanos, linesOf func(campaign.AccountIndex) []campaign.LineIndex) *Terms {
	t := &Terms{
		Snapshot: s, units: make([]unit.Nanos, len(s.Accounts)), byID: make(map[unit.AccountID]int32, len(s.Accounts)), linesOf: linesOf,
	}
	for i := range s.Accounts {
		t.byID[s.Accounts[i].ID] = int32(i)
	}
	for i := range s.Lines {
		l := &s.Lines[i]
		for _, a := range l.Accounts() {
			for cr := l.FirstCreative; a >= 0 && cr < l.EndCreative; cr++ {
				t.units[a] = max(t.units[a], worth(cr))
			}
		}
	}
	return t
}

// Catalog is a snapshot's accounts and throttle, prepared for one shard by the
// loader and the shard's own from Board.Load on.
type Catalog struct {
	_        shards.Pad
	terms    *Terms
	throttle *pacing.Throttle
	accounts []account // by the snapshot's index
	homes    []*plan   // by index, nil: elsewhere
	_        shards.Pad
}

// Prepare makes a shard's catalog. Accounts of which nothing is known take part
// in everything, within a careful allowance.
func Prepare(t *Terms) *Catalog {
	n := len(t.Snapshot.Accounts)
	c := &Catalog{
		terms: t, throttle: pacing.NewThrottle(len(t.Snapshot.Lines)),
		accounts: shards.AlignedSlice[account](n), homes: shards.AlignedSlice[*plan](n),
	}
	for i := range c.accounts {
		c.accounts[i].share = 1
		c.accounts[i].allow(t.firstAllowance(i))
	}
	return c
}

// flightDays is the length taken for a flight that began nobody knows when.
const flightDays = 30

// firstAllowance is what an account may spend in a period before it has a plan.
func (t *Terms) firstAllowance(i int) unit.Nanos {
	a := &t.Snapshot.Accounts[i]
	daily := a.Daily
	switch {
	case a.Pacing == pacing.ASAP:
		return pacing.Unlimited
	case daily > 0:
	case a.Total == 0 || a.End == campaign.Never:
		return pacing.Unlimited // no bound, or one that can't be spread over days
	default:
		days := flightDays
		if a.Start > 0 {
			days = int(a.End.Sub(a.Start)/(24*time.Hour)) + 1
		}
		daily = a.Total / unit.Nanos(days)
	}
	return pacing.FirstAllowance(daily, t.units[i])
}

// apply sets the account's line items: a line that pays from two accounts takes
// part as the slower allows.
func (c *Catalog) apply(i int) {
	for _, l := range c.terms.linesOf(campaign.AccountIndex(i)) {
		share := 1.0
		for _, a := range c.terms.Snapshot.Lines[l].Accounts() {
			if a >= 0 {
				share = min(share, c.accounts[a].inForce())
			}
		}
		c.throttle.Set(int(l), share)
	}
}
