package node

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/state/outbox/faultfs"
)

// TestJournalFails: when the disk takes no more, events are not acknowledged,
// nothing that costs money is served, house ads and liveness go on, and what
// had been acknowledged is there in the next life.
func TestJournalFails(t *testing.T) {
	var full atomic.Bool
	disk := faultfs.New(0, func(_ int, op, _ string) error {
		if full.Load() && (op == "WriteAt" || op == "Sync") {
			return syscall.ENOSPC
		}
		return nil
	})
	c, before := testConfig(t), len(goroutines())
	n, err := Start(context.Background(), c, Options{files: disk})
	if err != nil {
		t.Fatal(err)
	}
	counted, lost := paid(t, n, paidBody, "paid-cr"), paid(t, n, paidBody, "paid-cr")
	expectStatus(t, n, 204, "GET", counted['i'])
	full.Store(true)
	if a := expectStatus(t, n, 503, "GET", lost['i']); a.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	expectStatus(t, n, 503, "GET", lost['i'])
	expectStatus(t, n, 503, "GET", lost['c'])
	deadline := time.Now().Add(5 * time.Second)
	crid, _ := bid(t, n, paidBody)
	for crid != "house-cr" && time.Now().Before(deadline) {
		crid, _ = bid(t, n, paidBody)
	}
	if crid != "house-cr" {
		t.Errorf("with a full disk %q serves, want the house ad", crid)
	}
	expectStatus(t, n, 200, "GET", "/healthz")
	if a := expectStatus(t, n, 503, "GET", "http://"+n.AdminAddr().String()+"/readyz"); !strings.Contains(a.body, "disk is full") {
		t.Errorf("the admin server's readiness does not say why: %s", a.body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err == nil {
		t.Error("the stop says nothing of the journal")
	}
	expectNoLeak(t, before)
	full.Store(false)
	if n, err = Start(context.Background(), c, Options{files: disk.AfterCrash(1, nil)}); err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	if got, _ := spent(t, n); got != nanos(t, "0.0025") {
		t.Errorf("spent %s after the crash", got)
	}
	expectStatus(t, n, 204, "GET", counted['i'])
	expectStatus(t, n, 204, "GET", lost['i'])
	if got, _ := spent(t, n); got != nanos(t, "0.005") {
		t.Errorf("spent %s after the lost event came again", got)
	}
}

// TestJournalFailsAtStart: wherever the disk fills up on the way up, the start
// ends soon, and says why.
func TestJournalFailsAtStart(t *testing.T) {
	before := len(goroutines())
	for room := 0; ; room++ {
		writes, failed := 0, atomic.Bool{}
		disk := faultfs.New(0, func(_ int, op, _ string) error {
			if op != "WriteAt" && op != "Sync" {
				return nil
			}
			if writes++; writes <= room {
				return nil
			}
			failed.Store(true)
			return syscall.ENOSPC
		})
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		n, err := Start(ctx, testConfig(t), Options{files: disk})
		if err == nil {
			stop := n.Stop(ctx)
			if cancel(); !failed.Load() || room > 100 {
				t.Logf("a start and stop is %d writes and syncs: %v", room, stop)
				break
			}
			continue // full only after the start
		}
		cancel()
		if text := err.Error(); !strings.Contains(text, "disk is full") && !strings.Contains(text, "no space") || strings.Contains(text, "deadline") {
			t.Fatalf("full after %d writes and syncs: %v", room, err)
		}
	}
	expectNoLeak(t, before)
}
