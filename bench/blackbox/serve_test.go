package blackbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prebid/openrtb/v20/openrtb2"
)

// With no arguments but addresses the demo catalog bids on a plain 300×250
// request from any country, and the whole way works: answer, impression, click,
// spend.
func TestDemoServesEndToEnd(t *testing.T) {
	s := Start(t, Options{})
	c := s.NewClient()
	for _, country := range []string{"USA", "DEU", "JPN", "BRA", "ZAF"} {
		request := BannerRequest("demo-"+country, "u-"+country, country)
		firstBids(t, c, request)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if a, err := c.Get(path); err != nil || a.Status != 200 {
			t.Errorf("GET %s: %d, %v", path, a.Status, err)
		}
	}
	if len(s.Metrics()) < 20 {
		t.Errorf("GET /metrics has only %d names", len(s.Metrics()))
	}
	if len(s.Campaigns()) == 0 {
		t.Error("GET /campaigns lists none")
	}
	s.Stop()
}

// An impression is billed once, a click leads to the landing page, and both are
// counted.
func TestImpressionAndClickAreCounted(t *testing.T) {
	line := Line{Name: "paid", Price: "4", Total: "100"}
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(NewCatalogFile(t, line))})
	c := s.NewClient()
	bids := firstBids(t, c, BannerRequest("r1", "u1", "USA"))
	if len(bids) != 1 || bids[0].Price != 4 || bids[0].CrID != "paid-banner" {
		t.Fatalf("%+v, want one bid of 4 for paid-banner", bids)
	}
	tracking := TrackingURLs(bids[0].AdM)
	for range 3 { // the browser reloads: one impression
		if a, err := c.Beacon(tracking.Impressions[0]); err != nil || !a.Acknowledged() {
			t.Fatalf("impression: %d, %v", a.Status, err)
		}
	}
	if len(tracking.Clicks) == 0 {
		t.Fatalf("no click URL in %s", bids[0].AdM)
	}
	a, err := c.Beacon(tracking.Clicks[0])
	if err != nil || a.Status != 302 || a.Header.Get("Location") != line.Landing() {
		t.Fatalf("click: %d to %q, %v; want 302 to %q", a.Status, a.Header.Get("Location"), err, line.Landing())
	}
	if got := s.Spent("paid"); got != 4_000_000 {
		t.Errorf("spent %v, want 0.004: one impression at a CPM of 4", got)
	}
	status := s.Campaigns()["paid"].Lines[0]
	if status.Wins != 1 || status.Impressions != 1 || status.Clicks != 1 {
		t.Errorf("wins %d, impressions %d, clicks %d; want 1 each", status.Wins, status.Impressions, status.Clicks)
	}
	s.Stop()
}

// A test request is answered, and never billed.
func TestTestTrafficIsNotBilled(t *testing.T) {
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(NewCatalogFile(t, Line{Name: "paid", Price: "4", Total: "100"}))})
	c := s.NewClient()
	request := []byte(strings.Replace(string(BannerRequest("r1", "u1", "USA")), `"at":1`, `"at":1,"test":1`, 1))
	for _, bid := range firstBids(t, c, request) {
		for _, u := range TrackingURLs(bid.AdM).Impressions {
			if a, err := c.Beacon(u); err != nil || !a.Acknowledged() {
				t.Errorf("impression: %d, %v", a.Status, err)
			}
		}
	}
	if got := s.Spent("paid"); got != 0 {
		t.Errorf("a test request cost %v", got)
	}
	s.Stop()
}

// House ads fill when no paid line can, and cost nothing; without one, 204.
func TestHouseAdThenNoFill(t *testing.T) {
	const affordable = 40
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(NewCatalogFile(t,
		Line{Name: "own", Kind: "house", Country: "DEU"},
		Line{Name: "paid", Price: "1", Total: "0.04", Country: "DEU"}))})
	c := s.NewClient()
	won := map[string]int{}
	// The last pennies travel between shards, so some requests before the end
	// find none: ask on until they are spent.
	for i := 0; won["paid-banner"] < affordable; i++ {
		if i == 20_000 {
			t.Fatalf("after %d requests %d impressions of %d are sold", i, won["paid-banner"], affordable)
		}
		won[winAndShow(t, c, i)]++
	}
	for i := range 200 {
		if crid := winAndShow(t, c, i); crid != "own-banner" {
			t.Fatalf("with the budget gone, %q fills; want the house ad", crid)
		}
	}
	if got := s.Spent("paid"); got != affordable*1_000_000 {
		t.Errorf("spent %v, want 0.04", got)
	}
	if a, err := c.Auction(BannerRequest("r", "u", "FRA")); err != nil || a.Status != 204 {
		t.Errorf("nothing targets FRA: status %d, %v; want 204", a.Status, err)
	}
	s.Stop()
}

// winAndShow runs an auction from DEU, fires its impression, and tells the crid.
func winAndShow(t *testing.T, c *Client, i int) string {
	t.Helper()
	bids := auctionBids(t, c, BannerRequest("r", fmt.Sprint("u", i), "DEU"))
	if len(bids) != 1 {
		t.Fatalf("request %d: %d bids; the house ad fills always", i, len(bids))
	}
	a, err := c.Beacon(TrackingURLs(bids[0].AdM).Impressions[0])
	if err != nil || !a.Acknowledged() {
		t.Fatalf("impression %d: %d, %v", i, a.Status, err)
	}
	return bids[0].CrID
}

// firstBids asks until there is a bid: a shard's first request for a campaign
// may come before its share of the budget does.
func firstBids(t *testing.T, c *Client, request []byte) []openrtb2.Bid {
	t.Helper()
	for range 500 {
		if bids := auctionBids(t, c, request); len(bids) > 0 {
			return bids
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no bid in 500 tries for %s", request)
	return nil
}

// Answers to pipelined requests leave in the order of the requests, whichever
// shard made them.
func TestPipelinedAnswersKeepOrder(t *testing.T) {
	s := Start(t, Options{Data: t.TempDir(), Args: []string{"--shards", "3"},
		Config: Settings(NewCatalogFile(t, Line{Name: "own", Kind: "house"}))})
	conn, err := net.DialTimeout("tcp", s.Listen, RawTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(RawTimeout))
	const requests = 300
	go func() {
		for i := range requests {
			_, _ = conn.Write(Post(BannerRequest(fmt.Sprint("pipe-", i), fmt.Sprint("user-", i), "USA"), contentJSON))
		}
	}()
	in := bufio.NewReader(conn)
	for i := range requests {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		var answer openrtb2.BidResponse
		err = json.NewDecoder(resp.Body).Decode(&answer)
		_ = resp.Body.Close()
		if want := fmt.Sprint("pipe-", i); resp.StatusCode != 200 || err != nil || answer.ID != want {
			t.Fatalf("answer %d: status %d, id %q, %v; want %q", i, resp.StatusCode, answer.ID, err, want)
		}
	}
	s.Stop()
}

// What is wrong with flags, files or the machine is said before anything is
// served: an exit code, the field and the remedy, all faults at once.
func TestStartFaults(t *testing.T) {
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(NewCatalogFile(t, Line{Name: "own", Kind: "house"}))})
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		WriteFile(t, path, text)
		return path
	}
	badCatalog := file("catalog.yaml", strings.Replace(Catalog(Line{Name: "x", Price: "1", Total: "1"}), "price: 1", "price: -1\n            prise: 2", 1))
	free := []string{"--listen", freeAddress(t), "--admin", freeAddress(t)}
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"unknown keys", append(free, "--config", file("a.yaml", "lisen: 1\nlimits: {imps: -1}\n")), []string{"lisen", "listen", "limits.imps"}},
		{"no such config file", append(free, "--config", "/nonexistent/millrace.yaml"), []string{"/nonexistent/millrace.yaml"}},
		{"faulty catalog", append(free, "--config", file("b.yaml", Settings(badCatalog))), []string{"price", "prise", "catalog.yaml"}},
		{"port in use", []string{"--listen", s.Listen, "--admin", freeAddress(t)}, []string{s.Listen}},
		{"data in use", append(free, "--data", s.opt.Data), []string{s.opt.Data}},
		{"unknown flag", []string{"--lisen", "x"}, []string{"lisen"}},
		{"shards", append(free, "--shards", "-1"), []string{"shards"}},
	} {
		code, output := Run(t, append([]string{"serve"}, c.args...)...)
		if code <= 0 {
			t.Errorf("%s: exit %d\n%s", c.name, code, output)
		}
		for _, word := range c.says {
			if !strings.Contains(output, word) {
				t.Errorf("%s: the output does not name %q:\n%s", c.name, word, output)
			}
		}
		if strings.Contains(output, "panic") || strings.Contains(output, "goroutine ") {
			t.Errorf("%s: a stack is no explanation:\n%s", c.name, output)
		}
	}
	s.Stop()
}
