package shards

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/unit"
)

func alarms() map[string]*alarm {
	coarse := &alarm{rang: make(chan struct{}, 1), at: NoDeadline}
	coarse.coarse()
	return map[string]*alarm{"coarse": coarse, "as on this system": newAlarm()}
}

// TestAlarm: it rings, never early, and for the last time it was set to.
func TestAlarm(t *testing.T) {
	for name, a := range alarms() {
		defer a.close()
		began := time.Now()
		a.set(1, time.Hour)
		a.set(2, 3*time.Millisecond)
		a.set(2, time.Hour) // is set to that
		<-a.rang
		if took := time.Since(began); took < 3*time.Millisecond {
			t.Errorf("%s: rang after %v", name, took)
		}
		a.heard()
		a.set(2, time.Microsecond)
		<-a.rang
		a.heard()
		a.set(3, -1)
		<-a.rang
	}
}

// BenchmarkAlarm is how late alarms ring in an idle process.
func BenchmarkAlarm(b *testing.B) {
	for name, a := range alarms() {
		b.Run(name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			var late []time.Duration
			for i := 0; b.Loop(); i++ {
				d := 200*time.Microsecond + time.Duration(r.IntN(3_000_000))
				began := time.Now()
				a.set(unit.MonoTime(i), d)
				<-a.rang
				late = append(late, time.Since(began)-d)
				a.heard()
			}
			slices.Sort(late)
			b.ReportMetric(float64(late[len(late)/2])/1e3, "µs-late-p50")
			b.ReportMetric(float64(late[len(late)*99/100])/1e3, "µs-late-p99")
		})
		a.close()
	}
}
