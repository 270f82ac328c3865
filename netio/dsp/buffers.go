package dsp

import "math/bits"

// buffers is a pool's memory for bytes that wait: bodies, answers, what is to be
// sent. Sizes are powers of four from 2 KiB; the last buffer given back is the
// first one out, so that those which a moderate load uses stay in the cache.
type buffers struct {
	free [bufferClasses][][]byte
	used int // bytes handed out
	max  int
}

const (
	bufferShift   = 11
	bufferClasses = 8       // 2 KiB to 32 MiB
	bufferKeep    = 8 << 20 // bytes of each class kept for reuse, 64 auctions with 50 small answers each; beyond, the collector has them
)

func bufferClass(n int) int {
	if n <= 1<<bufferShift {
		return 0
	}
	return (bits.Len(uint(n-1)) - bufferShift + 1) / 2
}

// get gives an empty buffer of at least n bytes, or nil when the bound is reached.
func (b *buffers) get(n int) []byte {
	class := bufferClass(n)
	size := 1 << (bufferShift + 2*class)
	if class >= bufferClasses || b.used+size > b.max {
		return nil
	}
	b.used += size
	if k := len(b.free[class]) - 1; k >= 0 {
		buf := b.free[class][k]
		b.free[class][k] = nil
		b.free[class] = b.free[class][:k]
		return buf
	}
	return make([]byte, 0, size)
}

// put takes back what get gave; nil is nothing.
func (b *buffers) put(buf []byte) {
	if cap(buf) == 0 {
		return
	}
	b.used -= cap(buf)
	mangle(buf)
	class := bufferClass(cap(buf))
	if len(b.free[class])*cap(buf) < bufferKeep {
		b.free[class] = append(b.free[class], buf[:0])
	}
}

// grow gives a buffer with the same bytes and room for n more; buf, which may be
// nil, must not be used afterwards. false means that the bound is reached, and buf
// is as it was.
func (b *buffers) grow(buf []byte, n int) ([]byte, bool) {
	if cap(buf)-len(buf) >= n {
		return buf, true
	}
	bigger := b.get(len(buf) + n)
	if bigger == nil {
		return buf, false
	}
	bigger = append(bigger, buf...)
	b.put(buf)
	return bigger, true
}
