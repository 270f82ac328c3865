//go:build !invariants

package ingress

// mangle does nothing without -tags invariants.
func (x *Exchange) mangle() {}
