package storm

import "slices"

// Shrunk is a failure made as small as could be found.
type Shrunk struct {
	Violation Violation `json:"violation"`
	// Events is the shortest prefix after which the weather may clear up and the
	// invariant is breached all the same; 0 if all of them are needed.
	Events uint64 `json:"events"`
	// Faults are those of the plan that are needed.
	Faults []string `json:"faults"`
	// Runs is how many runs it took.
	Runs int `json:"runs"`
}

// runsMax bounds the search.
const runsMax = 120

// Shrink runs a failing configuration again with fewer events and fewer faults,
// as long as the same invariant is breached.
func Shrink(c Config, failed *Result) (*Shrunk, error) {
	s := &Shrunk{Violation: failed.Violations[0]}
	fails := func(c Config) (*Result, error) {
		s.Runs++
		r, err := Run(c)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(r.Violations, func(v Violation) bool { return v.Invariant == s.Violation.Invariant })
		if i < 0 {
			return nil, nil
		}
		s.Violation = r.Violations[i]
		return r, nil
	}
	if err := s.shorten(&c, failed, fails); err != nil {
		return nil, err
	}
	if err := s.leaveOut(&c, failed, fails); err != nil {
		return nil, err
	}
	s.Events = c.Limit
	return s, nil
}

// shorten finds the shortest prefix by bisection. Failing is not monotonic in
// the prefix, so the result is one after which one event less does not fail.
func (s *Shrunk) shorten(c *Config, failed *Result, fails func(Config) (*Result, error)) error {
	low, high := uint64(1), failed.Events
	for low < high && s.Runs < runsMax/2 {
		c.Limit = (low + high) / 2
		r, err := fails(*c)
		if err != nil {
			return err
		}
		if r != nil {
			high = c.Limit
		} else {
			low = c.Limit + 1
		}
	}
	if c.Limit = high; high == failed.Events {
		c.Limit = 0
	}
	return nil
}

// leaveOut drops one fault after the other, the latest first.
func (s *Shrunk) leaveOut(c *Config, failed *Result, fails func(Config) (*Result, error)) error {
	c.Skip = map[int]bool{}
	for _, p := range slices.Backward(failed.plan) {
		if !c.Faults.Has(p.kind) {
			continue
		}
		c.Skip[p.number] = true
		if s.Runs < runsMax {
			r, err := fails(*c)
			if err != nil {
				return err
			}
			if r != nil {
				continue
			}
		}
		delete(c.Skip, p.number)
	}
	for _, p := range failed.plan {
		if c.Faults.Has(p.kind) && !c.Skip[p.number] {
			s.Faults = append(s.Faults, p.String())
		}
	}
	return nil
}
