package main

import (
	"encoding/json"
	"strings"
	"testing"

	"millrace/bench/dspfleet"
	"millrace/engine/node"
)

// nervous are circuits that open and close within a second, so that the test
// need not be long.
const nervous = "deadlines: {hard: 400ms, tmax: 1s, soft: []}\nhealth: {healthy: 0}\nstage: {down: 10s}\nexplore: {share: 0}\n" +
	"breaker: {errors: 0.5, invalid: 0.5, p95: 390ms, window: 30s, calls: 8, open_min: 100ms, open_max: 300ms, probes: 3}\n"

// TestIllBiddersAreIsolatedAndComeBack: every kind of bad bidder at once, beside
// one that is well. Each bad one's circuit opens; no auction is decided by what
// they send; the well one goes on winning; when they are well again they are
// asked, and win, again.
func TestIllBiddersAreIsolatedAndComeBack(t *testing.T) {
	c := dspfleet.Default(len(ills) + 1)
	var err error
	for i := range c.DSPs {
		if c.DSPs[i].Behaviour, err = c.DSPs[i].Behaviour.With("latency=0", "bids=1"); err != nil {
			t.Fatal(err)
		}
		if i < len(ills) {
			c.DSPs[i].Name = strings.ReplaceAll(ills[i].name, "_", "-")
		} else {
			c.DSPs[i].Name = "well"
		}
		c.DSPs[i].Protocol = dspfleet.Protocol(i % 2) // HTTP/1.1 and HTTP/2
	}
	w := newWorld(t, c, nervous)
	n := 0
	winner := func() string {
		t.Helper()
		n++
		status, body := w.auction(bannerRequest(n))
		var r struct{ SeatBid []struct{ Seat string } }
		switch {
		case status == 204:
			return ""
		case status != 200 || json.Unmarshal(body, &r) != nil || len(r.SeatBid) != 1:
			t.Fatalf("%d %s", status, body)
		}
		return r.SeatBid[0].Seat
	}
	w.until("the well bidder wins", func() bool { return winner() != "" })
	for i, ill := range ills {
		settings := strings.Fields(ill.settings)
		if ill.name == "slow" {
			settings = []string{"latency=2s"} // these deadlines are longer than a node's
		}
		if _, err := w.fleet.Set(c.DSPs[i].Name, settings...); err != nil {
			t.Fatal(err)
		}
	}
	// What was on its way when they went bad may still win.
	winner()
	wins := 0
	w.until("every bad bidder's circuit opens", func() bool {
		if winner() == "well" {
			wins++
		}
		return each(w.status(), func(p *node.PartnerStatus) bool { return p.Name == "well" || p.Opened > 0 })
	})
	w.until("the well bidder wins while the others are bad", func() bool {
		for range 20 {
			if winner() == "well" {
				wins++
			}
		}
		return wins >= 20
	})
	w.report()
	if _, err := w.fleet.Set("*", "reset"); err != nil {
		t.Fatal(err)
	}
	before := map[string]uint64{}
	for _, p := range w.status().Partners {
		before[p.Name] = p.Wins
	}
	w.until("every bidder is back and wins", func() bool {
		for range 10 {
			winner()
		}
		return each(w.status(), func(p *node.PartnerStatus) bool { return p.Circuit == "closed" && p.Wins > before[p.Name] })
	})
	for i, s := range w.fleet.Status() {
		if s.Breaches > 0 || s.BadRequests > 0 {
			t.Errorf("%s: %d breaches of the protocol (%s), %d requests that are none", c.DSPs[i].Name, s.Breaches, s.LastBreach, s.BadRequests)
		}
	}
}

func each(s node.DemandStatus, f func(*node.PartnerStatus) bool) bool {
	for i := range s.Partners {
		if !f(&s.Partners[i]) {
			return false
		}
	}
	return len(s.Partners) > 0
}
