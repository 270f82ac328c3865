package joint

import (
	"errors"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
	"millrace/state/store/answers"
)

// batch is the grants of one round trip on their way: first the counter is asked,
// and loaded where it knows nothing or may be wrong, then the ledger.
type batch struct {
	requests []store.GrantRequest // with what the counter took as their Amount
	asked    []unit.Nanos         // what was asked for
	open     []int                // requests for which the counter is still to be asked
	loads    int
	number   uint64 // at the ledger, 0 before
	wait     time.Duration
	over     []AccountDay // of which the counter gave more than there is
}

// loadsMax is how often the counter is loaded for one batch: once because it did
// not know, and once more because it forgot in between.
const loadsMax = 2

// nextBatch sends what has gathered, if nothing is under way.
func (s *Store) nextBatch() {
	if !s.begun || !s.level || s.fenced || s.closed || s.batch != nil || len(s.gathering) == 0 {
		return
	}
	b := &batch{wait: s.cfg.RetryMin}
	n := min(len(s.gathering), s.cfg.BatchMax)
	for i := range s.gathering[:n] {
		r := &s.gathering[i]
		if !s.open(r) {
			s.conclude(r, store.Closed) // it waited too long
			continue
		}
		b.open = append(b.open, len(b.requests))
		b.requests, b.asked = append(b.requests, *r), append(b.asked, r.Amount)
	}
	s.gathering = append(s.gathering[:0], s.gathering[n:]...)
	if len(b.requests) == 0 {
		s.nextBatch()
		return
	}
	s.batch = b
	s.take(b)
}

// again repeats a call of the batch after a pause.
func (s *Store) again(b *batch, call func(*batch)) {
	s.trouble = true
	wait := b.wait
	b.wait = min(2*b.wait, s.cfg.RetryMax)
	s.later(func() {
		s.cfg.After(wait, func() {
			s.locked(func() {
				if !s.closed && s.batch == b {
					call(b)
				}
			})
		})
	})
}

// went notes an answer.
func (s *Store) went(b *batch) {
	s.trouble = false
	b.wait = s.cfg.RetryMin
}

// take asks the counter for the requests that are open.
func (s *Store) take(b *batch) {
	batch := make([]store.GrantRequest, len(b.open))
	for i, at := range b.open {
		batch[i] = b.requests[at]
		batch[i].Amount = b.asked[at]
	}
	s.counts.Takes++
	s.later(func() {
		s.cfg.Counter.Take(batch, func(out []Taken, err error) {
			s.locked(func() {
				if err != nil || len(out) != len(batch) {
					s.again(b, s.take)
					return
				}
				s.went(b)
				s.took(b, out)
			})
		})
	})
}

// took sorts out what the counter said. It is believed when it gives, since the
// ledger has the last word, and now and then doubted when it refuses.
func (s *Store) took(b *batch, out []Taken) {
	var unknown []int
	for i, at := range b.open {
		r := &b.requests[at]
		switch t := &out[i]; {
		case t.Status == store.OK:
			r.Amount = min(t.Amount, b.asked[at])
			continue
		case b.loads < loadsMax && (t.Status == store.Unavailable || s.doubt(r)):
			unknown = append(unknown, at)
		case t.Status == store.Unavailable:
			s.answers.Forget(answers.KeyOf(&r.ID))
			s.refuse(&r.ID, store.OpGrant, store.Unavailable, r.Account, r.Day)
		default:
			s.conclude(r, store.Exhausted)
		}
		r.Amount = 0
	}
	if b.open = unknown; len(unknown) > 0 {
		s.load(b)
		return
	}
	s.commit(b)
}

func keyOf(r *store.GrantRequest) AccountDay { return AccountDay{r.Account, r.Campaign, r.Day} }

// doubt: the counter may have counted what was taken and never granted, or have
// missed what was given back. Asked of the ledger, once in a while.
func (s *Store) doubt(r *store.GrantRequest) bool {
	k, now := keyOf(r), s.cfg.Mono()
	if last, known := s.checked[k]; known && now.Sub(last) < s.cfg.RecheckEvery {
		return false
	}
	if len(s.checked) >= 1<<16 {
		clear(s.checked)
	}
	s.checked[k] = now
	return true
}

// load brings the counter up to what the ledger says, for the open requests, and
// takes again.
func (s *Store) load(b *batch) {
	b.loads++
	keys := make([]AccountDay, len(b.open))
	for i, at := range b.open {
		keys[i] = keyOf(&b.requests[at])
	}
	s.reload(keys, func(err error) {
		if err != nil {
			b.loads--
			s.again(b, s.load)
			return
		}
		s.went(b)
		s.take(b)
	})
}

// reload loads the counter from the ledger; done runs under the lock.
func (s *Store) reload(keys []AccountDay, done func(error)) {
	s.counts.Loads++
	s.later(func() {
		s.cfg.Ledger.Balances(keys, func(out []Balance, err error) {
			if err != nil {
				s.locked(func() { done(err) })
				return
			}
			s.cfg.Counter.Load(out, func(err error) { s.locked(func() { done(err) }) })
		})
	})
}

// commit asks the ledger for what the counter gave.
func (s *Store) commit(b *batch) {
	kept := b.requests[:0]
	asked := b.asked[:0]
	for i := range b.requests {
		if b.requests[i].Amount > 0 {
			kept, asked = append(kept, b.requests[i]), append(asked, b.asked[i])
		}
	}
	b.requests, b.asked = kept, asked
	if len(kept) == 0 {
		s.finish()
		return
	}
	s.number++
	b.number = s.number
	s.send(b)
}

func (s *Store) send(b *batch) {
	s.counts.Grants++
	s.later(func() {
		s.cfg.Ledger.Grant(s.life, b.number, b.requests, func(out []Granted, err error) {
			s.locked(func() {
				switch {
				case errors.Is(err, ErrFenced):
					s.fence(err)
				case err != nil || len(out) != len(b.requests):
					s.again(b, s.send)
				default:
					s.went(b)
					s.granted(b, out)
				}
			})
		})
	})
}

// granted writes down what the ledger committed. Only what is durable then is
// told to the shards.
func (s *Store) granted(b *batch, out []Granted) {
	if s.closed {
		return // the next life finds them (settle)
	}
	wall := s.cfg.Wall()
	for i := range b.requests {
		r, g := &b.requests[i], &out[i]
		s.stamp = s.stamp.Merge(g.Stamp)
		if g.Amount < r.Amount {
			s.counts.Corrected++
			b.over = append(b.over, keyOf(r))
		}
		if g.Status != store.OK || g.Amount <= 0 {
			s.conclude(r, store.Exhausted)
			continue
		}
		s.write(r, g, wall)
	}
	s.appender.Commit()
	if len(b.over) > 0 {
		s.reload(b.over, func(error) {}) // it is loaded again when it errs again
	}
	s.finish()
}

// write journals one grant.
func (s *Store) write(r *store.GrantRequest, g *Granted, wall unit.WallTime) {
	s.stamp = s.stamp.Next(wall)
	pos, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Granted, Node: s.life.Node, Epoch: r.ID.Epoch, Shard: r.ID.Shard, Seq: r.ID.Seq, Wall: wall, Stamp: s.stamp,
		Account: r.Account, Campaign: r.Campaign, Day: r.Day, Amount: g.Amount, Currency: r.Currency, Daily: r.Daily, Total: r.Total,
	})
	if err != nil {
		// The ledger knows it, and answers the same to the repeat.
		s.answers.Forget(answers.KeyOf(&r.ID))
		s.refuse(&r.ID, store.OpGrant, store.Unavailable, r.Account, r.Day)
		return
	}
	s.counts.Granted++
	s.leases[leaseKey{r.Account, r.Day, r.ID.Epoch}] += g.Amount
	s.commitOwn(r.Account, r.Day, g.Amount)
	s.answers.Await(&store.Reply{
		Op: store.OpGrant, Status: store.OK, Shard: r.ID.Shard, Epoch: r.ID.Epoch, Seq: r.ID.Seq, Account: r.Account, Day: r.Day,
		Amount: g.Amount, Remaining: store.Headroom(r.Daily, r.Total, g.CommittedDay, g.CommittedTotal), Stamp: s.stamp,
		Elsewhere: s.elsewhere(r, g),
	}, pos)
}

// commitOwn follows what this node has committed of an account.
func (s *Store) commitOwn(account unit.AccountID, day unit.Day, amount unit.Nanos) {
	b := s.own[account]
	if b == nil {
		b = &ledger.Balance{Account: account}
		s.own[account] = b
	}
	b.Committed += amount
	if d := b.Keep(day); d != nil {
		d.Committed += amount
	}
}

// elsewhere is what the ledger has committed to other nodes, and what the ledger
// has not heard of yet: a node's returns get there a little later.
func (s *Store) elsewhere(r *store.GrantRequest, g *Granted) (e store.Elsewhere) {
	b := s.own[r.Account]
	e.Ever = max(g.CommittedTotal-b.Committed, 0)
	if d := b.On(r.Day); d != nil {
		e.InDay = max(g.CommittedDay-d.Committed, 0)
	}
	return e
}

// finish makes way for the next batch.
func (s *Store) finish() {
	s.batch = nil
	s.nextBatch()
}
