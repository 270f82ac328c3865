package memory_test

import (
	"testing"
	"time"

	"millrace/state/store/joint"
	"millrace/state/store/joint/jointtest"
	"millrace/state/store/joint/memory"
)

func TestLedger(t *testing.T) {
	jointtest.Ledger(t, func(*testing.T) joint.Ledger { return memory.NewLedger(30 * time.Second).Client(memory.Apart) })
}

func TestCounter(t *testing.T) {
	jointtest.Counter(t, func(*testing.T) joint.Counter { return memory.NewCounter().Client(memory.Apart) })
}
