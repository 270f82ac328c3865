package embedded

import (
	"fmt"
	"sync"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
)

// answersMax is how many answers are kept for repeats: far more than all shards
// together may have under way.
const answersMax = 1 << 16

type leaseKey struct {
	account unit.AccountID
	day     unit.Day
	epoch   unit.Epoch
}

type opKey struct {
	shard unit.ShardID
	epoch unit.Epoch
	seq   uint64
}

type answer struct {
	reply store.Reply
	done  bool // durable and delivered at least once
}

type waiting struct {
	pos uint64
	key opKey
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
	answers map[opKey]*answer
	order   []opKey // of answers, oldest first, a ring
	oldest  int
	queue   []waiting // for the disk, in order of pos
}

var _ store.BudgetStore = (*Store)(nil)

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
		answers:  map[opKey]*answer{},
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

// repeat answers a request that was seen before: at once if it is done, else
// when its record is durable.
func (s *Store) repeat(k opKey) (reply store.Reply, known, now bool) {
	a := s.answers[k]
	if a == nil {
		return reply, false, false
	}
	return a.reply, true, a.done
}

func (s *Store) grant(r *store.GrantRequest) (reply store.Reply, now bool) {
	k := opKey{r.ID.Shard, r.ID.Epoch, r.ID.Seq}
	if reply, known, now := s.repeat(k); known || s.closed {
		return reply, now && !s.closed
	}
	s.stamp = s.stamp.Merge(r.Stamp)
	reply = store.Reply{Op: store.OpGrant, Shard: k.shard, Epoch: k.epoch, Seq: k.seq, Stamp: s.stamp, Account: r.Account, Day: r.Day}
	wall := s.wall()
	if wall < r.Opens || wall >= r.Expires {
		return s.refuse(k, reply, store.Closed), true
	}
	b := s.accounts[r.Account]
	if b == nil {
		b = &ledger.Balance{Account: r.Account, Campaign: r.Campaign, Currency: r.Currency}
		s.accounts[r.Account] = b
	}
	day := b.Keep(r.Day)
	if day == nil {
		return s.refuse(k, reply, store.Closed), true
	}
	room := store.Headroom(r.Daily, r.Total, day.Committed, b.Committed)
	amount := store.Chunk(r.Amount, r.AtLeast, room, store.Limit(r.Daily, r.Total), 1)
	if amount <= 0 {
		return s.refuse(k, reply, store.Exhausted), true
	}
	s.stamp = s.stamp.Next(wall)
	pos, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Granted, Node: s.node, Epoch: r.ID.Epoch, Shard: k.shard, Seq: k.seq, Wall: wall, Stamp: s.stamp,
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
	s.remember(k, reply, pos)
	return reply, false
}

func (s *Store) giveBack(r *store.ReturnRequest) (reply store.Reply, now bool) {
	k := opKey{r.ID.Shard, r.ID.Epoch, r.ID.Seq}
	if reply, known, now := s.repeat(k); known || s.closed {
		return reply, now && !s.closed
	}
	reply = store.Reply{
		Op: store.OpReturn, Shard: k.shard, Epoch: k.epoch, Seq: k.seq, Stamp: s.stamp.Merge(r.Stamp), Account: r.Account, Day: r.Day, Amount: r.Amount,
	}
	s.stamp = reply.Stamp
	lk := leaseKey{r.Account, r.Day, r.LeaseEpoch}
	b := s.accounts[r.Account]
	if b == nil || r.Amount <= 0 || r.Amount > s.leases[lk] {
		return s.refuse(k, reply, store.Refused), true
	}
	wall := s.wall()
	s.stamp = s.stamp.Next(wall)
	pos, err := s.appender.Append(&ledger.Record{
		Kind: ledger.Returned, Node: s.node, Epoch: r.ID.Epoch, Shard: k.shard, Seq: k.seq, Wall: wall, Stamp: s.stamp,
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
	s.remember(k, reply, pos)
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

// refuse makes the answer a refusal, now and whenever the request is repeated:
// the asker may have the first answer already when the second is made, and would
// not look at a grant that follows a refusal.
func (s *Store) refuse(k opKey, reply store.Reply, why store.Status) store.Reply {
	reply.Status = why
	s.keep(k, &answer{reply: reply, done: true})
	return reply
}

// remember keeps the answer for repeats, and for the moment it is durable.
func (s *Store) remember(k opKey, reply store.Reply, pos uint64) {
	s.keep(k, &answer{reply: reply})
	s.queue = append(s.queue, waiting{pos, k})
	s.appender.Commit()
}

func (s *Store) keep(k opKey, a *answer) {
	if len(s.order) < answersMax {
		s.order = append(s.order, k)
	} else {
		delete(s.answers, s.order[s.oldest])
		s.order[s.oldest] = k
		s.oldest = (s.oldest + 1) % answersMax
	}
	s.answers[k] = a
}

// durable runs on the journal's writer: what is on disk is answered; when the
// journal has failed, nothing more ever will be.
func (s *Store) durable(pos uint64) {
	failed := s.journal.Err() != nil
	s.mu.Lock()
	n := 0
	var replies []store.Reply
	for ; n < len(s.queue) && (failed || s.queue[n].pos <= pos); n++ {
		a := s.answers[s.queue[n].key]
		if a == nil {
			continue
		}
		if a.done = s.queue[n].pos <= pos; !a.done {
			delete(s.answers, s.queue[n].key)
			a.reply.Status, a.reply.Amount = store.Unavailable, 0
		}
		replies = append(replies, a.reply)
	}
	s.queue = append(s.queue[:0], s.queue[n:]...)
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
