//go:build invariants

package ingress

// mangle overwrites a freed exchange's bytes, so that a slice that outlived its
// exchange is noticed.
func (x *Exchange) mangle() {
	for _, b := range [...][]byte{x.raw, x.plain, x.zip, x.ready, x.Out} {
		b = b[:cap(b)]
		for i := range b {
			b[i] = 0xDB
		}
	}
}
