package process

import "testing"

func TestCoresAreSplitWithoutOverlap(t *testing.T) {
	servers, client := SplitCores(true)
	if servers == nil {
		t.Skip("one core, or not Linux: nothing to split")
	}
	seen := map[int]bool{}
	for _, c := range append(servers, client...) {
		if seen[c] {
			t.Errorf("core %d is given twice", c)
		}
		seen[c] = true
	}
	if len(client) < len(servers) {
		t.Errorf("servers %v, client %v", servers, client)
	}
}
