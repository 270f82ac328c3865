package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// Lease is what was granted to one life of the node for one account and day.
type Lease struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
	Epoch    unit.Epoch
	Granted  unit.Nanos
	Returned unit.Nanos
	Posted   unit.Nanos
}

// Outstanding is what the lease's holder may still spend or return.
func (l *Lease) Outstanding() unit.Nanos { return l.Granted - l.Returned - l.Posted }

// DayBalance is one day of an account.
type DayBalance struct {
	Day unit.Day
	// Committed is granted − returned − refunded: spent, or still in a lease.
	Committed unit.Nanos
	// Posted is what was spent and not refunded.
	Posted   unit.Nanos
	Refunded unit.Nanos
}

// DaysKept is how many days of an account the Book tells apart; what is older
// lives on in the totals.
const DaysKept = 4

// Balance is one account.
type Balance struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
	Currency unit.Currency
	Name     string
	// Daily and Total are the limits last written down; 0 is unlimited.
	Daily, Total unit.Nanos
	// Committed is granted − returned − refunded, Posted what was spent and not
	// refunded, over all days.
	Committed unit.Nanos
	Posted    unit.Nanos
	Refunded  unit.Nanos
	// Unbilled counts events to be billed for which there was no money.
	Unbilled uint64
	// Days, the newest first; an unused entry has Day 0 and no money.
	Days [DaysKept]DayBalance
}

// On is the entry of day d, nil if it is not kept.
func (b *Balance) On(d unit.Day) *DayBalance {
	for i := range b.Days {
		if b.Days[i].Day == d {
			return &b.Days[i]
		}
	}
	return nil
}

// Keep is the entry of day d, made if d is newer than the oldest kept; nil for
// a day that was dropped.
func (b *Balance) Keep(d unit.Day) *DayBalance {
	for i := range b.Days {
		switch e := &b.Days[i]; {
		case e.Day == d:
			return e
		case e.Day < d:
			copy(b.Days[i+1:], b.Days[i:])
			b.Days[i] = DayBalance{Day: d}
			return &b.Days[i]
		}
	}
	return nil
}

// EpochInfo is one life of the node.
type EpochInfo struct {
	Epoch   unit.Epoch
	Shards  int
	Started unit.WallTime
	// Ended is the start of the next life: after it this one reserved nothing.
	// 0 while it lives.
	Ended unit.WallTime
}

type leaseKey struct {
	account unit.AccountID
	day     unit.Day
	epoch   unit.Epoch
}

type shardKey struct {
	epoch unit.Epoch
	shard unit.ShardID
}

// Book is the fold of a node's records. One goroutine's at a time.
type Book struct {
	node     unit.NodeID
	tokenTTL time.Duration
	accounts map[unit.AccountID]*Balance
	leases   map[leaseKey]*Lease
	seen     map[shardKey]*Seen
	refunds  map[shardKey]*Seen
	epochs   []EpochInfo
	stamp    Stamp
	breaches uint64
}

// NewBook is an empty book of a node whose tokens live for tokenTTL.
func NewBook(node unit.NodeID, tokenTTL time.Duration) *Book {
	return &Book{
		node: node, tokenTTL: tokenTTL,
		accounts: map[unit.AccountID]*Balance{},
		leases:   map[leaseKey]*Lease{},
		seen:     map[shardKey]*Seen{},
		refunds:  map[shardKey]*Seen{},
	}
}

// ErrBreach is wrapped by the error of a record that contradicts an invariant.
var ErrBreach = errors.New("ledger: invariant breached")

func (b *Book) breach(format string, args ...any) error {
	b.breaches++
	return fmt.Errorf("%w: %s", ErrBreach, fmt.Sprintf(format, args...))
}

// Breaches counts the records that contradicted an invariant.
func (b *Book) Breaches() uint64 { return b.breaches }

// Apply folds one record in. A record that contradicts an invariant is an
// ErrBreach; its money is counted all the same, since it is on disk, except
// that a second posting or refund of one event changes nothing.
func (b *Book) Apply(r *Record) error {
	b.stamp = b.stamp.Merge(r.Stamp)
	if r.Node != b.node {
		return b.breach("record of node %d in the journal of node %d; point each node at its own data folder", r.Node, b.node)
	}
	switch r.Kind {
	case EpochStarted:
		return b.applyEpoch(r)
	case AccountOpened:
		a := b.account(r.Account, r.Campaign)
		a.Name, a.Currency, a.Daily, a.Total = string(r.Name), r.Currency, r.Daily, r.Total
	case Granted:
		return b.applyGranted(r)
	case Returned:
		return b.applyReturned(r)
	case Posted:
		return b.applyPosted(r)
	case Refunded:
		return b.applyRefunded(r)
	case Recorded:
		if !b.add(r) {
			return b.breach("I3: %s %+v recorded twice", r.Event, r.Win)
		}
		if r.Reason == Unfunded {
			for _, p := range r.From[:r.Parts] {
				b.account(p.Account, r.Campaign).Unbilled++
			}
		}
	default:
		return fmt.Errorf("%w: kind %d", ErrRecord, r.Kind)
	}
	return nil
}

func (b *Book) applyEpoch(r *Record) error {
	if n := len(b.epochs); n > 0 {
		last := &b.epochs[n-1]
		if r.Epoch <= last.Epoch {
			return b.breach("epoch %d started after epoch %d", r.Epoch, last.Epoch)
		}
		last.Ended = max(r.Wall, last.Started)
	}
	b.epochs = append(b.epochs, EpochInfo{Epoch: r.Epoch, Shards: int(r.Seq), Started: r.Wall})
	return nil
}

func (b *Book) applyGranted(r *Record) error {
	a, l := b.account(r.Account, r.Campaign), b.lease(r.Account, r.Campaign, r.Day, r.Epoch)
	l.Granted += r.Amount
	a.Committed += r.Amount
	a.Daily, a.Total = r.Daily, r.Total
	d := a.Keep(r.Day)
	if d == nil {
		return b.breach("I2: account %d granted %v for day %d, which is long over", r.Account, r.Amount, r.Day)
	}
	d.Committed += r.Amount
	if r.Daily > 0 && d.Committed > r.Daily || r.Total > 0 && a.Committed > r.Total {
		return b.breach("I2: account %d committed %v of daily %v on day %d, %v of total %v",
			r.Account, d.Committed, r.Daily, r.Day, a.Committed, r.Total)
	}
	return nil
}

func (b *Book) applyReturned(r *Record) error {
	a, l := b.account(r.Account, r.Campaign), b.lease(r.Account, r.Campaign, r.Day, r.LeaseEpoch)
	l.Returned += r.Amount
	a.Committed -= r.Amount
	if d := a.On(r.Day); d != nil {
		d.Committed -= r.Amount
	}
	if l.Outstanding() < 0 {
		return b.breach("I1: lease %+v after a return of %v", *l, r.Amount)
	}
	return nil
}

func (b *Book) applyPosted(r *Record) error {
	if !b.add(r) {
		return b.breach("I3: %s %+v posted twice", r.Event, r.Win)
	}
	var err error
	for _, p := range r.From[:r.Parts] {
		a, l := b.account(p.Account, r.Campaign), b.lease(p.Account, r.Campaign, p.Day, p.Epoch)
		l.Posted += r.Amount
		a.Posted += r.Amount
		if d := a.Keep(p.Day); d != nil {
			d.Posted += r.Amount
		}
		if l.Outstanding() < 0 {
			err = b.breach("I1: lease %+v after a posting of %v", *l, r.Amount)
		}
	}
	return err
}

// applyRefunded gives a posting's money back to its accounts. The lease it came
// from has spent it all the same; what may be granted anew is the account's.
func (b *Book) applyRefunded(r *Record) error {
	switch refunded, posted := b.refund(r); {
	case refunded:
		return b.breach("I3: %s %+v refunded twice", r.Event, r.Win)
	case !posted:
		return b.breach("I1: %s %+v refunded, and never posted", r.Event, r.Win)
	}
	var err error
	for _, p := range r.From[:r.Parts] {
		a := b.account(p.Account, r.Campaign)
		a.Posted -= r.Amount
		a.Committed -= r.Amount
		a.Refunded += r.Amount
		d := a.On(p.Day)
		if d != nil {
			d.Posted -= r.Amount
			d.Committed -= r.Amount
			d.Refunded += r.Amount
		}
		if a.Posted < 0 || d != nil && d.Posted < 0 {
			err = b.breach("I1: account %d refunded more than was spent, by a refund of %v on day %d", p.Account, r.Amount, p.Day)
		}
	}
	return err
}

// refund remembers a refund as long as events are remembered, and reports
// whether it was there already and whether there was an event to refund. Older
// ones are told apart by who writes refunds, from the records themselves.
func (b *Book) refund(r *Record) (refunded, posted bool) {
	k := shardKey{r.Win.Epoch, r.Win.Shard}
	if r.Win.Node != b.node || b.epoch(k.epoch) == nil {
		return false, true
	}
	if s := b.seen[k]; s == nil || !s.Has(r.Win.Seq, r.Event) {
		return false, s != nil && s.Dropped(r.Win.Seq)
	}
	s := b.refunds[k]
	if s == nil {
		s = &Seen{}
		b.refunds[k] = s
	}
	return !s.Dropped(r.Win.Seq) && !s.Add(r.Win.Seq, r.Event, r.Issued), true
}

func (b *Book) add(r *Record) bool {
	if r.Win.Node != b.node || r.Reason == UnknownEpoch {
		// Never billed here, so they need no memory.
		return r.Kind == Recorded
	}
	k := shardKey{r.Win.Epoch, r.Win.Shard}
	s := b.seen[k]
	if s == nil {
		s = &Seen{}
		b.seen[k] = s
	}
	return s.Add(r.Win.Seq, r.Event, r.Issued)
}

func (b *Book) account(id unit.AccountID, c unit.CampaignID) *Balance {
	a := b.accounts[id]
	if a == nil {
		a = &Balance{Account: id, Campaign: c}
		b.accounts[id] = a
	}
	return a
}

func (b *Book) lease(id unit.AccountID, c unit.CampaignID, d unit.Day, e unit.Epoch) *Lease {
	k := leaseKey{id, d, e}
	l := b.leases[k]
	if l == nil {
		l = &Lease{Account: id, Campaign: c, Day: d, Epoch: e}
		b.leases[k] = l
	}
	return l
}

// Prune forgets what can't matter any more at wall: leases with nothing left,
// and seen pages whose tokens have expired. What was dropped counts as seen.
func (b *Book) Prune(wall unit.WallTime) {
	for k, l := range b.leases {
		if l.Outstanding() == 0 {
			delete(b.leases, k)
		}
	}
	cutoff := wall.Add(-b.tokenTTL).Unix()
	for _, set := range [...]map[shardKey]*Seen{b.seen, b.refunds} {
		for k, s := range set {
			ended := int64(0)
			if e := b.epoch(k.epoch); e != nil {
				ended = e.Ended.Unix()
			}
			if ended > 0 && ended < cutoff {
				delete(set, k)
				continue
			}
			s.expire(cutoff, ended)
		}
	}
	b.epochs = slices.DeleteFunc(b.epochs, func(e EpochInfo) bool { return e.Ended > 0 && e.Ended.Unix() < cutoff })
}

func (b *Book) epoch(e unit.Epoch) *EpochInfo {
	for i := range b.epochs {
		if b.epochs[i].Epoch == e {
			return &b.epochs[i]
		}
	}
	return nil
}

// LastEpoch is the youngest life, 0 if none.
func (b *Book) LastEpoch() unit.Epoch {
	if n := len(b.epochs); n > 0 {
		return b.epochs[n-1].Epoch
	}
	return 0
}

// Stamp is the latest stamp of any record.
func (b *Book) Stamp() Stamp { return b.stamp }

// Account is a copy of one balance.
func (b *Book) Account(id unit.AccountID) (Balance, bool) {
	if a := b.accounts[id]; a != nil {
		return *a, true
	}
	return Balance{Account: id}, false
}

// Accounts are copies of all balances, by id.
func (b *Book) Accounts() []Balance {
	out := make([]Balance, 0, len(b.accounts))
	for _, a := range b.accounts {
		out = append(out, *a)
	}
	slices.SortFunc(out, func(x, y Balance) int { return cmp.Compare(x.Account, y.Account) })
	return out
}

// Leases are copies of all leases with money left, by account, day, epoch.
func (b *Book) Leases() []Lease {
	out := make([]Lease, 0, len(b.leases))
	for _, l := range b.leases {
		if l.Outstanding() != 0 {
			out = append(out, *l)
		}
	}
	slices.SortFunc(out, func(x, y Lease) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Day, y.Day), cmp.Compare(x.Epoch, y.Epoch))
	})
	return out
}

// SeenPages counts the pages of remembered wins.
func (b *Book) SeenPages() int {
	n := 0
	for _, s := range b.seen {
		n += s.Pages()
	}
	return n
}

// Check verifies what must hold of the whole book at any time.
func (b *Book) Check() error {
	var faults []error
	committed := map[unit.AccountID]unit.Nanos{}
	for _, l := range b.Leases() {
		if l.Outstanding() < 0 {
			faults = append(faults, fmt.Errorf("%w: I1: lease %+v", ErrBreach, l))
		}
		committed[l.Account] += l.Outstanding()
	}
	for _, a := range b.Accounts() {
		if got := a.Posted + committed[a.Account]; got != a.Committed {
			faults = append(faults, fmt.Errorf("%w: I1: account %d: posted %v and in leases %v, committed %v",
				ErrBreach, a.Account, a.Posted, committed[a.Account], a.Committed))
		}
		for _, d := range a.Days {
			if d.Posted > d.Committed {
				faults = append(faults, fmt.Errorf("%w: I2: account %d, day %d: posted %v of %v", ErrBreach, a.Account, d.Day, d.Posted, d.Committed))
			}
		}
	}
	return errors.Join(faults...)
}

// Recovered is the book as it stands, for the readers of a new life.
func (b *Book) Recovered() *Recovered {
	r := &Recovered{
		Node: b.node, Stamp: b.stamp, Leases: b.Leases(), Accounts: b.Accounts(), Epochs: slices.Clone(b.epochs),
		seen: make(map[shardKey]Seen, len(b.seen)),
	}
	for k, s := range b.seen {
		r.seen[k] = s.share()
	}
	return r
}

// Recovered is what a journal proves about the lives before this one: made
// once at start, shared, read only.
type Recovered struct {
	Node unit.NodeID
	// Stamp is the latest of the journal, the start of this life included: what
	// the writers of this life continue from.
	Stamp Stamp
	// Leases of dead epochs with money left, ordered by account, day, epoch.
	Leases []Lease
	// Accounts ordered by id.
	Accounts []Balance
	// Epochs known, in order. Their Ended is set, except of the youngest, which
	// ended at the latest when the reader started.
	Epochs []EpochInfo
	seen   map[shardKey]Seen
}

// Account finds a balance, nil if the journal knows none.
func (r *Recovered) Account(id unit.AccountID) *Balance {
	i, ok := slices.BinarySearchFunc(r.Accounts, id, func(b Balance, id unit.AccountID) int { return cmp.Compare(b.Account, id) })
	if !ok {
		return nil
	}
	return &r.Accounts[i]
}

// Epoch finds a life, nil if the journal knows nothing of it.
func (r *Recovered) Epoch(e unit.Epoch) *EpochInfo {
	for i := range r.Epochs {
		if r.Epochs[i].Epoch == e {
			return &r.Epochs[i]
		}
	}
	return nil
}

// Seen reports whether the event was posted or recorded in an earlier life, or
// is too old to tell.
func (r *Recovered) Seen(w event.WinID, k event.Kind) bool {
	s, ok := r.seen[shardKey{w.Epoch, w.Shard}]
	return ok && s.Has(w.Seq, k)
}
