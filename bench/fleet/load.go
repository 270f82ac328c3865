package fleet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/bench/blackbox"
	"millrace/codec/event"
)

// Key is one event.
type Key struct {
	Win  event.WinID
	Kind event.Kind
}

// Log is the clients' own account of the billable events.
type Log struct {
	mu    sync.Mutex
	sent  map[Key]event.Token
	acked map[Key]bool

	Auctions, Bids, Failed atomic.Int64
	// fresh is, by node, when the latest auction was asked for of which a paid
	// impression was acknowledged.
	fresh [nodesMax]atomic.Int64
}

// nodesMax is how many nodes a log can tell apart.
const nodesMax = 16

func newLog() *Log { return &Log{sent: map[Key]event.Token{}, acked: map[Key]bool{}} }

// PaidSince reports whether the node won, after that moment, something that was
// then shown and billed.
func (l *Log) PaidSince(node int, t time.Time) bool { return l.fresh[node].Load() > t.UnixNano() }

// client is one worker at one node. The pause is per round: the test looks for
// faults, not for speed.
type client struct {
	*blackbox.Client
	log  *Log
	node int

	countries []string
	signer    *event.Signer
	random    *rand.Rand
	pause     time.Duration
	asked     time.Time // the auction under way
}

// Load starts so many workers a node; stop ends them and waits.
func (f *Fleet) Load(workers int, pause time.Duration) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for _, n := range f.Nodes {
		for w := range workers {
			c := &client{
				Client: n.Server.NewClient(), log: f.Log, node: n.ID, countries: f.countries, signer: blackbox.NewSigner(), random: rand.New(rand.NewPCG(uint64(n.ID), uint64(w))), pause: pause,
			}
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-quit:
						return
					case <-time.After(c.pause):
					}
					if !c.round(fmt.Sprintf("%d-%d-%d", n.ID, w, i)) {
						f.Log.Failed.Add(1)
						time.Sleep(20 * time.Millisecond) // the node is down
					}
				}
			})
		}
	}
	return sync.OnceFunc(func() { close(quit); wg.Wait() })
}

// round is an auction and what a browser does with the answer. A node that is
// being killed fails it; nothing may come of that but what the judge sees.
func (c *client) round(id string) bool {
	request := blackbox.BannerRequest(id, fmt.Sprint("user-", c.random.IntN(5000)), c.countries[c.random.IntN(len(c.countries))])
	c.asked = time.Now()
	a, err := c.Auction(request)
	c.log.Auctions.Add(1)
	if err != nil || a.Status >= 500 {
		return false
	}
	if a.Status != 200 {
		return true
	}
	var r openrtb2.BidResponse
	if json.Unmarshal(a.Body, &r) != nil {
		return false
	}
	for _, seat := range r.SeatBid {
		for i := range seat.Bid {
			c.log.Bids.Add(1)
			tracking := blackbox.TrackingURLs(seat.Bid[i].AdM)
			if c.random.IntN(10) == 0 {
				continue // never shown
			}
			ok := c.fire(tracking.Impressions, event.Impression)
			if ok && c.random.IntN(3) == 0 {
				ok = c.fire(tracking.Clicks, event.Click)
			}
			if !ok {
				return false
			}
		}
	}
	return true
}

// fire sends beacons, one in ten twice, writing them down before and after.
func (c *client) fire(urls []string, kind event.Kind) bool {
	for _, url := range urls {
		token, err := blackbox.ReadToken(c.signer, url, kind)
		if err != nil {
			return false
		}
		k := Key{token.Win, kind}
		c.log.send(k, token)
		for range 1 + c.random.IntN(10)/9 {
			a, err := c.Beacon(url)
			if err != nil || !a.Acknowledged() {
				return false
			}
		}
		c.log.acknowledge(k, token, c.node, c.asked)
	}
	return true
}

func (l *Log) send(k Key, t event.Token) {
	if !t.Billable {
		return
	}
	l.mu.Lock()
	l.sent[k] = t
	l.mu.Unlock()
}

func (l *Log) acknowledge(k Key, t event.Token, node int, asked time.Time) {
	if !t.Billable {
		return
	}
	l.mu.Lock()
	l.acked[k] = true
	l.mu.Unlock()
	if k.Kind == event.Impression {
		l.fresh[node].Store(asked.UnixNano())
	}
}
