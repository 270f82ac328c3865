package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/bench/dspfleet"
	"millrace/bench/load"
	"millrace/codec/corpus"
	"millrace/codec/openrtb"
	"millrace/codec/rulebook"
)

// player serves exchanges, one at a time: whatever the mock is asked, it gives
// the answer of the exchange in play, and notes what it was sent.
type player struct {
	*world
	before load.Metrics

	mu       sync.Mutex
	exchange corpus.Exchange // guarded by mu
	sent     []byte          // guarded by mu
	asked    int             // guarded by mu
}

func newPlayer(t *testing.T) *player {
	p := &player{exchange: corpus.Exchange{Status: 204}}
	c := dspfleet.Default(1)
	c.DSPs[0].Behaviour, _ = c.DSPs[0].Behaviour.With("latency=0")
	c.Respond = func(_ int, request []byte) (int, []byte, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.sent = bytes.Clone(request)
		p.asked++
		return p.exchange.Status, p.exchange.Response, true
	}
	p.world = newWorld(t, c, everyTime)
	// Connections are made beside the requests: the first may find none.
	n := 0
	p.until("the bidder is asked", func() bool {
		n++
		p.auction(bannerRequest(n))
		return p.askedSoFar() > 0
	})
	p.before = p.settled()
	return p
}

func (p *player) askedSoFar() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// settled are the metrics when every call has ended.
func (p *player) settled() (m load.Metrics) {
	p.until("all calls ended", func() bool {
		m = p.metrics()
		sent, _ := m.Sum(`millrace_demand_calls_total`)
		ended, _ := m.Sum(`millrace_demand_calls_ended_total`)
		return sent == ended+refusedOf(m)
	})
	return m
}

// refusedOf are the calls that never left.
func refusedOf(m load.Metrics) (n float64) {
	for k, v := range m {
		if strings.HasPrefix(k, "millrace_demand_calls_total{") && !strings.Contains(k, `"accepted"`) {
			n += v
		}
	}
	return n
}

// played is what came of an exchange.
type played struct {
	status  int
	answer  []byte
	sent    []byte         // what the bidder was sent; nil if it was not asked
	kinds   map[string]int // answers, as the node took them
	reasons map[string]int // verdicts on bids
}

// play sends the exchange's request to the node, while the mock has its answer.
func (p *player) play(x corpus.Exchange) played {
	p.t.Helper()
	p.mu.Lock()
	p.exchange, p.sent, p.asked = x, nil, 0
	p.mu.Unlock()
	out := played{kinds: map[string]int{}, reasons: map[string]int{}}
	out.status, out.answer = p.auction(withoutTMax(x.Request))
	after := p.settled()
	for name, into := range map[string]map[string]int{`millrace_demand_answers_total{result="`: out.kinds, `millrace_demand_bids_total{reason="`: out.reasons} {
		for k, v := range after {
			if label, ok := strings.CutPrefix(k, name); ok && v > p.before[k] {
				into[strings.TrimSuffix(label, `"}`)] = int(v - p.before[k])
			}
		}
	}
	p.before = after
	p.mu.Lock()
	defer p.mu.Unlock()
	out.sent = p.sent
	return out
}

// TestRecordedExchanges: each recorded answer, given to a running node by a mock
// bidder over a socket, is accepted or rejected for a reason that a second,
// naive reading of the rules gives too; what is accepted wins.
func TestRecordedExchanges(t *testing.T) {
	list := corpus.ReadExchanges(t)
	p := newPlayer(t)
	reasons, kinds := map[string]int{}, map[string]int{}
	asked, judged, won := 0, 0, 0
	for n, x := range list {
		got := p.play(x)
		if got.sent == nil {
			continue
		}
		asked++
		for k, v := range got.kinds {
			kinds[k] += v
		}
		for k, v := range got.reasons {
			reasons[k] += v
		}
		if text := got.disagreement(x); text != "" {
			t.Errorf("exchange %d: %s\nsent %s\nanswered %d %s\nthe node: %d %s", n+1, text, got.sent, x.Status, x.Response, got.status, got.answer)
		}
		judged += total(got.reasons)
		if got.reasons["accepted"] > 0 && got.status == 200 {
			won++
		}
	}
	t.Logf("%d of %d exchanges reached the bidder; answers %v; %d bids judged: %v; %d won", asked, len(list), kinds, judged, reasons, won)
	if asked < len(list)*8/10 || judged < 250 || won < 100 {
		t.Errorf("only %d asked, %d judged, %d won", asked, judged, won)
	}
}

func total(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// disagreement is what the naive reading says against the node's verdicts, "" if
// nothing.
func (g *played) disagreement(x corpus.Exchange) string {
	var req openrtb2.BidRequest
	var res openrtb2.BidResponse
	if err := json.Unmarshal(g.sent, &req); err != nil {
		return "what was sent is no bid request: " + err.Error()
	}
	bids := 0
	err := json.Unmarshal(x.Response, &res)
	for _, s := range res.SeatBid {
		bids += len(s.Bid)
	}
	switch {
	case x.Status == 204 || err == nil && x.Status == 200 && bids == 0:
		if g.kinds["no_bid"] != 1 {
			return fmt.Sprintf("a no-bid was taken for %v", g.kinds)
		}
		return ""
	case x.Status < 200 || x.Status > 299:
		if g.kinds["bad_status"] != 1 {
			return fmt.Sprintf("an error was taken for %v", g.kinds)
		}
		return ""
	case err != nil:
		// encoding/json refuses numbers in quotes and the like, the node may not.
		return ""
	case g.kinds["bids"] != 1 || total(g.reasons) != bids:
		return fmt.Sprintf("%d bids were taken for %v, %v", bids, g.kinds, g.reasons)
	}
	broken := rulebook.Judge(&req, &res, &rulebook.Policy{Rates: map[string]float64{"USD": 1}})
	if !explained(broken, g.reasons) {
		return fmt.Sprintf("verdicts %v, but the rules broken are %v", g.reasons, broken)
	}
	if accepted := g.reasons["accepted"] > 0; accepted != (g.status == 200) {
		return "accepted and not won, or won and not accepted"
	}
	return ""
}

// explained reports whether the verdicts can be given to the bids so that each
// is accepted where it breaks no rule, and else rejected for one it breaks.
func explained(broken []map[int]bool, verdicts map[string]int) bool {
	if len(broken) == 0 {
		return total(verdicts) == 0
	}
	for r := range openrtb.RejectReasons {
		reason := openrtb.RejectReason(r)
		name, rules := reason.String(), broken[0]
		if verdicts[name] == 0 || reason == openrtb.Accepted && len(rules) > 0 || reason != openrtb.Accepted && !rules[reason.Rule()] {
			continue
		}
		verdicts[name]--
		ok := explained(broken[1:], verdicts)
		verdicts[name]++
		if ok {
			return true
		}
	}
	return false
}

// made is an exchange of our own, with what has to come of it.
type made struct {
	Name string `json:"name"`
	corpus.Exchange
	// Answer is how the node has to take it; Reasons the verdicts on its bids.
	Answer  string   `json:"answer"`
	Reasons []string `json:"reasons"`
}

// TestMadeExchanges: each way of answering and each reason to reject, over a
// socket. The list is kept complete.
func TestMadeExchanges(t *testing.T) {
	data, err := os.ReadFile("testdata/exchanges.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlayer(t)
	seen := map[string]bool{}
	for line := range bytes.Lines(data) {
		var m made
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		x := m.Exchange
		var text string
		if json.Unmarshal(x.Response, &text) == nil {
			x.Response = []byte(text) // a body that is not JSON
		}
		got := p.play(x)
		seen[m.Answer] = true
		if got.sent == nil || got.kinds[m.Answer] != 1 || len(got.kinds) != 1 {
			t.Errorf("%s: taken for %v, want %s (the node answered %d %s)", m.Name, got.kinds, m.Answer, got.status, got.answer)
			continue
		}
		want := map[string]int{}
		for _, r := range m.Reasons {
			want[r]++
			seen[r] = true
		}
		for r := range openrtb.RejectReasons {
			if name := openrtb.RejectReason(r).String(); got.reasons[name] != want[name] {
				t.Errorf("%s: %d bids %s, want %d; all: %v\nsent %s", m.Name, got.reasons[name], name, want[name], got.reasons, got.sent)
			}
		}
		if m.Answer == "bids" && !slices.Contains(m.Reasons, "unknown_currency") {
			if text := got.disagreement(x); text != "" {
				t.Errorf("%s: %s\nsent %s", m.Name, text, got.sent)
			}
		}
	}
	for a := openrtb.Bids; a <= openrtb.Malformed; a++ {
		if !seen[a.String()] {
			t.Errorf("no exchange whose answer is %v", a)
		}
	}
	// What a node never does: it asks nobody for an invalid impression, and its
	// policy wants neither crid nor adomain.
	never := []string{"invalid_imp", "missing_crid", "missing_adomain"}
	for r := range openrtb.RejectReasons {
		if name := openrtb.RejectReason(r).String(); !seen[name] && !slices.Contains(never, name) {
			t.Errorf("no exchange with a bid that is %s", name)
		}
	}
}
