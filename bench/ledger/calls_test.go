package ledger_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
	"millrace/state/store/joint"
)

const (
	day   = unit.Day(20_833)
	start = ledger.Stamp(1_800_000_000_000 << 16)
)

type result[T any] struct {
	value T
	err   error
}

// until makes a call again and again until its outcome is known and it was not
// the way there that failed: what a node does.
func until[T any](t testing.TB, tries *atomic.Int64, call func(done func(T, error))) T {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		c := make(chan result[T], 1)
		call(func(v T, err error) { c <- result[T]{v, err} })
		r := <-c
		switch {
		case r.err == nil:
			return r.value
		case errors.Is(r.err, joint.ErrFenced) || errors.Is(r.err, joint.ErrForked) || time.Now().After(deadline):
			t.Error(r.err)
			return r.value
		}
		tries.Add(1)
	}
}

// node is one that asks and posts, and counts for itself.
type node struct {
	t        testing.TB
	ledger   joint.Ledger
	life     joint.Life
	batch    uint64
	seq, win uint64
	position uint64
	failures atomic.Int64
}

func begin(t testing.TB, g joint.Ledger, id unit.NodeID, epoch, previous unit.Epoch) *node {
	t.Helper()
	n := &node{t: t, ledger: g, life: joint.Life{Node: id, Epoch: epoch}}
	b := joint.Beginning{Life: n.life, Previous: previous, Stamp: start + ledger.Stamp(epoch)}
	n.position = until(t, &n.failures, func(done func(joint.Began, error)) { g.Begin(b, done) }).Drained
	return n
}

func (n *node) request(account unit.AccountID, amount, daily unit.Nanos) store.GrantRequest {
	n.seq++
	return store.GrantRequest{
		ID: store.OpID{Node: n.life.Node, Epoch: n.life.Epoch, Shard: 1, Seq: n.seq}, Account: account, Campaign: unit.CampaignID(account), Currency: unit.USD,
		Day: day, Amount: amount, AtLeast: 1, Daily: daily, Stamp: start + ledger.Stamp(n.seq),
	}
}

// grant asks until it is answered, under one number and the same identities.
func (n *node) grant(batch ...store.GrantRequest) []joint.Granted {
	n.t.Helper()
	n.batch++
	number := n.batch
	return until(n.t, &n.failures, func(done func([]joint.Granted, error)) { n.ledger.Grant(n.life, number, batch, done) })
}

func (n *node) post(records ...ledger.Record) {
	n.t.Helper()
	from := n.position
	n.position += 1000
	to := n.position
	until(n.t, &n.failures, func(done func(struct{}, error)) {
		n.ledger.Post(n.life, records, from, to, func(err error) { done(struct{}{}, err) })
	})
}

func (n *node) granted(r *store.GrantRequest, amount unit.Nanos) ledger.Record {
	return ledger.Record{
		Kind: ledger.Granted, Node: n.life.Node, Epoch: r.ID.Epoch, Shard: r.ID.Shard, Seq: r.ID.Seq, Stamp: r.Stamp + 1<<20, Wall: wall(),
		Account: r.Account, Campaign: r.Campaign, Currency: r.Currency, Day: r.Day, Amount: amount, Daily: r.Daily, Total: r.Total,
	}
}

func (n *node) returned(epoch unit.Epoch, account unit.AccountID, amount unit.Nanos) ledger.Record {
	n.seq++
	return ledger.Record{
		Kind: ledger.Returned, Node: n.life.Node, Epoch: n.life.Epoch, Shard: 1, Seq: n.seq, Stamp: start + 1<<30 + ledger.Stamp(n.seq), Wall: wall(),
		Account: account, Campaign: unit.CampaignID(account), Day: day, LeaseEpoch: epoch, Amount: amount,
	}
}

// posted is a billed impression.
func (n *node) posted(epoch unit.Epoch, account unit.AccountID, amount unit.Nanos) ledger.Record {
	n.win++
	return ledger.Record{
		Kind: ledger.Posted, Event: event.Impression, Node: n.life.Node, Epoch: n.life.Epoch, Stamp: start + 1<<31 + ledger.Stamp(n.win), Wall: wall(),
		Campaign: unit.CampaignID(account), Amount: amount, Currency: unit.USD, Issued: unit.WallTime(int64(day) * 86400e9), User: 5, Line: 6, Creative: 7,
		Win:   event.WinID{Node: n.life.Node, Epoch: epoch, Shard: unit.ShardID(n.win % 4), Seq: n.win},
		Parts: 1, From: [2]ledger.Part{{Account: account, Day: day, Epoch: epoch}},
	}
}
