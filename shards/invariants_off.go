//go:build !invariants

package shards

// invariants turns on the checks of the invariants build: that the turn is held
// by the calling goroutine, and that recycled messages are mangled.
const invariants = false

func goroutineID() uint64 { return 0 }

func mangle([]byte) {}
