//go:build invariants

package shards

import (
	"bytes"
	"runtime"
	"strconv"
)

// invariants turns on the checks of the invariants build: that the turn is held
// by the calling goroutine, and that recycled messages are mangled.
const invariants = true

// goroutineID reads the caller's number off its stack trace ("goroutine 12
// [running]"). It takes a microsecond; no other build pays it.
func goroutineID() uint64 {
	var buf [64]byte
	text := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(text, []byte(" "))
	id, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		panic("shards: unreadable stack header " + strconv.Quote(string(text)))
	}
	return id
}

// mangle makes the reuse of a handled message visible.
func mangle(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
