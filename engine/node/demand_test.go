package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/event"
)

// bidder is a DSP on a real socket, which bids a price on every impression.
type bidder struct {
	*httptest.Server
	price atomic.Int64 // CPM in cents; below 0: it never answers
	asked atomic.Int64
	mu    sync.Mutex
	told  []string
}

func newBidder(t testing.TB, cents int64) *bidder {
	b := &bidder{}
	b.price.Store(cents)
	stopped := make(chan struct{})
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			b.mu.Lock()
			b.told = append(b.told, r.URL.String())
			b.mu.Unlock()
			w.WriteHeader(http.StatusNoContent)
			return
		}
		b.asked.Add(1)
		var q struct {
			ID   string
			TMax int
			At   int
			Imp  []struct{ ID string }
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		price := b.price.Load()
		switch {
		case err != nil || q.TMax < 1 || q.At != 1 || len(q.Imp) == 0:
			http.Error(w, "what?", http.StatusBadRequest)
			return
		case price < 0:
			select {
			case <-r.Context().Done():
			case <-stopped:
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":%q,"seatbid":[{"seat":"seat","bid":[{"id":"b1","impid":%q,"price":%d.%02d,"crid":"theirs","adm":"<i>${AUCTION_PRICE}</i>","adomain":["brand.example"],"nurl":"%s/nurl?p=${AUCTION_PRICE}","burl":"%s/burl?p=${AUCTION_PRICE}"}]}]}`,
			q.ID, q.Imp[0].ID, price/100, price%100, b.URL, b.URL)
	}))
	t.Cleanup(func() { close(stopped); b.Close() })
	return b
}

// heard waits until the bidder was told something that begins so, and returns all
// that does.
func (b *bidder) heard(prefix string) (found []string) {
	for range 500 {
		b.mu.Lock()
		for _, u := range b.told {
			if strings.HasPrefix(u, prefix) {
				found = append(found, u)
			}
		}
		b.mu.Unlock()
		if len(found) > 0 {
			return found
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// demandConfig is a node that asks the bidders.
func demandConfig(t testing.TB, bidders ...*bidder) Config {
	c := testConfig(t)
	c.Demand.File = filepath.Join(c.Data, "demand.yaml")
	c.Demand.Poll = 0
	c.Demand.Notices.Private = true
	writeDemand(t, c, bidders...)
	return c
}

// writeDemand gives everybody time: what a busy machine does to a call is no
// matter of these tests.
func writeDemand(t testing.TB, c Config, bidders ...*bidder) {
	t.Helper()
	text := "deadlines: {hard: 2s, tmax: 3s, soft: []}\nexplore: {share: 0}\nbreaker: {errors: 1, p95: 1m}\npartners:\n"
	for i, b := range bidders {
		text += fmt.Sprintf("  - {id: p%d, tier: 1, endpoints: [{url: %s/bid}], timeout: {min: 1s, max: 2s}}\n", i, b.URL)
	}
	if err := os.WriteFile(c.Demand.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wins asks until the creative wins: connections are made beside the requests.
func wins(t testing.TB, n *Node, crid string) reply {
	t.Helper()
	for range 200 {
		a := ask(t, n, "POST", "/openrtb2/auction", paidBody, "Content-Type: application/json")
		if strings.Contains(a.body, `"crid":"`+crid+`"`) {
			return a
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s never won", crid)
	return reply{}
}

func pathOf(t testing.TB, body, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `"`+name+`":"http://`)
	if !ok {
		t.Fatalf("no %s in %s", name, body)
	}
	_, rest, _ = strings.Cut(rest, "/")
	path, _, _ := strings.Cut(rest, `"`)
	return "/" + path
}

// TestDemand: a bidder on a real socket wins, its markup is passed on, and it is
// told when we are.
func TestDemand(t *testing.T) {
	before := len(goroutines())
	low, high := newBidder(t, 300), newBidder(t, 350)
	n := start(t, demandConfig(t, low, high))
	a := wins(t, n, "theirs")
	for tries := 0; tries < 2000 && !strings.Contains(a.body, `"price":3.5`); tries++ {
		wait(5) // the dearer one's connection takes its time
		a = wins(t, n, "theirs")
	}
	if !strings.Contains(a.body, `"adm":"<i>3.5</i>"`) || !strings.Contains(a.body, `"seat":"seat"`) {
		t.Errorf("%s", a.body)
	}
	nurl, burl := pathOf(t, a.body, "nurl"), pathOf(t, a.body, "burl")
	expectStatus(t, n, 204, "GET", strings.Replace(nurl, "${AUCTION_PRICE}", "3.4", 1))
	for range 3 {
		expectStatus(t, n, 204, "GET", strings.Replace(burl, "${AUCTION_PRICE}", "3.4", 1))
	}
	if told := high.heard("/nurl"); len(told) != 1 || told[0] != "/nurl?p=3.5" {
		t.Errorf("win notices %v", told)
	}
	if told := high.heard("/burl"); len(told) != 1 || told[0] != "/burl?p=3.5" {
		t.Errorf("billing notices %v", told)
	}
	expectStatus(t, n, 403, "GET", burl[:len("/e/i?t=")+20]+"AAAA"+burl[len("/e/i?t=")+24:])
	s, err := n.Demand(context.Background())
	if err != nil || len(s.Partners) != 2 || s.Partners[1].Wins == 0 || s.Waiting != 0 {
		t.Errorf("%v %+v", err, s)
	}
	if s := n.demand.notices.Status(event.Billed); s.Done != 1 {
		t.Errorf("%+v", s)
	}
	if a := ask(t, n, "GET", "http://"+n.AdminAddr().String()+"/demand", ""); a.status != 200 || !strings.Contains(a.body, `"name": "p1"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	stop(t, n)
	low.CloseClientConnections()
	high.CloseClientConnections()
	low.Close()
	high.Close()
	expectNoLeak(t, before)
}

// TestDemandReload: a new file serves without a restart, a faulty one changes
// nothing.
func TestDemandReload(t *testing.T) {
	one, two := newBidder(t, 300), newBidder(t, 900)
	c := demandConfig(t, one)
	n := start(t, c)
	wins(t, n, "theirs")
	if err := os.WriteFile(c.Demand.File, []byte("partners: [{id: x}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.Reload(); err == nil || !strings.Contains(err.Error(), "endpoints") {
		t.Errorf("a faulty file: %v", err)
	}
	if s, err := n.Demand(context.Background()); err != nil || s.LastRefusal == "" || s.Version != 1 {
		t.Errorf("%v %+v", err, s)
	}
	wins(t, n, "theirs")
	writeDemand(t, c, one, two)
	if err := n.Reload(); err != nil {
		t.Fatal(err)
	}
	for tries := 0; tries < 2000 && two.asked.Load() == 0; tries++ {
		wait(5)
		wins(t, n, "theirs")
	}
	if two.asked.Load() == 0 {
		t.Fatal("the new bidder was never asked")
	}
	if s, err := n.Demand(context.Background()); err != nil || s.LastRefusal != "" || s.Version != 2 || len(s.Partners) != 2 {
		t.Errorf("%v %+v", err, s)
	}
}

// TestDemandStopWhileAuctionsWait: whoever waits is answered, by our own line.
func TestDemandStopWhileAuctionsWait(t *testing.T) {
	before := len(goroutines())
	silent := newBidder(t, -1)
	n := start(t, demandConfig(t, silent))
	const clients = 8
	answers := make(chan string, clients)
	for tries := 0; tries < 2000 && silent.asked.Load() == 0; tries++ {
		// Until the connection is there requests are not parked.
		go func() {
			resp, err := client.Post("http://"+n.Addr().String()+"/openrtb2/auction", "application/json", strings.NewReader(paidBody))
			if err != nil {
				return
			}
			_ = resp.Body.Close()
		}()
		wait(5)
	}
	for i := range clients {
		go func() {
			body := strings.Replace(paidBody, "u1", fmt.Sprint("u", i), 1)
			resp, err := client.Post("http://"+n.Addr().String()+"/openrtb2/auction", "application/json", strings.NewReader(body))
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			answers <- fmt.Sprint(resp.StatusCode, err, string(text))
		}()
	}
	for s, err := n.Demand(context.Background()); err == nil && s.Waiting < clients && len(answers) == 0; s, err = n.Demand(context.Background()) {
		wait(2) // or the machine is slower than the bidders' deadline
	}
	stop(t, n)
	for range clients {
		if a := <-answers; !strings.HasPrefix(a, "200 <nil>") && !strings.HasPrefix(a, "204 <nil>") {
			t.Errorf("%s", a)
		}
	}
	silent.CloseClientConnections()
	silent.Close()
	expectNoLeak(t, before)
}
