//go:build !amd64

package openrtb

func hasWide() bool { return false }

// indexWide is never called here.
func indexWide([]byte, int, []uint32, *indexState) (next, n int) { panic("openrtb: no vectors") }
