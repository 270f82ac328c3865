package decision

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
)

// BenchmarkShards is the engine in process on one and on two shards of a real
// group, each pinned where the system allows, in turns of the same length so
// that other users of the machine meet both alike. Reported are decisions a
// second and the CPU time of one, for both, and two ratios:
//
//	x-wall   throughput of two shards over that of one
//	x-cpu    2 × CPU of a decision on one shard over that on two: what x-wall
//	         is when the two have two cores to themselves
//
// x-cpu falls when shards write each other's cache lines, whoever else is
// running; x-wall falls with any other load as well.
func BenchmarkShards(b *testing.B) {
	run := func(name string, snap *campaign.Snapshot, bodies [][]byte) {
		b.Run(name, func(b *testing.B) { benchmarkShards(b, snap, bodies) })
	}
	run("demo", demoSnapshot(b), mix(256))
	o := catalogtest.Options{Lines: 1000, Seed: 1}
	run("lines=1000", catalogtest.Snapshot(o), synthetic(256, o))
}

func benchmarkShards(b *testing.B, snap *campaign.Snapshot, bodies [][]byte) {
	if runtime.GOMAXPROCS(0) < 2 {
		b.Skip("two shards need two processors")
	}
	const turn = 4096 // decisions of a shard
	rigs := [...]*rig{newRig(b, 1, snap, bodies, nil), newRig(b, 2, snap, bodies, nil)}
	for _, r := range rigs {
		r.run(b, 2*turn)
	}
	var wall, cpu [len(rigs)]time.Duration
	turns := 0
	b.ResetTimer()
	for done := 0; done < b.N; done += 3 * turn {
		for i, r := range rigs {
			w, c := r.run(b, turn)
			wall[i] += w
			cpu[i] += c
		}
		turns++
	}
	b.StopTimer()
	for i := range rigs {
		decisions := float64((i + 1) * turn * turns)
		b.ReportMetric(decisions/wall[i].Seconds(), fmt.Sprintf("decisions/s-%d", i+1))
		b.ReportMetric(float64(cpu[i].Nanoseconds())/decisions, fmt.Sprintf("cpu-ns/decision-%d", i+1))
	}
	b.ReportMetric(2*wall[0].Seconds()/wall[1].Seconds(), "x-wall")
	b.ReportMetric(4*cpu[0].Seconds()/cpu[1].Seconds(), "x-cpu")
	var sum uint64
	bids := 0
	for _, r := range rigs {
		for _, c := range r.clients {
			sum, bids = sum^c.sum, bids+c.bids
		}
	}
	if bids == 0 {
		b.Fatal("no bids")
	}
	b.Logf("%v; %d bids, result %x", rigs[1].group.Pinned(), bids, sum)
}
