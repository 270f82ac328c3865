package joint

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
	"millrace/state/store/answers"
)

// begin registers this life, as often as it takes.
func (s *Store) begin(wait time.Duration) {
	b := Beginning{Life: s.life, Previous: s.journal.Previous(), Stamp: s.journal.Recovered().Stamp}
	asked := s.cfg.Mono()
	s.cfg.Ledger.Begin(b, func(began Began, err error) {
		s.locked(func() {
			switch {
			case s.closed || s.begun:
			case errors.Is(err, ErrFenced) || errors.Is(err, ErrForked):
				s.fence(err)
			case err != nil:
				s.trouble = true
				s.later(func() { s.cfg.After(wait, func() { s.begin(min(2*wait, s.cfg.RetryMax)) }) })
			default:
				s.live(&began, asked)
			}
		})
	})
}

// live starts what waited for the ledger's word.
func (s *Store) live(began *Began, asked unit.MonoTime) {
	if began.Drained > s.beginsAt {
		s.fence(fmt.Errorf("%w (posted up to %d, the journal ends at %d)", ErrForked, began.Drained, s.beginsAt))
		return
	}
	s.begun, s.trouble = true, false
	s.stamp = s.stamp.Merge(began.Stamp)
	s.lasts(began.Lease, asked)
	s.drain = NewDrain(DrainConfig{
		Tail: s.journal.Tail(began.Drained), From: began.Drained, Life: s.life, Ledger: s.cfg.Ledger, Rows: s.cfg.DrainRows,
		RetryMin: s.cfg.RetryMin, RetryMax: s.cfg.RetryMax, After: s.cfg.After, Posted: s.posted,
		Failed: func(error) { s.locked(s.release) },
		Alarm:  s.cfg.Alarm,
	})
	if began.Drained >= s.beginsAt {
		s.caughtUp()
		return
	}
	s.later(func() { s.cfg.After(s.cfg.RetryMax, func() { s.locked(s.fallBehind) }) })
}

// caughtUp: the ledger has what earlier lives wrote down. Before that nothing is
// granted: it may lack leases that a node took while it kept its budgets alone.
func (s *Store) caughtUp() {
	s.level, s.behind = true, false
	s.settle(s.cfg.RetryMin)
	s.nextBatch()
}

// fallBehind: the ledger has much to take. Who waits for a grant is told to go on without, for now.
func (s *Store) fallBehind() {
	if s.level {
		return
	}
	s.behind = true
	for i := range s.gathering {
		r := &s.gathering[i]
		s.refuse(&r.ID, store.OpGrant, store.Unavailable, r.Account, r.Day)
	}
}

// fence ends this life: nothing is granted any more. What it returns and posts
// still counts.
func (s *Store) fence(err error) {
	if s.fenced {
		return
	}
	s.fenced = true
	s.alarm(fmt.Errorf("this life of the node must not spend any more: %w", err))
	if b := s.batch; b != nil {
		s.gathering = append(b.requests, s.gathering...)
		s.batch = nil
	}
	for i := range s.gathering {
		r := &s.gathering[i]
		s.answers.Forget(answers.KeyOf(&r.ID))
		s.refuse(&r.ID, store.OpGrant, store.Fenced, r.Account, r.Day)
	}
	s.gathering = nil
	for i := range s.askers {
		s.refuse(&s.askers[i], store.OpGrant, store.Fenced, 0, 0)
	}
	s.askers = nil
	s.release()
}

// lasts extends what this life may spend by time: from the moment of the request,
// by a clock that may be slower than the ledger's. The broker measures from its own request, which is not
// later, what it is told when the answer leaves; so it is over first.
func (s *Store) lasts(lease time.Duration, asked unit.MonoTime) {
	until := asked.Add(lease - lease*time.Duration(s.cfg.DriftMax)/1000)
	s.until, s.renewed = max(s.until, until), max(s.renewed, asked)
}

// askTime answers a request for time alone.
func (s *Store) askTime(r *store.GrantRequest) {
	switch now := s.cfg.Mono(); {
	case s.fenced:
		s.refuse(&r.ID, store.OpGrant, store.Fenced, 0, 0)
		return
	case s.begun && s.until.Sub(now) > 5*now.Sub(s.renewed):
		s.tellTime(&r.ID) // another shard has just asked
		return
	case s.trouble:
		s.refuse(&r.ID, store.OpGrant, store.Unavailable, 0, 0)
	}
	for i := range s.askers {
		if s.askers[i].Shard == r.ID.Shard {
			s.askers[i] = r.ID // it has given up on the one before
			s.renew()
			return
		}
	}
	s.askers = append(s.askers, r.ID)
	s.renew()
}

func (s *Store) tellTime(id *store.OpID) {
	s.answer(store.Reply{Op: store.OpGrant, Status: store.OK, Shard: id.Shard, Epoch: id.Epoch, Seq: id.Seq, Stamp: s.stamp})
}

// renew asks the ledger for time, for all shards that wait for it. Their repeats
// ask again when that failed.
func (s *Store) renew() {
	if s.renewing || !s.begun || s.fenced || s.closed {
		return
	}
	s.renewing = true
	s.counts.Renewals++
	stamp, asked := s.stamp, s.cfg.Mono()
	s.later(func() {
		s.cfg.Ledger.Renew(s.life, stamp, func(lease time.Duration, err error) {
			s.locked(func() { s.extended(lease, asked, err) })
		})
	})
}

func (s *Store) extended(lease time.Duration, asked unit.MonoTime, err error) {
	s.renewing = false
	switch {
	case errors.Is(err, ErrFenced):
		s.fence(err)
	case err != nil:
		s.trouble = true
	default:
		s.trouble = false
		s.lasts(lease, asked)
		if s.until.Sub(s.cfg.Mono()) < time.Millisecond {
			return // the answer took longer than it grants
		}
		for i := range s.askers {
			s.tellTime(&s.askers[i])
		}
		s.askers = s.askers[:0]
	}
}

// posted is told of what the ledger has: the counter learns of returns, and
// then the shards. Of refunds it learns when it is doubted, which is then due.
func (s *Store) posted(records []ledger.Record, to uint64) {
	var back []store.ReturnRequest
	refunded := map[unit.AccountID]bool{}
	for i := range records {
		switch r := &records[i]; r.Kind {
		case ledger.Returned:
			back = append(back, returnOf(r))
		case ledger.Refunded:
			for _, p := range r.From[:r.Parts] {
				refunded[p.Account] = true
			}
		}
	}
	if len(back) > 0 {
		// Whatever becomes of it: a counter that misses it is compared with the
		// ledger when it says "exhausted".
		s.cfg.Counter.Give(back, func(error) { s.locked(func() { s.returned(back) }) })
	}
	if segment, _ := outbox.SplitPosition(to); segment > segmentOf(s.cursor) {
		if err := s.cursor.Advance(to); err != nil {
			s.locked(func() { s.alarm(err) })
		}
	}
	s.locked(func() {
		if len(refunded) > 0 { // whatever the day: there is more of the total limit too
			maps.DeleteFunc(s.checked, func(k AccountDay, _ unit.MonoTime) bool { return refunded[k.Account] })
		}
		if to >= s.beginsAt && !s.level {
			s.caughtUp()
		}
	})
}

func segmentOf(c *outbox.Cursor) uint64 {
	segment, _ := outbox.SplitPosition(c.Position())
	return segment
}

// settle finds what the ledger granted to earlier lives and their journal never
// knew of, now that the ledger has all of that journal. Such a grant was never
// told to anybody, so it is unspent: it is written down and returned.
func (s *Store) settle(wait time.Duration) {
	if s.settled || s.closed {
		return
	}
	s.settled = true
	s.later(func() {
		s.cfg.Ledger.Orphans(s.life, func(orphans []Orphan, err error) {
			s.locked(func() {
				if err == nil {
					s.adopt(orphans)
					return
				}
				s.settled = false
				s.later(func() {
					s.cfg.After(wait, func() { s.locked(func() { s.settle(min(2*wait, s.cfg.RetryMax)) }) })
				})
			})
		})
	})
}

func (s *Store) adopt(orphans []Orphan) {
	if s.closed {
		return
	}
	known := s.journal.Recovered()
	for i := range orphans {
		o := &orphans[i]
		if o.ID.Node != s.life.Node || known.Epoch(o.ID.Epoch) == nil {
			s.counts.Lost += o.Amount // of a journal that is not here
			continue
		}
		if !s.adoptOne(o) {
			break // the next life does it
		}
		s.counts.Settled += o.Amount
	}
	if s.counts.Lost > 0 {
		s.alarm(fmt.Errorf("%d nanos are locked in leases of lives of this node whose journal is not here; recover that journal, or write them off", s.counts.Lost))
	}
	s.appender.Commit()
}

func (s *Store) adoptOne(o *Orphan) bool {
	wall := s.cfg.Wall()
	s.stamp = s.stamp.Next(wall)
	if _, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Granted, Node: o.ID.Node, Epoch: o.ID.Epoch, Shard: o.ID.Shard, Seq: o.ID.Seq, Wall: wall, Stamp: s.stamp,
		Account: o.Account, Campaign: o.Campaign, Day: o.Day, Amount: o.Amount, Currency: o.Currency, Daily: o.Daily, Total: o.Total,
	}); err != nil {
		return false
	}
	s.operation++
	s.stamp = s.stamp.Next(wall)
	_, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Returned, Node: s.life.Node, Epoch: s.life.Epoch, Shard: ownShard, Seq: s.operation, Wall: wall, Stamp: s.stamp,
		Account: o.Account, Campaign: o.Campaign, Day: o.Day, LeaseEpoch: o.ID.Epoch, Amount: o.Amount,
	})
	return err == nil
}
