package auction

import (
	"math/rand/v2"
	"slices"
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// TestOffersAreTotallyOrdered: whatever the order of arrival, the order is one.
func TestOffersAreTotallyOrdered(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	names := []openrtb.Str{{}, openrtb.MakeStr([]byte("a")), openrtb.MakeStr([]byte("b"))}
	for range 200 {
		var list []Offer
		for i := range 1 + r.IntN(30) {
			list = append(list, Offer{
				Standing: openrtb.Standing{Price: unit.CPMMicros(r.IntN(3)), Tier: uint8(r.IntN(2)), Seat: names[r.IntN(3)], ID: names[r.IntN(3)], Place: uint32(i)},
				Imp:      int32(r.IntN(3)), Priority: uint8(9 + r.IntN(2)), Group: int32(r.IntN(3)),
			})
		}
		var want [3][]Offer
		for round := range 3 {
			var o Offers
			o.Reset(3)
			for i := range list {
				o.Add(&list[i])
			}
			o.Settle()
			n := 0
			for imp := range 3 {
				on := o.On(imp)
				n += len(on)
				for i := range on {
					if on[i].Imp != int32(imp) || i > 0 && !on[i-1].before(&on[i]) {
						t.Fatalf("impression %d: %+v", imp, on)
					}
				}
				if round > 0 && !slices.Equal(on, want[imp]) {
					t.Fatalf("impression %d: another order: %+v, %+v", imp, on, want[imp])
				}
				want[imp] = slices.Clone(on)
			}
			if n != len(list) || o.Len() != n {
				t.Fatalf("%d of %d offers", n, len(list))
			}
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
}

func TestBeats(t *testing.T) {
	o := Offer{Standing: openrtb.Standing{Price: 100}, Priority: 10}
	for _, c := range []struct {
		tier uint8
		rank unit.Nanos
		want bool
	}{{10, 99, true}, {10, 100, false}, {10, 101, false}, {9, 1, false}, {11, 1000, true}, {10, -1, true}} {
		if got := o.Beats(&Bid{Tier: c.tier}, c.rank); got != c.want {
			t.Errorf("against tier %d at %d: %v", c.tier, c.rank, got)
		}
	}
}

func TestDroppedGroups(t *testing.T) {
	var o Offers
	o.Reset(1)
	o.Add(&Offer{Group: 1})
	o.Add(&Offer{Standing: openrtb.Standing{Place: 1}})
	o.Settle()
	o.Drop(1)
	for i := range o.On(0) {
		if x := &o.On(0)[i]; o.Out(x) != (x.Group == 1) {
			t.Errorf("%+v", x)
		}
	}
	if o.Reset(1); len(o.dropped) != 0 {
		t.Error("a group of another request is out")
	}
}

func TestClear(t *testing.T) {
	for _, c := range []struct {
		at                 openrtb.AuctionType
		bid, second, floor unit.CPMMicros
		want               unit.CPMMicros
	}{
		{openrtb.FirstPrice, 500_000, 100_000, 50_000, 500_000},
		{openrtb.SecondPricePlus, 500_000, 100_000, 50_000, 110_000},
		{openrtb.SecondPricePlus, 500_000, 100_000, 200_000, 200_000},
		{openrtb.SecondPricePlus, 500_000, 0, 0, 10_000},
		{openrtb.SecondPricePlus, 500_000, 495_000, 0, 500_000},
		{500, 500_000, 100_000, 0, 500_000},
	} {
		if got := Clear(c.at, c.bid, c.second, c.floor); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestAllocOffers(t *testing.T) {
	var o Offers
	run := func() {
		o.Reset(2)
		for i := range 40 {
			o.Add(&Offer{Standing: openrtb.Standing{Price: unit.CPMMicros(i * 7 % 13), Place: uint32(i)}, Imp: int32(i % 2)})
		}
		o.Settle()
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
