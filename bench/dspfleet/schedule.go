package dspfleet

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// resetPair is the setting that takes back all that was changed.
const resetPair = "reset"

// ParseStep reads "30s dsp-03,dsp-1* faults=hang:0.5 latency=5ms".
func ParseStep(text string) (Step, error) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return Step{}, fmt.Errorf("%q: want TIME NAMES KEY=VALUE..., e.g. \"30s dsp-03 faults=hang\"", text)
	}
	at, err := time.ParseDuration(words[0])
	if err != nil {
		return Step{}, fmt.Errorf("%q: %w", text, err)
	}
	return Step{At: at, Names: words[1], Pairs: words[2:]}, nil
}

// matches reports whether a list of patterns names a bidder.
func matches(names, name string) bool {
	for _, pattern := range strings.Split(names, ",") {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

func without(pairs []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(pairs), func(p string) bool { return p == word })
}

// Set changes the bidders that names (a list, * for any text) matches, and
// tells how many that are. A fault changes none.
func (f *Fleet) Set(names string, pairs ...string) (int, error) {
	f.changing.Lock()
	defer f.changing.Unlock()
	changed := map[*dsp]*Behaviour{}
	for _, d := range f.dsps {
		if !matches(names, d.cfg.Name) {
			continue
		}
		from := *d.behaviour.Load()
		if slices.Contains(pairs, resetPair) {
			from = d.cfg.Behaviour
		}
		b, err := from.With(without(pairs, resetPair)...)
		if err != nil {
			return 0, err
		}
		changed[d] = &b
	}
	if len(changed) == 0 {
		return 0, fmt.Errorf("no bidder is named %q", names)
	}
	for d, b := range changed {
		d.behaviour.Store(b)
		d.worker.command(func(w *worker) { w.settle(d) })
	}
	return len(changed), nil
}

// follow takes the schedule's steps when their time has come.
func (f *Fleet) follow(ctx context.Context) {
	steps := slices.Clone(f.cfg.Schedule)
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	for _, s := range steps {
		t := time.NewTimer(time.Until(f.Began.Add(s.At)))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		// Validate has looked at every step.
		_, _ = f.Set(s.Names, s.Pairs...)
	}
}
