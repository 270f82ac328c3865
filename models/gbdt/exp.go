package gbdt

import (
	"math"
	"math/big"
)

// The exponential function as the C library of the trainers computes it (glibc
// since 2.28, musl; the method is Arm's): x = (k + r)·ln 2 / N with k whole, e^x = 2^(k/N)
// from a table times a polynomial in r. With math.Exp, which rounds otherwise
// now and then, one prediction in hundreds would end in another digit than the
// trainer's.

const (
	exp32Steps = 32
	exp64Steps = 128
)

// pow2 is 2^(i/exp64Steps) as a float64, and what it lacks, relative to it.
var pow2 = makePow2()

func makePow2() (t [exp64Steps]struct{ value, lacks float64 }) {
	const precision = 200
	root := big.NewFloat(2).SetPrec(precision)
	for n := 1; n < exp64Steps; n *= 2 {
		root.Sqrt(root)
	}
	exact := big.NewFloat(1).SetPrec(precision)
	for i := range t {
		t[i].value, _ = exact.Float64()
		rest := new(big.Float).Sub(exact, big.NewFloat(t[i].value))
		t[i].lacks, _ = rest.Quo(rest, big.NewFloat(t[i].value)).Float64()
		exact.Mul(exact, root)
	}
	return t
}

// scale is t·2^k for a normal result.
func scale(t float64, k int64) float64 {
	return math.Float64frombits(math.Float64bits(t) + uint64(k)<<52)
}

// exp64 is e^x to about half a unit in the last place, with fused multiply-adds
// where glibc has them on a processor that has them.
func exp64(x float64) float64 {
	if !(math.Abs(x) < 700) { // at the ends of the range, rounding is not what matters
		return math.Exp(x)
	}
	k := math.RoundToEven(math.Log2E * exp64Steps * x)
	// ln 2 / N in two parts, so that the first product is exact.
	r := math.FMA(k, -0x1.cf79abc9e3b39p-47, math.FMA(k, -0x1.62e42fefa0000p-8, x))
	at := int64(k)
	t := &pow2[at&(exp64Steps-1)]
	r2 := r * r
	low := math.FMA(r, 0x1.555555555543cp-3, 0x1.ffffffffffdbdp-2)
	high := math.FMA(r, 0x1.1111167a4d017p-7, 0x1.55555cf172b91p-5)
	p := math.FMA(r2*r2, high, math.FMA(r2, low, t.lacks+r))
	s := scale(t.value, at>>7)
	return math.FMA(s, p, s)
}

// exp32 is e^x rounded once, from a float64.
func exp32(x float32) float32 {
	switch {
	case x > 89:
		return float32(math.Inf(1))
	case x < -104:
		return 0
	case x != x:
		return x
	}
	z := math.Log2E * exp32Steps * float64(x)
	k := math.RoundToEven(z)
	r := z - k
	at := int64(k)
	p := float64(0x1.c6af84b912394p-5/(exp32Steps*exp32Steps*exp32Steps)*r) + 0x1.ebfce50fac4f3p-3/(exp32Steps*exp32Steps)
	y := float64(0x1.62e42ff0c52d6p-1/exp32Steps*r) + 1
	y = float64(p*(r*r)) + y
	return float32(y * scale(pow2[at&(exp32Steps-1)*(exp64Steps/exp32Steps)].value, at>>5))
}
