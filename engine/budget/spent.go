package budget

import "millrace/codec/unit"

// Spent is what one shard has committed of an account: posted, or reserved for
// events that may still come. Sum it over the shards; the home shard's figures
// include what was spent before this life of the node, and what other nodes hold
// and have spent, as far as the store has told.
type Spent struct {
	Day unit.Day
	// InDay is of Day; Ever of all days.
	InDay, Ever unit.Nanos
}

// Spent is what this shard has committed of an account, by catalog index.
func (b *Broker) Spent(account int32) Spent {
	if uint(account) >= uint(len(b.index)) {
		return Spent{}
	}
	s := b.index[account]
	sl, tm := &b.slots[s], &b.terms[s]
	reserved := b.reserved(s)
	x := Spent{Day: sl.day, InDay: tm.postedDay + reserved, Ever: tm.posted + reserved}
	if sl.home != none {
		h := &b.homes[sl.home]
		x.InDay += b.postedEarlier(sl) + h.elsewhere.InDay
		x.Ever += h.postedBefore + h.elsewhere.Ever
	}
	return x
}

// reserved is what a slot has pending, in all buckets and pools.
func (b *Broker) reserved(s int32) (sum unit.Nanos) {
	for _, k := range b.pending[s] {
		sum += k[Exact] + k[Expected]
	}
	return sum
}

// postedEarlier is what earlier lives of the node posted on the slot's day.
func (b *Broker) postedEarlier(sl *slot) unit.Nanos {
	if a := b.recovered.Account(sl.id); a != nil {
		if d := a.On(sl.day); d != nil {
			return d.Posted
		}
	}
	return 0
}
