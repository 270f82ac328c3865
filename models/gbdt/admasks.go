package gbdt

import (
	"slices"
	"unsafe"
)

// AdMasks are what a model knows of each ad before a request comes: the leaves
// its own columns leave open, a row of words an ad, and the columns themselves
// as nodes read them, which the flat walk needs. Immutable; part of a catalog's
// snapshot.
type AdMasks struct {
	model *Compiled
	n     int
	masks []uint64  // n rows of model.stride words, each begins a cache line
	views []float32 // n rows of the ad side's views
}

// BuildAds makes the masks of n ads. row fills in the columns of an ad (those of
// the ad side only). With prev, the masks of an earlier snapshot, an ad for
// which same names its number there is copied instead: its columns must be
// equal. Masks of another model are not used.
func (c *Compiled) BuildAds(n int, row func(ad int, row []float32), prev *AdMasks, same func(ad int) (prevAd int, ok bool)) *AdMasks {
	width := len(c.views[AdSide])
	m := &AdMasks{model: c, n: n, masks: alignedWords(n * c.stride), views: make([]float32, n*width)}
	adviseHuge(m.masks)
	if prev != nil && (prev.model != c || same == nil) {
		prev = nil
	}
	columns := make([]float32, c.split.Ad)
	for ad := range n {
		masks, views := m.row(ad), m.views[ad*width:(ad+1)*width]
		if prev != nil {
			if old, ok := same(ad); ok && old >= 0 && old < prev.n {
				copy(masks, prev.row(old))
				copy(views, prev.views[old*width:(old+1)*width])
				continue
			}
		}
		row(ad, columns)
		c.maskAd(columns, masks, views)
	}
	return m
}

// maskAd fills in one ad's row.
func (c *Compiled) maskAd(columns []float32, masks []uint64, views []float32) {
	copy(masks, c.full)
	for v := range c.views[AdSide] {
		x := c.views[AdSide][v].read(columns)
		views[v] = x
		clearFalse(masks, c.adFalse.of(v), x)
	}
}

// clearFalse clears the left subtrees of the nodes whose test of x is false.
func clearFalse(masks []uint64, list []clearing, x float32) {
	for i := range list {
		e := &list[i]
		if x <= e.threshold {
			return
		}
		masks[e.word] &= e.keep
	}
}

func (m *AdMasks) row(ad int) []uint64 {
	stride := m.model.stride
	return m.masks[ad*stride : (ad+1)*stride]
}

// Len is the number of ads.
func (m *AdMasks) Len() int { return m.n }

// Bytes is the memory of all rows.
func (m *AdMasks) Bytes() int { return 8*len(m.masks) + 4*len(m.views) }

// alignedWords begins at a cache line.
func alignedWords(n int) []uint64 {
	if n == 0 {
		return nil
	}
	w := make([]uint64, n+7)
	skip := 0
	if at := uintptr(unsafe.Pointer(&w[0])) & 63; at != 0 {
		skip = int(64-at) / 8
	}
	return slices.Clip(w[skip : skip+n])
}

// alignedFloats begins at a cache line.
func alignedFloats[T float32 | float64](n int) []T {
	if n == 0 {
		return nil
	}
	size := int(unsafe.Sizeof(T(0)))
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(alignedWords((n*size+7)/8)))), n)
}
