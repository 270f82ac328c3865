package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Fault breaks something, and tells how long it took, from the moment at which
// what was broken was there again, until it did its work.
type Fault struct {
	Name string
	Run  func(f *Fleet, r *rand.Rand) time.Duration
}

// pause is how long a fault lasts: some tenths of a second, at random.
func pause(r *rand.Rand, least, most time.Duration) {
	time.Sleep(least + time.Duration(r.Int64N(int64(most-least))))
}

// Faults are all of them; Kafka's only where there is one.
func (f *Fleet) Faults() []Fault {
	list := []Fault{
		{"node killed", nodeKilled},
		{"Valkey killed, back empty", valkeyKilled},
		{"Valkey FLUSHALL", valkeyFlushed},
		{"PostgreSQL killed", postgresKilled},
		{"node stopped for longer than a lease", nodePaused},
		{"PostgreSQL restarted", postgresRestarted},
		{"Valkey stopped in mid-air", valkeyPaused},
		{"node stopped in an orderly way", nodeStopped},
		{"PostgreSQL killed, and a node started without it", nodeAlone},
	}
	if f.Kafka != nil {
		list = append(list, Fault{"Kafka killed", kafkaKilled})
	}
	return list
}

func (f *Fleet) any(r *rand.Rand) *Node { return f.Nodes[r.IntN(len(f.Nodes))] }

// pays waits until the node wins, shows and bills again.
func (f *Fleet) pays(n *Node, since time.Time) time.Duration {
	f.Await(fmt.Sprintf("a paid impression of node %d", n.ID), func() bool { return f.Log.PaidSince(n.ID, since) })
	return time.Since(since)
}

func nodeKilled(f *Fleet, r *rand.Rand) time.Duration {
	n := f.any(r)
	n.Kill()
	pause(r, 100*time.Millisecond, time.Second)
	since := time.Now()
	n.Restart()
	return f.pays(n, since)
}

func nodeStopped(f *Fleet, r *rand.Rand) time.Duration {
	n := f.any(r)
	n.Stop()
	since := time.Now()
	n.Restart()
	return f.pays(n, since)
}

func nodePaused(f *Fleet, r *rand.Rand) time.Duration {
	n := f.any(r)
	n.Server.Signal(syscall.SIGSTOP)
	pause(r, Lease+time.Second, Lease+3*time.Second)
	since := time.Now()
	n.Server.Signal(syscall.SIGCONT)
	return f.pays(n, since)
}

// nodeAlone: a node comes up while the ledger is away, and pays when it is back.
func nodeAlone(f *Fleet, r *rand.Rand) time.Duration {
	n := f.any(r)
	n.Kill()
	f.Postgres.Kill()
	n.Restart()
	since := time.Now()
	f.Postgres.Start()
	return f.pays(n, since)
}

// grants waits until ledger and counter grant to every node again, which must
// also want something.
func (f *Fleet) grants(since time.Time) time.Duration {
	f.await("grants to every node", "millrace_shared_grants_total", func(m map[string]float64) bool {
		return m["millrace_shared_trouble"] == 0 && m["millrace_valkey_breaker"] == 0
	})
	return time.Since(since)
}

// await waits until a counter of every node has risen and its metrics are well.
func (f *Fleet) await(what, counter string, well func(metrics map[string]float64) bool) {
	before := map[int]float64{}
	for _, n := range f.Nodes {
		before[n.ID] = n.Server.Metrics()[counter]
	}
	f.Await(what, func() bool {
		for _, n := range f.Nodes {
			if m := n.Server.Metrics(); m[counter] <= before[n.ID] || !well(m) {
				return false
			}
		}
		return true
	})
}

func valkeyKilled(f *Fleet, r *rand.Rand) time.Duration {
	f.Valkey.Kill()
	pause(r, 500*time.Millisecond, 3*time.Second)
	since := time.Now()
	f.Valkey.Start()
	return f.grants(since)
}

func valkeyFlushed(f *Fleet, _ *rand.Rand) time.Duration {
	since := time.Now()
	if _, err := f.Valkey.Do("FLUSHALL"); err != nil {
		f.t.Error(err)
	}
	return f.grants(since)
}

func valkeyPaused(f *Fleet, r *rand.Rand) time.Duration {
	f.Valkey.Pause()
	pause(r, time.Second, Lease+time.Second)
	since := time.Now()
	f.Valkey.Resume()
	return f.grants(since)
}

func postgresKilled(f *Fleet, r *rand.Rand) time.Duration {
	f.Postgres.Kill()
	pause(r, 500*time.Millisecond, 3*time.Second)
	return f.postgresBack()
}

func postgresRestarted(f *Fleet, _ *rand.Rand) time.Duration {
	f.Postgres.Stop()
	return f.postgresBack()
}

// postgresBack starts it, and waits until the ledger takes every node's postings
// and answers what it is asked for.
func (f *Fleet) postgresBack() time.Duration {
	since := time.Now()
	f.Postgres.Start()
	f.await("postings of every node", "millrace_ledger_postings_total", func(m map[string]float64) bool { return m["millrace_shared_trouble"] == 0 })
	return time.Since(since)
}

func kafkaKilled(f *Fleet, r *rand.Rand) time.Duration {
	f.Kafka.Kill()
	pause(r, time.Second, 4*time.Second)
	return f.kafkaBack()
}

// KafkaAway keeps Kafka away for so long.
func KafkaAway(d time.Duration) Fault {
	return Fault{fmt.Sprintf("Kafka away for %v", d), func(f *Fleet, _ *rand.Rand) time.Duration {
		f.Kafka.Kill()
		time.Sleep(d)
		return f.kafkaBack()
	}}
}

// kafkaBack waits until every node has delivered what it had when the broker came
// back.
func (f *Fleet) kafkaBack() time.Duration {
	since := time.Now()
	f.Kafka.Start()
	f.Await("events delivered to Kafka", func() bool {
		for _, n := range f.Nodes {
			if n.Server.Metrics()["millrace_kafka_lag_seconds"] > 1 {
				return false
			}
		}
		return true
	})
	return time.Since(since)
}

// Recoveries are the times each kind of fault took to be over.
type Recoveries struct {
	order []string
	times map[string][]time.Duration
}

// Add notes one.
func (r *Recoveries) Add(name string, d time.Duration) {
	if r.times == nil {
		r.times = map[string][]time.Duration{}
	}
	if r.times[name] == nil {
		r.order = append(r.order, name)
	}
	r.times[name] = append(r.times[name], d)
}

// String is a table.
func (r *Recoveries) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-52s %6s  %10s  %10s  %10s\n", "recovered from", "times", "shortest", "median", "longest")
	for _, name := range r.order {
		d := slices.Clone(r.times[name])
		slices.Sort(d)
		round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
		fmt.Fprintf(&b, "%-52s %6d  %10v  %10v  %10v\n", name, len(d), round(d[0]), round(d[len(d)/2]), round(d[len(d)-1]))
	}
	return b.String()
}
