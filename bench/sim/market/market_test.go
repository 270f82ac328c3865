package market

import (
	"fmt"
	"os"
	"testing"
)

// seeds of an ordinary test; MILLRACE_LONG runs ten thousand.
func seeds() uint64 {
	switch {
	case os.Getenv("MILLRACE_LONG") != "":
		return 10_000
	case testing.Short():
		return 60
	}
	return 200
}

func TestSeeds(t *testing.T) {
	sum := map[string]uint64{}
	theirs, ours, asked, cancelled, billed, together := 0, 0, 0, 0, 0, 0
	for seed := range seeds() {
		r, err := Run(Config{Seed: seed})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if r.Failed() {
			small, err := Shrink(Config{Seed: seed}, r)
			if err != nil {
				t.Fatal(err)
			}
			t.Fatalf("seed %d fails after %d requests: %s", seed, small.Requests, small.Violations[0])
		}
		for deed, n := range r.Misdeeds {
			sum[deed] += n
		}
		theirs, ours, asked, cancelled, billed, together = theirs+r.Theirs, ours+r.Ours, asked+r.Asked, cancelled+r.Cancelled, billed+r.Billed, max(together, r.Together)
	}
	t.Logf("%d asked, %d won by bidders, %d by lines, %d calls cancelled, %d billed, up to %d waiting; %v", asked, theirs, ours, cancelled, billed, together, sum)
	for _, deed := range misdeedNames {
		if sum[deed] == 0 {
			t.Errorf("%s never happened", deed)
		}
	}
	if theirs == 0 || ours == 0 || cancelled == 0 || billed == 0 || together < 4 {
		t.Error("too little happened")
	}
}

// TestSameSeedSameRun: a seed is a run.
func TestSameSeedSameRun(t *testing.T) {
	for seed := range uint64(5) {
		var runs [2]string
		for i := range runs {
			r, err := Run(Config{Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			runs[i] = fmt.Sprintf("%+v", *r)
		}
		if runs[0] != runs[1] {
			t.Errorf("seed %d:\n%s\n%s", seed, runs[0], runs[1])
		}
	}
}
