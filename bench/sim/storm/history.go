package storm

import (
	"fmt"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// eventKey is one billable thing that can happen once.
type eventKey struct {
	win  event.WinID
	kind event.Kind
}

// callRecord is what a client knows of an event that it reported.
type callRecord struct {
	campaign unit.CampaignID
	accounts [2]unit.AccountID
	price    unit.Nanos
	billable bool
	acked    bool
	ackedAt  instant
	day      unit.Day
	by       machineDisk // whose word it was
}

// winRecord is what the world saw of a bid that was answered.
type winRecord struct {
	accounts [2]unit.AccountID
	reserved unit.Nanos
	at       instant
	size     int
	node     unit.NodeID
}

// history is what happened outside of the nodes. Nothing in it comes from a
// ledger, a journal or a broker.
type history struct {
	calls          map[eventKey]*callRecord
	wins           map[event.WinID]winRecord
	acked          uint64
	requests, bids uint64

	// Since the last part of the calm began, by size.
	watching  bool
	calmAsked [len(sizes)]int
	calmWon   [len(sizes)]int

	refunds   map[eventKey]*refundRecord
	billed    []eventKey // what could be refunded: acknowledged and to be billed
	regretted []eventKey // what was asked to be refunded
}

func (h *history) asked(w *World, size int) {
	h.requests++
	if h.watching {
		h.calmAsked[size]++
	}
}

// won notes a bid. Its token must name the day on which it was made: where the
// node's clock is right, the margin around midnight leaves no other.
func (h *history) won(w *World, n *node, size int, e *clientEvent) {
	h.bids++
	if h.watching {
		h.calmWon[size]++
	}
	t := &e.token
	w.judgeLease(n)
	if _, twice := h.wins[t.Win]; twice {
		w.violated("I3", fmt.Sprintf("win %+v was made twice", t.Win))
	}
	h.wins[t.Win] = winRecord{[2]unit.AccountID{t.CampaignAccount, t.LineAccount}, t.Reserved, w.now, size, n.id}
	if c := &w.snapshot.Campaigns[w.snapshot.Lines[mustLine(w, t.Line)].Campaign]; n.right() {
		if day := w.wall().DayIn(c.Zone); day != t.Day {
			w.violated("I2", fmt.Sprintf("a win at %v, day %d of %s, was reserved on day %d (the clock of node %d is %v off)",
				w.wall().Time().UTC(), day, c.Zone, t.Day, n.id, n.wall().Sub(w.wall())))
		}
	}
}

func mustLine(w *World, id unit.LineID) int {
	i, ok := w.snapshot.Line(id)
	if !ok {
		panic("storm: a bid for a line that the catalog does not have")
	}
	return int(i)
}

// called notes that a client reported an event.
func (h *history) called(e *clientEvent) {
	k := eventKey{e.token.Win, e.kind}
	if h.calls[k] == nil {
		t := &e.token
		h.calls[k] = &callRecord{
			campaign: t.Campaign, accounts: [2]unit.AccountID{t.CampaignAccount, t.LineAccount}, price: t.Price, billable: t.Billable, day: t.Day,
		}
	}
}

// acknowledged notes that a client was told that its event counts.
func (h *history) acknowledged(w *World, n *node, e *clientEvent) {
	k := eventKey{e.token.Win, e.kind}
	if c := h.calls[k]; !c.acked {
		c.acked, c.ackedAt, c.by = true, w.now, n.machineDisk()
		h.acked++
		if c.billable {
			h.billed = append(h.billed, k)
		}
	}
}
