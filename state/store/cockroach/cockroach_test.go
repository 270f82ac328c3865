package cockroach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store/joint"
)

// TestStatements: SQL stands in the files that are checked with CockroachDB's
// grammar, every one of them is used, and none is missing.
func TestStatements(t *testing.T) {
	used := map[string]bool{}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call, sql := regexp.MustCompile(`statement\("(\w+)"\)`), regexp.MustCompile("[\"`](SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|BEGIN|SET) ")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
		if m := sql.FindString(string(text)); m != "" {
			t.Errorf("%s: SQL in Go: %s; put it into statements.sql", name, m)
		}
		for _, listed := range []string{"make_migrations", "make_lock", "verify_guards", "verify_leases"} {
			used[listed] = used[listed] || strings.Contains(string(text), `"`+listed+`"`)
		}
	}
	for name := range used {
		if statements[name] == "" {
			t.Errorf("no statement %s", name)
		}
	}
	for name, sql := range statements {
		if !used[name] {
			t.Errorf("statement %s is not used", name)
		}
		if strings.Contains(sql, ";") || strings.Contains(sql, "--") {
			t.Errorf("statement %s: %s", name, sql)
		}
	}
}

func TestMigrations(t *testing.T) {
	for _, d := range []Dialect{Postgres, Cockroach} {
		list, err := Migrations(d)
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		text := ""
		for _, m := range list {
			for _, s := range m.Statements {
				text += s + "\n"
			}
		}
		if strings.Contains(text, "--") || strings.Contains(text, ";") {
			t.Errorf("%s: comments or semicolons are left", d)
		}
		if strings.Contains(text, "PARTITION") != (d == Postgres) {
			t.Errorf("%s: partitions", d)
		}
	}
	got := split("-- about a;\nCREATE a (\n  b\n)\nPARTITIONED -- only: postgres\n;\n\nCREATE c -- why\n;\n", Cockroach)
	if fmt.Sprintf("%q", got) != `["CREATE a (\n  b\n)" "CREATE c"]` {
		t.Errorf("%q", got)
	}
}

// TestChecksums: what was released is never edited; a change is a new file.
func TestChecksums(t *testing.T) {
	released := []string{"0a7b2da84499e6e9aeff59270846f9cad157a785594141339b5ddcccc50686ff"}
	list, err := Migrations(Postgres)
	if err != nil {
		t.Fatal(err)
	}
	for i, sum := range released {
		if list[i].Checksum != sum {
			t.Errorf("migration %d was released as %s and is now %s", i+1, sum, list[i].Checksum)
		}
	}
}

func TestJudge(t *testing.T) {
	for code, want := range map[string]verdict{
		"40001": conflict, "40P01": conflict, "23505": conflict, "55P03": conflict,
		"57P01": unreached, "40003": unreached, "57014": unreached, "53300": unreached,
		"42P01": refused, "22003": refused, "23514": partition,
	} {
		if got := judge(fmt.Errorf("x: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	if judge(&pgconn.PgError{Code: "23514", ConstraintName: "postings_amount_check"}) != refused {
		t.Error("a check of the table's own")
	}
	if judge(errors.New("broken pipe")) != unreached || judge(errMoved) != conflict {
		t.Error("the way there")
	}
	if err := ended(&pgconn.PgError{Code: "42P01"}, false); !strings.Contains(err.Error(), "millrace migrate") || errors.Is(err, joint.ErrUnknown) {
		t.Error(err)
	}
	if err := ended(errors.New("x"), true); !errors.Is(err, joint.ErrUnknown) {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	c := Default()
	c.URL, c.Wall = "postgres://u@h/d", func() unit.WallTime { return 1 }
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := c.pool()
	if err != nil || p.ConnConfig.RuntimeParams["statement_timeout"] != "4000" || p.MaxConns != 4 {
		t.Fatal(p, err)
	}
	bad := Config{URL: "postgres://u@h:notaport/d", Statement: time.Second}
	for _, name := range []string{"url", "lease", "call", "statement", "conns", "queue", "wall"} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "ledger."+name+":") {
			t.Errorf("%s is not among the faults: %v", name, err)
		}
	}
}

// TestColumns: each record that moves money makes a transfer an account, and
// hostile notes can't break a batch.
func TestColumns(t *testing.T) {
	r := ledger.Record{
		Kind: ledger.Posted, Event: event.Click, Node: 1, Epoch: 5, Issued: unit.WallFromUnix(86400*20_000 + 5), Amount: 7, Parts: 2,
		Win:  event.WinID{Node: 1, Epoch: 4, Shard: 3, Seq: 9},
		From: [2]ledger.Part{{Account: 1 << 63, Day: 20_001, Epoch: 4}, {Account: 2, Day: 20_001, Epoch: 5}},
	}
	c := newColumns(1)
	c.record(&r)
	r.Kind, r.Name = ledger.Refunded, []byte("bad\xff\x00note")
	c.record(&r)
	c.record(&ledger.Record{Kind: ledger.Recorded, Event: event.Click})
	c.record(&ledger.Record{Kind: ledger.EpochStarted})
	if c.len() != 4 || c.dated[0] != 20_000 || c.accounts[0] != -1<<63 || c.leaseEpochs[1] != 5 || c.parts[1] != 1 || c.notes[2] != "bad\uFFFDnote" {
		t.Fatalf("%+v", c)
	}
	for i := range c.credits {
		if c.credits[i] == c.debits[i] || c.credits[i] == 0 || c.debits[i] == 0 {
			t.Errorf("row %d: %d to %d", i, c.credits[i], c.debits[i])
		}
	}
}
