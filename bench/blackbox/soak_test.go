package blackbox

import (
	"sync"
	"sync/atomic"
	"testing"

	"millrace/codec/corpus"
)

// corpusRequests is every real request there is.
func corpusRequests(t *testing.T) [][]byte {
	t.Helper()
	return append(corpus.Lines(t, corpus.Requests), corpus.Lines(t, corpus.IABRequests)...)
}

// corpusServer answers under an https name, as imp.secure asks.
func corpusServer(t *testing.T) *Server {
	t.Helper()
	return Start(t, Options{Data: t.TempDir(), Config: "public_url: https://ads.example\n"})
}

// TestCorpus: every request that somebody really sent gets 200 or 204 with a
// valid body, or, where the rules call it malformed, 400 with a reason.
func TestCorpus(t *testing.T) {
	requests := corpusRequests(t)
	s := corpusServer(t)
	c := s.NewClient()
	firstBids(t, c, BannerRequest("warm", "u", "USA"))
	count := map[int]int{}
	for i, request := range requests {
		a, err := c.Auction(request)
		if err != nil {
			t.Errorf("request %d: %v\n%s", i, err, request)
			continue
		}
		count[a.Status]++
		if err := CheckAnswer(request, a); err != nil {
			t.Errorf("request %d: %v\nrequest %.2000s\nanswer  %.2000s", i, err, request, a.Body)
		}
	}
	t.Logf("%d requests: %d bids, %d without, %d refused", len(requests), count[200], count[204], count[400])
	if count[200] == 0 {
		t.Error("the demo catalog bid on none of the corpus")
	}
	s.Stop()
}

// TestSoak replays the corpus over and over: the same answers' worth of work
// leaves no memory behind.
func TestSoak(t *testing.T) {
	requests := corpusRequests(t)
	replays := max(Size(t, "MILLRACE_REPLAYS", 4000, 1_000_000), 2*len(requests))
	s := corpusServer(t)
	replay(t, s, requests, max(replays/5, len(requests))) // warm: slabs, pools, page tables
	before := s.Memory()
	replay(t, s, requests, replays)
	after := s.Memory()
	// A caps table touches its pages as users come: that is bounded, not growth.
	checkMemory(t, before, after, 96<<20, "replays")
	if perRequest := float64(after.LiveBytes-before.LiveBytes) / float64(replays); replays >= 100_000 && perRequest > 8 {
		t.Errorf("the live heap grows by %.1f bytes a request", perRequest)
	}
	s.Stop()
}

func replay(t *testing.T, s *Server, requests [][]byte, n int) {
	t.Helper()
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		c := s.NewClient()
		wg.Go(func() {
			for failed.Load() < 5 {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				request := requests[i%len(requests)]
				a, err := c.Auction(request)
				if err == nil && i < 2*len(requests) {
					err = CheckAnswer(request, a) // the same text was judged before
				} else if err == nil && a.Status != 200 && a.Status != 204 && a.Status != 400 {
					t.Errorf("replay %d: status %d %s", i, a.Status, head(a.Body))
				}
				if err != nil {
					failed.Add(1)
					t.Errorf("replay %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if got := next.Load() - 4; got < int64(n) && failed.Load() == 0 {
		t.Errorf("%d of %d replays", got, n)
	}
}
