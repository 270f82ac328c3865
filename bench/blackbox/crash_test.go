package blackbox

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// crashCase is one way to run the kill -9 loop.
type crashCase struct {
	name string
	ttl  time.Duration // budget.reservation_ttl
	// strict: no reservation expires during the test, so every acknowledged
	// impression must be billed. Otherwise late ones may be recorded unbilled.
	strict bool
}

// TestCrash kills the server in the middle of traffic, again and again, and
// after each restart compares three accounts of the same money: what the
// clients sent and had acknowledged, what the journal on disk says was posted,
// and what the server says was spent.
func TestCrash(t *testing.T) {
	crashes := Size(t, "MILLRACE_CRASHES", 5, 75)
	for i, c := range []crashCase{
		{name: "reservations outlive the test", ttl: time.Hour, strict: true},
		{name: "reservations expire during it", ttl: time.Second},
	} {
		t.Run(c.name, func(t *testing.T) { crashLoop(t, c, max(crashes*(2-i)/3, 1)) })
	}
}

// crashLines: small budgets of which some run out in each life, one that never
// does, and one that pays for clicks.
func crashLines(crashes int) (lines []Line, countries []string) {
	countries = []string{"USA", "DEU", "FRA", "ITA", "ESP", "NLD", "SWE", "POL"}
	for i := range crashes {
		lines = append(lines, Line{Name: fmt.Sprint("small-", i), Price: "10", Total: "0.5", Country: countries[i%len(countries)]})
	}
	return append(lines,
		Line{Name: "clicks", Pricing: "cpc", Price: "0.8", Total: "40", Country: "DEU"},
		Line{Name: "large", Price: "2.5", Total: "1000"},
		Line{Name: "own", Kind: "house"}), countries
}

type crashRun struct {
	crashCase
	lines  []Line
	limits map[unit.CampaignID]unit.Nanos
	names  map[unit.CampaignID]string
	log    *beaconLog
	data   string
}

func crashLoop(t *testing.T, c crashCase, crashes int) {
	lines, countries := crashLines(crashes)
	run := &crashRun{
		crashCase: c, lines: lines, log: newBeaconLog(), data: t.TempDir(),
		limits: map[unit.CampaignID]unit.Nanos{}, names: map[unit.CampaignID]string{},
	}
	for _, l := range lines {
		id := unit.CampaignID(unit.HashID("campaign", l.Name))
		run.names[id] = l.Name
		if l.Total != "" {
			limit, err := unit.ParseNanos(l.Total)
			if err != nil {
				t.Fatal(err)
			}
			run.limits[id] = limit
		}
	}
	s := Start(t, Options{Data: run.data, Config: Settings(NewCatalogFile(t, lines...), fmt.Sprintf("budget: {reservation_ttl: %v}", c.ttl))})
	r := rand.New(rand.NewPCG(20_26, uint64(crashes)))
	tr := &traffic{log: run.log, workers: 4, pause: time.Millisecond, hold: 10}
	for i := range crashes {
		tr.failed = tolerateDeath(t, s)
		// One country more each life: its budgets are fresh when the others' are gone.
		tr.countries = countries[:min(i+2, len(countries))]
		stop := tr.run(s, uint64(i))
		time.Sleep(time.Duration(300+r.IntN(500)) * time.Millisecond)
		s.Kill()
		stop()
		run.checkJournal(t, fmt.Sprintf("after kill %d", i+1))
		// Another number of shards each time: money does not depend on it.
		s = s.Restart("--shards", fmt.Sprint(1+i%3))
		run.checkSpend(t, s, fmt.Sprintf("after restart %d", i+1))
		run.fireAgain(t, s)
		if t.Failed() {
			t.FailNow()
		}
	}
	run.finish(t, s, tr)
}

// finish ends the loop without a crash: nothing may change over a clean restart.
func (run *crashRun) finish(t *testing.T, s *Server, tr *traffic) {
	t.Helper()
	before := run.checkSpend(t, s, "before the clean stop")
	s.Stop()
	run.checkJournal(t, "after the clean stop")
	s = s.Restart()
	after := run.checkSpend(t, s, "after the clean restart")
	if !maps.Equal(before, after) {
		t.Errorf("a clean restart changed the spend:\nbefore %v\nafter  %v", before, after)
	}
	s.Stop()
	acked, sent := run.log.totals()
	if len(acked) < len(run.lines)/2 {
		t.Errorf("only %d of %d campaigns had an acknowledged billable event: the traffic proves little", len(acked), len(run.lines))
	}
	ranOut := 0
	for id, limit := range run.limits {
		if sent[id] >= limit*2/3 { // the rest is held by wins that were never shown
			ranOut++
		}
	}
	t.Logf("%d auctions, %d bids, %d beacons; %d billable sent, %d acknowledged; %d of %d budgets were used up",
		tr.auctions.Load(), tr.bids.Load(), tr.beacons.Load(), len(run.log.sent), len(run.log.acked), ranOut, len(run.limits))
}

// tolerateDeath: a request may fail because the server was killed, and for no
// other reason.
func tolerateDeath(t *testing.T, s *Server) func(string, Answer, error) bool {
	return func(what string, a Answer, err error) bool {
		if a.Status != 0 {
			t.Errorf("%s: status %d %s: %v", what, a.Status, head(a.Body), err)
			return true
		}
		if s.Running() {
			// The kernel resets connections a moment before Wait returns.
			select {
			case <-s.exited:
			case <-time.After(5 * time.Second):
				t.Errorf("%s failed though the server runs: %v", what, err)
			}
		}
		return false
	}
}

// fireAgain sends beacons of the dead epochs to the new one.
func (run *crashRun) fireAgain(t *testing.T, s *Server) {
	t.Helper()
	c, signer := s.NewClient(), NewSigner()
	impressions, clicks := run.log.again(200)
	fire := func(urls []string, kind event.Kind) {
		for _, u := range urls {
			if a, err := run.log.fire(c, signer, u, kind); err != nil || !a.Acknowledged() {
				t.Errorf("%s from before the crash: status %d %s, %v", kind, a.Status, head(a.Body), err)
			}
		}
	}
	fire(impressions, event.Impression)
	fire(clicks, event.Click)
}

// checkSpend compares the server's account with the clients'.
func (run *crashRun) checkSpend(t *testing.T, s *Server, when string) map[string]unit.Nanos {
	t.Helper()
	posted := run.readJournal(t).ByCampaign()
	acked, sent := run.log.totals()
	status, spent := s.Campaigns(), map[string]unit.Nanos{}
	for id, name := range run.names {
		campaign, listed := status[name]
		if !listed {
			t.Errorf("%s: GET /campaigns does not list %s", when, name)
			continue
		}
		got := unit.Nanos(campaign.Budget.SpentTotal)
		spent[name] = got
		if limit := run.limits[id]; got > limit {
			t.Errorf("%s: %s spent %v, over its budget of %v", when, name, got, limit)
		}
		if got > sent[id] {
			t.Errorf("%s: %s spent %v, and only %v was ever sent", when, name, got, sent[id])
		}
		if run.strict && got < acked[id] && !run.paysClicks(name) {
			t.Errorf("%s: %s spent %v, and %v was acknowledged", when, name, got, acked[id])
		}
		if got != posted[id] {
			t.Errorf("%s: %s spent %v by GET /campaigns, %v by the journal", when, name, got, posted[id])
		}
	}
	return spent
}

// paysClicks: a click's real price may exceed what was held for it, so it may
// be recorded unbilled; an impression's may not.
func (run *crashRun) paysClicks(name string) bool {
	return slices.ContainsFunc(run.lines, func(l Line) bool { return l.Name == name && l.Pricing == "cpc" })
}

func (run *crashRun) readJournal(t *testing.T) *Journal {
	t.Helper()
	j, err := ReadJournal(run.data)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// checkJournal compares the files with the clients' account, event by event:
// acknowledged ⊆ posted ⊆ sent, nothing twice, each at its price.
func (run *crashRun) checkJournal(t *testing.T, when string) {
	t.Helper()
	j := run.readJournal(t)
	run.log.mu.Lock()
	defer run.log.mu.Unlock()
	posted, recorded := map[win]bool{}, map[win]byte{}
	for _, e := range j.Posted {
		w := win{e.Win, e.Kind}
		token, sent := run.log.sent[w]
		switch {
		case posted[w]:
			t.Errorf("%s: %v is posted twice", when, w)
		case !sent:
			t.Errorf("%s: %v is posted and was never sent", when, w)
		case e.Amount != token.Price || e.Campaign != token.Campaign:
			t.Errorf("%s: %v is posted for %v to campaign %x, the token says %v to %x", when, w, e.Amount, e.Campaign, token.Price, token.Campaign)
		}
		posted[w] = true
	}
	for _, e := range j.Recorded {
		recorded[win{e.Win, e.Kind}] = e.Reason
	}
	for w := range run.log.acked {
		reason, isRecorded := recorded[w]
		mustBill := run.strict && w.kind == event.Impression
		if !posted[w] && (mustBill || !isRecorded) {
			t.Errorf("%s: %v was acknowledged and is not posted (recorded unbilled: %v, reason %d)", when, w, isRecorded, reason)
		}
	}
	for id, spent := range j.ByCampaign() {
		if limit := run.limits[id]; spent > limit {
			t.Errorf("%s: the journal has %v posted for %s, over its budget of %v", when, spent, run.names[id], limit)
		}
	}
}
