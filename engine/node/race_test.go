//go:build race

package node

// raced: the race detector makes everything ten times slower.
const raced = true
