package ledger_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store"
	"millrace/state/store/cockroach"
	"millrace/state/store/joint"
)

// accounts are as many as the campaigns of the figures in docs/ledger.md.
const accounts = 200

// BenchmarkPost gives the ledger batches of billed events, as a node's drain does:
// one transaction each with the leases they were paid from and the cursor.
func BenchmarkPost(b *testing.B) {
	p := postgres(b)
	for _, rows := range []int{100, 500, 1000, 2000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			n := begin(b, open(b, p.database(b)), 1, 10, 0)
			lend(n)
			records := make([]ledger.Record, rows)
			b.ResetTimer()
			for b.Loop() {
				for i := range records {
					records[i] = n.posted(10, unit.AccountID(1+n.win%accounts), 3)
				}
				n.post(records...)
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// lend gives the node a lease of every account.
func lend(n *node) {
	var asks []store.GrantRequest
	for i := range accounts {
		asks = append(asks, n.request(unit.AccountID(1+i), 1<<40, 0))
	}
	var records []ledger.Record
	for i, g := range n.grant(asks...) {
		records = append(records, n.granted(&asks[i], g.Amount))
	}
	n.post(records...)
}

// BenchmarkPeers is what the same rows cost in other ways, into the same table:
// one by one, and by COPY, which knows no repeats, keeps no leases and no cursor.
func BenchmarkPeers(b *testing.B) {
	p := postgres(b)
	columns := []string{
		"shard", "node", "epoch", "seq", "kind", "event", "part", "dated", "account", "campaign", "day", "lease_epoch", "credit", "debit", "amount", "currency",
		"line", "creative", "reason", "note", "stamp",
	}
	seq := int64(0)
	row := func() []any {
		seq++
		at := time.Unix(int64(day)*86400, 0).UTC()
		return []any{
			int32(seq % 4), int32(1), int64(10), seq, int16(5), int16(1), int16(0), at, seq % accounts, seq % accounts, at, int64(10), int16(2), int16(3), int64(3), "USD",
			int64(6), int64(7), int16(0), "", int64(start) + seq,
		}
	}
	connect := func(b *testing.B) *pgx.Conn {
		address := p.database(b)
		n := begin(b, open(b, address), 1, 10, 0)
		lend(n)
		n.post(n.posted(10, 1, 3)) // makes the partition
		c, err := pgx.Connect(b.Context(), address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close(context.Background()) })
		seq = 1
		return c
	}
	b.Run("single", func(b *testing.B) {
		c := connect(b)
		sql := "INSERT INTO postings (shard,node,epoch,seq,kind,event,part,dated,account,campaign,day,lease_epoch,credit,debit,amount,currency,line,creative,reason,note,stamp) " +
			"VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21) ON CONFLICT DO NOTHING"
		b.ResetTimer()
		for b.Loop() {
			if _, err := c.Exec(b.Context(), sql, row()...); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("copy=1000", func(b *testing.B) {
		c := connect(b)
		b.ResetTimer()
		for b.Loop() {
			made := 0
			if _, err := c.CopyFrom(b.Context(), pgx.Identifier{"postings"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
				if made++; made > 1000 {
					return nil, nil
				}
				return row(), nil
			})); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkGrant is one batch of grants: what a node waits for before it may spend.
func BenchmarkGrant(b *testing.B) {
	p := postgres(b)
	for _, requests := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("requests=%d", requests), func(b *testing.B) {
			n := begin(b, open(b, p.database(b)), 1, 10, 0)
			asks := make([]store.GrantRequest, requests)
			b.ResetTimer()
			for b.Loop() {
				for i := range asks {
					asks[i] = n.request(unit.AccountID(1+i), 5, 0)
				}
				n.grant(asks...)
			}
			b.ReportMetric(float64(requests)*float64(b.N)/b.Elapsed().Seconds(), "leases/s")
		})
	}
}

// postings of the recovery: make bench-ledger takes 10 million, and a server that
// syncs.
var postings = flag.Int("postings", postingsShort, "billed events in the journal of TestLedger/recovery")

const postingsShort = 10_000

// recovery fills a journal with postings, and opens it again with its
// checkpoints and without; then a ledger that has nothing takes all of it, and
// all of it again. The times are printed.
func recovery(t *testing.T, p *server) {
	dir := t.TempDir()
	began := time.Now()
	epoch := fill(t, dir, uint64(*postings))
	lap := func(what string, count int) {
		took := time.Since(began)
		t.Logf("%-52s %10v  %10.0f a second", what, took.Round(time.Millisecond), float64(count)/took.Seconds())
		began = time.Now()
	}
	lap(fmt.Sprintf("journal of %d postings written", *postings), *postings)
	reopen := func(what string) {
		j := journal(t, dir)
		lap(what, *postings)
		r := j.Recovery()
		var events unit.Nanos
		for _, a := range j.Recovered().Accounts {
			events += a.Posted / 3
		}
		t.Logf("  %d records of %d segments read, checkpoint %d", r.Records, r.Segments, r.Checkpoint)
		if err := j.Close(); err != nil || int(events) != *postings || r.Breaches != 0 {
			t.Fatalf("%d events, %+v, %v", events, r, err)
		}
		began = time.Now()
	}
	reopen("opened again, with its last checkpoint")
	checkpoints, _ := filepath.Glob(filepath.Join(dir, "*.ckp"))
	for _, c := range checkpoints {
		if err := os.Remove(c); err != nil {
			t.Fatal(err)
		}
	}
	reopen("opened again, from the first record")
	address := p.database(t)
	g := open(t, address)
	life := joint.Life{Node: 4, Epoch: epoch + 2}
	if _, err := beginning(g, joint.Beginning{Life: life, Stamp: start}); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"drained into a ledger that had nothing", "drained into a ledger that had it all"} {
		began = time.Now()
		drainAll(t, g, dir, life)
		lap(what, *postings)
	}
	balances, err := books(t, address).Balances(t.Context(), cockroach.Filter{})
	lap("balances of all accounts, from the postings alone", *postings)
	count := int64(0)
	for _, b := range balances {
		count += b.Events
	}
	if err != nil || count != int64(*postings) || len(balances) != accounts {
		t.Fatalf("%d events, %d balances, %v", count, len(balances), err)
	}
	verify(t, address)
	lap("every sum that is kept derived from the postings", *postings)
	t.Logf("%+v", g.Stats())
}

func beginning(g *cockroach.Ledger, b joint.Beginning) (joint.Began, error) {
	c := make(chan result[joint.Began], 1)
	g.Begin(b, func(began joint.Began, err error) { c <- result[joint.Began]{began, err} })
	r := <-c
	return r.value, r.err
}

func journal(t *testing.T, dir string) *outbox.Journal {
	t.Helper()
	c := outbox.Default()
	c.Dir, c.Node, c.Shards, c.Wall = dir, 4, 1, wall
	c.Alarm = func(err error) { t.Error(err) }
	j, err := outbox.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	// The drain's: keeps every segment.
	if _, err := j.Cursor(joint.CursorName); err != nil {
		t.Fatal(err)
	}
	return j
}

// fill writes n billed events, of leases that suffice.
func fill(t *testing.T, dir string, n uint64) unit.Epoch {
	t.Helper()
	j := journal(t, dir)
	a := j.NewAppender(nil)
	add := func(r *ledger.Record) {
		r.Node, r.Epoch, r.Wall = 4, j.Epoch(), wall()
		for {
			_, err := a.Append(r)
			if err == nil {
				return
			}
			if !errors.Is(err, outbox.ErrBacklog) {
				t.Fatal(err)
			}
			a.Commit()
			time.Sleep(time.Millisecond)
		}
	}
	for i := range uint64(accounts) {
		add(&ledger.Record{
			Kind: ledger.Granted, Shard: 1, Seq: i + 1, Stamp: start, Account: unit.AccountID(i + 1), Campaign: unit.CampaignID(i + 1), Day: day, Amount: 1 << 40, Currency: unit.USD,
		})
	}
	for i := uint64(1); i <= n; i++ {
		account := unit.AccountID(1 + i%accounts)
		add(&ledger.Record{
			Kind: ledger.Posted, Event: event.Impression, Stamp: start + ledger.Stamp(i), Campaign: unit.CampaignID(account), Amount: 3, Currency: unit.USD,
			Issued: wall(), User: unit.UserID(i), Line: 6, Creative: 7, Win: event.WinID{Node: 4, Epoch: j.Epoch(), Shard: 0, Seq: i},
			Parts: 1, From: [2]ledger.Part{{Account: account, Day: day, Epoch: j.Epoch()}},
		})
		if i%1000 == 0 {
			a.Commit()
		}
	}
	a.Commit()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return j.Epoch()
}

func drainAll(t *testing.T, g joint.Ledger, dir string, life joint.Life) {
	t.Helper()
	d := joint.NewDrain(joint.DrainConfig{
		Tail: outbox.OpenTail(nil, dir, 0), Life: life, Ledger: g, Rows: joint.Default().DrainRows, RetryMin: time.Millisecond, RetryMax: time.Second,
		After:  func(d time.Duration, f func()) { time.AfterFunc(d, f) },
		Failed: func(err error) { t.Log(err) },
		Alarm:  func(err error) { t.Error(err) },
	})
	for d.Step(); !d.Status().Over; time.Sleep(time.Millisecond) {
		d.Step()
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkGrantWhilePosting is a batch of grants while the same node's drain has
// much to post, and how many transactions of either are repeated for the other.
func BenchmarkGrantWhilePosting(b *testing.B) {
	p := postgres(b)
	g := open(b, p.database(b))
	n := begin(b, g, 1, 10, 0)
	lend(n)
	poster := &node{t: b, ledger: g, life: n.life, position: n.position}
	stop := make(chan struct{})
	var posting sync.WaitGroup
	posting.Go(func() {
		records := make([]ledger.Record, 500)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for i := range records {
				records[i] = poster.posted(10, unit.AccountID(1+poster.win%accounts), 3)
			}
			poster.post(records...)
		}
	})
	asks := make([]store.GrantRequest, 16)
	before := g.Stats()
	for b.Loop() {
		for i := range asks {
			asks[i] = n.request(unit.AccountID(1+i), 5, 0)
		}
		n.grant(asks...)
	}
	after := g.Stats()
	close(stop)
	posting.Wait()
	b.ReportMetric(float64(after.Retries-before.Retries)/float64(b.N), "repeats/op")
	b.ReportMetric(float64(after.Postings-before.Postings)/b.Elapsed().Seconds(), "rows/s")
}
