package partners

import (
	"math/bits"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// floorsMax bounds the floors of a file: 64 words of 64.
const floorsMax = 4096

const weekHours = 7 * 24

// floorIndex finds the first floor that holds: bitmaps over the floors in their
// order, one a value of a dimension, each with those that do not name the
// dimension. Where a request has several values of a dimension (segments,
// places, formats) the bitmaps have only those that name the value, and are
// united with those that name none. Immutable.
type floorIndex struct {
	prices   []unit.CPMMicros // in the auction's currency
	words    int
	any      [floorDimensions][]uint64
	country  [countries][]uint64
	device   [devices][]uint64
	hour     [weekHours][]uint64
	format   [openrtb.NativeMedia + 1][]uint64
	places   [][]uint64 // by place.floor; 0 names none
	segments map[string][]uint64
}

// Dimensions of floors, the more telling first: see the package comment.
const (
	byInventory = iota
	bySegment
	byFormat
	byCountry
	byDevice
	byHour

	floorDimensions
)

// begin makes room for the places and segments of a request.
func (f *floorIndex) begin(m *Match) {
	if f.words == 0 {
		return
	}
	m.spot.inv = append(m.spot.inv[:0], f.any[byInventory]...)
	m.spot.seg = append(m.spot.seg[:0], f.any[bySegment]...)
}

func unite(words, more []uint64) {
	for i, w := range more {
		words[i] |= w
	}
}

// place notes a place of the request.
func (f *floorIndex) place(n int32, m *Match) {
	if n > 0 {
		unite(m.spot.inv, f.places[n])
	}
}

// hourOf is the hour of the week, from Monday's first, in UTC. The epoch was a
// Thursday.
func hourOf(wall unit.WallTime) int {
	return int((wall.Unix()/3600 + 3*24) % weekHours)
}

// request joins what holds for all impressions.
func (f *floorIndex) request(r *openrtb.BidRequest, wall unit.WallTime, device int, m *Match) {
	if f.words == 0 {
		return
	}
	if len(f.segments) > 0 {
		for i, data := 0, r.Data(r.User.Data); i < len(data); i++ {
			for k, segments := 0, r.Segments(data[i].Segments); k < len(segments); k++ {
				var text []byte
				text, m.key = segments[k].ID.Text(m.key)
				unite(m.spot.seg, f.segments[string(text)])
			}
		}
	}
	country := f.country[campaign.CountryOf(r.Device.Geo.Country.Raw())]
	held, hour := f.device[device], f.hour[max(hourOf(wall), 0)]
	m.spot.words = m.spot.words[:0]
	for i := range f.words {
		m.spot.words = append(m.spot.words, m.spot.inv[i]&m.spot.seg[i]&country[i]&held[i]&hour[i])
	}
}

// of is the file's floor for an impression that offers some media.
func (f *floorIndex) of(media openrtb.MediaMask, m *Match) unit.CPMMicros {
	for i := range f.words {
		w := m.spot.words[i]
		if w == 0 {
			continue
		}
		named := f.any[byFormat][i]
		for t := openrtb.BannerMedia; t <= openrtb.NativeMedia; t++ {
			if media.Has(t) {
				named |= f.format[t][i]
			}
		}
		if w &= named; w != 0 {
			return f.prices[i*64+bits.TrailingZeros64(w)]
		}
	}
	return 0
}
