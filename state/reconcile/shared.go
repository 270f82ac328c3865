package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store/joint"
)

// Shared compares a node's journal, the shared ledger and the counter. One
// goroutine's.
type Shared struct {
	cfg  SharedConfig
	tail *outbox.Tail
	// records is what the journal's records add up to since the first look, and base
	// what the ledger had then: so a journal is compared in what follows.
	records map[key]*sums
	base    map[key]*sums
}

// SharedConfig of a Shared.
type SharedConfig struct {
	Node unit.NodeID
	// Tail begins a reading of the node's journal at a position; nil: the journal is
	// not compared. End, if set, is where the journal ends.
	Tail func(from uint64) *outbox.Tail
	End  func() uint64
	// Whole: a reading from 0 gives all that the node ever wrote, so everything is
	// compared. Else, what follows the first look.
	Whole bool
	// Before, if set, gives the records that Whole wants and the journal no longer
	// has: those before its first.
	Before func(take func(*ledger.Record)) error
	// Ledger must be joint.Summing; without that, the journal is not compared.
	Ledger joint.Ledger
	// Counter, if set, should be joint.Reading; without that it is not compared.
	Counter joint.Counter
	// Looks is how often a difference of the counter must be seen, Pause between.
	Looks int
	Pause func(ctx context.Context)
	// Days before the latest of an account that are compared with the counter.
	Days int
}

type key struct {
	account unit.AccountID
	day     unit.Day
}

type sums struct {
	campaign                            unit.CampaignID
	granted, returned, posted, refunded unit.Nanos
}

// NewShared makes a reconciler.
func NewShared(c SharedConfig) *Shared {
	if c.Looks <= 0 {
		c.Looks = 3
	}
	if c.Pause == nil {
		c.Pause = func(ctx context.Context) {
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	return &Shared{cfg: c}
}

// Close lets go of the journal's files.
func (s *Shared) Close() error {
	if s.tail == nil {
		return nil
	}
	err := s.tail.Close()
	s.tail = nil
	return err
}

// Look compares, and, unless dry, repairs the counter.
func (s *Shared) Look(ctx context.Context, dry bool) (Report, error) {
	var r Report
	summing, ok := s.cfg.Ledger.(joint.Summing)
	if !ok {
		r.skip("the ledger does not tell one node's part")
		return r, nil
	}
	list, drained, err := sumsOf(ctx, summing, s.cfg.Node)
	if err != nil {
		return r, fmt.Errorf("asking the ledger: %w", err)
	}
	if s.cfg.Tail == nil {
		r.skip("journal: none is here")
	} else if err := s.journal(ctx, &r, list, drained); err != nil {
		return r, err
	}
	if err := s.counter(ctx, &r, list, dry); err != nil {
		return r, err
	}
	r.sort()
	return r, nil
}

// journal compares the node's records up to drained.
func (s *Shared) journal(ctx context.Context, r *Report, list []joint.Sum, drained uint64) error {
	if s.cfg.End != nil && drained > s.cfg.End() {
		r.skip("journal: the ledger's place in it lies behind its end; it is another journal's, until this one has been posted")
		return nil
	}
	if drained == 0 {
		r.skip("journal: the ledger has taken nothing of it yet")
		return nil
	}
	fresh := s.tail == nil
	if fresh {
		from := drained
		if s.cfg.Whole {
			from = 0
		}
		s.tail, s.records, s.base = s.cfg.Tail(from), map[key]*sums{}, map[key]*sums{}
		if s.cfg.Before != nil {
			if err := s.cfg.Before(s.take); err != nil {
				return errors.Join(err, s.Close())
			}
		}
	}
	if err := s.follow(ctx, drained); err != nil {
		err = errors.Join(err, s.Close())
		if errors.As(err, new(*outbox.Gap)) {
			r.skip("journal: %v; the next look begins anew", err)
			return nil
		}
		return fmt.Errorf("reading the journal: %w", err)
	}
	if fresh && !s.cfg.Whole {
		for i := range list {
			l := &list[i]
			s.base[key{l.Account, l.Day}] = &sums{campaign: l.Campaign, returned: l.Returned, posted: l.Posted, refunded: l.Refunded}
		}
		r.skip("journal: its beginning is not compared; from here on it is")
		return nil
	}
	s.compare(r, list)
	return nil
}

// follow adds the records up to drained.
func (s *Shared) follow(ctx context.Context, drained uint64) error {
	for s.tail.Position() < drained {
		rec, _, err := s.tail.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		s.take(rec)
	}
	return nil
}

func (s *Shared) take(r *ledger.Record) {
	at := func(account unit.AccountID, day unit.Day) *sums {
		return entry(s.records, key{account, day}, r.Campaign)
	}
	switch r.Kind {
	case ledger.Granted:
		at(r.Account, r.Day).granted += r.Amount
	case ledger.Returned:
		at(r.Account, r.Day).returned += r.Amount
	case ledger.Posted:
		for _, p := range r.From[:r.Parts] {
			at(p.Account, p.Day).posted += r.Amount
		}
	case ledger.Refunded:
		for _, p := range r.From[:r.Parts] {
			at(p.Account, p.Day).refunded += r.Amount
		}
	}
}

func entry(m map[key]*sums, k key, campaign unit.CampaignID) *sums {
	x := m[k]
	if x == nil {
		x = &sums{campaign: campaign}
		m[k] = x
	}
	return x
}

// compare holds base and records against the ledger's sums.
func (s *Shared) compare(r *Report, list []joint.Sum) {
	met := map[key]struct{}{}
	for i := range list {
		l := &list[i]
		k := key{l.Account, l.Day}
		met[k] = struct{}{}
		s.compareOne(r, k, l)
	}
	for k := range s.records {
		if _, ok := met[k]; !ok {
			s.compareOne(r, k, &joint.Sum{AccountDay: joint.AccountDay{Account: k.account, Campaign: s.records[k].campaign, Day: k.day}})
		}
	}
}

func (s *Shared) compareOne(r *Report, k key, l *joint.Sum) {
	r.Compared++
	var want sums
	for _, m := range [...]map[key]*sums{s.base, s.records} {
		if x := m[k]; x != nil {
			want.granted += x.granted
			want.returned += x.returned
			want.posted += x.posted
			want.refunded += x.refunded
		}
	}
	for _, c := range [...]struct {
		what        string
		truth, have unit.Nanos
	}{{"returned", want.returned, l.Returned}, {"posted", want.posted, l.Posted}, {"refunded", want.refunded, l.Refunded}} {
		r.differ("journal-ledger", c.what, k.account, l.Campaign, k.day, c.truth, c.have)
	}
	// A grant is in the ledger before it is in the journal. How many of those before
	// the first look were not, the ledger does not tell.
	switch {
	case !s.cfg.Whole:
	case l.Granted < want.granted:
		r.differ("journal-ledger", "granted", k.account, l.Campaign, k.day, want.granted, l.Granted)
	default:
		r.Pending += l.Granted - want.granted
	}
}

// counter compares what all nodes have committed, on the accounts of this one.
func (s *Shared) counter(ctx context.Context, r *Report, list []joint.Sum, dry bool) error {
	reading, ok := s.cfg.Counter.(joint.Reading)
	if !ok {
		r.skip("counter: none is here that tells what it counts")
		return nil
	}
	keys := s.recent(list)
	r.Compared += len(keys)
	var drifts []Drift
	var truth []joint.Balance
	for look := 0; look < s.cfg.Looks && len(keys) > 0; look++ {
		if look > 0 {
			s.cfg.Pause(ctx)
		}
		balances, err := await(ctx, func(done func([]joint.Balance, error)) { s.cfg.Ledger.Balances(keys, done) })
		if err != nil {
			return fmt.Errorf("asking the ledger: %w", err)
		}
		counts, err := await(ctx, func(done func([]joint.Balance, error)) { reading.Read(keys, done) })
		if err != nil {
			return fmt.Errorf("asking the counter: %w", err)
		}
		now := differing(balances, counts)
		if look > 0 {
			now = stable(drifts, now)
		}
		drifts, truth, keys = now, balances, keysOf(now)
	}
	if !dry && len(drifts) > 0 {
		if err := s.repair(ctx, drifts, truth); err != nil {
			r.Drifts = append(r.Drifts, drifts...)
			return fmt.Errorf("setting the counter: %w", err)
		}
	}
	r.Drifts = append(r.Drifts, drifts...)
	return nil
}

// recent are the last days of each account: what is older is never granted again.
func (s *Shared) recent(list []joint.Sum) (keys []joint.AccountDay) {
	last := map[unit.AccountID]unit.Day{}
	for i := range list {
		last[list[i].Account] = max(last[list[i].Account], list[i].Day)
	}
	for i := range list {
		if k := list[i].AccountDay; k.Day >= last[k.Account]-unit.Day(s.cfg.Days) {
			keys = append(keys, k)
		}
	}
	return keys
}

// differing compares; an account that the counter does not know is no drift, it
// is loaded when it is asked for.
func differing(balances, counts []joint.Balance) (list []Drift) {
	known := make(map[joint.AccountDay]*joint.Balance, len(counts))
	for i := range counts {
		known[counts[i].AccountDay] = &counts[i]
	}
	var r Report
	for i := range balances {
		b := &balances[i]
		c := known[b.AccountDay]
		if c == nil {
			continue
		}
		r.differ("ledger-counter", "committed on the day", b.Account, b.Campaign, b.Day, b.CommittedDay, c.CommittedDay)
		r.differ("ledger-counter", "committed in total", b.Account, b.Campaign, b.Day, b.CommittedTotal, c.CommittedTotal)
	}
	return r.Drifts
}

// stable keeps the differences that are what they were.
func stable(before, now []Drift) (list []Drift) {
	for _, d := range now {
		for i := range before {
			b := &before[i]
			if b.Account == d.Account && b.Day == d.Day && b.What == d.What && b.True-b.Other == d.True-d.Other {
				list = append(list, d)
				break
			}
		}
	}
	return list
}

func keysOf(drifts []Drift) (keys []joint.AccountDay) {
	seen := map[key]struct{}{}
	for i := range drifts {
		d := &drifts[i]
		if _, ok := seen[key{d.Account, d.Day}]; !ok {
			seen[key{d.Account, d.Day}] = struct{}{}
			keys = append(keys, joint.AccountDay{Account: d.Account, Campaign: d.Campaign, Day: d.Day})
		}
	}
	return keys
}

func (s *Shared) repair(ctx context.Context, drifts []Drift, truth []joint.Balance) error {
	wanted := map[key]struct{}{}
	for i := range drifts {
		wanted[key{drifts[i].Account, drifts[i].Day}] = struct{}{}
	}
	var load []joint.Balance
	for _, b := range truth {
		if _, ok := wanted[key{b.Account, b.Day}]; ok {
			load = append(load, b)
		}
	}
	_, err := await(ctx, func(done func(struct{}, error)) {
		s.cfg.Counter.Load(load, func(err error) { done(struct{}{}, err) })
	})
	for i := range drifts {
		drifts[i].Repaired = err == nil
	}
	return err
}

// await makes a call wait for its answer.
func await[T any](ctx context.Context, call func(done func(T, error))) (T, error) {
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, 1)
	call(func(v T, err error) { answers <- answer{v, err} })
	select {
	case a := <-answers:
		return a.v, a.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

func sumsOf(ctx context.Context, l joint.Summing, node unit.NodeID) (list []joint.Sum, drained uint64, err error) {
	list, err = await(ctx, func(done func([]joint.Sum, error)) {
		l.Sums(node, func(s []joint.Sum, at uint64, err error) {
			drained = at
			done(s, err)
		})
	})
	return list, drained, err
}
