package sketch

import (
	"math/bits"

	"millrace/codec/unit"
)

// Prices are counted in four buckets an octave, from 0.016384 of a currency's
// unit a thousand on, to 17179 (an auction may be held in yen or won); bucket 0 is
// all below, the last all above.
const (
	PriceBuckets = 1 + 4*priceOctaves
	priceOctaves = 20
	priceBits    = 14 // 2^14 micros is where the second bucket begins
)

// PriceBucket of a price.
func PriceBucket(p unit.CPMMicros) int {
	if p < 1<<priceBits {
		return 0
	}
	e := bits.Len64(uint64(p)) - 1
	return min(1+4*(e-priceBits)+int(uint64(p)>>(e-2)&3), PriceBuckets-1)
}

// PriceEdge is the least price of bucket i.
func PriceEdge(i int) unit.CPMMicros {
	if i == 0 {
		return 0
	}
	return unit.CPMMicros(4+(i-1)%4) << ((i-1)/4 + priceBits - 2)
}

// PriceOf is the price that stands for bucket i: the middle.
func PriceOf(i int) unit.CPMMicros {
	from := PriceEdge(i)
	if i == 0 {
		return PriceEdge(1) / 2
	}
	return from + 1<<((i-1)/4+priceBits-3)
}

// Prices is how many bids were made, by price.
type Prices [PriceBuckets]float32

// Add adds o, weighed.
func (p *Prices) Add(o *Prices, weight float32) {
	for i := range p {
		p[i] += o[i] * weight
	}
}

// Decay takes everything times f.
func (p *Prices) Decay(f float32) { fade(p[:], f) }

// forgotten is a count that is as good as none. What decays for ever would end
// in numbers too small for the processor to be quick with.
const forgotten = 1e-6

func fade(counts []float32, f float32) {
	for i, n := range counts {
		if n *= f; n < forgotten {
			n = 0
		}
		counts[i] = n
	}
}
