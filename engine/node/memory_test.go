package node

import (
	"fmt"
	"runtime"
	"testing"

	"millrace/codec/corpus"
)

// liveHeap is what is reachable now.
func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools kept through the first one
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// hostile are requests that are refused or that no answer should remember:
// malformed, of ever new users, sites and segments.
func hostile(i int) []byte {
	bodies := [...]string{
		`{"id":`, `{"id":"x","imp":[{"id":"1","banner":{"w":-1}}]}`, `[]`,
		fmt.Sprintf(`{"id":"n%d","imp":[{"id":"i%d","tagid":"t%d","banner":{"w":300,"h":250}}],"site":{"domain":"s%d.example","page":"http://s%d.example/?%d"},"user":{"id":"new-%d","data":[{"id":"d%d","segment":[{"id":"g%d"}]}]},"device":{"ua":"agent %d","ip":"10.%d.%d.1"}}`,
			i, i, i, i, i, i, i, i, i, i, i>>8&255, i&255),
	}
	body := bodies[i%len(bodies)]
	return post([]byte(body))
}

// TestMemoryStaysFlat replays mixed requests through a node, strangers,
// malformed ones and the corpus among them where it is there, and the live heap
// does not follow their number: two bytes kept of each request would be
// more than what may be more at the end. What does grow is bounded by other things, and warm:
// tables by creative and line, the journal's leases.
func TestMemoryStaysFlat(t *testing.T) {
	replays, grownMax := 400_000, uint64(512<<10)
	if testing.Short() || raced {
		replays = 20_000
	}
	c := demoConfig(t)
	n := start(t, c)
	w := dial(t, n)
	requests := mixed(512)
	for i := range 512 {
		requests = append(requests, hostile(i))
	}
	if corpus.Has(corpus.Requests) {
		for _, body := range corpus.Lines(t, corpus.Requests) {
			requests = append(requests, post(body))
		}
	}
	const together = 16
	var answers [6]int
	replay := func(from, to int) {
		for i := from; i < to; i += together {
			w.out = w.out[:0]
			for k := i; k < i+together; k++ {
				w.out = append(w.out, requests[k*167%len(requests)]...)
			}
			if _, err := w.conn.Write(w.out); err != nil {
				t.Fatal(err)
			}
			for range together {
				status, body, err := w.answer()
				if err != nil || status != 200 && status != 204 && status != 400 {
					t.Fatalf("%d %s %v", status, body, err)
				}
				answers[status/100]++
			}
		}
	}
	warm := replays / 10
	replay(0, warm)
	before := liveHeap()
	replay(warm, warm+replays)
	after := liveHeap()
	t.Logf("%d replays (answers by hundreds %v): live heap %d before, %d after", replays, answers, before, after)
	if after > before+grownMax {
		t.Errorf("the live heap grew by %d bytes in %d replays, from %d", after-before, replays, before)
	}
	if answers[2] < replays/4 || answers[4] < replays/8 {
		t.Errorf("answers by hundreds %v: the mix shows too little", answers)
	}
}
