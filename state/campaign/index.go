package campaign

import (
	"slices"
	"unsafe"

	"millrace/codec/openrtb"
)

// index answers, for each dimension, which line items a request may have: those
// that name one of its values, or name none at all, and exclude none of them.
//
//	dimension country          line:  0 1 2 3 4 5
//	    fallback (any value)          1 0 0 1 1 1     1 and 2 include countries
//	    DEU  include 1, exclude 4     1 1 0 1 0 1     = (fallback ∪ include) \ exclude
//	    FRA  include 1, 2             1 1 1 1 1 1
//
// A value named by few line items is two sorted lists, one named by many is two
// bitmaps. A list costs 4 bytes an entry; a bitmap costs at
// most 32 bytes for each line item in it (bitmapWorth). So memory is bounded by
// 32 bytes for each targeting value written, and 1 bit × lines a dimension.
//
// Rejected: one bitmap a value (100,000 sites × 100,000 lines is 1.2 GB);
// compressed (roaring) bitmaps: a walk over containers where this is one pass
// over 12 KB.
type index struct {
	dimensions   [dimensionsMax]dimension
	dictionaries [dimensionsMax]dictionary
	sizes        map[Size]uint32
}

type dimension struct {
	// everyone: no line item asks about this dimension; it is skipped.
	everyone bool
	// single: a request has one value at most; see posting.eligible.
	single   bool
	fallback []uint64
	postings []posting // by value id
}

// posting is one value: who includes it and who excludes it, each as a list or
// as a bitmap.
type posting struct {
	include, exclude         []uint32
	includeBits, excludeBits []uint64
	// eligible stands for both bitmaps, and the fallback, in a dimension where
	// no other value can be in play: (fallback ∪ include) \ exclude.
	eligible []uint64
}

func (p *posting) empty() bool {
	return len(p.include)+len(p.exclude) == 0 && p.includeBits == nil && p.excludeBits == nil && p.eligible == nil
}

// indexEntry is one rule of one line item, on its way into the index.
type indexEntry struct {
	value uint32 // value<<1 | exclude
	line  LineIndex
}

// build makes a dimension from its entries, in line order. values is one past
// the largest value id.
func (d *dimension) build(entries []indexEntry, values uint32, lines int, open bool) {
	d.everyone = len(entries) == 0 && open
	if d.everyone {
		return
	}
	d.fallback = make([]uint64, wordsFor(lines))
	if open {
		fillWords(d.fallback, lines)
	}
	// Counting sort by value keeps line order within each.
	starts := make([]uint32, 2*values+2)
	for _, e := range entries {
		starts[e.value+1]++
		if e.value&1 == 0 {
			d.fallback[e.line/64] &^= 1 << (e.line % 64)
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	sorted := make([]uint32, len(entries))
	at := slices.Clone(starts)
	for _, e := range entries {
		sorted[at[e.value]] = uint32(e.line)
		at[e.value]++
	}
	d.postings = make([]posting, values)
	for v := range values {
		p := &d.postings[v]
		p.include, p.includeBits = compact(sorted[starts[2*v]:starts[2*v+1]], lines)
		p.exclude, p.excludeBits = compact(sorted[starts[2*v+1]:starts[2*v+2]], lines)
		if d.single && (p.includeBits != nil || p.excludeBits != nil) {
			eligible := slices.Clone(d.fallback)
			d.overlay(eligible, []uint32{v})
			*p = posting{eligible: eligible}
		}
	}
}

// bitmapWorth: a list entry costs about as much time as this many words of a
// bitmap, since neighbours in a sorted list meet in one word and wait for each
// other.
const bitmapWorth = 4

// compact is the list itself, or a bitmap where that is faster to apply.
func compact(list []uint32, lines int) ([]uint32, []uint64) {
	if len(list) == 0 {
		return nil, nil
	}
	words := wordsFor(lines)
	if len(list) < words/bitmapWorth {
		return slices.Clone(list), nil
	}
	set := make([]uint64, words)
	for _, l := range list {
		set[l/64] |= 1 << (l % 64)
	}
	return nil, set
}

// narrow keeps in dst the line items that pass the values. closed leaves out
// the fallback: only those that name a value pass. What is one bitmap to be
// joined is not joined yet, but left with q for joinAll.
func (d *dimension) narrow(q *Query, dst []uint64, values []uint32, closed bool) {
	if d.everyone {
		if closed {
			clear(dst)
		}
		return
	}
	known, bitmaps := 0, 0
	var only *posting
	for _, v := range values {
		p := &d.postings[v]
		if p.empty() {
			continue
		}
		known++
		only = p
		if p.includeBits != nil {
			bitmaps++
		}
	}
	switch {
	case known == 0 && closed:
		clear(dst)
	case known == 0:
		q.join(d.fallback)
	case only.eligible != nil:
		q.join(only.eligible)
	case known == 1 && !closed && len(only.include)+len(only.exclude) == 0:
		d.narrowDense(dst, only)
	case bitmaps == 0:
		d.narrowSparse(q, dst, values, closed)
	default:
		d.narrowMany(dst, q.scratch[:len(dst)], values, closed)
	}
}

// join leaves a bitmap for joinAll.
func (q *Query) join(b []uint64) {
	q.joins[q.joined] = b
	q.joined++
}

// joinAll keeps in dst what is in all the bitmaps left with q, four at a time:
// the loop is bound by its loads and stores of dst.
func (q *Query) joinAll(dst []uint64) {
	rest := q.joins[:q.joined]
	for ; len(rest) >= 4; rest = rest[4:] {
		a, b, c, d := rest[0][:len(dst)], rest[1][:len(dst)], rest[2][:len(dst)], rest[3][:len(dst)]
		for i := range dst {
			dst[i] &= a[i] & b[i] & (c[i] & d[i])
		}
	}
	if len(rest) >= 2 {
		a, b := rest[0][:len(dst)], rest[1][:len(dst)]
		for i := range dst {
			dst[i] &= a[i] & b[i]
		}
		rest = rest[2:]
	}
	if len(rest) == 1 {
		and(dst, rest[0])
	}
	clear(q.joins[:q.joined])
	q.joined = 0
}

// narrowSparse is for values that few include: those of them that are still in
// dst are put aside, and back after the fallback took them out.
func (d *dimension) narrowSparse(q *Query, dst []uint64, values []uint32, closed bool) {
	n := 0
	for _, v := range values {
		include := d.postings[v].include
		if need := n + len(include); need > len(q.aside) {
			q.aside = append(q.aside, make([]uint32, need-len(q.aside))...)
		}
		aside := q.aside
		for _, l := range include {
			// No branch: whether l is still there is a coin toss.
			aside[n] = l
			n += int(dst[l/64] >> (l % 64) & 1)
		}
	}
	if closed {
		clear(dst)
	} else {
		and(dst, d.fallback)
	}
	for _, l := range q.aside[:n] {
		dst[l/64] |= 1 << (l % 64)
	}
	d.exclude(dst, values)
}

// exclude takes out of dst whoever excludes one of the values.
func (d *dimension) exclude(dst []uint64, values []uint32) {
	for _, v := range values {
		p := &d.postings[v]
		for _, l := range p.exclude {
			dst[l/64] &^= 1 << (l % 64)
		}
		if p.excludeBits != nil {
			exclude := p.excludeBits[:len(dst)]
			for i := range dst {
				dst[i] &^= exclude[i]
			}
		}
	}
}

// narrowDense is the common case, one pass: a country, a device, a size.
func (d *dimension) narrowDense(dst []uint64, p *posting) {
	fallback := d.fallback[:len(dst)]
	switch {
	case p.excludeBits == nil:
		include := p.includeBits[:len(dst)]
		for i := range dst {
			dst[i] &= fallback[i] | include[i]
		}
	case p.includeBits == nil:
		exclude := p.excludeBits[:len(dst)]
		for i := range dst {
			dst[i] &= fallback[i] &^ exclude[i]
		}
	default:
		include, exclude := p.includeBits[:len(dst)], p.excludeBits[:len(dst)]
		for i := range dst {
			dst[i] &= (fallback[i] | include[i]) &^ exclude[i]
		}
	}
}

// narrowMany lays all values over a copy of the fallback.
func (d *dimension) narrowMany(dst, pass []uint64, values []uint32, closed bool) {
	if closed {
		clear(pass)
	} else {
		copy(pass, d.fallback)
	}
	d.overlay(pass, values)
	and(dst, pass)
}

// overlay adds everybody who includes one of the values, then takes out
// everybody who excludes one: an exclusion always wins.
func (d *dimension) overlay(pass []uint64, values []uint32) {
	for _, v := range values {
		p := &d.postings[v]
		for _, l := range p.include {
			pass[l/64] |= 1 << (l % 64)
		}
		if p.includeBits != nil {
			include := p.includeBits[:len(pass)]
			for i := range pass {
				pass[i] |= include[i]
			}
		}
	}
	d.exclude(pass, values)
}

// requestDimensions are those of the whole request, the most telling first.
var requestDimensions = [...]dimensionID{dimCountry, dimInventory, dimDevice, dimOS, dimLanguage, dimRegion, dimCity, dimCategory, dimSegment}

// MatchRequest makes dst the line items that a request may have, as far as it
// holds for all its imps. Each mask that is given narrows: active is of
// Activity.At, live the shard's own (funded accounts, say); nil is "all".
// Nothing is allocated when dst was used before.
func (s *Snapshot) MatchRequest(q *Query, active, live, dst *Bitmap) {
	dst.resizeDirty(len(s.Lines))
	words := dst.words
	switch {
	case active != nil && live != nil:
		a, l := active.words[:len(words)], live.words[:len(words)]
		for i := range words {
			words[i] = a[i] & l[i]
		}
	case active != nil:
		copy(words, active.words)
	case live != nil:
		copy(words, live.words)
	default:
		fillWords(words, len(s.Lines))
	}
	for _, d := range requestDimensions {
		s.index.dimensions[d].narrow(q, words, q.values[d], false)
	}
	q.joinAll(words)
}

// MatchImp makes dst the line items of base, the answer of MatchRequest, that
// have a creative for the imp and serve in its deals. dst may be base.
func (s *Snapshot) MatchImp(q *Query, base, dst *Bitmap) {
	if dst != base {
		dst.resizeDirty(len(s.Lines))
		copy(dst.words, base.words)
	}
	q.addSlots()
	// Every line item names its slots, so the fallback of dimSlot is empty.
	s.index.dimensions[dimSlot].narrow(q, dst.words, q.values[dimSlot], false)
	s.index.dimensions[dimDeal].narrow(q, dst.words, q.values[dimDeal], q.private)
	q.joinAll(dst.words)
}

// Match is MatchRequest and MatchImp in one, for a request of one imp.
func (s *Snapshot) Match(q *Query, active, live, dst *Bitmap) {
	s.MatchRequest(q, active, live, dst)
	s.MatchImp(q, dst, dst)
}

// addSlots turns the offered media into slots; the banner sizes already are.
func (q *Query) addSlots() {
	switch {
	case !q.media.Has(openrtb.BannerMedia):
		q.values[dimSlot] = q.values[dimSlot][:0]
	case q.sized:
		q.add(dimSlot, slotFlexible)
	default:
		q.add(dimSlot, slotBanner)
	}
	for m := openrtb.VideoMedia; m < mediaMax; m++ {
		if q.media.Has(m) {
			q.add(dimSlot, slotOf(m))
		}
	}
}

// slotOf is the slot of a media type other than a banner.
func slotOf(m openrtb.MediaType) uint32 { return slotVideo + uint32(m-openrtb.VideoMedia) }

// IndexBytes is the memory of the targeting index, without its dictionaries.
func (s *Snapshot) IndexBytes() int {
	n := 0
	for i := range s.index.dimensions {
		d := &s.index.dimensions[i]
		n += 8*len(d.fallback) + int(unsafe.Sizeof(posting{}))*len(d.postings)
		for j := range d.postings {
			p := &d.postings[j]
			n += 4*(len(p.include)+len(p.exclude)) + 8*(len(p.includeBits)+len(p.excludeBits)+len(p.eligible))
		}
	}
	return n
}

func (b *Bitmap) resizeDirty(n int) {
	w := wordsFor(n)
	if cap(b.words) < w {
		b.words = make([]uint64, w, max(w, reservedBytes/8))
	}
	b.words = b.words[:w]
}
