//go:build invariants

package openrtb

import "testing"

// TestStepsAreLinear counts how often the second pass looks at a token: at
// most a few times, whatever the body and its size.
func TestStepsAreLinear(t *testing.T) {
	var r BidRequest
	for _, size := range []int{1 << 12, 1 << 16, 1 << 20} {
		for name, body := range adversaries(size) {
			var p walker
			p.request(body, &r, DefaultLimits())
			if !p.err.OK() {
				t.Errorf("%s: %v", name, p.err)
			}
			if most := 8*p.n + 100; p.steps > most {
				t.Errorf("%s, %d bytes: %d steps for %d tokens", name, len(body), p.steps, p.n)
			}
		}
	}
}
