package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in programStep, and in passArgs behind the seven that stay in registers.
const (
	argMasks, argRows, argStepsEnd, argRowEnd = 56, 64, 72, 80

	stepRequest, stepWord, stepTree, stepNodes, stepBytes = 0, 8, 12, 16, 24
)

// passer generates one pass over a program for groups × 8 candidates, whose
// masks of the word at hand are Z0 up and whose sums are Z13 up, a lane a
// candidate.
type passer struct {
	groups  int
	float32 bool

	args, line                                        Register
	steps, lefts, tests, pairs, leaves, sums, scratch GPVirtual

	request, ones      VecPhysical
	tableLow, tableTop VecPhysical
}

// Scratch: 8 words of masks, one more set of masks, the open leaves' values,
// and a bit a candidate that is done with the tree at hand.
func (p *passer) spill(g int) Mem {
	return Mem{Base: p.scratch, Disp: 8*64*p.groups + 64*g}
}
func (p *passer) table(disp int) int { return 9*64*p.groups + disp }
func (p *passer) done(g int) Mem {
	return Mem{Base: p.scratch, Disp: 9*64*p.groups + 8*80 + g}
}

// tree is the number of the tree of several words that is at hand.
func (p *passer) tree() Mem { return p.done(16) }

func pass(groups int, f32 bool) {
	name := fmt.Sprintf("pass%dAVX512", groups)
	if f32 {
		name = fmt.Sprintf("pass%dFloat32AVX512", groups)
	}
	TEXT(name, NOSPLIT, "func(a *byte)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s runs a program for %d candidates.", name, 8*groups))
	p := &passer{groups: groups, float32: f32, args: arguments()}
	for i, r := range []*GPVirtual{&p.steps, &p.lefts, &p.tests, &p.pairs, &p.leaves, &p.sums, &p.scratch} {
		*r = field(p.args, 8*i)
	}
	line := GP64()
	p.line = line
	MOVL(U32(0), p.tree())
	for g := range groups {
		VMOVUPD(p.sum(g), p.total(g))
	}
	p.ones, p.request, p.tableLow, p.tableTop = Z26, Z27, Z28, Z29
	VPTERNLOGQ(U8(0xff), p.ones, p.ones, p.ones)
	MOVQ(I32(-1), p.line)

	Label("step")
	t := GP64()
	MOVL(Mem{Base: p.steps, Disp: stepWord}, t.As32())
	SHRQ(U8(3), t)
	CMPQ(t, line)
	JE(LabelRef("here"))
	MOVQ(t, line)
	p.transpose()
	Label("here")
	p.load()
	p.narrow()
	p.exits()
	Label("next")
	ADDQ(U8(stepBytes), p.steps)
	CMPQ(p.steps, at(p.args, argStepsEnd))
	JNE(LabelRef("step"))
	for g := range groups {
		VMOVUPD(p.total(g), p.sum(g))
	}
	VZEROUPPER()
	RET()
}

// transpose brings the 8 words of a cache line of each ad's row to the scratch:
// word × group × lane.
func (p *passer) transpose() {
	line, rows, out, left, row := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(p.line, line)
	SHLQ(U8(6), line)
	ADDQ(at(p.args, argMasks), line)
	MOVQ(at(p.args, argRows), rows)
	MOVQ(p.scratch, out)
	MOVQ(U32(p.groups), left)
	// The rows' next line is asked for now and read eight trees later; behind the
	// last there is none to ask for.
	ahead := GP64()
	LEAQ(Mem{Base: line, Disp: 64}, ahead)
	CMPQ(ahead, at(p.args, argRowEnd))
	CMOVQEQ(line, ahead)
	Label("transpose")
	for i := range 8 {
		MOVQ(Mem{Base: rows, Disp: 8 * i}, row)
		VMOVDQU64(Mem{Base: line, Index: row, Scale: 1}, zmm[i])
		PREFETCHT0(Mem{Base: ahead, Index: row, Scale: 1})
	}
	even, odds := []VecPhysical{Z8, Z9, Z10, Z11}, []VecPhysical{Z12, Z28, Z29, Z30}
	for i := range 4 {
		VPUNPCKLQDQ(zmm[2*i+1], zmm[2*i], even[i])
		VPUNPCKHQDQ(zmm[2*i+1], zmm[2*i], odds[i])
	}
	for odd, from := range [][]VecPhysical{even, odds} {
		VSHUFI64X2(U8(0x88), from[1], from[0], Z0)
		VSHUFI64X2(U8(0x88), from[3], from[2], Z1)
		VSHUFI64X2(U8(0xdd), from[1], from[0], Z2)
		VSHUFI64X2(U8(0xdd), from[3], from[2], Z3)
		VSHUFI64X2(U8(0x88), Z1, Z0, Z4)
		VSHUFI64X2(U8(0xdd), Z1, Z0, Z5)
		VSHUFI64X2(U8(0x88), Z3, Z2, Z6)
		VSHUFI64X2(U8(0xdd), Z3, Z2, Z7)
		for i, z := range []VecPhysical{Z4, Z6, Z5, Z7} { // words 0, 2, 4, 6
			VMOVDQU64(z, Mem{Base: out, Disp: (2*i + odd) * 64 * p.groups})
		}
	}
	ADDQ(U8(64), rows)
	ADDQ(U8(64), out)
	DECQ(left)
	JNZ(LabelRef("transpose"))
}

func (p *passer) load() {
	VPBROADCASTQ(Mem{Base: p.steps, Disp: stepRequest}, p.request)
	word := GP64()
	MOVL(Mem{Base: p.steps, Disp: stepWord}, word.As32())
	ANDQ(U8(7), word)
	IMUL3Q(U32(64*p.groups), word, word)
	ADDQ(p.scratch, word)
	for g := range p.groups {
		VPANDQ(Mem{Base: word, Disp: 64 * g}, p.request, zmm[g])
	}
}

// narrow applies the step's nodes of pairs: where a test is false, the left
// subtree's leaves go.
func (p *passer) narrow() {
	left := GP64()
	MOVL(Mem{Base: p.steps, Disp: stepNodes}, left.As32())
	TESTQ(left, left)
	JZ(LabelRef("narrowed"))
	x := GP64()
	left8, threshold := Z28, Y29
	Label("node")
	VPBROADCASTQ(Mem{Base: p.lefts}, left8)
	VBROADCASTSS(Mem{Base: p.tests}, threshold)
	MOVL(Mem{Base: p.tests, Disp: 4}, x.As32())
	for g := range p.groups {
		k := opmask[g%len(opmask)]
		VCMPPS(U8(25), Mem{Base: p.pairs, Index: x, Scale: 4, Disp: 32 * g}, threshold, k) // NGE_UQ: not x ≤ threshold
		VPANDNQ(zmm[g], left8, k, zmm[g])
	}
	ADDQ(U8(8), p.lefts)
	ADDQ(U8(8), p.tests)
	DECQ(left)
	JNZ(LabelRef("node"))
	Label("narrowed")
}

// exits finds each candidate's leaf and adds its value. Where up to 16 leaves
// are open, their values are brought together in two registers, and a
// candidate's is found by how many open leaves lie before its own.
func (p *passer) exits() {
	from, open, tree := GP64(), GP64(), GP32()
	MOVL(Mem{Base: p.steps, Disp: stepWord}, from.As32())
	SHLQ(U8(9), from)
	ADDQ(p.leaves, from)
	MOVL(Mem{Base: p.steps, Disp: stepTree}, tree)
	TESTL(tree, tree)
	JZ(LabelRef("begun"))
	CMPL(tree, p.tree())
	JE(LabelRef("begun"))
	MOVL(tree, p.tree())
	VPXORQ(X30, X30, X30)
	VMOVDQU64(X30, p.done(0))
	Label("begun")
	MOVQ(Mem{Base: p.steps, Disp: stepRequest}, open)
	POPCNTQ(open, open)
	CMPQ(open, U8(16))
	JA(LabelRef("many"))
	p.collect(from)
	TESTL(tree, tree)
	JNZ(LabelRef("part"))
	for g := range p.groups {
		value := zmm[30+g%2]
		p.rank(zmm[g], value)
		VPERMI2PD(p.tableTop, p.tableLow, value)
		p.add(value, p.total(g), p.total(g))
	}
	JMP(LabelRef("next"))
	Label("part")
	p.exitsOfPart()
	JMP(LabelRef("next"))
	Label("many")
	p.exitsGathered(from, tree)
}

func (p *passer) sum(g int) Mem           { return Mem{Base: p.sums, Disp: 64 * g} }
func (p *passer) total(g int) VecPhysical { return zmm[13+g] }

// rank counts the open leaves before the first one left in mask.
func (p *passer) rank(mask, out VecPhysical) {
	VPADDQ(p.ones, mask, out)
	VPTERNLOGQ(U8(0x20), p.request, mask, out) // (mask-1) &^ mask & request
	VPOPCNTQ(out, out)
}

// add is dst = a + b. A float32 model has its values and sums in the low half of
// each lane, the upper half zero.
func (p *passer) add(a Op, b, dst VecPhysical) {
	if p.float32 {
		VADDPS(a, b, dst)
	} else {
		VADDPD(a, b, dst)
	}
}

// collect loads the values of the word's open leaves.
func (p *passer) collect(from GPVirtual) {
	bits, eight, to := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: p.steps, Disp: stepRequest}, bits)
	LEAQ(Mem{Base: p.scratch, Disp: p.table(0)}, to)
	for i := range 8 {
		k, z := opmask[i%len(opmask)], zmm[30+i%2]
		KMOVB(bits.As32(), k)
		VMOVUPD(Mem{Base: from, Disp: 64 * i}, z)
		VCOMPRESSPD_Z(z, k, z)
		VMOVUPD(z, Mem{Base: to})
		if i < 7 {
			MOVBQZX(bits.As8(), eight)
			POPCNTQ(eight, eight)
			LEAQ(Mem{Base: to, Index: eight, Scale: 8}, to)
			SHRQ(U8(8), bits)
		}
	}
	VMOVUPD(Mem{Base: p.scratch, Disp: p.table(0)}, p.tableLow)
	VMOVUPD(Mem{Base: p.scratch, Disp: p.table(64)}, p.tableTop)
}

// exitsOfPart is for one of several open words of a tree: the first in which a
// candidate has a leaf left is the one that counts.
func (p *passer) exitsOfPart() {
	for g := range p.groups {
		value := zmm[30+g%2]
		p.rank(zmm[g], value)
		VPERMI2PD(p.tableTop, p.tableLow, value)
		VPTESTMQ(zmm[g], zmm[g], K1)
		p.takeNew(g)
		p.add(value, p.total(g), value)
		VMOVDQA64(value, K3, p.total(g))
	}
}

// takeNew leaves in K3 those of K1 that were not done, and notes them as done.
func (p *passer) takeNew(g int) {
	KMOVB(p.done(g), K2)
	KANDNB(K1, K2, K3)
	KORB(K1, K2, K2)
	KMOVB(K2, p.done(g))
}

// exitsGathered reads values from memory: for words with more open leaves, of
// whole trees or of a part.
func (p *passer) exitsGathered(from, tree GPVirtual) {
	TESTL(tree, tree)
	JNZ(LabelRef("gather"))
	VPXORQ(X30, X30, X30)
	VMOVDQU64(X30, p.done(0))
	Label("gather")
	for g := range p.groups {
		VMOVDQU64(zmm[g], p.spill(g))
		VMOVUPD(p.total(g), p.sum(g))
	}
	mask, index, value := Z28, Z30, Z31
	at, sums, done, left := GP64(), GP64(), GP64(), GP64()
	LEAQ(p.spill(0), at)
	LEAQ(p.done(0), done)
	MOVQ(p.sums, sums)
	MOVQ(U32(p.groups), left)
	Label("gathering")
	VMOVDQU64(Mem{Base: at}, mask)
	VPADDQ(p.ones, mask, index)
	VPANDNQ(index, mask, index)
	VPOPCNTQ(index, index)
	VPTESTMQ(mask, mask, K1)
	KMOVB(Mem{Base: done}, K2)
	KANDNB(K1, K2, K3)
	KORB(K1, K2, K2)
	KMOVB(K2, Mem{Base: done})
	KMOVB(K3, K4)
	VXORPD(value, value, value)
	VGATHERQPD(Mem{Base: from, Index: index, Scale: 8}, K4, value)
	p.add(Mem{Base: sums}, value, value)
	VMOVUPD(value, K3, Mem{Base: sums})
	ADDQ(U8(64), at)
	ADDQ(U8(64), sums)
	INCQ(done)
	DECQ(left)
	JNZ(LabelRef("gathering"))
	for g := range p.groups {
		VMOVUPD(p.sum(g), p.total(g))
	}
}
