package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/netio/admin"
)

// testCatalog has a line that pays by impression from a budget, one that pays
// by click, and a house ad below them.
const testCatalog = `
advertisers:
  - id: acme
    name: Acme
    domain: acme.example
    campaigns:
      - id: spring
        currency: USD
        time_zone: UTC
        budget: {daily: 100, pacing: asap}
        line_items:
          - id: paid
            price: 2.50
            creatives: [{id: paid-cr, size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://acme.example/land"}]
          - id: clicks
            pricing: cpc
            price: 0.40
            creatives: [{id: clicks-cr, size: 728x90, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://acme.example/c", ctr: 0.01}]
          - id: house
            kind: house
            creatives: [{id: house-cr, size: 300x250, html: '<b>house</b>', landing: "https://acme.example/"}]
`

const paidBody = `{"id":"r1","imp":[{"id":"1","banner":{"w":300,"h":250}}],"user":{"id":"u1"}}`

// testConfig is a small node on free ports with a data folder of its own.
func testConfig(t testing.TB) Config {
	c := Default()
	c.Listen, c.Admin = "127.0.0.1:0", "127.0.0.1:0"
	c.Data = t.TempDir()
	c.Catalog = filepath.Join(c.Data, "catalog.yaml")
	c.CatalogPoll = 0
	c.Shards = 2
	c.Shard.FrequencySlots = 4096
	c.Shard.UserSlots = 4096
	c.Budget.JournalSegment = 1 << 20
	c.Limits.Connections, c.Limits.InFlight = 256, 256
	writeCatalog(t, c, testCatalog)
	return c
}

func writeCatalog(t testing.TB, c Config, text string) {
	t.Helper()
	if err := os.WriteFile(c.Catalog, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start brings a node up and stops it at the end of the test.
func start(t testing.TB, c Config) *Node {
	t.Helper()
	n, err := Start(context.Background(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func stop(t testing.TB, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// reply is an answer as a client sees it.
type reply struct {
	status int
	header http.Header
	body   string
}

// one connection a request, and redirects are not followed: nothing outlives a
// test.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       10 * time.Second,
}

// ask sends a request to the node; headers are "Name: value".
func ask(t testing.TB, n *Node, method, path, body string, headers ...string) reply {
	t.Helper()
	url := path
	if !strings.HasPrefix(path, "http://") {
		url = "http://" + n.Addr().String() + path
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

var (
	bidCRID     = regexp.MustCompile(`"crid":"([^"]+)"`)
	trackingURL = regexp.MustCompile(`http://[^/"\\]+(/e/[icv]\?t=[A-Za-z0-9_-]+)`)
)

// bid sends the request and returns the creative and the tracking paths, by
// kind letter, of its first bid; "" for none.
func bid(t testing.TB, n *Node, body string) (crid string, paths map[byte]string) {
	t.Helper()
	a := ask(t, n, "POST", "/openrtb2/auction", body, "Content-Type: application/json")
	if a.status == 204 {
		return "", nil
	}
	if a.status != 200 || !json.Valid([]byte(a.body)) {
		t.Fatalf("bid: %d %s", a.status, a.body)
	}
	paths = map[byte]string{}
	for _, m := range trackingURL.FindAllStringSubmatch(a.body, -1) {
		paths[m[1][3]] = m[1]
	}
	if m := bidCRID.FindStringSubmatch(a.body); m != nil {
		crid = m[1]
	}
	return crid, paths
}

// paid bids until the paid line answers: a shard's first request may find the
// money of the first lease on the other shards, and ask for its share.
func paid(t testing.TB, n *Node, body, crid string) map[byte]string {
	t.Helper()
	for range 100 {
		got, paths := bid(t, n, body)
		if got == crid {
			return paths
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s never won", crid)
	return nil
}

func expectStatus(t testing.TB, n *Node, want int, method, path string) reply {
	t.Helper()
	a := ask(t, n, method, path, "")
	if a.status != want {
		t.Errorf("%s %.40s…: %d %s, want %d", method, path, a.status, a.body, want)
	}
	return a
}

// spent is what the campaign has spent in all, and the impressions its paid
// line counted in this life.
func spent(t testing.TB, n *Node) (total string, line admin.LineStatus) {
	t.Helper()
	list, err := n.Campaigns(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list[0].Lines {
		if l.Name == "paid" {
			line = l
		}
	}
	return fmt.Sprint(list[0].Budget.SpentTotal), line
}

func nanos(t testing.TB, text string) string {
	t.Helper()
	v, err := unit.ParseNanos(text)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(admin.Amount(v))
}

// once are what libraries start once for a process, and never end: netpoll its
// pollers, hertz the clock of its Date header.
var once = []string{"netpoll.(*manager).Run", "hertz/pkg/protocol.UpdateServerDate"}

// goroutines are the stacks of those that a node may have started.
func goroutines() (stacks []string) {
	buf := make([]byte, 4<<20)
	for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !slices.ContainsFunc(once, func(name string) bool { return strings.Contains(s, name) }) {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

// expectNoLeak waits for goroutines that are ending, and fails when more than
// before are left.
func expectNoLeak(t testing.TB, before int) {
	t.Helper()
	left := goroutines()
	for end := time.Now().Add(5 * time.Second); len(left) > before && time.Now().Before(end); left = goroutines() {
		time.Sleep(5 * time.Millisecond)
	}
	if len(left) > before {
		t.Errorf("%d goroutines before, %d after:\n%s", before, len(left), strings.Join(left, "\n\n"))
	}
}

func wait(ms int) { time.Sleep(time.Duration(ms) * time.Millisecond) }

func keys(active int, ids ...int) TokensConfig {
	c := Default().Tokens
	c.Active = active
	for _, id := range ids {
		c.Keys = append(c.Keys, TokenKey{ID: id, Secret: NewSecret(strings.Repeat(fmt.Sprint(id%10), 40))})
	}
	return c
}
