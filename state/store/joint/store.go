package joint

import (
	"context"
	"fmt"
	"sync"
	"time"

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

// Store grants leases that the ledger has granted and the journal knows of.
type Store struct {
	cfg      Config
	journal  *outbox.Journal
	life     Life
	beginsAt uint64 // position behind the start of this life
	cursor   *outbox.Cursor

	mu       sync.Mutex
	todo     []func() // calls to make once mu is free
	closed   bool
	begun    bool
	level    bool // the ledger has all that the journal had when this life began
	behind   bool // that takes long
	fenced   bool
	trouble  bool // the last call to ledger or counter failed
	appender *outbox.Appender
	stamp    ledger.Stamp
	answers  answers.Log
	// leases are granted − returned, and for those of dead epochs − posted: the
	// most that may still come back.
	leases map[leaseKey]unit.Nanos
	// own is what this node's lives have committed: the rest is elsewhere.
	own map[unit.AccountID]*ledger.Balance

	gathering []store.GrantRequest
	batch     *batch // under way, nil for none
	number    uint64 // of the last batch at the ledger
	checked   map[AccountDay]unit.MonoTime

	until    unit.MonoTime // the life may spend to here
	renewed  unit.MonoTime // when that was asked for
	renewing bool
	askers   []store.OpID // wait for time, one of a shard

	drain     *Drain
	returning map[answers.Key]*returning
	settled   bool
	operation uint64 // number of the last record that the store itself began

	counts Status
}

// ownShard numbers the operations of the store itself.
const ownShard = unit.ShardID(1<<16 - 1)

// Status is what a store did and how it stands, for metrics.
type Status struct {
	Begun, Fenced bool
	// Trouble: the ledger or the counter did not answer the last call.
	Trouble bool
	// Takes and Loads are round trips to the counter, Grants and Renewals to the
	// ledger; Granted and Refused requests.
	Takes, Loads, Grants, Renewals uint64
	Granted, Refused               uint64
	// Corrected: the ledger refused what the counter had given.
	Corrected uint64
	// Settled grants were made to earlier lives that never knew of them. Lost is
	// what lives hold whose journal is not here: locked until that is back or an
	// operator writes it off.
	Settled, Lost unit.Nanos
	// Pending requests, and Held returns that the ledger has not got yet.
	Pending, Held int
	Drain         DrainStatus
}

var (
	_ store.BudgetStore = (*Store)(nil)
	_ store.Refunding   = (*Store)(nil)
)

// Open makes the store of a journal's present life and begins that life at the
// ledger. Nothing is granted before the ledger has answered; returns are taken
// from the start.
func Open(c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := c.Journal.Err(); err != nil {
		return nil, fmt.Errorf("budget store: %w", err)
	}
	cursor, err := c.Journal.Cursor(CursorName)
	if err != nil {
		return nil, fmt.Errorf("budget store: %w", err)
	}
	j := c.Journal
	s := &Store{
		cfg: c, journal: j, life: Life{j.Node(), j.Epoch()}, beginsAt: j.End(), cursor: cursor,
		stamp: j.Recovered().Stamp, leases: map[leaseKey]unit.Nanos{}, own: map[unit.AccountID]*ledger.Balance{}, checked: map[AccountDay]unit.MonoTime{}, returning: map[answers.Key]*returning{},
	}
	rec := j.Recovered()
	for i := range rec.Leases {
		l := &rec.Leases[i]
		s.leases[leaseKey{l.Account, l.Day, l.Epoch}] = l.Outstanding()
	}
	for i := range rec.Accounts {
		b := rec.Accounts[i]
		s.own[b.Account] = &b
	}
	s.appender = j.NewAppender(s.durable)
	s.begin(c.RetryMin)
	return s, nil
}

// locked runs f under the lock, then the calls that f wants made.
func (s *Store) locked(f func()) {
	s.mu.Lock()
	f()
	todo := s.todo
	s.todo = nil
	s.mu.Unlock()
	for _, call := range todo {
		call()
	}
}

// later makes a call when the lock is free.
func (s *Store) later(f func()) { s.todo = append(s.todo, f) }

func (s *Store) alarm(err error) {
	if s.cfg.Alarm != nil {
		s.later(func() { s.cfg.Alarm(err) })
	}
}

// answer delivers a reply. A grant is told with the time that is left to spend
// it; if that is none, the repeat of the request finds it, and more time.
func (s *Store) answer(r store.Reply) {
	if r.Status == store.OK {
		left := time.Duration(s.until.Sub(s.cfg.Mono()))
		if left < time.Millisecond && r.Op == store.OpGrant {
			s.renew()
			return
		}
		r.Lease = max(left, 0)
	}
	s.later(func() { s.cfg.Deliver(&r) })
}

// refuse answers without memory: the request had no effect and may be repeated.
func (s *Store) refuse(id *store.OpID, op store.Op, why store.Status, account unit.AccountID, day unit.Day) {
	s.answer(store.Reply{Op: op, Status: why, Shard: id.Shard, Epoch: id.Epoch, Seq: id.Seq, Account: account, Day: day, Stamp: s.stamp})
}

// Grant see store.BudgetStore.
func (s *Store) Grant(r *store.GrantRequest) {
	q := *r
	s.locked(func() { s.grant(&q) })
}

func (s *Store) grant(r *store.GrantRequest) {
	if s.closed || r.ID.Epoch != s.life.Epoch {
		return
	}
	s.stamp = s.stamp.Merge(r.Stamp)
	if r.Amount == 0 {
		s.askTime(r)
		return
	}
	switch reply, known, now := s.answers.Repeat(answers.KeyOf(&r.ID)); {
	case now:
		s.answer(reply)
		return
	case known:
		if s.trouble {
			s.refuse(&r.ID, store.OpGrant, store.Unavailable, r.Account, r.Day)
		}
		return
	case s.fenced:
		s.refuse(&r.ID, store.OpGrant, store.Fenced, r.Account, r.Day)
		return
	case s.journal.Failed():
		s.refuse(&r.ID, store.OpGrant, store.Unavailable, r.Account, r.Day)
		return
	}
	if !s.open(r) {
		s.conclude(r, store.Closed)
		return
	}
	s.answers.Begin(answers.KeyOf(&r.ID))
	s.gathering = append(s.gathering, *r)
	if s.trouble || s.behind {
		s.refuse(&r.ID, store.OpGrant, store.Unavailable, r.Account, r.Day)
	}
	s.nextBatch()
}

// open reports whether the request's day is, by our clock.
func (s *Store) open(r *store.GrantRequest) bool {
	wall := s.cfg.Wall()
	return wall >= r.Opens && wall < r.Expires
}

// conclude refuses a request, now and in its repeats.
func (s *Store) conclude(r *store.GrantRequest, why store.Status) {
	reply := store.Reply{
		Op: store.OpGrant, Status: why, Shard: r.ID.Shard, Epoch: r.ID.Epoch, Seq: r.ID.Seq, Account: r.Account, Day: r.Day, Stamp: s.stamp,
	}
	s.counts.Refused++
	s.answers.Keep(&reply)
	s.answer(reply)
}

// Step posts what the journal has, in a world without goroutines.
func (s *Store) Step() {
	if d := s.draining(); d != nil {
		d.Step()
	}
}

func (s *Store) draining() *Drain {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drain
}

// Run carries the journal to the ledger until ctx ends or the journal does.
func (s *Store) Run(ctx context.Context) {
	for s.draining() == nil {
		select {
		case <-time.After(s.cfg.RetryMin):
		case <-ctx.Done():
			return
		}
	}
	s.draining().Run(ctx)
}

// Posted reports whether the ledger has everything that is durable now: what a
// node that stops waits for, as long as it can.
func (s *Store) Posted() bool {
	d := s.draining()
	return d != nil && d.Position() >= s.journal.End()
}

// Close drops further requests and lets go of the journal, which is its owner's
// to close.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	d := s.drain
	s.mu.Unlock()
	if d == nil {
		return nil
	}
	return d.Stop()
}

// Status is for metrics. Any goroutine.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Begun, c.Fenced, c.Trouble, c.Held = s.begun, s.fenced, s.trouble, s.heldReturns()
	c.Pending = len(s.gathering)
	if s.batch != nil {
		c.Pending += len(s.batch.requests)
	}
	if s.drain != nil {
		c.Drain = s.drain.Status()
	}
	return c
}
