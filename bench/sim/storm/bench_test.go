package storm

import (
	"testing"
	"time"
)

// BenchmarkRun is a run of ten simulated minutes.
func BenchmarkRun(b *testing.B) {
	var simulated time.Duration
	for i := range b.N {
		r, err := Run(Config{Seed: uint64(i + 1), Duration: 10 * time.Minute, Faults: All})
		if err != nil {
			b.Fatal(err)
		}
		simulated += r.Simulated
	}
	b.ReportMetric(simulated.Hours()/b.Elapsed().Minutes(), "sim-hours/min")
}
