//go:build invariants

package openrtb

const checkCursor = true
