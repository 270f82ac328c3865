package ledger

import (
	"millrace/codec/event"
	"millrace/codec/unit"
)

// PageWins is how many consecutive wins share a page of Seen.
const PageWins = 1 << 16

// windowPagesMax bounds the span of a Seen against a nonsensical sequence
// number: 2^38 wins of one shard in one life.
const windowPagesMax = 1 << 22

// page remembers which events of PageWins wins were seen: one bit each, exact.
type page struct {
	bits [event.Kinds][PageWins / 64]uint64
	// First and last Issued among the events seen, in Unix seconds.
	issuedMin, issuedMax int64
	// shared pages belong to a Recovered too: copied before they change.
	shared bool
}

// Seen is the exact set of events seen of one shard in one epoch. Sequence
// numbers are dense and rise with time, so that pages fill up in order and the
// oldest can be dropped when their tokens have expired.
type Seen struct {
	first uint64 // number of pages[0]
	pages []*page
	count int
}

// Has reports whether the event was added, or is of a dropped page: what can't
// be told is taken for seen.
func (s *Seen) Has(seq uint64, k event.Kind) bool {
	n := seq/PageWins - s.first
	if seq/PageWins < s.first {
		return true
	}
	if n >= uint64(len(s.pages)) || s.pages[n] == nil {
		return false
	}
	return s.pages[n].bits[k.Index()][seq%PageWins/64]>>(seq%64)&1 != 0
}

// Dropped reports whether the win is too old to tell.
func (s *Seen) Dropped(seq uint64) bool { return seq/PageWins < s.first }

// Add adds the event; false if it was there already, its page was dropped, or
// seq is out of all reason.
func (s *Seen) Add(seq uint64, k event.Kind, issued unit.WallTime) bool {
	n := seq/PageWins - s.first
	if seq/PageWins < s.first || n >= windowPagesMax {
		return false
	}
	if n >= uint64(len(s.pages)) || s.pages[n] == nil || s.pages[n].shared {
		s.own(n)
	}
	p := s.pages[n]
	word, bit := &p.bits[k.Index()][seq%PageWins/64], uint64(1)<<(seq%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	sec := issued.Unix()
	p.issuedMin, p.issuedMax = min(p.issuedMin, sec), max(p.issuedMax, sec)
	return true
}

// own makes page n of the window exist and be writable.
func (s *Seen) own(n uint64) {
	for uint64(len(s.pages)) <= n {
		s.pages = append(s.pages, nil)
	}
	switch p := s.pages[n]; {
	case p == nil:
		s.pages[n] = &page{issuedMin: 1<<63 - 1, issuedMax: -1 << 63}
		s.count++
	case p.shared:
		c := *p
		c.shared = false
		s.pages[n] = &c
	}
}

// Prepare makes the page of seq exist, so that Add does not allocate.
func (s *Seen) Prepare(seq uint64) {
	if n := seq/PageWins - s.first; seq/PageWins >= s.first && n < windowPagesMax {
		s.own(n)
	}
}

// Pages is the number of pages held.
func (s *Seen) Pages() int { return s.count }

// DropBefore drops the pages below the page of seq.
func (s *Seen) DropBefore(seq uint64) {
	target := seq / PageWins
	if target <= s.first {
		return
	}
	n := min(target-s.first, uint64(len(s.pages)))
	for _, p := range s.pages[:n] {
		if p != nil {
			s.count--
		}
	}
	s.pages = append(s.pages[:0], s.pages[n:]...)
	clear(s.pages[len(s.pages):cap(s.pages)])
	s.first = target
}

// expire drops the pages all of whose wins were issued before cutoff. Wins are
// issued in the order of their numbers, so a win of an earlier page is not
// younger than any event seen of a later one; ended bounds the last page, 0
// while the epoch lives.
func (s *Seen) expire(cutoff, ended int64) {
	bound := int64(1<<63 - 1)
	if ended > 0 {
		bound = ended
	}
	for n := len(s.pages) - 1; n >= 0; n-- {
		if bound < cutoff {
			s.DropBefore((s.first + uint64(n) + 1) * PageWins)
			return
		}
		if p := s.pages[n]; p != nil {
			bound = min(bound, p.issuedMin)
		}
	}
}

// share gives a read-only copy of the set; s copies pages before changing them.
func (s *Seen) share() Seen {
	for _, p := range s.pages {
		if p != nil {
			p.shared = true
		}
	}
	return Seen{first: s.first, pages: append([]*page(nil), s.pages...), count: s.count}
}
