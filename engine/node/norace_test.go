//go:build !race && !invariants

package node

const raced = false
