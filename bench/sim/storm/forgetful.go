package storm

import "millrace/state/store"

// forgetful takes every request for a new one: a store without idempotency keys.
type forgetful struct {
	store.BudgetStore
	next   uint64
	really map[uint64]uint64 // number given → number asked with
}

// renumbered begins far above what a broker counts.
const renumbered = 1 << 40

func (f *forgetful) number(seq uint64) uint64 {
	f.next++
	f.really[renumbered+f.next] = seq
	return renumbered + f.next
}

func (f *forgetful) Grant(r *store.GrantRequest) {
	q := *r
	q.ID.Seq = f.number(r.ID.Seq)
	f.BudgetStore.Grant(&q)
}

func (f *forgetful) Return(r *store.ReturnRequest) {
	q := *r
	q.ID.Seq = f.number(r.ID.Seq)
	f.BudgetStore.Return(&q)
}

// deliver gives replies their askers' numbers back.
func (f *forgetful) deliver(to store.Deliver) store.Deliver {
	return func(r *store.Reply) bool {
		reply := *r
		reply.Seq = f.really[r.Seq]
		return to(&reply)
	}
}
