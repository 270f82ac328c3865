package gbdt

import (
	"math"
	"testing"
)

func TestExp(t *testing.T) {
	worst64, worst32 := 0.0, 0.0
	for x := -745.0; x < 720; x += 0.0137 {
		worst64 = max(worst64, ulps(exp64(x), math.Exp(x), false))
		if x > -110 && x < 100 {
			s := float32(x)
			worst32 = max(worst32, ulps(float64(exp32(s)), float64(float32(math.Exp(float64(s)))), true))
		}
	}
	// math.Exp is itself off by up to one.
	if worst64 > 2 || worst32 > 1 {
		t.Errorf("exp64 is %v, exp32 %v units in the last place from math.Exp", worst64, worst32)
	}
	infinite := math.Inf(1)
	if exp64(0) != 1 || exp64(infinite) != infinite || exp64(-infinite) != 0 || !math.IsNaN(exp64(math.NaN())) {
		t.Error("exp64 at 0, ±Inf or NaN")
	}
	if exp32(0) != 1 || exp32(inf) != inf || exp32(-inf) != 0 || exp32(nan) == exp32(nan) {
		t.Error("exp32 at 0, ±Inf or NaN")
	}
}

// Values where rounding a better result gives another last bit: these are glibc's.
func TestExpLastBit(t *testing.T) {
	for _, c := range []struct{ x, want uint32 }{{0x401747cf, 0x412a17dd}, {0x41d56ded, 0x52b3ab13}, {0x41f3c64e, 0x557944b2}, {0x41f437fd, 0x5583bf89}} {
		if got := math.Float32bits(exp32(math.Float32frombits(c.x))); got != c.want {
			t.Errorf("exp32(%08x) = %08x, want %08x", c.x, got, c.want)
		}
	}
	for _, c := range []struct{ x, want uint64 }{{0x4022c03354c36a90, 0x40c70944912caafb}, {0x40078ad402409520, 0x4032f7f8e9ae53b9}, {0xbff4441242cf9480, 0x3fd208ba6afe1161}, {0xbff3e9cf5a6f9380, 0x3fd26f980305abed}, {0xc00e21e30d0e3d20, 0x3f97afddcf91d6c7}, {0xc0160ba8c5162710, 0x3f708cc65ea9b12d}} {
		if got := math.Float64bits(exp64(math.Float64frombits(c.x))); got != c.want {
			t.Errorf("exp64(%016x) = %016x, want %016x", c.x, got, c.want)
		}
	}
}

func BenchmarkPredict(b *testing.B) {
	for _, f := range []Forest{{Trainer: "lightgbm", Objective: Binary, Sigmoid: 1}, {Trainer: "xgboost", Objective: Binary, Sigmoid: 1, Float32: true}} {
		b.Run(f.Trainer, func(b *testing.B) {
			x, sum := -3.0, 0.0
			for b.Loop() {
				sum += f.Predict(x)
				x += 1e-6
			}
			b.ReportMetric(sum/float64(b.N), "mean")
		})
	}
}
