package shards

import "unsafe"

// cacheLine is the distance kept between memory written by different cores.
// Two 64-byte lines: the adjacent-line prefetcher of x86 moves lines in pairs,
// and some arm64 cores have 128-byte lines.
const cacheLine = 128

type pad [cacheLine]byte

// alignedSlice is a slice of n elements that starts on a cache line and shares
// its last line with nothing else. T must be free of pointers' alignment
// trouble: its size must divide, or be a multiple of, the cache line.
func alignedSlice[T any](n int) []T {
	var t T
	size := int(unsafe.Sizeof(t))
	slack := (cacheLine + size - 1) / size
	raw := make([]T, n+2*slack)
	for i := range slack + 1 {
		if uintptr(unsafe.Pointer(&raw[i]))%cacheLine == 0 {
			return raw[i : i+n : i+n]
		}
	}
	// The element size does not let a start meet a line: leave a line before.
	return raw[slack : slack+n : slack+n]
}
