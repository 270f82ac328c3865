package selection

import (
	"math"

	"millrace/codec/unit"
	"millrace/models/bundle"
	"millrace/models/feature"
	"millrace/models/gbdt"
	"millrace/state/campaign"
)

// noAd stands where a creative has no place in a model: its worth needs no
// prediction.
const noAd = ^uint32(0)

// Model is a bundle made ready for a catalog: what it knows of every ad before
// a request comes. Immutable, shared by all shards, valid for its snapshot only.
type Model struct {
	bundle   *bundle.Bundle
	snapshot *campaign.Snapshot

	// slots finds a creative's place among ads: those that pay by conversion
	// first, so that the conversion model's masks end where theirs do.
	slots []uint32
	ads   []campaign.CreativeIndex
	acts  int // how many pay by conversion
	rows  []float32

	ctr, cvr, context          forest
	ctrAds, cvrAds, contextAds *gbdt.AdMasks
}

// Bundle is the model's.
func (m *Model) Bundle() *bundle.Bundle { return m.bundle }

// Ads is the number of creatives it predicts for.
func (m *Model) Ads() int { return len(m.ads) }

// Bytes is the memory of masks and rows.
func (m *Model) Bytes() int {
	return m.ctrAds.Bytes() + m.cvrAds.Bytes() + m.contextAds.Bytes() + 4*(len(m.rows)+len(m.slots)+len(m.ads))
}

// PrepareModel makes a bundle ready for a snapshot. totals are the creatives'
// events, as far as there are some. Slow work for the loader's goroutine:
// microseconds an ad, but for those whose columns are what they were in prev, an
// earlier model of the same bundle, or nil.
func PrepareModel(b *bundle.Bundle, s *campaign.Snapshot, totals map[unit.CreativeID]Counts, wall unit.WallTime, prev *Model) (*Model, error) {
	in, err := findInputs(b.Schema)
	if err != nil {
		return nil, err
	}
	split := b.Schema.Split()
	m := &Model{
		bundle: b, snapshot: s, slots: make([]uint32, len(s.Creatives)),
		ctr: newForest(&b.CTR, split), cvr: newForest(&b.CVR, split), context: newForest(&b.Context, split),
	}
	m.place()
	width := b.Schema.Width(feature.Ad)
	m.rows = make([]float32, len(m.ads)*width)
	enc := b.Schema.NewEncoder()
	for i, c := range m.ads {
		seen := totals[s.Creatives[c].ID]
		in.encodeAd(enc, s, c, &seen, wall, m.rows[i*width:(i+1)*width])
	}
	if prev != nil && prev.bundle != b {
		prev = nil
	}
	m.build(prev)
	return m, nil
}

// place gives every creative whose worth needs a prediction a number.
func (m *Model) place() {
	for i := range m.slots {
		m.slots[i] = noAd
	}
	for _, pricing := range [...]campaign.Pricing{campaign.CPA, campaign.CPC} {
		for i := range m.snapshot.Lines {
			l := &m.snapshot.Lines[i]
			if l.Pricing != pricing || l.Kind == campaign.House {
				continue
			}
			for c := l.FirstCreative; c < l.EndCreative; c++ {
				m.slots[c] = uint32(len(m.ads))
				m.ads = append(m.ads, c)
			}
		}
		if pricing == campaign.CPA {
			m.acts = len(m.ads)
		}
	}
}

// row is an ad's columns.
func (m *Model) row(ad int) []float32 {
	width := m.bundle.Schema.Width(feature.Ad)
	return m.rows[ad*width : (ad+1)*width]
}

// build makes the masks, copying those of ads that are as they were.
func (m *Model) build(prev *Model) {
	row := func(ad int, row []float32) { copy(row, m.row(ad)) }
	same := func(ad int) (int, bool) {
		c, ok := prev.snapshot.Creative(m.snapshot.Creatives[m.ads[ad]].ID)
		if !ok || prev.slots[c] == noAd {
			return 0, false
		}
		was := int(prev.slots[c])
		return was, equalRows(m.row(ad), prev.row(was))
	}
	sameAct := func(ad int) (int, bool) {
		was, ok := same(ad)
		return was, ok && was < prev.acts
	}
	ctr, cvr, context := m.ctr.Compiled, m.cvr.Compiled, m.context.Compiled
	if prev == nil {
		m.ctrAds, m.contextAds = ctr.BuildAds(len(m.ads), row, nil, nil), context.BuildAds(len(m.ads), row, nil, nil)
		m.cvrAds = cvr.BuildAds(m.acts, row, nil, nil)
		return
	}
	m.ctrAds, m.contextAds = ctr.BuildAds(len(m.ads), row, prev.ctrAds, same), context.BuildAds(len(m.ads), row, prev.contextAds, same)
	m.cvrAds = cvr.BuildAds(m.acts, row, prev.cvrAds, sameAct)
}

// equalRows compares bit by bit: NaN is missing, and equals itself.
func equalRows(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}
