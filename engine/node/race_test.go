//go:build race || invariants

package node

// raced: the race detector, or the owners' assertions, make everything slower
// and allocate for themselves.
const raced = true
