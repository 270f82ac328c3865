package budget

import (
	"math/bits"

	"millrace/codec/unit"
)

// idTable finds the slot of an account: open addressing, linear probing. Ids
// are hashes already, so their low bits will do. Entries are never removed.
type idTable struct {
	keys  []unit.AccountID // 0 is empty: no account has that id
	slots []int32
	used  int
}

func (t *idTable) get(id unit.AccountID) int32 {
	if len(t.keys) == 0 || id == 0 {
		return none
	}
	mask := uint64(len(t.keys) - 1)
	for i := uint64(id) & mask; ; i = (i + 1) & mask {
		switch t.keys[i] {
		case id:
			return t.slots[i]
		case 0:
			return none
		}
	}
}

func (t *idTable) put(id unit.AccountID, slot int32) {
	if 2*(t.used+1) > len(t.keys) {
		old := *t
		t.keys = make([]unit.AccountID, max(64, 2*len(old.keys)))
		t.slots = make([]int32, len(t.keys))
		t.used = 0
		for i, k := range old.keys {
			if k != 0 {
				t.put(k, old.slots[i])
			}
		}
	}
	mask := uint64(len(t.keys) - 1)
	i := uint64(id) & mask
	for t.keys[i] != 0 {
		i = (i + 1) & mask
	}
	t.keys[i], t.slots[i] = id, slot
	t.used++
}

// scale is a × num / den without overflow on the way, at most top.
func scale(a unit.Nanos, num, den int64, top unit.Nanos) unit.Nanos {
	if a <= 0 || num <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(a), uint64(num))
	if den = max(den, 1); hi >= uint64(den) {
		return top
	}
	q, _ := bits.Div64(hi, lo, uint64(den))
	return unit.Nanos(min(q, uint64(top)))
}
