package valkey

import (
	"fmt"

	client "github.com/valkey-io/valkey-go"

	"millrace/codec/unit"
	"millrace/state/store"
	"millrace/state/store/joint"
)

// Words of an answer for each request: status, amount, remaining of take.lua;
// the two counts of read.lua.
const (
	takeWords = 3
	readWords = 2
)

// statuses of take.lua.
var statuses = map[int64]store.Status{1: store.OK, 2: store.Exhausted, 3: store.Unavailable}

// words is an answer of so many words for each request. What a script did whose
// answer can't be read is not known.
func words(result *client.ValkeyResult, n int) ([]client.ValkeyMessage, error) {
	list, err := result.ToArray()
	if err == nil && len(list) != n {
		err = fmt.Errorf("%d words, want %d", len(list), n)
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return list, nil
}

func unreadable(err error) error {
	return fmt.Errorf("valkey: %w: answer of a script: %w", joint.ErrUnknown, err)
}

func readTaken(result *client.ValkeyResult, from []int, out []joint.Taken) error {
	list, err := words(result, takeWords*len(from))
	if err != nil {
		return err
	}
	for i, place := range from {
		var v [takeWords]int64
		for k := range v {
			if v[k], err = list[takeWords*i+k].AsInt64(); err != nil {
				return unreadable(err)
			}
		}
		status, ok := statuses[v[0]]
		if !ok {
			return unreadable(fmt.Errorf("status %d", v[0]))
		}
		out[place] = joint.Taken{Status: status, Amount: unit.Nanos(v[1]), Remaining: unit.Nanos(v[2])}
	}
	return nil
}

func readCounts(result *client.ValkeyResult, from []int, out []joint.Balance, known []bool) error {
	list, err := words(result, readWords*len(from))
	if err != nil {
		return err
	}
	for i, place := range from {
		if text, err := list[readWords*i].ToString(); err == nil && text == "" {
			continue
		}
		onDay, err := list[readWords*i].AsInt64()
		if err != nil {
			return unreadable(err)
		}
		inAll, err := list[readWords*i+1].AsInt64()
		if err != nil {
			return unreadable(err)
		}
		out[place].CommittedDay, out[place].CommittedTotal, known[place] = unit.Nanos(onDay), unit.Nanos(inAll), true
	}
	return nil
}
