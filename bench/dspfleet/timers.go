package dspfleet

import "bytes"

// answer is one request on its way to being answered. Pooled by the worker;
// held by its stream (HTTP/2) or connection (HTTP/1.1), and by the timers while
// it waits.
type answer struct {
	conn   *conn
	stream *stream // nil: HTTP/1.1

	due      int64 // when the next thing is to be done
	order    uint64
	received int64
	fault    FaultKind
	status   int
	kind     string // content type
	retry    int
	gzip     bool
	body     []byte
	behind   int // spaces that follow body, of an oversized answer
	sent     int // of body and what follows
	begun    bool
	bids     int
	id       []byte
	gone     bool // nobody waits for it any more
	waiting  bool // among the timers
}

// length of what is sent behind the head.
func (a *answer) length() int { return len(a.body) + a.behind }

// spaces are what makes an answer too large; nobody keeps 5 MB for each.
var spaces = bytes.Repeat([]byte(" "), 64<<10)

// piece is what is sent next, n bytes at most.
func (a *answer) piece(n int) []byte {
	if a.sent < len(a.body) {
		return a.body[a.sent:min(a.sent+n, len(a.body))]
	}
	return spaces[:min(n, a.length()-a.sent, len(spaces))]
}

// timers is a heap of answers by the time they are due; equal times in the
// order they came.
type timers struct {
	heap  []*answer
	order uint64
}

func (t *timers) first() *answer {
	if len(t.heap) == 0 {
		return nil
	}
	return t.heap[0]
}

// due takes out the first answer if its time has come.
func (t *timers) due(now int64) *answer {
	if len(t.heap) == 0 || t.heap[0].due > now {
		return nil
	}
	a := t.heap[0]
	last := len(t.heap) - 1
	t.heap[0], t.heap[last] = t.heap[last], nil
	t.heap = t.heap[:last]
	t.down(0)
	return a
}

func (t *timers) add(a *answer) {
	t.order++
	a.order = t.order
	t.heap = append(t.heap, a)
	for i := len(t.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !t.before(i, up) {
			return
		}
		t.heap[i], t.heap[up] = t.heap[up], t.heap[i]
		i = up
	}
}

func (t *timers) down(i int) {
	for {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(t.heap); k++ {
			if t.before(k, least) {
				least = k
			}
		}
		if least == i {
			return
		}
		t.heap[i], t.heap[least] = t.heap[least], t.heap[i]
		i = least
	}
}

func (t *timers) before(i, k int) bool {
	a, b := t.heap[i], t.heap[k]
	return a.due < b.due || a.due == b.due && a.order < b.order
}
