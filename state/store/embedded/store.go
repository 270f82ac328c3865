package embedded

import (
	"fmt"
	"sync"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
	"millrace/state/store/answers"
)

type leaseKey struct {
	account unit.AccountID
	day     unit.Day
	epoch   unit.Epoch
}

// Store grants leases from the journal's books.
type Store struct {
	journal *outbox.Journal
	wall    func() unit.WallTime
	deliver store.Deliver
	node    unit.NodeID

	mu       sync.Mutex
	closed   bool
	appender *outbox.Appender
	stamp    ledger.Stamp
	accounts map[unit.AccountID]*ledger.Balance
	// leases are granted − returned, and for those of dead epochs − posted: the
	// most that may still come back. The Book knows exactly.
	leases  map[leaseKey]unit.Nanos
	answers answers.Log
}

var (
	_ store.BudgetStore = (*Store)(nil)
	_ store.Refunding   = (*Store)(nil)
)

// Open makes the store of a journal: node and books are the journal's. Replies
// go to deliver, those that need the disk once they are durable; a refusal may
// be delivered before Grant returns. It fails if the journal has failed.
func Open(j *outbox.Journal, wall func() unit.WallTime, deliver store.Deliver) (*Store, error) {
	if err := j.Err(); err != nil {
		return nil, fmt.Errorf("budget store: %w", err)
	}
	s := &Store{
		journal: j, wall: wall, deliver: deliver, node: j.Node(),
		accounts: map[unit.AccountID]*ledger.Balance{},
		leases:   map[leaseKey]unit.Nanos{},
	}
	rec := j.Recovered()
	s.stamp = rec.Stamp
	for i := range rec.Accounts {
		b := rec.Accounts[i]
		s.accounts[b.Account] = &b
	}
	for i := range rec.Leases {
		l := &rec.Leases[i]
		s.leases[leaseKey{l.Account, l.Day, l.Epoch}] = l.Outstanding()
	}
	s.appender = j.NewAppender(s.durable)
	return s, nil
}

// Grant see store.BudgetStore.
func (s *Store) Grant(r *store.GrantRequest) {
	s.mu.Lock()
	reply, now := s.grant(r)
	s.mu.Unlock()
	if now {
		s.deliver(&reply)
	}
}

// Return see store.BudgetStore.
func (s *Store) Return(r *store.ReturnRequest) {
	s.mu.Lock()
	reply, now := s.giveBack(r)
	s.mu.Unlock()
	if now {
		s.deliver(&reply)
	}
}

func (s *Store) grant(r *store.GrantRequest) (reply store.Reply, now bool) {
	k := answers.KeyOf(&r.ID)
	if reply, known, now := s.answers.Repeat(k); known || s.closed {
		return reply, now && !s.closed
	}
	s.stamp = s.stamp.Merge(r.Stamp)
	reply = store.Reply{Op: store.OpGrant, Shard: k.Shard, Epoch: k.Epoch, Seq: k.Seq, Stamp: s.stamp, Account: r.Account, Day: r.Day}
	wall := s.wall()
	if wall < r.Opens || wall >= r.Expires {
		return s.refuse(reply, store.Closed), true
	}
	b := s.accounts[r.Account]
	if b == nil {
		b = &ledger.Balance{Account: r.Account, Campaign: r.Campaign, Currency: r.Currency}
		s.accounts[r.Account] = b
	}
	day := b.Keep(r.Day)
	if day == nil {
		return s.refuse(reply, store.Closed), true
	}
	room := store.Headroom(r.Daily, r.Total, day.Committed, b.Committed)
	amount := store.Chunk(r.Amount, r.AtLeast, room, store.Limit(r.Daily, r.Total), 1)
	if amount <= 0 {
		return s.refuse(reply, store.Exhausted), true
	}
	s.stamp = s.stamp.Next(wall)
	pos, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Granted, Node: s.node, Epoch: r.ID.Epoch, Shard: k.Shard, Seq: k.Seq, Wall: wall, Stamp: s.stamp,
		Account: r.Account, Campaign: r.Campaign, Day: r.Day, Amount: amount, Currency: r.Currency, Daily: r.Daily, Total: r.Total,
	})
	if err != nil {
		reply.Status = store.Unavailable
		return reply, true
	}
	day.Committed += amount
	b.Committed += amount
	s.leases[leaseKey{r.Account, r.Day, r.ID.Epoch}] += amount
	reply.Status, reply.Amount, reply.Remaining, reply.Stamp = store.OK, amount, room-amount, s.stamp
	s.answers.Await(&reply, pos)
	s.appender.Commit()
	return reply, false
}

func (s *Store) giveBack(r *store.ReturnRequest) (reply store.Reply, now bool) {
	k := answers.KeyOf(&r.ID)
	if reply, known, now := s.answers.Repeat(k); known || s.closed {
		return reply, now && !s.closed
	}
	reply = store.Reply{
		Op: store.OpReturn, Shard: k.Shard, Epoch: k.Epoch, Seq: k.Seq, Stamp: s.stamp.Merge(r.Stamp), Account: r.Account, Day: r.Day, Amount: r.Amount,
	}
	s.stamp = reply.Stamp
	lk := leaseKey{r.Account, r.Day, r.LeaseEpoch}
	b := s.accounts[r.Account]
	if b == nil || r.Amount <= 0 || r.Amount > s.leases[lk] {
		return s.refuse(reply, store.Refused), true
	}
	wall := s.wall()
	s.stamp = s.stamp.Next(wall)
	pos, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Returned, Node: s.node, Epoch: r.ID.Epoch, Shard: k.Shard, Seq: k.Seq, Wall: wall, Stamp: s.stamp,
		Account: r.Account, Campaign: r.Campaign, Day: r.Day, LeaseEpoch: r.LeaseEpoch, Amount: r.Amount,
	})
	if err != nil {
		reply.Status = store.Unavailable
		return reply, true
	}
	b.Committed -= r.Amount
	if d := b.On(r.Day); d != nil {
		d.Committed -= r.Amount
	}
	if s.leases[lk] -= r.Amount; s.leases[lk] == 0 {
		delete(s.leases, lk)
	}
	reply.Status, reply.Stamp = store.OK, s.stamp
	s.answers.Await(&reply, pos)
	s.appender.Commit()
	return reply, false
}

// Refunded gives the money of a posting that was taken back to its accounts. Call
// it when the record is durable: a grant must not rest on what a crash undoes.
func (s *Store) Refunded(r *ledger.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stamp = s.stamp.Merge(r.Stamp)
	for _, p := range r.From[:r.Parts] {
		b := s.accounts[p.Account]
		if b == nil {
			continue // nothing was ever granted: there is no such posting
		}
		b.Committed -= r.Amount
		if d := b.On(p.Day); d != nil {
			d.Committed -= r.Amount
		}
	}
}

// Balances are the store's books, as they stand: grants and returns under way to
// the disk are in them.
func (s *Store) Balances() []ledger.Balance {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]ledger.Balance, 0, len(s.accounts))
	for _, b := range s.accounts {
		list = append(list, *b)
	}
	return list
}

// Correct adds to what is committed on an account's day, or, of day 0, in all: for
// a reconciler that has found the books to differ from the journal. It reports
// whether there is such an account and day.
func (s *Store) Correct(account unit.AccountID, day unit.Day, by unit.Nanos) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.accounts[account]
	if b == nil {
		return false
	}
	if day == 0 {
		b.Committed += by
		return true
	}
	d := b.On(day)
	if d != nil {
		d.Committed += by
	}
	return d != nil
}

// refuse makes the answer a refusal, for all repeats.
func (s *Store) refuse(reply store.Reply, why store.Status) store.Reply {
	reply.Status = why
	s.answers.Keep(&reply)
	return reply
}

// durable runs on the journal's writer: what is on disk is answered; when the
// journal has failed, nothing more ever will be.
func (s *Store) durable(pos uint64) {
	failed := s.journal.Err() != nil
	s.mu.Lock()
	replies := s.answers.Durable(pos, failed)
	s.mu.Unlock()
	for i := range replies {
		s.deliver(&replies[i])
	}
}

// Close drops further requests. The journal, which is its owner's to close,
// answers what is under way.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
