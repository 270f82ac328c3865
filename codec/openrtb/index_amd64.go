package openrtb

import "golang.org/x/sys/cpu"

// What the processor can do: AVX2 with bit manipulation since Haswell and Zen,
// the part of AVX-512 that compresses bytes since Ice Lake and Zen 4.
var (
	hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasPCLMULQDQ && cpu.X86.HasPOPCNT && cpu.X86.HasBMI1 && cpu.X86.HasBMI2

	hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VBMI2
)

func hasWide() bool { return hasAVX2 }

// indexWide indexes a body from byte at on, by vectors, as long as there is
// room for one more step's tokens.
func indexWide(b []byte, at int, dst []uint32, s *indexState) (next, n int) {
	if hasAVX512 {
		return indexAVX512(b, at, dst, s)
	}
	return indexAVX2(b, at, dst, s)
}

//go:noescape
func indexAVX512(b []byte, at int, dst []uint32, s *indexState) (next, n int)

//go:noescape
func indexAVX2(b []byte, at int, dst []uint32, s *indexState) (next, n int)
