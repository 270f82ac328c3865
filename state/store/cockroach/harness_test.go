package cockroach

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/bench/servers"
	"millrace/codec/unit"
	"millrace/state/store/joint"
	"millrace/state/store/joint/jointtest"
)

func wall() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

// database makes an empty database on the server, with the schema.
func database(t testing.TB, p *servers.PostgresServer) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address := emptyDatabase(t, p)
	m, err := NewMigrator(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(ctx) }()
	if _, _, err := m.Run(ctx, wall()); err != nil {
		t.Fatal(err)
	}
	return address
}

var databases atomic.Int64

func emptyDatabase(t testing.TB, p *servers.PostgresServer) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	name := fmt.Sprintf("ledger_%d", databases.Add(1))
	if _, err := c.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func open(t testing.TB, address string) *Ledger {
	t.Helper()
	c := Default()
	c.URL, c.Wall, c.Call, c.Statement, c.Log = address, wall, 20*time.Second, 20*time.Second, slog.New(slog.NewTextHandler(t.Output(), nil))
	g, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// TestLedger is the suite that every joint.Ledger passes, and after each case all
// sums that are kept must be what the entries add up to.
func TestLedger(t *testing.T) {
	p := servers.Postgres(t, "fsync=off")
	jointtest.Ledger(t, func(t *testing.T) joint.Ledger {
		address := database(t, p)
		t.Cleanup(func() { verify(t, address) })
		return open(t, address)
	})
}

func verify(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := OpenBooks(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	differences, err := b.Verify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		t.Errorf("%+v", d)
	}
	var sum int64
	if err := b.pool.QueryRow(ctx, "SELECT COALESCE(sum(amount), 0)::INT8 FROM entries").Scan(&sum); err != nil || sum != 0 {
		t.Errorf("all entries together: %d, %v", sum, err)
	}
}

// wait makes a call and waits for its answer.
func wait[T any](t testing.TB, call func(done func(T, error))) (T, error) {
	t.Helper()
	var value T
	var err error
	var answered sync.WaitGroup
	answered.Add(1)
	call(func(v T, e error) { value, err = v, e; answered.Done() })
	answered.Wait()
	return value, err
}
