package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Layout of a pair of rounds in the request side's table: 16 thresholds, then
// for each round what false and true tests keep; numbers of views beside it.
const (
	roundFalse0, roundTrue0, roundFalse1, roundTrue1 = 64, 128, 192, 256
	roundBytes                                       = 320
	roundViewBytes                                   = 32
)

// narrow computes the request mask of 8 words at a time, a round being one node
// of each. Values come out of registers that hold all views: a gather from
// memory takes several times as long.
func narrow() {
	TEXT("narrowAVX512", NOSPLIT, "func(a *byte)")
	Pragma("noescape")
	Doc("narrowAVX512 computes request masks: up to 128 views.")
	a := arguments()
	views, rounds, numbers, counts := field(a, 0), field(a, 8), field(a, 16), field(a, 24)
	full, out, groups := field(a, 32), field(a, 40), field(a, 48)
	tables := zmm[24:32]
	for i, z := range tables {
		VMOVUPS(Mem{Base: views, Disp: 64 * i}, z)
	}
	bit5, bit6 := Z22, Z23
	t := GP32()
	MOVL(U32(32), t)
	VPBROADCASTD(t, bit5)
	MOVL(U32(64), t)
	VPBROADCASTD(t, bit6)
	acc := Z21
	left := GP32()

	Label("group")
	VMOVDQU64(Mem{Base: full}, acc)
	MOVL(Mem{Base: counts}, left)
	TESTL(left, left)
	JZ(LabelRef("done"))
	Label("round")
	VPMOVZXWD(Mem{Base: numbers}, Z0)
	VPTESTMD(bit5, Z0, K1)
	VPTESTMD(bit6, Z0, K2)
	for i := range 4 {
		VMOVDQA64(Z0, zmm[1+i])
		VPERMI2PS(tables[2*i+1], tables[2*i], zmm[1+i])
	}
	VMOVAPS(Z2, K1, Z1)
	VMOVAPS(Z4, K1, Z3)
	VMOVAPS(Z3, K2, Z1)
	VCMPPS(U8(18), Mem{Base: rounds}, Z1, K3) // LE_OQ: x ≤ threshold
	KSHIFTRW(U8(8), K3, K4)
	VMOVDQU64(Mem{Base: rounds, Disp: roundFalse0}, Z5)
	VMOVDQU64(Mem{Base: rounds, Disp: roundTrue0}, K3, Z5)
	VMOVDQU64(Mem{Base: rounds, Disp: roundFalse1}, Z6)
	VMOVDQU64(Mem{Base: rounds, Disp: roundTrue1}, K4, Z6)
	VPTERNLOGQ(U8(0x80), Z5, Z6, acc) // acc & Z5 & Z6
	ADDQ(U32(roundBytes), rounds)
	ADDQ(U8(roundViewBytes), numbers)
	DECL(left)
	JNZ(LabelRef("round"))
	Label("done")
	VMOVDQU64(acc, Mem{Base: out})
	ADDQ(U8(64), full)
	ADDQ(U8(64), out)
	ADDQ(U8(4), counts)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// turn transposes columns of pair rows, 8 × 8 at a time: candidates become
// lanes. The last columns of a row are read under a mask, for nothing may be
// read behind the last row.
func turn() {
	TEXT("turnAVX512", NOSPLIT, "func(a *byte)")
	Pragma("noescape")
	Doc("turnAVX512 transposes 8 columns of groups of 8 candidates' pair rows.")
	a := arguments()
	cross, rows, out, groups := field(a, 0), field(a, 8), field(a, 16), field(a, 24)
	mask := GP32()
	MOVL(at(a, 32), mask)
	KMOVB(mask, K1)
	ymm := []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}
	r := GP64()
	Label("turn")
	for i := range 8 {
		MOVQ(Mem{Base: rows, Disp: 8 * i}, r)
		VMOVUPS_Z(Mem{Base: cross, Index: r, Scale: 1}, K1, ymm[i])
	}
	for i := range 4 {
		VUNPCKLPS(ymm[2*i+1], ymm[2*i], ymm[8+2*i])
		VUNPCKHPS(ymm[2*i+1], ymm[2*i], ymm[9+2*i])
	}
	for i := range 2 {
		b := 8 + 4*i
		VSHUFPS(U8(0x44), ymm[b+2], ymm[b], ymm[4*i])
		VSHUFPS(U8(0xee), ymm[b+2], ymm[b], ymm[4*i+1])
		VSHUFPS(U8(0x44), ymm[b+3], ymm[b+1], ymm[4*i+2])
		VSHUFPS(U8(0xee), ymm[b+3], ymm[b+1], ymm[4*i+3])
	}
	for i := range 4 {
		VPERM2F128(U8(0x20), ymm[4+i], ymm[i], Y8)
		VPERM2F128(U8(0x31), ymm[4+i], ymm[i], Y9)
		VMOVUPS(Y8, Mem{Base: out, Disp: 4 * lanes * i})
		VMOVUPS(Y9, Mem{Base: out, Disp: 4 * lanes * (4 + i)})
	}
	ADDQ(U8(64), rows)
	ADDQ(U8(32), out)
	DECQ(groups)
	JNZ(LabelRef("turn"))
	VZEROUPPER()
	RET()
}

// mend copies values of a view, NaN as what it reads as.
func mend() {
	TEXT("mendAVX512", NOSPLIT, "func(from, to *float32, bytes int, missing float32)")
	Pragma("noescape")
	Doc("mendAVX512 copies values, NaN as missing.")
	from, to, left, missing := GP64(), GP64(), GP64(), Y2
	Load(Param("from"), from)
	Load(Param("to"), to)
	Load(Param("bytes"), left)
	m, err := Param("missing").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(m.Addr, missing)
	Label("mend")
	VMOVUPS(Mem{Base: from}, Y0)
	VCMPPS(U8(3), Y0, Y0, K1) // UNORD_Q
	VMOVAPS(missing, K1, Y0)
	VMOVUPS(Y0, Mem{Base: to})
	ADDQ(U8(32), from)
	ADDQ(U8(32), to)
	SUBQ(U8(32), left)
	JNZ(LabelRef("mend"))
	VZEROUPPER()
	RET()
}

// Offsets in segment.
const segmentWord, segmentFirst, segmentEnd, segmentTree, segmentBytes = 8, 12, 16, 20, 24

// build makes a request's steps and gathers the nodes of pairs that are open:
// 8 are tested at once, and those that pass are pushed together.
func build() {
	TEXT("buildAVX512", NOSPLIT, "func(a *byte)")
	Pragma("noescape")
	Doc("buildAVX512 makes the program of a request.")
	a := arguments()
	segments, request, left, test := field(a, 0), field(a, 8), field(a, 16), field(a, 24)
	steps, lefts, tests := field(a, 32), field(a, 40), field(a, 48)
	open, word, pair, end, nodes, some := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()

	Label("segment")
	MOVL(Mem{Base: segments, Disp: segmentWord}, word.As32())
	MOVQ(Mem{Base: request, Index: word, Scale: 8}, open)
	ANDQ(Mem{Base: segments}, open)
	JZ(LabelRef("shut"))
	VPBROADCASTQ(open, Z0)
	MOVL(Mem{Base: segments, Disp: segmentFirst}, pair.As32())
	MOVL(Mem{Base: segments, Disp: segmentEnd}, end.As32())
	XORL(nodes.As32(), nodes.As32())
	CMPQ(pair, end)
	JE(LabelRef("emit"))
	Label("eight")
	VMOVDQU64(Mem{Base: left, Index: pair, Scale: 8}, Z1)
	VMOVDQU64(Mem{Base: test, Index: pair, Scale: 8}, Z2)
	VPTESTMQ(Z0, Z1, K1)
	VPCOMPRESSQ_Z(Z1, K1, Z1)
	VPCOMPRESSQ_Z(Z2, K1, Z2)
	VMOVDQU64(Z1, Mem{Base: lefts})
	VMOVDQU64(Z2, Mem{Base: tests})
	KMOVB(K1, some.As32())
	POPCNTL(some.As32(), some.As32())
	LEAQ(Mem{Base: lefts, Index: some, Scale: 8}, lefts)
	LEAQ(Mem{Base: tests, Index: some, Scale: 8}, tests)
	ADDL(some.As32(), nodes.As32())
	ADDQ(U8(8), pair)
	CMPQ(pair, end)
	JNE(LabelRef("eight"))
	Label("emit")
	MOVQ(open, Mem{Base: steps})
	MOVQ(word, Mem{Base: steps, Disp: stepWord}) // and no tree
	MOVQ(nodes, Mem{Base: steps, Disp: stepNodes})
	MOVL(Mem{Base: segments, Disp: segmentTree}, some.As32())
	TESTL(some.As32(), some.As32())
	JNZ(LabelRef("part"))
	Label("emitted")
	ADDQ(U8(stepBytes), steps)
	Label("shut")
	ADDQ(U8(segmentBytes), segments)
	CMPQ(segments, at(a, 56))
	JNE(LabelRef("segment"))
	SUBQ(at(a, 32), steps)
	MOVQ(steps, at(a, 64))
	SUBQ(at(a, 40), lefts)
	MOVQ(lefts, at(a, 72))
	VZEROUPPER()
	RET()
	Label("part")
	MOVL(some.As32(), Mem{Base: steps, Disp: stepTree})
	JMP(LabelRef("emitted"))
}

// touch asks for the first lines of ads' rows.
func touch() {
	TEXT("touchAVX512", NOSPLIT, "func(masks *uint64, rows *uint64, n int)")
	Pragma("noescape")
	Doc("touchAVX512 has the first two lines of n rows brought to the cache.")
	masks, rows, left, row := GP64(), GP64(), GP64(), GP64()
	Load(Param("masks"), masks)
	Load(Param("rows"), rows)
	Load(Param("n"), left)
	Label("touch")
	MOVQ(Mem{Base: rows}, row)
	PREFETCHT0(Mem{Base: masks, Index: row, Scale: 1})
	PREFETCHT0(Mem{Base: masks, Index: row, Scale: 1, Disp: 64})
	ADDQ(U8(8), rows)
	DECQ(left)
	JNZ(LabelRef("touch"))
	RET()
}
