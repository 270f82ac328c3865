package reconcile

import (
	"cmp"
	"fmt"
	"slices"

	"millrace/codec/unit"
)

// Drift is one difference.
type Drift struct {
	// Between is journal-ledger, ledger-counter or journal-store, the truer first.
	Between string
	// What differs: granted, returned, posted, refunded, committed on the day, or
	// committed in total (Day 0).
	What     string
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
	// True is what the first says, Other the second.
	True, Other unit.Nanos
	// Repaired: the second says now what the first does.
	Repaired bool
}

// By is how much it is.
func (d *Drift) By() unit.Nanos { return max(d.True-d.Other, d.Other-d.True) }

func (d *Drift) String() string {
	state := ""
	if d.Repaired {
		state = ", repaired"
	}
	return fmt.Sprintf("%s: account %016x, day %d: %s is %v, and %v%s", d.Between, uint64(d.Account), d.Day, d.What, d.True, d.Other, state)
}

// Report is one look.
type Report struct {
	// Compared accounts and days.
	Compared int
	Drifts   []Drift
	// Pending is what lives were granted that their journals have not confirmed to
	// the ledger yet: on its way, or of a life that died before.
	Pending unit.Nanos
	// Skipped says what was not compared, and why.
	Skipped []string
}

// Sum is how much differs in all, in nanos of whatever currencies.
func (r *Report) Sum() (sum unit.Nanos) {
	for i := range r.Drifts {
		sum += r.Drifts[i].By()
	}
	return sum
}

// Repaired is how many differences are none any more.
func (r *Report) Repaired() (n int) {
	for i := range r.Drifts {
		if r.Drifts[i].Repaired {
			n++
		}
	}
	return n
}

func (r *Report) skip(text string, args ...any) {
	r.Skipped = append(r.Skipped, fmt.Sprintf(text, args...))
}

func (r *Report) differ(between, what string, account unit.AccountID, campaign unit.CampaignID, day unit.Day, truth, other unit.Nanos) {
	if truth != other {
		r.Drifts = append(r.Drifts, Drift{Between: between, What: what, Account: account, Campaign: campaign, Day: day, True: truth, Other: other})
	}
}

func (r *Report) sort() {
	slices.SortFunc(r.Drifts, func(x, y Drift) int {
		return cmp.Or(cmp.Compare(x.Between, y.Between), cmp.Compare(x.Account, y.Account), cmp.Compare(x.Day, y.Day), cmp.Compare(x.What, y.What))
	})
}
