package memory

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
	"millrace/state/store/joint"
)

// Ledger is the shared ledger: one map of everything behind one lock, which is
// as serializable as it gets.
type Ledger struct {
	// Lease is how long a life may spend from Begin and Renew.
	Lease time.Duration
	// Observe, if set, is told of each entry that counts, in the order in which
	// they do: grants when they are committed, the records of Post the first time.
	// The record is valid until it returns.
	Observe func(*ledger.Record)
	// Heard, if set, is told of each Begin and Renew that was accepted.
	Heard func(joint.Life)
	// Alarm, if set, is told of records that contradict the books.
	Alarm func(error)
	// Unfenced takes fencing away, and Forgetful the memory of what was granted,
	// returned and posted before: for a simulator that has to notice.
	Unfenced, Forgetful bool

	mu       sync.Mutex
	lives    map[unit.NodeID][]*life
	accounts map[unit.AccountID]*account
	leases   map[leaseKey]*lease
	grants   map[store.OpID]*grant
	byNode   map[unit.NodeID][]*grant // not confirmed, and some that are
	returns  map[store.OpID]struct{}
	events   map[eventKey]struct{}
	refunds  map[eventKey]struct{}
}

type life struct {
	joint.Beginning
	number  uint64 // of the last batch
	drained uint64
	fenced  bool
	stamp   ledger.Stamp // the latest of its records
}

type account struct {
	total unit.Nanos
	days  map[unit.Day]unit.Nanos
	stamp ledger.Stamp
}

type leaseKey struct {
	node    unit.NodeID
	account unit.AccountID
	day     unit.Day
	epoch   unit.Epoch
}

type lease struct{ granted, returned, posted, refunded unit.Nanos }

type grant struct {
	joint.Orphan
	outcome   joint.Granted
	confirmed bool
}

type eventKey struct {
	win  event.WinID
	kind event.Kind
}

// NewLedger is an empty ledger whose leases last for lease.
func NewLedger(lasting time.Duration) *Ledger {
	return &Ledger{
		Lease: lasting, lives: map[unit.NodeID][]*life{}, accounts: map[unit.AccountID]*account{}, leases: map[leaseKey]*lease{},
		grants: map[store.OpID]*grant{}, byNode: map[unit.NodeID][]*grant{}, returns: map[store.OpID]struct{}{},
		events: map[eventKey]struct{}{}, refunds: map[eventKey]struct{}{},
	}
}

// Fence gives up on all lives of a node, as an operator does.
func (l *Ledger) Fence(node unit.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.lives[node] {
		x.fenced = true
	}
}

func (l *Ledger) lastEpoch(node unit.NodeID) unit.Epoch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lives := l.lives[node]; len(lives) > 0 {
		return lives[len(lives)-1].Epoch
	}
	return 0
}

// find is a life; lives of a node are in the order of their epochs.
func (l *Ledger) find(x joint.Life) *life {
	lives := l.lives[x.Node]
	i, ok := slices.BinarySearchFunc(lives, x.Epoch, func(x *life, e unit.Epoch) int { return cmp.Compare(x.Epoch, e) })
	if !ok {
		return nil
	}
	return lives[i]
}

// alive is the life if it may spend.
func (l *Ledger) alive(x joint.Life) (*life, error) {
	if have := l.find(x); have != nil && (!have.fenced || l.Unfenced) {
		return have, nil
	}
	return nil, joint.ErrFenced
}

func (l *Ledger) begin(b joint.Beginning) (joint.Began, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var before *life
	for _, x := range l.lives[b.Node] {
		switch {
		case x.Epoch == b.Epoch && x.Beginning == b && !x.fenced:
			before = x // a repeat
			continue
		case x.Epoch >= b.Epoch:
			return joint.Began{}, joint.ErrFenced
		case b.Previous > 0 && x.Previous == b.Previous:
			return joint.Began{}, joint.ErrForked
		}
	}
	answer := joint.Began{Lease: l.Lease}
	for _, x := range l.lives[b.Node] {
		x.fenced = x.Epoch < b.Epoch
		if x.Epoch == b.Previous || x.Epoch == b.Epoch {
			answer.Drained = max(answer.Drained, x.drained)
		}
		answer.Stamp = answer.Stamp.Merge(x.stamp)
	}
	if before == nil {
		l.lives[b.Node] = append(l.lives[b.Node], &life{Beginning: b, stamp: b.Stamp})
	}
	l.heard(b.Life)
	return answer, nil
}

func (l *Ledger) heard(x joint.Life) {
	if l.Heard != nil {
		l.Heard(x)
	}
}

func (l *Ledger) renew(x joint.Life, _ ledger.Stamp) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.alive(x); err != nil {
		return 0, err
	}
	l.heard(x)
	return l.Lease, nil
}

func (l *Ledger) account(id unit.AccountID) *account {
	a := l.accounts[id]
	if a == nil {
		a = &account{days: map[unit.Day]unit.Nanos{}}
		l.accounts[id] = a
	}
	return a
}

func (l *Ledger) lease(k leaseKey) *lease {
	x := l.leases[k]
	if x == nil {
		x = &lease{}
		l.leases[k] = x
	}
	return x
}

func (l *Ledger) grantBatch(x joint.Life, number uint64, batch []store.GrantRequest) ([]joint.Granted, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, err := l.alive(x)
	if err != nil {
		return nil, err
	}
	fresh := number > have.number || l.Forgetful
	have.number = max(have.number, number)
	out := make([]joint.Granted, len(batch))
	for i := range batch {
		r := &batch[i]
		if g := l.grants[r.ID]; g != nil && !l.Forgetful {
			out[i] = g.outcome
			continue
		}
		out[i] = joint.Granted{Status: store.Exhausted}
		if fresh {
			out[i] = l.grantOne(r)
		}
	}
	return out, nil
}

func (l *Ledger) grantOne(r *store.GrantRequest) joint.Granted {
	a := l.account(r.Account)
	day := a.days[r.Day]
	amount := min(r.Amount, store.Headroom(r.Daily, r.Total, day, a.total))
	out := joint.Granted{Status: store.Exhausted, CommittedDay: day, CommittedTotal: a.total, Stamp: a.stamp}
	if amount <= 0 {
		return out
	}
	a.stamp = a.stamp.Merge(r.Stamp)
	a.days[r.Day] += amount
	a.total += amount
	out = joint.Granted{Status: store.OK, Amount: amount, CommittedDay: a.days[r.Day], CommittedTotal: a.total, Stamp: a.stamp}
	l.enter(r, out)
	return out
}

// enter notes a grant.
func (l *Ledger) enter(r *store.GrantRequest, out joint.Granted) *grant {
	g := &grant{outcome: out, Orphan: joint.Orphan{
		ID: r.ID, Account: r.Account, Campaign: r.Campaign, Currency: r.Currency, Day: r.Day, Amount: out.Amount, Daily: r.Daily, Total: r.Total,
	}}
	l.grants[r.ID] = g
	l.byNode[r.ID.Node] = append(l.byNode[r.ID.Node], g)
	l.lease(leaseKey{r.ID.Node, r.Account, r.Day, r.ID.Epoch}).granted += out.Amount
	if l.Observe != nil {
		l.Observe(&ledger.Record{
			Kind: ledger.Granted, Node: r.ID.Node, Epoch: r.ID.Epoch, Shard: r.ID.Shard, Seq: r.ID.Seq, Stamp: r.Stamp,
			Account: r.Account, Campaign: r.Campaign, Day: r.Day, Amount: out.Amount, Currency: r.Currency, Daily: r.Daily, Total: r.Total,
		})
	}
	return g
}

func (l *Ledger) post(x joint.Life, records []ledger.Record, _, to uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	have := l.find(x)
	if have == nil {
		return fmt.Errorf("%w: life %+v was never begun", joint.ErrFenced, x)
	}
	for i := range records {
		r := &records[i]
		if r.Node != x.Node || r.Epoch > x.Epoch {
			return fmt.Errorf("a record of node %d, epoch %d, posted by %+v", r.Node, r.Epoch, x)
		}
	}
	for i := range records {
		l.postOne(&records[i])
		have.stamp = have.stamp.Merge(records[i].Stamp)
	}
	have.drained = max(have.drained, to)
	return nil
}

func (l *Ledger) postOne(r *ledger.Record) {
	switch r.Kind {
	case ledger.Granted:
		l.confirm(r)
		return
	case ledger.Returned:
		id := store.OpID{Node: r.Node, Shard: r.Shard, Epoch: r.Epoch, Seq: r.Seq}
		if _, again := l.returns[id]; again && !l.Forgetful {
			return
		}
		l.returns[id] = struct{}{}
		a := l.account(r.Account)
		a.total -= r.Amount
		a.days[r.Day] -= r.Amount
		a.stamp = a.stamp.Merge(r.Stamp)
		k := leaseKey{r.Node, r.Account, r.Day, r.LeaseEpoch}
		x := l.lease(k)
		x.returned += r.Amount
		l.check(k, x, r)
	case ledger.Posted, ledger.Recorded:
		if r.Kind == ledger.Posted || r.Reason != ledger.ForeignNode && r.Reason != ledger.UnknownEpoch {
			k := eventKey{r.Win, r.Event}
			if _, again := l.events[k]; again && !l.Forgetful {
				return
			}
			l.events[k] = struct{}{}
		}
		if r.Kind == ledger.Recorded {
			break
		}
		for _, p := range r.From[:r.Parts] {
			k := leaseKey{r.Node, p.Account, p.Day, p.Epoch}
			x := l.lease(k)
			x.posted += r.Amount
			l.account(p.Account).stamp = l.account(p.Account).stamp.Merge(r.Stamp)
			l.check(k, x, r)
		}
	case ledger.Refunded:
		k := eventKey{r.Win, r.Event}
		if _, again := l.refunds[k]; again && !l.Forgetful {
			return
		}
		l.refunds[k] = struct{}{}
		for _, p := range r.From[:r.Parts] {
			a := l.account(p.Account)
			a.total -= r.Amount
			a.days[p.Day] -= r.Amount
			a.stamp = a.stamp.Merge(r.Stamp)
			l.lease(leaseKey{r.Node, p.Account, p.Day, p.Epoch}).refunded += r.Amount
		}
	}
	if l.Observe != nil {
		l.Observe(r)
	}
}

// confirm notes that a journal has a grant. One that is not known here was lost
// here, and counts.
func (l *Ledger) confirm(r *ledger.Record) {
	id := store.OpID{Node: r.Node, Shard: r.Shard, Epoch: r.Epoch, Seq: r.Seq}
	g := l.grants[id]
	if g == nil {
		a := l.account(r.Account)
		a.days[r.Day] += r.Amount
		a.total += r.Amount
		g = l.enter(&store.GrantRequest{
			ID: id, Account: r.Account, Campaign: r.Campaign, Currency: r.Currency, Day: r.Day, Daily: r.Daily, Total: r.Total, Stamp: r.Stamp,
		}, joint.Granted{Status: store.OK, Amount: r.Amount, CommittedDay: a.days[r.Day], CommittedTotal: a.total})
		l.contradiction("grant %+v of %v stands in a journal and was never made here", id, r.Amount)
	}
	if g.Amount != r.Amount {
		l.contradiction("grant %+v is %v here and %v in the journal", id, g.Amount, r.Amount)
	}
	g.confirmed = true
	a := l.account(r.Account)
	a.stamp = a.stamp.Merge(r.Stamp)
}

func (l *Ledger) check(k leaseKey, x *lease, r *ledger.Record) {
	if x.returned+x.posted > x.granted {
		l.contradiction("lease %+v: granted %v, returned %v, posted %v, after %s %d of epoch %d", k, x.granted, x.returned, x.posted, r.Kind, r.Seq, r.Epoch)
	}
}

func (l *Ledger) contradiction(format string, args ...any) {
	if l.Alarm != nil {
		l.Alarm(fmt.Errorf("ledger: "+format, args...))
	}
}

func (l *Ledger) orphans(x joint.Life) ([]joint.Orphan, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []joint.Orphan
	kept := l.byNode[x.Node][:0]
	for _, g := range l.byNode[x.Node] {
		if g.confirmed {
			continue
		}
		kept = append(kept, g)
		if g.ID.Epoch < x.Epoch {
			out = append(out, g.Orphan)
		}
	}
	l.byNode[x.Node] = kept
	return out, nil
}

func (l *Ledger) balances(keys []joint.AccountDay) ([]joint.Balance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]joint.Balance, len(keys))
	for i, k := range keys {
		a := l.account(k.Account)
		out[i] = joint.Balance{AccountDay: k, CommittedDay: a.days[k.Day], CommittedTotal: a.total}
	}
	return out, nil
}

// LedgerClient is one node's way to the ledger.
type LedgerClient struct {
	ledger *Ledger
	via    Transport
}

// Client reaches the ledger through a transport.
func (l *Ledger) Client(via Transport) *LedgerClient { return &LedgerClient{l, via} }

// LastEpoch see joint.Ledger.
func (c *LedgerClient) LastEpoch(node unit.NodeID, done func(unit.Epoch, error)) {
	call(c.via, func() (unit.Epoch, error) { return c.ledger.lastEpoch(node), nil }, done)
}

// Begin see joint.Ledger.
func (c *LedgerClient) Begin(b joint.Beginning, done func(joint.Began, error)) {
	call(c.via, func() (joint.Began, error) { return c.ledger.begin(b) }, done)
}

// Renew see joint.Ledger.
func (c *LedgerClient) Renew(l joint.Life, stamp ledger.Stamp, done func(time.Duration, error)) {
	call(c.via, func() (time.Duration, error) { return c.ledger.renew(l, stamp) }, done)
}

// Grant see joint.Ledger.
func (c *LedgerClient) Grant(l joint.Life, number uint64, batch []store.GrantRequest, done func([]joint.Granted, error)) {
	batch = slices.Clone(batch)
	call(c.via, func() ([]joint.Granted, error) { return c.ledger.grantBatch(l, number, batch) }, done)
}

// Post see joint.Ledger.
func (c *LedgerClient) Post(l joint.Life, records []ledger.Record, from, to uint64, done func(error)) {
	records = slices.Clone(records)
	callBare(c.via, func() error { return c.ledger.post(l, records, from, to) }, done)
}

// Orphans see joint.Ledger.
func (c *LedgerClient) Orphans(l joint.Life, done func([]joint.Orphan, error)) {
	call(c.via, func() ([]joint.Orphan, error) { return c.ledger.orphans(l) }, done)
}

// Balances see joint.Ledger.
func (c *LedgerClient) Balances(keys []joint.AccountDay, done func([]joint.Balance, error)) {
	keys = slices.Clone(keys)
	call(c.via, func() ([]joint.Balance, error) { return c.ledger.balances(keys) }, done)
}
