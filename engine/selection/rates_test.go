package selection

import (
	"testing"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
)

func TestRatesTakeEachDeltaOnce(t *testing.T) {
	r := NewRates()
	if _, _, ok := r.Take(); ok {
		t.Fatal("a delta without an event")
	}
	want := map[unit.CreativeID]Counts{}
	for i := range 100 {
		id, k := unit.CreativeID(i%7+1), event.Impression
		if i%3 == 0 {
			k = event.Click
		}
		r.Observe(id, k)
		c := want[id]
		c[k.Index()]++
		want[id] = c
	}
	for range len(want) {
		id, d, ok := r.Take()
		if !ok || d != want[id] {
			t.Fatalf("creative %d: %v %v, want %v", id, d, ok, want[id])
		}
		delete(want, id)
	}
	if _, _, ok := r.Take(); ok || len(want) != 0 {
		t.Fatalf("taken once more, or %d left", len(want))
	}
	r.Observe(3, event.Conversion)
	if id, d, ok := r.Take(); !ok || id != 3 || d != (Counts{0, 0, 1}) {
		t.Fatalf("after the deltas were taken: %d %v %v", id, d, ok)
	}
}

// priced finds a line of the pricing with one creative or more.
func priced(t *testing.T, s *campaign.Snapshot, p campaign.Pricing) *campaign.LineItem {
	t.Helper()
	for i := range s.Lines {
		if s.Lines[i].Pricing == p && s.Lines[i].Kind != campaign.House {
			return &s.Lines[i]
		}
	}
	t.Fatalf("no %v line", p)
	return nil
}

// TestLearnMovesThePriceTowardsWhatIsSeen: observation changes nothing until it
// is learned; learned, the value follows it, and so does the line's bound.
func TestLearnMovesThePriceTowardsWhatIsSeen(t *testing.T) {
	snap := catalogtest.Snapshot(catalogtest.Options{Lines: 200, Seed: 3})
	s := NewSelector(Prepare(snap, Default()), NewRates(), newCaps(t), nil)
	l := priced(t, snap, campaign.CPC)
	cr := l.FirstCreative
	id, before := snap.Creatives[cr].ID, s.Worth(cr)
	for range 100_000 {
		s.rates.Observe(id, event.Impression)
	}
	for range 50_000 {
		s.rates.Observe(id, event.Click)
	}
	if s.Worth(cr) != before {
		t.Fatal("an observation that nobody applied changed the price")
	}
	got, d, ok := s.rates.Take()
	if !ok || got != id {
		t.Fatal("no delta")
	}
	s.Learn(id, &d)
	if w := s.Worth(cr); w < l.Price*48/100 || w > l.Price/2 {
		t.Errorf("worth %v at half of the impressions clicked and a price of %v", w, l.Price)
	}
	if b := s.catalog.bounds[snap.Creatives[cr].Line]; b < s.Worth(cr) {
		t.Errorf("the line's bound %v is below its creative's worth %v", b, s.Worth(cr))
	}
	ctr, _ := s.Predicted(cr)
	if ctr < 0.48 || ctr > 0.5 {
		t.Errorf("predicted click rate %v", ctr)
	}
	cpm := priced(t, snap, campaign.CPM)
	s.Learn(snap.Creatives[cpm.FirstCreative].ID, &d)
	if w := s.Worth(cpm.FirstCreative); w != cpm.Price {
		t.Errorf("a fixed price moved: %v, was %v", w, cpm.Price)
	}
	s.Learn(unit.CreativeID(1), &d) // of no catalog: kept for a later one, priced never
}

// TestSwapKeepsWhatWasLearned: a new catalog is priced like the old one.
func TestSwapKeepsWhatWasLearned(t *testing.T) {
	o := catalogtest.Options{Lines: 200, Seed: 3}
	s := NewSelector(Prepare(catalogtest.Snapshot(o), Default()), NewRates(), newCaps(t), nil)
	cr := priced(t, s.catalog.Snapshot, campaign.CPC).FirstCreative
	id := s.catalog.Snapshot.Creatives[cr].ID
	s.Learn(id, &Counts{1000, 900, 0})
	want := s.Worth(cr)
	o.Lines = 300 // the first lines stay as they are, if not their indices
	next := catalogtest.Snapshot(o)
	s.Swap(Prepare(next, Default()))
	at, ok := next.Creative(id)
	if !ok || s.Worth(at) != want {
		t.Errorf("creative found: %v; worth %v, was %v", ok, s.Worth(at), want)
	}
	s.Learn(id, &Counts{0, 0, 0})
	if s.Worth(at) != want {
		t.Error("an empty delta changed the price")
	}
}

// TestFundMasksLinesOfDryAccounts: a line takes part while each of its accounts
// has money: the campaign's and, where it has one, its own.
func TestFundMasksLinesOfDryAccounts(t *testing.T) {
	snap := catalogtest.Snapshot(catalogtest.Options{Lines: 500, Seed: 9})
	c := Prepare(snap, Default())
	dry := make([]uint64, (len(snap.Accounts)+63)/64)
	both := 0
	check := func(what string) {
		t.Helper()
		c.fund(dry)
		is := func(a campaign.AccountIndex) bool {
			return a != campaign.NoAccount && dry[a/64]>>(a%64)&1 != 0
		}
		for i := range snap.Lines {
			l := &snap.Lines[i]
			if l.LineAccount != campaign.NoAccount {
				both++
			}
			if want := !is(l.Account) && !is(l.LineAccount); c.funded.Has(campaign.LineIndex(i)) != want {
				t.Fatalf("%s: line %d funded %v, accounts %d and %d", what, i, !want, l.Account, l.LineAccount)
			}
		}
	}
	check("none dry")
	for a := range snap.Accounts {
		dry[a/64] ^= 1 << (a % 64)
		check("one more")
	}
	if c.funded.Len() != 0 {
		// House ads alone pay from nowhere.
		for i, ok := c.funded.Next(0); ok; i, ok = c.funded.Next(i + 1) {
			if snap.Lines[i].Account != campaign.NoAccount {
				t.Fatalf("line %d is funded with every account dry", i)
			}
		}
	}
	for a := range snap.Accounts {
		if a%3 != 0 {
			dry[a/64] ^= 1 << (a % 64)
		}
	}
	check("most wet again at once")
	if both == 0 {
		t.Error("no line has two accounts: the test shows too little")
	}
	c.fund(append(dry, ^uint64(0))) // a broker knows accounts of a newer catalog
	c.fund(dry[:1])                 // or none yet
	check("after other lengths")
}

// TestDryStaysWithANewCatalog: Prepare takes every account for funded; the next
// Fund corrects it.
func TestDryStaysWithANewCatalog(t *testing.T) {
	snap := catalogtest.Snapshot(catalogtest.Options{Lines: 100, Seed: 2})
	s := NewSelector(Prepare(snap, Default()), NewRates(), newCaps(t), nil)
	dry := make([]uint64, (len(snap.Accounts)+63)/64)
	for i := range dry {
		dry[i] = ^uint64(0)
	}
	s.Fund(dry)
	want := s.catalog.funded.Len()
	s.Swap(Prepare(snap, Default()))
	s.Fund(dry)
	if got := s.catalog.funded.Len(); got != want || want == len(snap.Lines) {
		t.Errorf("%d lines funded after the swap, %d before, of %d", got, want, len(snap.Lines))
	}
}
