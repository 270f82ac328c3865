package memory

import "millrace/state/store/joint"

// Transport carries one call. It runs execute, which gives the answer, as often
// as the network repeats the request, perhaps never, and then runs one of the
// answers, or lost with an error that wraps joint.ErrUnknown (or does not, if
// execute was never run): one of them, once.
type Transport func(execute func() (answer func()), lost func(err error))

// Direct is a transport without a network: the answer comes before the call returns.
func Direct(execute func() (answer func()), _ func(error)) { execute()() }

// Apart runs each call on a goroutine of its own.
func Apart(execute func() (answer func()), _ func(error)) { go func() { execute()() }() }

func call[T any](t Transport, execute func() (T, error), done func(T, error)) {
	t(func() func() {
		v, err := execute()
		return func() { done(v, err) }
	}, func(err error) {
		var zero T
		done(zero, err)
	})
}

type nothing struct{}

func callBare(t Transport, execute func() error, done func(error)) {
	call(t, func() (nothing, error) { return nothing{}, execute() }, func(_ nothing, err error) { done(err) })
}

var (
	_ joint.Ledger  = (*LedgerClient)(nil)
	_ joint.Counter = (*CounterClient)(nil)
)
