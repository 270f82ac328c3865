package openrtb

import "golang.org/x/sys/cpu"

// hasWide: the processor has what indexWide needs (Ice Lake, Zen 4 and later).
var hasWide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VBMI2 &&
	cpu.X86.HasPCLMULQDQ && cpu.X86.HasPOPCNT && cpu.X86.HasBMI1 && cpu.X86.HasBMI2

// indexWide indexes a body from byte at on, by vectors, as long as there is
// room for one more step's tokens.
//
//go:noescape
func indexWide(b []byte, at int, dst []uint32, s *indexState) (next, n int)
