package joint

import (
	"cmp"
	"slices"

	"millrace/state/ledger"
	"millrace/state/store"
	"millrace/state/store/answers"
)

// Return see store.BudgetStore. It needs the journal alone; the ledger learns of
// it by the drain, and the asker when it has, so that what it asks for next may
// be what it returned. When the ledger can't be reached, it hears at once.
func (s *Store) Return(r *store.ReturnRequest) {
	q := *r
	s.locked(func() { s.giveBack(&q) })
}

func (s *Store) giveBack(r *store.ReturnRequest) {
	if s.closed || r.ID.Epoch != s.life.Epoch {
		return
	}
	s.stamp = s.stamp.Merge(r.Stamp)
	if reply, known, now := s.answers.Repeat(answers.KeyOf(&r.ID)); known {
		if now && s.returning[answers.KeyOf(&r.ID)] == nil {
			s.answer(reply)
		}
		return
	}
	reply := store.Reply{
		Op: store.OpReturn, Shard: r.ID.Shard, Epoch: r.ID.Epoch, Seq: r.ID.Seq, Stamp: s.stamp, Account: r.Account, Day: r.Day, Amount: r.Amount,
	}
	k := leaseKey{r.Account, r.Day, r.LeaseEpoch}
	if r.Amount <= 0 || r.Amount > s.leases[k] {
		reply.Status = store.Refused
		s.answers.Keep(&reply)
		s.answer(reply)
		return
	}
	wall := s.cfg.Wall()
	s.stamp = s.stamp.Next(wall)
	pos, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Returned, Node: s.life.Node, Epoch: r.ID.Epoch, Shard: r.ID.Shard, Seq: r.ID.Seq, Wall: wall, Stamp: s.stamp,
		Account: r.Account, Campaign: r.Campaign, Day: r.Day, LeaseEpoch: r.LeaseEpoch, Amount: r.Amount,
	})
	if err != nil {
		s.refuse(&r.ID, store.OpReturn, store.Unavailable, r.Account, r.Day)
		return
	}
	if s.leases[k] -= r.Amount; s.leases[k] == 0 {
		delete(s.leases, k)
	}
	s.commitOwn(r.Account, r.Day, -r.Amount)
	reply.Status, reply.Stamp = store.OK, s.stamp
	s.returning[answers.Of(&reply)] = &returning{}
	s.answers.Await(&reply, pos)
	s.appender.Commit()
}

// returning is a return between the journal and its answer. The disk and the
// ledger report it in either order: the drain reads what is on disk, and may have
// posted it before the journal's writer gets to say so here.
type returning struct {
	durable, posted bool
	reply           store.Reply
}

// durable runs on the journal's writer: what is on disk is answered, returns when
// they are posted too.
func (s *Store) durable(pos uint64) {
	failed := s.journal.Err() != nil
	s.locked(func() {
		for _, r := range s.answers.Durable(pos, failed) {
			k := answers.Of(&r)
			if x := s.returning[k]; x != nil && r.Status == store.OK && !x.posted && !s.lagging() {
				x.durable, x.reply = true, r
				continue
			}
			delete(s.returning, k)
			s.answer(r)
		}
	})
}

// lagging: the ledger does not take the journal's records just now.
func (s *Store) lagging() bool { return !s.begun || s.fenced || s.drain.Status().Last != nil }

// returned answers the returns that the ledger and the counter know of.
func (s *Store) returned(back []store.ReturnRequest) {
	for i := range back {
		k := answers.KeyOf(&back[i].ID)
		switch x := s.returning[k]; {
		case x == nil: // of an earlier life, or answered while the ledger was away
		case x.durable:
			s.answerReturn(k, x)
		default:
			x.posted = true
		}
	}
}

// release answers the returns that wait for the ledger, in the order they came.
func (s *Store) release() {
	held := make([]answers.Key, 0, len(s.returning))
	for k, x := range s.returning {
		if x.durable {
			held = append(held, k)
		}
	}
	slices.SortFunc(held, func(a, b answers.Key) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Shard, b.Shard))
	})
	for _, k := range held {
		s.answerReturn(k, s.returning[k])
	}
}

func (s *Store) answerReturn(k answers.Key, x *returning) {
	delete(s.returning, k)
	s.answer(x.reply)
}

// Refunded see store.Refunding. The ledger learns of a refund by the drain; here it
// is no longer what this node has committed.
func (s *Store) Refunded(r *ledger.Record) {
	s.locked(func() {
		s.stamp = s.stamp.Merge(r.Stamp)
		for _, p := range r.From[:r.Parts] {
			s.commitOwn(p.Account, p.Day, -r.Amount)
		}
	})
}

// heldReturns is how many returns are durable and wait for the ledger.
func (s *Store) heldReturns() (n int) {
	for _, x := range s.returning {
		if x.durable {
			n++
		}
	}
	return n
}
