package jointtest

import (
	"errors"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
	"millrace/state/store/joint"
)

// patience is how long the slowest server may take for one call.
const patience = 30 * time.Second

type result[T any] struct {
	value T
	err   error
}

// try makes a call and waits for its outcome, repeating it while that is unknown.
func try[T any](t *testing.T, call func(done func(T, error))) (T, error) {
	t.Helper()
	for {
		c := make(chan result[T], 2)
		call(func(v T, err error) { c <- result[T]{v, err} })
		select {
		case r := <-c:
			if errors.Is(r.err, joint.ErrUnknown) {
				continue
			}
			return r.value, r.err
		case <-time.After(patience):
			t.Fatal("a call was never answered")
		}
	}
}

func must[T any](t *testing.T, call func(done func(T, error))) T {
	t.Helper()
	v, err := try(t, call)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func bare(call func(done func(error))) func(done func(struct{}, error)) {
	return func(done func(struct{}, error)) { call(func(err error) { done(struct{}{}, err) }) }
}

const (
	day      = unit.Day(20_833)
	campaign = unit.CampaignID(77)
	start    = ledger.Stamp(1_800_000_000_000 << 16)
)

// world is one case's way to talk to a ledger.
type world struct {
	t      *testing.T
	ledger joint.Ledger
	batch  map[joint.Life]uint64
	seq    map[joint.Life]uint64
}

func newWorld(t *testing.T, l joint.Ledger) *world {
	return &world{t, l, map[joint.Life]uint64{}, map[joint.Life]uint64{}}
}

func (w *world) begin(node unit.NodeID, epoch, previous unit.Epoch) (joint.Life, joint.Began) {
	w.t.Helper()
	l := joint.Life{Node: node, Epoch: epoch}
	b := joint.Beginning{Life: l, Previous: previous, Stamp: start + ledger.Stamp(epoch)}
	return l, must(w.t, func(done func(joint.Began, error)) { w.ledger.Begin(b, done) })
}

func (w *world) request(l joint.Life, account unit.AccountID, amount, daily, total unit.Nanos) store.GrantRequest {
	w.seq[l]++
	return store.GrantRequest{
		ID: store.OpID{Node: l.Node, Epoch: l.Epoch, Shard: 1, Seq: w.seq[l]}, Account: account, Campaign: campaign, Currency: unit.USD, Day: day,
		Amount: amount, AtLeast: 1, Daily: daily, Total: total, Stamp: start + ledger.Stamp(w.seq[l]),
	}
}

// grant sends a batch under the life's next number.
func (w *world) grant(l joint.Life, batch ...store.GrantRequest) []joint.Granted {
	w.t.Helper()
	w.batch[l]++
	return w.grantAs(l, w.batch[l], batch...)
}

func (w *world) grantAs(l joint.Life, number uint64, batch ...store.GrantRequest) []joint.Granted {
	w.t.Helper()
	out := must(w.t, func(done func([]joint.Granted, error)) { w.ledger.Grant(l, number, batch, done) })
	if len(out) != len(batch) {
		w.t.Fatalf("%d outcomes for %d requests", len(out), len(batch))
	}
	return out
}

// granted is the journal's record of a grant.
func granted(r *store.GrantRequest, amount unit.Nanos) ledger.Record {
	return ledger.Record{
		Kind: ledger.Granted, Node: r.ID.Node, Epoch: r.ID.Epoch, Shard: r.ID.Shard, Seq: r.ID.Seq, Stamp: r.Stamp + 1, Wall: 1_800_000_000e9,
		Account: r.Account, Campaign: r.Campaign, Currency: r.Currency, Day: r.Day, Amount: amount, Daily: r.Daily, Total: r.Total,
	}
}

// returned gives amount of the lease of epoch back.
func (w *world) returned(l joint.Life, epoch unit.Epoch, account unit.AccountID, amount unit.Nanos) ledger.Record {
	w.seq[l]++
	return ledger.Record{
		Kind: ledger.Returned, Node: l.Node, Epoch: l.Epoch, Shard: 1, Seq: w.seq[l], Stamp: start + 1<<30 + ledger.Stamp(w.seq[l]), Wall: 1_800_000_000e9,
		Account: account, Campaign: campaign, Day: day, LeaseEpoch: epoch, Amount: amount,
	}
}

func (w *world) post(l joint.Life, from, to uint64, records ...ledger.Record) error {
	w.t.Helper()
	_, err := try(w.t, bare(func(done func(error)) { w.ledger.Post(l, records, from, to, done) }))
	return err
}

func (w *world) mustPost(l joint.Life, from, to uint64, records ...ledger.Record) {
	w.t.Helper()
	if err := w.post(l, from, to, records...); err != nil {
		w.t.Fatal(err)
	}
}

// committed is what the ledger says is committed on the account.
func (w *world) committed(account unit.AccountID) (inDay, total unit.Nanos) {
	w.t.Helper()
	key := joint.AccountDay{Account: account, Campaign: campaign, Day: day}
	b := must(w.t, func(done func([]joint.Balance, error)) { w.ledger.Balances([]joint.AccountDay{key}, done) })
	if len(b) != 1 || b[0].AccountDay != key {
		w.t.Fatalf("asked for %+v: %+v", key, b)
	}
	return b[0].CommittedDay, b[0].CommittedTotal
}
