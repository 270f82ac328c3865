package partners

import (
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand/breaker"
	"millrace/state/campaign"
)

// Book is a demand file ready for use. Immutable.
type Book struct {
	Version uint64
	Hash    uint64
	// Currency of the auction.
	Currency unit.Currency
	// Partners by ID; places without a partner have an empty Name. Order are
	// those there are, as in the file.
	Partners []Partner
	Order    []ID
	Settings Settings

	rates     *openrtb.Rates
	ratesTill unit.WallTime // the table converts before it

	common openrtb.Edit
	// parting notes places that were given up by this book.
	parting Set

	asked   Set // not paused
	foreign Set // of another currency than the auction's
	tiers   [4]Set
	near    Set
	index   eligibility
	floors  floorIndex
	premium premium

	byPublisher []publisher
}

// Settings are the numbers of a book that hold for all partners. Immutable.
type Settings struct {
	Hard, Answer, Least, TMax time.Duration
	Margin                    float64
	Soft                      []SoftCut
	GainMin                   unit.CPMMicros

	Egress int64 // bytes a second and node, 0 = no bound
	Fanout int

	Healthy    float64
	Fast, Slow time.Duration

	Breaker breaker.Config
	Stage   breaker.StageConfig
	Explore float64
}

// SoftCut is a time after the first byte at which waiting ends if the missing
// bids are not expected to bring Gain of what is in hand.
type SoftCut struct {
	At   time.Duration
	Gain float64
}

// Partner of an id; nil where there is none.
func (b *Book) Partner(p ID) *Partner {
	if int(p) >= len(b.Partners) || !b.Partners[p].present {
		return nil
	}
	return &b.Partners[p]
}

// Find is the partner of a name.
func (b *Book) Find(name string) (ID, bool) {
	for _, p := range b.Order {
		if b.Partners[p].Name == name {
			return p, true
		}
	}
	return 0, false
}

// Rates convert currencies at a time; nil, which converts nothing, once the
// table is too old.
func (b *Book) Rates(wall unit.WallTime) *openrtb.Rates {
	if wall >= b.ratesTill {
		return nil
	}
	return b.rates
}

// Floors is how many floors the file has.
func (b *Book) Floors() int { return len(b.floors.prices) }

// Tier is the set of partners of a tier, 1 to 3.
func (b *Book) Tier(n uint8) *Set { return &b.tiers[n] }

// Near are the partners with an endpoint in the node's own region.
func (b *Book) Near() *Set { return &b.near }

// Class is what prices are learned by: the kind of an impression. One that
// offers several media is of the dearest.
type Class uint8

// Classes of impressions.
const (
	BannerClass Class = iota
	NativeClass
	AudioClass
	VideoClass

	Classes = 4
)

var classNames = [Classes]string{"banner", "native", "audio", "video"}

func (c Class) String() string { return classNames[c] }

// ClassOf is the class of an impression that offers some media.
func ClassOf(m openrtb.MediaMask) Class {
	switch {
	case m.Has(openrtb.VideoMedia):
		return VideoClass
	case m.Has(openrtb.AudioMedia):
		return AudioClass
	case m.Has(openrtb.NativeMedia):
		return NativeClass
	}
	return BannerClass
}

// ImpsMax is how many impressions of a request are sent to partners: those
// behind are for the node's own campaigns.
const ImpsMax = 128

// ImpMatch is what a book says of an impression.
type ImpMatch struct {
	// Partners that may bid on it.
	Partners Set
	Class    Class
	// Floor in the auction's currency.
	Floor unit.CPMMicros
}

// Match is what a book says of a request. Reused; owned by a shard.
type Match struct {
	// Partners that may bid on an impression at least.
	Partners Set
	// Premium: it is inventory for tier 3.
	Premium bool
	Imps    []ImpMatch

	publisher int32 // in Book.byPublisher, -1 = none
	key       []byte
	spot      spot
}

// campaign.Hours and countries are the catalog's, so that both files speak
// alike.
const (
	countries = campaign.Countries
	devices   = campaign.DeviceTypes
)
