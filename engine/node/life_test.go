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

func TestStartServesAndStopsWithoutATrace(t *testing.T) {
	c, before := testConfig(t), len(goroutines())
	for _, shards := range []int{1, 3} {
		c.Shards = shards
		n := start(t, c)
		expectStatus(t, n, 200, "GET", "/readyz")
		expectStatus(t, n, 200, "GET", "http://"+n.AdminAddr().String()+"/readyz")
		paths := paid(t, n, paidBody, "paid-cr")
		if paths['i'] == "" || paths['c'] == "" {
			t.Fatalf("%d shards: links %v", shards, paths)
		}
		expectStatus(t, n, 204, "GET", paths['i'])
		if a := expectStatus(t, n, 302, "GET", paths['c']); a.header.Get("Location") != "https://acme.example/land" {
			t.Errorf("click leads to %q", a.header.Get("Location"))
		}
		stop(t, n)
		stop(t, n) // again is nothing
		if conn, err := net.Dial("tcp", n.Addr().String()); err == nil {
			conn.Close()
			t.Error("the listener is still there")
		}
	}
	expectNoLeak(t, before)
}

// TestFailedStartLeavesNothing: whatever stops a start half-way, what had been
// started is gone, and the data folder is free for the next try.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good, before := testConfig(t), len(goroutines())
	stop(t, start(t, good))
	expectNoLeak(t, before)
	for name, spoil := range map[string]func(*Config){
		"ad port taken":    func(c *Config) { c.Listen = taken.Addr().String() },
		"admin port taken": func(c *Config) { c.Admin = taken.Addr().String() },
		"no catalog":       func(c *Config) { c.Catalog += ".missing" },
		"faulty catalog":   func(c *Config) { c.Catalog = filepath.Join(c.Data, "token.key") },
		"journal in use by a file": func(c *Config) {
			c.Data = filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(c.Data, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"other node's journal": func(c *Config) { c.NodeID = 7 },
		"invalid":              func(c *Config) { c.Shards = -1 },
	} {
		c := good
		spoil(&c)
		n, err := Start(context.Background(), c, Options{})
		if err == nil {
			stop(t, n)
			t.Errorf("%s: started", name)
			continue
		}
		t.Logf("%s: %v", name, err)
	}
	expectNoLeak(t, before)
	stop(t, start(t, good))
}

// TestRestartKeepsSpend: spend, tokens and their being billed once outlive the
// node, also when the next life has another number of shards.
func TestRestartKeepsSpend(t *testing.T) {
	c := testConfig(t)
	n := start(t, c)
	var first, late map[byte]string
	for range 4 {
		_, first = bid(t, n, paidBody)
		expectStatus(t, n, 204, "GET", first['i'])
	}
	_, late = bid(t, n, strings.Replace(paidBody, `"u1"`, `"u2"`, 1))
	if got, line := spent(t, n); got != nanos(t, "0.01") || line.Impressions != 4 || line.Wins != 5 {
		t.Fatalf("spent %s, line %+v", got, line)
	}
	stop(t, n)
	for _, shards := range []int{2, 3, 1} {
		c.Shards = shards
		n = start(t, c)
		if got, line := spent(t, n); got != nanos(t, "0.01") || line.Impressions != 0 {
			t.Fatalf("%d shards: spent %s, line %+v", shards, got, line)
		}
		// A duplicate is answered like the first, and bills nothing.
		expectStatus(t, n, 204, "GET", first['i'])
		if got, _ := spent(t, n); got != nanos(t, "0.01") {
			t.Fatalf("%d shards: spent %s after a duplicate", shards, got)
		}
		stop(t, n)
	}
	n = start(t, c)
	for range 3 {
		expectStatus(t, n, 204, "GET", late['i'])
	}
	if got, _ := spent(t, n); got != nanos(t, "0.0125") {
		t.Fatalf("spent %s after the late impression", got)
	}
	stop(t, n)
	c.Shards = 2
	n = start(t, c)
	expectStatus(t, n, 204, "GET", late['i'])
	if got, _ := spent(t, n); got != nanos(t, "0.0125") {
		t.Fatalf("spent %s: the late impression was billed in two lives", got)
	}
}

// TestKeyRotation: tokens of a key that only verifies now are good, those of a
// key that is gone are not.
func TestKeyRotation(t *testing.T) {
	c := testConfig(t)
	c.Tokens = keys(1, 1)
	n := start(t, c)
	_, a := bid(t, n, paidBody)
	_, b := bid(t, n, paidBody)
	stop(t, n)
	c.Tokens = keys(2, 1, 2)
	n = start(t, c)
	expectStatus(t, n, 204, "GET", a['i'])
	_, own := bid(t, n, paidBody)
	expectStatus(t, n, 204, "GET", own['i'])
	stop(t, n)
	c.Tokens = keys(3, 3)
	n = start(t, c)
	expectStatus(t, n, 403, "GET", b['i'])
	expectStatus(t, n, 403, "GET", own['c'])
	if got, _ := spent(t, n); got != nanos(t, "0.005") {
		t.Errorf("spent %s", got)
	}
}

// TestOwnKeyIsKept: without configured keys one is made, for good.
func TestOwnKeyIsKept(t *testing.T) {
	c := testConfig(t)
	n := start(t, c)
	_, links := bid(t, n, paidBody)
	stop(t, n)
	info, err := os.Stat(filepath.Join(c.Data, "token.key"))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Fatalf("the key's file: %v %v", info, err)
	}
	n = start(t, c)
	expectStatus(t, n, 204, "GET", links['i'])
	stop(t, n)
	if err := os.WriteFile(filepath.Join(c.Data, "token.key"), []byte("half\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := Start(context.Background(), c, Options{}); err == nil || !strings.Contains(err.Error(), "token.key") {
		if err == nil {
			stop(t, n)
		}
		t.Errorf("with a damaged key: %v", err)
	}
}

func TestReload(t *testing.T) {
	c := testConfig(t)
	n := start(t, c)
	_, before := bid(t, n, paidBody)
	writeCatalog(t, c, strings.ReplaceAll(testCatalog, "paid-cr", "new-cr"))
	if err := n.Reload(); err != nil {
		t.Fatal(err)
	}
	if crid, _ := bid(t, n, paidBody); crid != "new-cr" {
		t.Errorf("after the reload: %q", crid)
	}
	expectStatus(t, n, 204, "GET", before['i'])
	writeCatalog(t, c, strings.Replace(testCatalog, "price: 2.50", "price: many", 1))
	if err := n.Reload(); err == nil || !strings.Contains(err.Error(), "price") {
		t.Errorf("a faulty catalog: %v", err)
	}
	if a := ask(t, n, "POST", "http://"+n.AdminAddr().String()+"/reload", ""); a.status < 400 || !strings.Contains(a.body, "price") {
		t.Errorf("POST /reload of a faulty catalog: %d %s", a.status, a.body)
	}
	if crid, _ := bid(t, n, paidBody); crid != "new-cr" {
		t.Errorf("after a faulty catalog: %q", crid)
	}
	if got, _ := spent(t, n); got != nanos(t, "0.0025") {
		t.Errorf("spent %s", got)
	}
}

// TestCatalogIsWatched: with a poll interval a change is found without a call.
func TestCatalogIsWatched(t *testing.T) {
	c := testConfig(t)
	c.CatalogPoll = 100 * time.Millisecond
	n := start(t, c)
	writeCatalog(t, c, strings.ReplaceAll(testCatalog, "paid-cr", "watched-cr"))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if crid, _ := bid(t, n, paidBody); crid == "watched-cr" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the change was not found")
		}
	}
}

func TestTemporaryDataIsRemoved(t *testing.T) {
	c := testConfig(t)
	c.Data = ""
	n := start(t, c)
	folder := n.dataFolder
	if _, err := os.Stat(filepath.Join(folder, "journal")); err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", folder, err)
	}
}
