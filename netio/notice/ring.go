package notice

import (
	"sync/atomic"

	"millrace/codec/event"
	"millrace/shards"
)

// ring is a queue of one shard's notices: the shard puts in, the sender takes
// out, neither waits for the other.
type ring struct {
	_     shards.Pad
	slots []slot
	_     shards.Pad
	in    atomic.Uint64 // put in so far; written by the shard
	_     shards.Pad
	out   atomic.Uint64 // taken out so far; written by the sender
	_     shards.Pad
}

type slot struct {
	kind event.Notice
	url  []byte
}

func newRing(n int) *ring { return &ring{slots: make([]slot, n)} }

// put copies a notice in; false: it is full.
func (r *ring) put(n event.Notice, url []byte) bool {
	in := r.in.Load()
	if in-r.out.Load() == uint64(len(r.slots)) {
		return false
	}
	s := &r.slots[in%uint64(len(r.slots))]
	s.kind, s.url = n, append(s.url[:0], url...)
	r.in.Store(in + 1)
	return true
}

// take copies the oldest out.
func (r *ring) take() (n event.Notice, url string, ok bool) {
	out := r.out.Load()
	if out == r.in.Load() {
		return 0, "", false
	}
	s := &r.slots[out%uint64(len(r.slots))]
	n, url = s.kind, string(s.url)
	r.out.Store(out + 1)
	return n, url, true
}

func (r *ring) len() int { return int(r.in.Load() - r.out.Load()) }
