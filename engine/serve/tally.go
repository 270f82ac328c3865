package serve

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/selection"
	"millrace/shards"
	"millrace/state/campaign"
)

// LineTotals are what a line item did since this process started.
type LineTotals struct {
	Line   unit.LineID
	Wins   uint64
	Events selection.Counts
	Billed unit.Nanos
}

// tally counts by line item for reports. Wins are counted by index, the rest
// by id, since events outlive catalogs.
type tally struct {
	wins   []uint64 // by the current snapshot's line index
	slots  map[unit.LineID]uint32
	totals []LineTotals
}

func newTally() tally { return tally{slots: make(map[unit.LineID]uint32)} }

func (t *tally) won(line uint32) { t.wins[line]++ }

func (t *tally) happened(id unit.LineID, k event.Kind, billed unit.Nanos) {
	l := t.of(id)
	l.Events[k.Index()]++
	l.Billed += billed
}

func (t *tally) of(id unit.LineID) *LineTotals {
	s, ok := t.slots[id]
	if !ok {
		s = uint32(len(t.totals))
		t.slots[id] = s
		t.totals = append(t.totals, LineTotals{Line: id})
	}
	return &t.totals[s]
}

// fold moves the wins counted by index to their ids, before the snapshot goes.
func (t *tally) fold(s *campaign.Snapshot) {
	for i, n := range t.wins {
		if n > 0 {
			t.of(s.Lines[i].ID).Wins += n
			t.wins[i] = 0
		}
	}
}

func (t *tally) resize(lines int) {
	if cap(t.wins) < lines {
		t.wins = shards.AlignedSlice[uint64](lines)
	}
	t.wins = t.wins[:lines]
	clear(t.wins)
}

// AppendTotals appends the totals of every line that did anything.
func (c *Core) AppendTotals(dst []LineTotals) []LineTotals {
	if c.sel != nil {
		c.tally.fold(c.sel.Catalog().Snapshot)
	}
	return append(dst, c.tally.totals...)
}
