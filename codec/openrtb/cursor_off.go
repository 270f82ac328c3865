//go:build !invariants

package openrtb

const checkCursor = false
