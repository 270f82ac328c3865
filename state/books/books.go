package books

import (
	"cmp"
	"slices"
	"strings"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Day is one day of an account.
type Day struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
	Name     string // as the account was last called, if it was
	Currency unit.Currency
	Day      unit.Day
	// Daily and Total are the limits last written down; 0 is unlimited.
	Daily, Total unit.Nanos
	// Granted is what went into leases; Leased what is still in them, Spent what was
	// billed and not refunded, Refunded billed and taken back, Released returned,
	// WrittenOff given up with a lost journal.
	Granted, Leased, Spent, Refunded, Released, WrittenOff unit.Nanos
	// Events billed, and of them refunded; Unbilled came when there was no money.
	Events, Refunds, Unbilled int64
	// Stamp of the latest record.
	Stamp ledger.Stamp
}

// Line reports whether it is the account of a line item, a part of its campaign's.
func (d *Day) Line() bool { return strings.HasPrefix(d.Name, "line/") }

// Committed is what counts against the limits.
func (d *Day) Committed() unit.Nanos { return d.Granted - d.Released - d.Refunded }

// Whole reports whether the day adds up (I1).
func (d *Day) Whole() bool {
	return d.Granted == d.Leased+d.Spent+d.Refunded+d.Released+d.WrittenOff
}

type dayKey struct {
	account unit.AccountID
	day     unit.Day
}

type opened struct {
	name         string
	currency     unit.Currency
	daily, total unit.Nanos
}

// Fold adds up the records of one node, each once and in order (audit.History).
type Fold struct {
	days     map[dayKey]*Day
	accounts map[unit.AccountID]*opened
	node     unit.NodeID
	records  uint64
	stamp    ledger.Stamp
}

// NewFold is an empty fold.
func NewFold() *Fold {
	return &Fold{days: map[dayKey]*Day{}, accounts: map[unit.AccountID]*opened{}}
}

// Take adds a record. It keeps nothing of it.
func (f *Fold) Take(r *ledger.Record) {
	f.records++
	f.node, f.stamp = r.Node, f.stamp.Merge(r.Stamp)
	switch r.Kind {
	case ledger.AccountOpened:
		f.accounts[r.Account] = &opened{string(r.Name), r.Currency, r.Daily, r.Total}
	case ledger.Granted:
		f.day(r, r.Account, r.Day).Granted += r.Amount
		if a := f.accounts[r.Account]; a != nil {
			a.daily, a.total = r.Daily, r.Total
		} else {
			f.accounts[r.Account] = &opened{"", r.Currency, r.Daily, r.Total}
		}
	case ledger.Returned:
		f.day(r, r.Account, r.Day).Released += r.Amount
	case ledger.Posted:
		for _, p := range r.From[:r.Parts] {
			d := f.day(r, p.Account, p.Day)
			d.Spent += r.Amount
			d.Events++
		}
	case ledger.Refunded:
		for _, p := range r.From[:r.Parts] {
			d := f.day(r, p.Account, p.Day)
			d.Spent -= r.Amount
			d.Refunded += r.Amount
			d.Refunds++
		}
	case ledger.Recorded:
		if r.Reason == ledger.Unfunded {
			for _, p := range r.From[:r.Parts] {
				f.day(r, p.Account, p.Day).Unbilled++
			}
		}
	}
}

func (f *Fold) day(r *ledger.Record, account unit.AccountID, day unit.Day) *Day {
	k := dayKey{account, day}
	d := f.days[k]
	if d == nil {
		d = &Day{Account: account, Campaign: r.Campaign, Day: day}
		f.days[k] = d
	}
	if r.Currency != (unit.Currency{}) {
		d.Currency = r.Currency
	}
	d.Stamp = d.Stamp.Merge(r.Stamp)
	return d
}

// Node is whose records they were, Records how many.
func (f *Fold) Node() unit.NodeID { return f.node }

// Records is how many were taken.
func (f *Fold) Records() uint64 { return f.records }

// Stamp is the latest of all records.
func (f *Fold) Stamp() ledger.Stamp { return f.stamp }

// Days are the days, by campaign, account and day.
func (f *Fold) Days() []Day {
	list := make([]Day, 0, len(f.days))
	for _, d := range f.days {
		x := *d
		x.Leased = x.Granted - x.Released - x.Spent - x.Refunded
		if a := f.accounts[x.Account]; a != nil {
			x.Name, x.Daily, x.Total = a.name, a.daily, a.total
			if x.Currency == (unit.Currency{}) {
				x.Currency = a.currency
			}
		}
		list = append(list, x)
	}
	Sort(list)
	return list
}

// Sort orders by campaign, the campaign's own account first, account and day.
func Sort(list []Day) {
	slices.SortFunc(list, func(x, y Day) int {
		line := 0
		if x.Line() != y.Line() {
			if line = -1; x.Line() {
				line = 1
			}
		}
		return cmp.Or(cmp.Compare(x.Campaign, y.Campaign), line, cmp.Compare(x.Account, y.Account), cmp.Compare(x.Day, y.Day))
	})
}

// Accounts adds up the days of each account; Day is the last one.
func Accounts(days []Day) []Day {
	var list []Day
	for i := range days {
		d := &days[i]
		if n := len(list); n == 0 || list[n-1].Account != d.Account {
			list = append(list, *d)
			continue
		}
		a := &list[len(list)-1]
		a.Granted += d.Granted
		a.Leased += d.Leased
		a.Spent += d.Spent
		a.Refunded += d.Refunded
		a.Released += d.Released
		a.WrittenOff += d.WrittenOff
		a.Events += d.Events
		a.Refunds += d.Refunds
		a.Unbilled += d.Unbilled
		a.Day, a.Stamp = d.Day, a.Stamp.Merge(d.Stamp)
		if d.Name != "" {
			a.Name = d.Name
		}
	}
	return list
}
