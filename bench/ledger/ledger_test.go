package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/bench/servers"
	"millrace/codec/unit"
	"millrace/state/store/cockroach"
	"millrace/state/store/joint"
	"millrace/state/store/joint/jointtest"
)

func wall() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

// server is a PostgreSQL with an empty database that has the schema, the template
// of the others.
type server struct {
	*servers.PostgresServer
	template string
	made     int
}

func postgres(t testing.TB, settings ...string) *server {
	t.Helper()
	s := &server{PostgresServer: servers.Postgres(t, settings...)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address := s.database(t)
	m, err := cockroach.NewMigrator(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = m.Run(ctx, wall())
	if err = errors.Join(err, m.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	s.template = " TEMPLATE ledger_1"
	return s
}

// database makes one, with the schema from the second on.
func (s *server) database(t testing.TB) (address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	s.made++
	name := fmt.Sprintf("ledger_%d", s.made)
	if _, err := c.Exec(ctx, "CREATE DATABASE "+name+s.template); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func config(t testing.TB, address string) cockroach.Config {
	c := cockroach.Default()
	c.URL, c.Wall, c.Call, c.Statement, c.Log = address, wall, 20*time.Second, 20*time.Second, slog.New(slog.NewTextHandler(t.Output(), nil))
	return c
}

func open(t testing.TB, address string) *cockroach.Ledger {
	t.Helper()
	g, err := cockroach.Open(config(t, address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// TestLedger runs what needs a server, but not one that dies, on one; each case on
// a database of its own.
func TestLedger(t *testing.T) {
	settings := []string{"fsync=off"}
	if *postings > postingsShort {
		settings = nil
	}
	p := postgres(t, settings...)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *server)
	}{
		{"suite", suite}, {"again", again}, {"one account", oneAccount}, {"lost commits", lostCommits}, {"books", follow}, {"sums", sums}, {"tampered sums", tampered},
		{"written off", writeOff}, {"old partition", oldPartition}, {"migrations", migrations}, {"recovery", recovery},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, p) })
	}
}

// suite is the one that every joint.Ledger passes; after each case all sums that
// are kept must be what the entries add up to.
func suite(t *testing.T, p *server) {
	jointtest.Ledger(t, func(t *testing.T) joint.Ledger {
		address := p.database(t)
		t.Cleanup(func() { verify(t, address) })
		return open(t, address)
	})
}

// verifyMax is enough for ten million postings on a busy machine.
const verifyMax = 30 * time.Minute

func verify(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), verifyMax)
	defer cancel()
	b, err := cockroach.OpenBooks(ctx, address)
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
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	var unbalanced int
	if err := c.QueryRow(ctx, `SELECT count(*) FROM (
		SELECT 1 FROM entries GROUP BY shard, node, epoch, seq, kind, event, part, dated HAVING sum(amount) <> 0) AS e`).Scan(&unbalanced); err != nil || unbalanced != 0 {
		t.Errorf("%d postings do not sum to zero, %v", unbalanced, err)
	}
}
