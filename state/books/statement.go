package books

import (
	"millrace/codec/unit"
)

// Entry is one day of an account in a statement. Opening and Closing are what of
// the total limit is left before and after the day; Bounded says whether there is
// one. Between them lies what the day committed:
//
//	closing = opening − (billed − refunded) − held − written off
type Entry struct {
	Day
	Bounded          bool
	Opening, Closing unit.Nanos
	// Billed is spent and refunded together.
	Billed unit.Nanos
}

// Period is the days that a statement covers, both included; a zero bound is none.
type Period struct{ From, To unit.Day }

func (p Period) has(d unit.Day) bool {
	return d >= p.From && (p.To == 0 || d <= p.To)
}

// Statement makes the lines of a period. days are all days of their accounts, as
// Fold.Days orders them: what was before the period opens it. before, if not nil,
// is what an account had committed before the first of its days, which the days
// do not tell.
func Statement(days []Day, p Period, before func(account unit.AccountID) unit.Nanos) []Entry {
	var lines []Entry
	var left unit.Nanos
	for i := range days {
		d := &days[i]
		if i == 0 || days[i-1].Account != d.Account {
			left = d.Total
			if before != nil {
				left -= before(d.Account)
			}
		}
		l := Entry{Day: *d, Bounded: d.Total > 0, Billed: d.Spent + d.Refunded}
		if l.Bounded {
			l.Opening, l.Closing = left, left-d.Committed()
		}
		left -= d.Committed()
		if p.has(d.Day) {
			lines = append(lines, l)
		}
	}
	return lines
}

// Charge is what a campaign is to pay for a period, in one currency.
type Charge struct {
	Campaign unit.CampaignID
	Name     string
	Currency unit.Currency
	// Exact is the sum, Amount what it is on an invoice.
	Exact, Amount    unit.Nanos
	Events, Refunded int64
}

// Charges adds up a statement's lines by campaign. Accounts of line items are
// parts of their campaign's, and left out.
func Charges(lines []Entry) []Charge {
	var list []Charge
	for i := range lines {
		l := &lines[i]
		if l.Line() {
			continue
		}
		if n := len(list); n == 0 || list[n-1].Campaign != l.Campaign || list[n-1].Currency != l.Currency {
			list = append(list, Charge{Campaign: l.Campaign, Name: l.Name, Currency: l.Currency})
		}
		c := &list[len(list)-1]
		c.Exact += l.Spent
		c.Events += l.Events - l.Refunds
		c.Refunded += l.Refunds
	}
	for i := range list {
		list[i].Amount = Invoice(list[i].Exact, list[i].Currency)
	}
	return list
}

// minor is how many decimals a currency's smallest unit has, where it is not two
// (ISO 4217).
var minor = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// Invoice rounds an amount to the smallest unit of its currency, half to even:
// the only rounding there is, of a sum and never of its parts.
func Invoice(n unit.Nanos, c unit.Currency) unit.Nanos {
	decimals, known := minor[c.String()]
	if !known {
		decimals = 2
	}
	step := unit.NanosPerUnit
	for range decimals {
		step /= 10
	}
	q, r := n/step, n%step
	if r < 0 {
		q, r = q-1, r+step
	}
	if 2*r > step || 2*r == step && q&1 != 0 {
		q++
	}
	return q * step
}
