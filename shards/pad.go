package shards

import "unsafe"

// CacheLine is the distance kept between memory written by different cores.
// Two 64-byte lines: the adjacent-line prefetcher of x86 moves lines in pairs,
// and some arm64 cores have 128-byte lines.
const CacheLine = 128

// Pad, put first and last into a struct that a shard owns, keeps what another
// shard writes off its lines.
type Pad [CacheLine]byte

// AlignedSlice makes a slice of n elements that shares no cache line with
// anything else: for slabs that a shard owns. It starts on a line wherever the
// size of T allows, and beyond a line's distance from other memory else.
func AlignedSlice[T any](n int) []T {
	var t T
	size := max(int(unsafe.Sizeof(t)), 1)
	slack := (CacheLine + size - 1) / size
	raw := make([]T, n+2*slack)
	for i := range slack + 1 {
		if uintptr(unsafe.Pointer(&raw[i]))%CacheLine == 0 {
			return raw[i : i+n : i+n]
		}
	}
	// The element size does not let a start meet a line: leave a line before.
	return raw[slack : slack+n : slack+n]
}
