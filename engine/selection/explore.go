package selection

import (
	"math"

	"millrace/models/coldstart"
)

// Exploring: of the first bids in the order, all of them admitted and of one
// tier, an explorer may let another win than the first, to learn what it is
// worth. What is bid and reserved for it is its own worth, as ever.
const (
	// shortlistMax is among how many bids; pulledMax how many are looked at to
	// find them.
	shortlistMax = 8
	pulledMax    = 16
)

// shortlist is what Explore pulled from the order and Next gives back first.
type shortlist struct {
	bids       [shortlistMax]scored
	candidates [shortlistMax]coldstart.Candidate
	n, next    int
	chosen     bool // Next begins with them
}

// Explore lets x choose among the bids that could win the impression, before
// the first Next: the next bid is the chosen one, those behind it follow in
// their order. Without a prediction there is nothing to learn, and no choice.
func (s *Selector) Explore(x *coldstart.Explorer, lost *[ReasonCount]uint32) coldstart.Choice {
	certain := coldstart.Choice{Propensity: 1}
	if !s.scoring {
		return certain
	}
	l, anyNew := &s.short, false
	defer l.done()
	for range pulledMax {
		b, ok := s.Next(lost)
		if !ok {
			break
		}
		if l.n > 0 && b.Tier != l.bids[0].Tier {
			// Behind all that could be chosen: it waits as if never asked for.
			s.pushScored(s.best)
			break
		}
		if _, reason := s.Admit(b); reason != Won {
			lost[reason]++
			continue
		}
		l.bids[l.n] = s.best
		l.candidates[l.n] = s.candidate(&s.best)
		anyNew = anyNew || l.candidates[l.n].Trials < math.MaxUint64
		if l.n++; l.n == shortlistMax {
			break
		}
	}
	if l.n < 2 || !anyNew {
		return certain
	}
	c := x.Choose(l.candidates[:l.n], s.now)
	chosen := l.bids[c.Index]
	copy(l.bids[1:c.Index+1], l.bids[:c.Index])
	l.bids[0] = chosen
	return c
}

func (l *shortlist) done() { l.chosen = true }

// candidate is a bid as an explorer weighs it: by its rank, of which a predicted
// one is uncertain.
func (s *Selector) candidate(b *scored) coldstart.Candidate {
	c := s.catalog
	if b.ctr <= 0 {
		return coldstart.Candidate{Value: float64(b.Rank), Rate: coldstart.Prior{Mean: 1}, Trials: math.MaxUint64}
	}
	trials := c.trials[b.Creative]
	rate := coldstart.Prior{Mean: float64(b.ctr), Strength: c.cfg.ClickStrength + float64(trials)}
	return coldstart.Candidate{Value: float64(b.Rank) / float64(b.ctr), Rate: rate, Trials: uint64(trials)}
}
