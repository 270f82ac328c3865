package node

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestNewNodeNeedsLedger: without it nobody can tell which epochs a node has had.
func TestNewNodeNeedsLedger(t *testing.T) {
	c := testConfig(t)
	c.Valkey.Addresses = []string{closedPort(t)}
	c.Ledger.URL = DatabaseURL("postgres://u:" + goodSecret + "@" + closedPort(t) + "/money")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	n, err := Start(ctx, c, Options{})
	if err == nil {
		stop(t, n)
		t.Fatal("a new node began a life that the ledger does not know")
	}
	if !strings.Contains(err.Error(), "ledger.url") || strings.Contains(err.Error(), goodSecret) {
		t.Error(err)
	}
}

// TestSharedOutage: a node whose journal has a past starts without the ledger,
// spends nothing, serves its house ads and says so.
func TestSharedOutage(t *testing.T) {
	c := testConfig(t)
	n := start(t, c)
	stop(t, n) // its journal has a past now
	c.Valkey.Addresses = []string{closedPort(t)}
	c.Ledger.URL, c.Ledger.Timeout = DatabaseURL("postgres://u@"+closedPort(t)+"/money"), 200*time.Millisecond
	n = start(t, c)
	for range 5 {
		if crid, _ := bid(t, n, paidBody); crid != "house-cr" {
			t.Fatalf("%q won without a ledger", crid)
		}
	}
	expectStatus(t, n, 200, "GET", "/readyz")
	status := ask(t, n, "GET", "http://"+n.AdminAddr().String()+"/store", "").body
	for _, want := range []string{`"shared"`, `"trouble": true`} {
		if !strings.Contains(status, want) {
			t.Errorf("no %s in %s", want, status)
		}
	}
	waitMetric(t, n, "millrace_shared_trouble", func(v float64) bool { return v == 1 })
	waitMetric(t, n, "millrace_clock_behind_seconds", func(v float64) bool { return v >= 0 })
}

func TestPasswordsFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("p@ss w/rd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Ledger.URL, c.Ledger.PasswordFile = "postgres://u@db.example:5432/money?sslmode=require", file
	c.Valkey.Addresses, c.Valkey.PasswordFile = []string{"v.example:6379"}, file
	url, err := c.Ledger.LedgerURL()
	if want := "postgres://u:p%40ss%20w%2Frd@db.example:5432/money?sslmode=require"; err != nil || url != want {
		t.Errorf("%s, %v; want %s", url, err, want)
	}
	if v, err := c.Valkey.Client(); err != nil || v.Password != "p@ss w/rd" {
		t.Errorf("%q, %v", v.Password, err)
	}
	c.Ledger.PasswordFile += ".gone"
	if _, err := c.Ledger.LedgerURL(); err == nil || !strings.Contains(err.Error(), "ledger.password_file") {
		t.Error(err)
	}
}

func TestDatabaseURLHidesPassword(t *testing.T) {
	for text, want := range map[DatabaseURL]string{
		"postgres://u@h/d":                 "postgres://u@h/d",
		"postgres://u:secret@h/d?a=b":      "postgres://u:%28hidden%29@h/d?a=b",
		"postgres://h/d?password=secret":   "postgres://:%28hidden%29@h/d",
		"postgres://u:secret@h:port:1/%zz": hidden,
	} {
		if got := text.String(); got != want {
			t.Errorf("%q: %s, want %s", string(text), got, want)
		}
	}
	c := Default()
	c.Data, c.Valkey.Addresses = "d", []string{"a:1"}
	c.Ledger.URL = DatabaseURL(DatabaseURL("postgres://u:secret@h/d").String())
	if f := c.Validate(); len(f) != 1 || !strings.Contains(f.Error(), "mask") {
		t.Errorf("the mask was taken for a password: %v", f)
	}
}
