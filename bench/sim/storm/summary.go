package storm

import (
	"fmt"
	"io"
	"time"
)

// Summary adds up runs.
type Summary struct {
	Runs      int
	Failed    []uint64 // seeds
	Simulated time.Duration
	Requests  uint64
	Bids      uint64
	Acked     uint64
	Posted    uint64
	Granted   uint64
	Faults    [Faults]uint64
	// Under is the largest under-delivery of any campaign judged, of Judged.
	Under  float64
	Judged int
	// Locked is what machines held that were lost with their disks.
	Locked int64
	// Takes and Commits are calls of the counter and the ledger; Worlds counts
	// runs by the number of nodes, those with a store of their own first.
	Takes, Commits uint64
	// Flipped bytes of audit chains.
	Flipped int
	Worlds  [NodesMax + 1]int
	// Refunded events, and what came back.
	Refunded uint64
	Back     int64
	// Over counts violations of I2.
	Over int
}

// Add adds a run.
func (s *Summary) Add(r *Result) {
	s.Runs++
	s.Simulated += r.Simulated
	s.Requests += r.Requests
	s.Bids += r.Bids
	s.Acked += r.Acked
	s.Posted += r.Posted
	s.Granted += r.Granted
	s.Judged += r.Judged
	s.Locked += r.Locked
	s.Flipped += r.Flipped
	s.Refunded += r.Refunded
	s.Back += r.Back
	s.Takes += r.Takes
	s.Commits += r.Commits
	if r.Commits == 0 {
		s.Worlds[0]++
	} else {
		s.Worlds[r.Nodes]++
	}
	s.Under = max(s.Under, r.Under)
	for i, n := range r.Faults {
		s.Faults[i] += n
	}
	if r.Failed() {
		s.Failed = append(s.Failed, r.Seed)
	}
	for _, v := range r.Violations {
		if v.Invariant == "I2" {
			s.Over++
		}
	}
}

// Missing are the faults of the set that never happened.
func (s *Summary) Missing(set FaultSet) (names []string) {
	for f := range Faults {
		if set.Has(f) && s.Faults[f] == 0 {
			names = append(names, f.String())
		}
	}
	return names
}

// Print writes the summary for a human; took is the wall time.
func (s *Summary) Print(w io.Writer, took time.Duration) {
	hours := s.Simulated.Hours()
	fmt.Fprintf(w, "%d runs, %.1f simulated hours in %v: %.0f simulated hours a wall minute\n",
		s.Runs, hours, took.Round(time.Millisecond), hours/max(took.Minutes(), 1e-9))
	fmt.Fprintf(w, "%d requests, %d bids, %d events acknowledged, %d billed, %d leases granted\n", s.Requests, s.Bids, s.Acked, s.Posted, s.Granted)
	fmt.Fprintf(w, "runs of one node with a store of its own: %d; of nodes that share a ledger, by their number: %v\n", s.Worlds[0], s.Worlds[1:])
	if s.Commits > 0 {
		fmt.Fprintf(w, "%d calls of the counter, %d of the ledger; %.6f left in leases of machines lost with their disks\n", s.Takes, s.Commits, float64(s.Locked)/1e9)
	}
	fmt.Fprintf(w, "%d events refunded, %.6f in all\n", s.Refunded, float64(s.Back)/1e9)
	fmt.Fprintf(w, "%d bytes of audit chains flipped, each of them found unless a run failed\n", s.Flipped)
	fmt.Fprintf(w, "over-delivery %d; under-delivery at most %.3f%% of a budget in calm weather, %d budgets judged\n", s.Over, 100*s.Under, s.Judged)
	fmt.Fprintln(w, "faults injected:")
	for f := range Faults {
		fmt.Fprintf(w, "  %-24s %d\n", f, s.Faults[f])
	}
	if len(s.Failed) > 0 {
		fmt.Fprintf(w, "FAILED: %d seeds: %v\n", len(s.Failed), s.Failed[:min(len(s.Failed), 50)])
	}
}
