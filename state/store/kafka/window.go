package kafka

import (
	"sync"

	"millrace/codec/unit"
)

// window holds what was read and is not acknowledged, in journal order. Events
// of several partitions are acknowledged in any order; the position behind
// which nothing is missing moves only over a whole run of them.
type window struct {
	max  int
	room chan struct{} // told when events were acknowledged

	mu      sync.Mutex
	entries []entry
	first   int    // entries before it are acknowledged
	base    uint64 // ordinal of entries[0]
	acked   uint64 // position
}

func newWindow(max int) *window { return &window{max: max, room: make(chan struct{}, 1)} }

type entry struct {
	pos  uint64
	wall unit.WallTime
	done bool
}

// reset begins again at pos: nothing is under way.
func (w *window) reset(pos uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base += uint64(len(w.entries))
	w.entries, w.first, w.acked = w.entries[:0], 0, pos
}

// add takes the event that ends at pos, and gives its ordinal; full: there is
// no room now.
func (w *window) add(pos uint64, wall unit.WallTime) (ordinal uint64, full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.entries)-w.first >= w.max {
		return 0, true
	}
	if w.first > len(w.entries)/2 {
		w.base += uint64(w.first)
		w.entries = append(w.entries[:0], w.entries[w.first:]...)
		w.first = 0
	}
	w.entries = append(w.entries, entry{pos: pos, wall: wall})
	return w.base + uint64(len(w.entries)) - 1, false
}

// skip passes a record that is no event: it is as good as acknowledged with
// the event before it.
func (w *window) skip(pos uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.entries); n > w.first {
		w.entries[n-1].pos = pos
	} else {
		w.acked = pos
	}
}

// done acknowledges one event. One of before a reset counts for nothing.
func (w *window) done(ordinal uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ordinal < w.base {
		return
	}
	w.entries[ordinal-w.base].done = true
	for w.first < len(w.entries) && w.entries[w.first].done {
		w.acked = w.entries[w.first].pos
		w.first++
	}
	select {
	case w.room <- struct{}{}:
	default:
	}
}

// state is the position up to which all is acknowledged, how many events are
// under way, and when the oldest of those was written.
func (w *window) state() (acked uint64, waiting int, oldest unit.WallTime) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first < len(w.entries) {
		oldest = w.entries[w.first].wall
	}
	return w.acked, len(w.entries) - w.first, oldest
}
