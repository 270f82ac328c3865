package blackbox

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"millrace/codec/unit"
)

// hotLines are two versions of one catalog: the creative's name tells which one
// answered.
func hotLines(version int) []Line {
	return []Line{
		{Name: "paid", Price: "3", Total: "1000", Creative: fmt.Sprint("paid-v", version)},
		{Name: fmt.Sprint("extra-", version%2), Price: "1", Total: "10"},
		{Name: "own", Kind: "house"},
	}
}

// TestReloadUnderLoad swaps the catalog by every documented way while clients
// keep asking; not one request may be dropped, refused or answered wrongly, and
// every version is served soon.
func TestReloadUnderLoad(t *testing.T) {
	file := NewCatalogFile(t, hotLines(0)...)
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(file, "catalog_poll: 100ms")})
	tr := &traffic{log: newBeaconLog(), countries: []string{"USA"}, workers: 3, pause: time.Millisecond, failed: failTest(t)}
	stop := tr.run(s, 1)
	defer stop()
	c := s.NewClient()
	reloads := []struct {
		name string
		do   func()
	}{
		{"POST /reload", func() {
			if code, body := s.Reload(); code != 200 {
				t.Errorf("POST /reload: status %d %s", code, body)
			}
		}},
		{"SIGHUP", func() { s.Signal(syscall.SIGHUP) }},
		{"file change", func() {}},
	}
	for version := 1; version <= Size(t, "MILLRACE_RELOADS", 9, 100); version++ {
		how := reloads[version%len(reloads)]
		WriteFile(t, file, Catalog(hotLines(version)...))
		how.do()
		want := fmt.Sprint("paid-v", version)
		waitFor(t, "creative "+want+" after "+how.name, func() bool {
			bids := auctionBids(t, c, BannerRequest("probe", "prober", "USA"))
			return len(bids) == 1 && bids[0].CrID == want
		})
	}
	refuseFaulty(t, s, c, file)
	stop()
	if tr.auctions.Load() < 100 {
		t.Errorf("only %d auctions ran beside the reloads", tr.auctions.Load())
	}
	t.Logf("%d auctions, %d beacons, none dropped", tr.auctions.Load(), tr.beacons.Load())
	s.Stop()
}

// refuseFaulty: a catalog with faults is refused with all of them, and the old
// one goes on.
func refuseFaulty(t *testing.T, s *Server, c *Client, file string) {
	t.Helper()
	before := firstBids(t, c, BannerRequest("before", "prober", "USA"))
	broken := strings.NewReplacer("price: 3", "prise: 3", "size: 300x250", "size: wide").Replace(Catalog(hotLines(1)...))
	WriteFile(t, file, broken)
	code, body := s.Reload()
	if code != 422 || !strings.Contains(body, "prise") || !strings.Contains(body, "wide") {
		t.Errorf("POST /reload of a faulty catalog: status %d %s; want 422 naming both faults", code, body)
	}
	after := firstBids(t, c, BannerRequest("after", "prober", "USA"))
	if after[0].CrID != before[0].CrID {
		t.Errorf("after a refused reload %q is served, before it %q", after[0].CrID, before[0].CrID)
	}
}

// failTest: no request may fail.
func failTest(t *testing.T) func(string, Answer, error) bool {
	return func(what string, a Answer, err error) bool {
		t.Errorf("%s: status %d %s: %v", what, a.Status, head(a.Body), err)
		return false // one report a worker is enough
	}
}

// waitFor polls until it holds. The bound is on a hang, not a claim of speed.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("waited 30 s for %s", what)
}

// TestMixed is everything at once: auctions, beacons, reloads by three ways,
// clean restarts and kills. Built with the race detector, so is the server; its
// log is searched for reports at every end of a life.
func TestMixed(t *testing.T) {
	length := time.Duration(Size(t, "MILLRACE_MIXED", 6, 60)) * time.Second
	file := NewCatalogFile(t, hotLines(0)...)
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(file, "catalog_poll: 200ms")})
	until := time.Now().Add(length)
	tr := &traffic{log: newBeaconLog(), countries: []string{"USA", "DEU"}, workers: 4, pause: time.Millisecond, hold: 20}
	lives := 0
	for version := 1; time.Now().Before(until); lives++ {
		tr.failed = tolerateDeath(t, s)
		stop := tr.run(s, uint64(lives))
		end := time.Now().Add(2 * time.Second)
		for ; time.Now().Before(end); version++ {
			WriteFile(t, file, Catalog(hotLines(version)...))
			if version%2 == 0 {
				s.Signal(syscall.SIGHUP)
			} else if code, body := s.Reload(); code != 200 && code != 202 {
				t.Errorf("POST /reload: %d %s", code, body)
			}
			for _, page := range []string{"/metrics", "/campaigns", "/shards", "/config"} {
				if code, body, err := get(s.Admin + page); err != nil || code != 200 {
					t.Errorf("GET %s: %d %s, %v", page, code, head(body), err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if lives%3 == 2 {
			s.Kill()
			stop()
		} else {
			stop()
			s.Stop()
		}
		if t.Failed() {
			return
		}
		s = s.Restart()
	}
	s.Stop()
	acked, sent := tr.log.totals()
	t.Logf("%d lives, %d auctions, %d beacons; acknowledged %v of %v sent", lives, tr.auctions.Load(), tr.beacons.Load(),
		sumOf(acked), sumOf(sent))
	if tr.auctions.Load() < 50 {
		t.Errorf("only %d auctions: the traffic proves little", tr.auctions.Load())
	}
}

func sumOf(amounts map[unit.CampaignID]unit.Nanos) (sum unit.Nanos) {
	for _, a := range amounts {
		sum += a
	}
	return sum
}
