// Command asm generates the AVX-512 kernels of models/gbdt with avo:
//
//	go generate ./models/gbdt
//
// Offsets into Go structs are those of narrowArgs, turnArgs and passArgs in
// simd_amd64.go; a test there compares them. Every function ends with
// VZEROUPPER: without it the Go code that follows runs many times slower.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lanes is the constant of the same name in models/gbdt.
const lanes = 104

var zmm = []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}

var opmask = []OpmaskPhysical{K1, K2, K3, K4, K5, K6, K7}

func main() {
	ConstraintExpr("amd64,!purego")
	narrow()
	turn()
	mend()
	build()
	touch()
	for _, groups := range []int{1, 2, 4, 7, 13} {
		pass(groups, false)
		pass(groups, true)
	}
	Generate()
}

// at is a field of the argument struct.
func at(args Register, offset int) Mem { return Mem{Base: args, Disp: offset} }

func field(args Register, offset int) GPVirtual {
	r := GP64()
	MOVQ(at(args, offset), r)
	return r
}

func arguments() Register {
	args := GP64()
	Load(Param("a"), args)
	return args
}
