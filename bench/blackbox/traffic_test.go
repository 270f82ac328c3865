package blackbox

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// bidsOf decodes a 200's bids.
func bidsOf(a Answer) ([]openrtb2.Bid, error) {
	var r openrtb2.BidResponse
	if err := json.Unmarshal(a.Body, &r); err != nil {
		return nil, err
	}
	var bids []openrtb2.Bid
	for _, seat := range r.SeatBid {
		bids = append(bids, seat.Bid...)
	}
	return bids, nil
}

// auctionBids runs one auction that must be answered, and checks the answer.
func auctionBids(t *testing.T, c *Client, request []byte) []openrtb2.Bid {
	t.Helper()
	a, err := c.Auction(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckAnswer(request, a); err != nil {
		t.Fatal(err)
	}
	if a.Status == 204 {
		return nil
	}
	bids, err := bidsOf(a)
	if err != nil {
		t.Fatal(err)
	}
	return bids
}

// win is one tracking URL that a test got, by what the token says of it.
type win struct {
	id   event.WinID
	kind event.Kind
}

// beaconLog is the client's own account of what it sent and what was
// acknowledged, kept apart from the server. Only billable events are in it.
type beaconLog struct {
	mu    sync.Mutex
	sent  map[win]beacon
	acked map[win]bool
	held  []string // impression URLs kept back for the next life of the server
}

// beacon is a tracking URL and what its token says.
type beacon struct {
	event.Token
	url string
}

func newBeaconLog() *beaconLog {
	return &beaconLog{sent: map[win]beacon{}, acked: map[win]bool{}}
}

// fire sends one beacon, writing it down before and after.
func (l *beaconLog) fire(c *Client, signer *event.Signer, url string, kind event.Kind) (Answer, error) {
	token, err := ReadToken(signer, url, kind)
	if err != nil {
		return Answer{}, fmt.Errorf("unreadable: %w", err)
	}
	return l.send(c, beacon{token, url})
}

// send is fire with the token read. Safe for several goroutines.
func (l *beaconLog) send(c *Client, b beacon) (Answer, error) {
	w := win{b.Win, b.Kind}
	if b.Billable {
		l.mu.Lock()
		l.sent[w] = b
		l.mu.Unlock()
	}
	a, err := c.Beacon(b.url)
	if err == nil && a.Acknowledged() && b.Billable {
		l.mu.Lock()
		l.acked[w] = true
		l.mu.Unlock()
	}
	return a, err
}

// fireTogether sends one beacon several times at once: whichever copy is
// acknowledged, the event must be safe by then.
func (l *beaconLog) fireTogether(c *Client, signer *event.Signer, url string, kind event.Kind, copies int) (Answer, error) {
	token, err := ReadToken(signer, url, kind)
	if err != nil {
		return Answer{}, fmt.Errorf("unreadable: %w", err)
	}
	type result struct {
		a   Answer
		err error
	}
	results := make(chan result, copies)
	for range copies {
		go func() {
			a, err := l.send(c, beacon{token, url})
			results <- result{a, err}
		}()
	}
	var last result
	for range copies {
		if r := <-results; last.err == nil && (last.a.Status == 0 || last.a.Acknowledged()) {
			last = r // the first that failed, else any
		}
	}
	return last.a, last.err
}

// again is what clients send to the next life of the server: what was kept
// back, what was never acknowledged, and some of what was (a retry whose answer
// got lost, a page reloaded, a fraud).
func (l *beaconLog) again(acknowledged int) (impressions, clicks []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	impressions, l.held = l.held, nil
	for w, b := range l.sent {
		if l.acked[w] {
			if acknowledged--; acknowledged < 0 {
				continue
			}
		}
		if w.kind == event.Click {
			clicks = append(clicks, b.url)
		} else {
			impressions = append(impressions, b.url)
		}
	}
	return impressions, clicks
}

// totals sums the prices of acknowledged and of sent billable events by campaign.
func (l *beaconLog) totals() (acked, sent map[unit.CampaignID]unit.Nanos) {
	l.mu.Lock()
	defer l.mu.Unlock()
	acked, sent = map[unit.CampaignID]unit.Nanos{}, map[unit.CampaignID]unit.Nanos{}
	for w, token := range l.sent {
		sent[token.Campaign] += token.Price
		if l.acked[w] {
			acked[token.Campaign] += token.Price
		}
	}
	return acked, sent
}

// traffic is a mix of auctions, impressions, repeated impressions and clicks.
type traffic struct {
	log       *beaconLog
	countries []string
	workers   int
	// pause between a worker's rounds: the test looks for faults, not for speed.
	pause time.Duration
	// hold keeps one impression in so many back, for later; 0 none.
	hold int
	// failed is told of every request that was not answered as it must be;
	// false ends the worker.
	failed func(what string, a Answer, err error) bool

	auctions, bids, beacons atomic.Int64
}

// run starts the workers; stop ends them and waits.
func (tr *traffic) run(s *Server, seed uint64) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for w := range tr.workers {
		c := s.NewClient()
		r := rand.New(rand.NewPCG(seed, uint64(w)))
		wg.Go(func() {
			signer := NewSigner()
			for n := 0; ; n++ {
				select {
				case <-quit:
					return
				case <-time.After(tr.pause):
				}
				if !tr.round(c, signer, r, fmt.Sprintf("%d-%d-%d", seed, w, n)) {
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(quit); wg.Wait() })
}

func (tr *traffic) round(c *Client, signer *event.Signer, r *rand.Rand, id string) bool {
	request := BannerRequest(id, fmt.Sprint("user-", r.IntN(500)), tr.countries[r.IntN(len(tr.countries))])
	a, err := c.Auction(request)
	tr.auctions.Add(1)
	if err != nil {
		return tr.failed("auction", a, err)
	}
	if err := CheckAnswer(request, a); err != nil {
		return tr.failed("auction", a, err)
	}
	if a.Status != 200 {
		return true
	}
	bids, err := bidsOf(a)
	if err != nil {
		return tr.failed("auction", a, err)
	}
	for i := range bids {
		tr.bids.Add(1)
		tracking := TrackingURLs(bids[i].AdM)
		if tr.hold > 0 && r.IntN(tr.hold) == 0 {
			tr.log.mu.Lock()
			tr.log.held = append(tr.log.held, tracking.Impressions...)
			tr.log.mu.Unlock()
			continue
		}
		if !tr.browse(c, signer, r, tracking) {
			return false
		}
	}
	return true
}

// browse is what a browser does with the markup: mostly shows it, at times
// twice or thrice at once, at times never; a third of those who saw it click.
func (tr *traffic) browse(c *Client, signer *event.Signer, r *rand.Rand, tracking Tracking) bool {
	fire := func(urls []string, kind event.Kind, copies int) bool {
		for _, u := range urls {
			tr.beacons.Add(int64(copies))
			if a, err := tr.log.fireTogether(c, signer, u, kind, copies); err != nil || !a.Acknowledged() {
				return tr.failed(kind.String(), a, err)
			}
		}
		return true
	}
	copies := [...]int{0, 1, 1, 1, 1, 1, 1, 2, 2, 3}[r.IntN(10)]
	if copies == 0 {
		return true
	}
	if !fire(tracking.Impressions, event.Impression, copies) {
		return false
	}
	return r.IntN(3) > 0 || fire(tracking.Clicks, event.Click, 1+r.IntN(2))
}
