package auction

import (
	"math/rand/v2"
	"slices"
	"testing"

	"millrace/codec/unit"
)

func randomBids(r *rand.Rand, n int) []Bid {
	bids := make([]Bid, n)
	for i := range bids {
		// Few distinct ranks and tiers, so that every tie-break decides often.
		bids[i] = Bid{Rank: unit.Nanos(r.IntN(5)), Tier: uint8(r.IntN(3)), Line: uint32(i / 3), Creative: uint32(i % 3)}
	}
	r.Shuffle(n, func(i, j int) { bids[i], bids[j] = bids[j], bids[i] })
	return bids
}

func compare(a, b Bid) int {
	switch {
	case Before(&a, &b):
		return -1
	case Before(&b, &a):
		return 1
	}
	return 0
}

// TestRankingEqualsSort walks whole rankings, scan by scan, and compares them
// with a sort of all bids.
func TestRankingEqualsSort(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 300 {
		most := 120
		if i%30 == 0 {
			most = 9000 // several scans deep
		}
		bids := randomBids(r, r.IntN(most))
		var got []Bid
		var rank Ranking
		rank.Reset()
		if i%3 == 0 {
			rank.Select(1+r.IntN(40), 2)
		}
		for {
			for _, b := range bids {
				if r.IntN(2) == 0 || !rank.Closed(b.Tier) && rank.Takes(b.Tier, b.Rank) {
					rank.Offer(b)
				}
			}
			got = append(got, rank.Bids()...)
			if rank.Exhausted() {
				break
			}
			rank.Continue()
		}
		want := slices.SortedFunc(slices.Values(bids), compare)
		if !slices.Equal(got, want) {
			t.Fatalf("ranking of %d bids differs from the sort:\n got %v\nwant %v", len(bids), got, want)
		}
	}
}

func TestOrderIsTotal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	bids := randomBids(r, 60)
	for i := range bids {
		for j := range bids {
			ab, ba := Before(&bids[i], &bids[j]), Before(&bids[j], &bids[i])
			if (i == j) != (!ab && !ba) || ab && ba {
				t.Fatalf("%+v and %+v: before %v, after %v", bids[i], bids[j], ab, ba)
			}
		}
	}
}

func TestTiesInWords(t *testing.T) {
	base := Bid{Rank: 100, Tier: 1, Line: 5, Creative: 5}
	for name, first := range map[string]Bid{
		"tier before rank": {Rank: 1, Tier: 0, Line: 9, Creative: 9},
		"rank before line": {Rank: 101, Tier: 1, Line: 9, Creative: 9},
		"line on a tie":    {Rank: 100, Tier: 1, Line: 4, Creative: 9},
		"creative at last": {Rank: 100, Tier: 1, Line: 5, Creative: 4},
	} {
		if !Before(&first, &base) || Before(&base, &first) {
			t.Errorf("%s: %+v should precede %+v", name, first, base)
		}
	}
}

// TestScansAreFew: to see the last of n bids takes a number of scans in the
// logarithm of n.
func TestScansAreFew(t *testing.T) {
	bids := randomBids(rand.New(rand.NewPCG(1, 1)), 100_000)
	var rank Ranking
	rank.Reset()
	scans, seen := 0, 0
	for {
		scans++
		for _, b := range bids {
			rank.Offer(b)
		}
		seen += len(rank.Bids())
		if rank.Exhausted() {
			break
		}
		rank.Continue()
	}
	if seen != len(bids) || scans > 4 {
		t.Errorf("%d of %d bids in %d scans", seen, len(bids), scans)
	}
}

func TestAllocRanking(t *testing.T) {
	bids := randomBids(rand.New(rand.NewPCG(1, 1)), 500)
	var rank Ranking
	if n := testing.AllocsPerRun(100, func() {
		rank.Reset()
		for _, b := range bids {
			rank.Offer(b)
		}
		for !rank.Exhausted() {
			rank.Continue()
			for _, b := range bids {
				rank.Offer(b)
			}
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkRanking1000(b *testing.B) {
	bids := randomBids(rand.New(rand.NewPCG(1, 1)), 1000)
	for i := range bids {
		bids[i].Rank = unit.Nanos(rand.Uint32())
	}
	var rank Ranking
	var sum unit.Nanos
	b.ReportAllocs()
	for b.Loop() {
		rank.Reset()
		for _, bid := range bids {
			rank.Offer(bid)
		}
		sum += rank.Bids()[0].Rank
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/bid")
	if sum == 0 {
		b.Fatal("no winner")
	}
}
