package selection

import (
	"errors"
	"math"
	"time"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/models/feature"
	"millrace/state/campaign"
	"millrace/state/profile"
)

// inputs are the numbers of the schema's raw inputs. Immutable.
type inputs struct{ user, context, ad, cross []feature.Input }

// The inputs that the engine fills, by group. An input that a schema has and
// that stands in none of these lists stays missing, as it does when a model was
// trained on more than this build knows of.
var inputNames = [feature.Groups][]string{
	feature.User: {
		userKnown: "user.known", userImpressions1d: "user.impressions_1d", userClicks1d: "user.clicks_1d",
		userImpressions30d: "user.impressions_30d", userClicks30d: "user.clicks_30d",
		userSinceImpression: "user.hours_since_impression", userSinceClick: "user.hours_since_click",
		userSegment: "user.segment", userAge: "user.age", userGender: "user.gender",
	},
	feature.Context: {
		contextHour: "context.hour_utc", contextWeekday: "context.weekday", contextDeviceType: "context.device_type",
		contextOS: "context.os", contextCountry: "context.country", contextLanguage: "context.language",
		contextConnection: "context.connection", contextIsApp: "context.is_app", contextPublisher: "context.publisher",
		contextInventory: "context.inventory", contextCategory: "context.category", contextMedia: "context.media",
		contextWidth: "context.width", contextHeight: "context.height", contextPosition: "context.position",
		contextFloor: "context.floor", contextSecure: "context.secure", contextInterstitial: "context.interstitial",
	},
	feature.Ad: {
		adMedia: "ad.media", adWidth: "ad.width", adHeight: "ad.height", adPricing: "ad.pricing", adPrice: "ad.price",
		adCategory: "ad.category", adAdvertiser: "ad.advertiser", adAge: "ad.age_hours", adImpressions: "ad.impressions",
		adClicks: "ad.clicks", adConversions: "ad.conversions", adPriorCTR: "ad.prior_ctr", adPriorCVR: "ad.prior_cvr",
	},
	feature.Cross: {
		crossLine: "cross.line_impressions", crossAdvertiser: "cross.advertiser_impressions",
		crossAdvertiserClicks: "cross.advertiser_clicks", crossCategory: "cross.category_impressions",
		crossCategoryClicks: "cross.category_clicks", crossSince: "cross.hours_since_advertiser",
		crossCategoryMatch: "cross.category_match", crossSizeMatch: "cross.size_match", crossLanguageMatch: "cross.language_match",
	},
}

// Places in the lists of inputNames.
const (
	userKnown = iota
	userImpressions1d
	userClicks1d
	userImpressions30d
	userClicks30d
	userSinceImpression
	userSinceClick
	userSegment
	userAge
	userGender
)

const (
	contextHour = iota
	contextWeekday
	contextDeviceType
	contextOS
	contextCountry
	contextLanguage
	contextConnection
	contextIsApp
	contextPublisher
	contextInventory
	contextCategory
	contextMedia
	contextWidth
	contextHeight
	contextPosition
	contextFloor
	contextSecure
	contextInterstitial
)

const (
	adMedia = iota
	adWidth
	adHeight
	adPricing
	adPrice
	adCategory
	adAdvertiser
	adAge
	adImpressions
	adClicks
	adConversions
	adPriorCTR
	adPriorCVR
)

const (
	crossLine = iota
	crossAdvertiser
	crossAdvertiserClicks
	crossCategory
	crossCategoryClicks
	crossSince
	crossCategoryMatch
	crossSizeMatch
	crossLanguageMatch
)

// findInputs resolves the names; an input that the schema has not is an error.
func findInputs(s *feature.Schema) (*inputs, error) {
	var lists [feature.Groups][]feature.Input
	var errs []error
	for g := range lists {
		for _, name := range inputNames[g] {
			in, err := s.Input(name)
			errs = append(errs, err)
			lists[g] = append(lists[g], in)
		}
	}
	return &inputs{lists[feature.User], lists[feature.Context], lists[feature.Ad], lists[feature.Cross]}, errors.Join(errs...)
}

// hours is a duration as the schema has it; NaN, which is missing, for never.
func hours(d time.Duration) float64 {
	if d == profile.Never {
		return math.NaN()
	}
	return float64(d) / float64(time.Hour)
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// given is a number that is missing when it is 0.
func given(n int32) float64 {
	if n == 0 {
		return math.NaN()
	}
	return float64(n)
}

// encodeAd sets and encodes a creative's columns. Totals are the creative's
// events over the whole node.
func (in *inputs) encodeAd(e *feature.Encoder, s *campaign.Snapshot, c campaign.CreativeIndex, totals *Counts, wall unit.WallTime, row []float32) {
	cr := &s.Creatives[c]
	l := &s.Lines[cr.Line]
	e.Reset(feature.Ad)
	e.SetNumber(in.ad[adMedia], float64(cr.Media))
	e.SetNumber(in.ad[adWidth], given(int32(cr.Size.W)))
	e.SetNumber(in.ad[adHeight], given(int32(cr.Size.H)))
	e.SetString(in.ad[adPricing], l.Pricing.String())
	price := l.Price.Float()
	if l.Pricing == campaign.CPM {
		price *= 1000 // as it is written
	}
	e.SetNumber(in.ad[adPrice], price)
	e.SetString(in.ad[adCategory], categoryOf(cr))
	e.SetString(in.ad[adAdvertiser], s.Advertiser(cr.Line).Name)
	if l.Start > 0 {
		e.SetNumber(in.ad[adAge], age(wall.Sub(l.Start)))
	}
	e.SetNumber(in.ad[adImpressions], float64(totals.of(event.Impression)))
	e.SetNumber(in.ad[adClicks], float64(totals.of(event.Click)))
	e.SetNumber(in.ad[adConversions], float64(totals.of(event.Conversion)))
	e.SetNumber(in.ad[adPriorCTR], float64(cr.CTR))
	e.SetNumber(in.ad[adPriorCVR], float64(cr.CVR))
	e.Encode(feature.Ad, row)
}

// age in hours, whole ones at first and whole days from the third: an ad's
// columns, and so its masks, change now and then and not all the time.
func age(d time.Duration) float64 {
	const hoursPerDay = 24
	h := math.Floor(max(hours(d), 0))
	if h >= 2*hoursPerDay {
		h -= math.Mod(h, hoursPerDay)
	}
	return h
}

// categoryOf is the category a creative goes by: its first.
func categoryOf(cr *campaign.Creative) string {
	if len(cr.Categories) == 0 {
		return ""
	}
	return cr.Categories[0]
}

// encodeUser sets and encodes the user's columns; u is nil for who is not
// remembered.
func (p *Predictor) encodeUser(s *Selector, u *profile.User, row []float32) {
	e, in, r := p.encoder, p.inputs.user, s.request
	e.Reset(feature.User)
	e.SetNumber(in[userKnown], flag(s.known))
	if s.known {
		a := profile.Activity{SinceImpression: profile.Never, SinceClick: profile.Never}
		if u != nil {
			a = u.Activity(s.now)
		}
		e.SetNumber(in[userImpressions1d], float64(a.Impressions1d))
		e.SetNumber(in[userClicks1d], float64(a.Clicks1d))
		e.SetNumber(in[userImpressions30d], float64(a.Impressions30d))
		e.SetNumber(in[userClicks30d], float64(a.Clicks30d))
		e.SetNumber(in[userSinceImpression], hours(a.SinceImpression))
		e.SetNumber(in[userSinceClick], hours(a.SinceClick))
	}
	for _, d := range r.Data(r.User.Data) {
		if segments := r.Segments(d.Segments); len(segments) > 0 {
			e.SetText(in[userSegment], s.text(segments[0].ID))
			break
		}
	}
	if yob := r.User.YOB; yob > 0 {
		e.SetNumber(in[userAge], float64(yearOf(s.wall)-int64(yob)))
	}
	e.SetText(in[userGender], s.text(r.User.Gender))
	e.Encode(feature.User, row)
}

// yearOf is the year of the time in UTC, near enough for an age: by the mean
// length of a Gregorian year.
func yearOf(t unit.WallTime) int64 {
	const secondsPerYear = 31_556_952
	return 1970 + t.Unix()/secondsPerYear
}

// setRequest sets what of the context is the whole request's.
func (p *Predictor) setRequest(s *Selector) {
	e, in, r := p.encoder, p.inputs.context, s.request
	e.Reset(feature.Context)
	const day, hour = 24 * 3600, 3600
	unix := s.wall.Unix()
	e.SetNumber(in[contextHour], float64(unix%day/hour))
	e.SetNumber(in[contextWeekday], float64((unix/day+weekdayOfEpoch)%7))
	e.SetNumber(in[contextDeviceType], given(int32(r.Device.DeviceType)))
	e.SetText(in[contextOS], s.text(r.Device.OS))
	country := r.Device.Geo.Country
	if country.IsZero() {
		country = r.User.Geo.Country
	}
	e.SetText(in[contextCountry], s.text(country))
	e.SetText(in[contextLanguage], s.text(r.Device.Language))
	e.SetNumber(in[contextConnection], given(r.Device.ConnectionType))
	inv := &r.Inventory
	e.SetNumber(in[contextIsApp], flag(inv.Kind == openrtb.AppInventory))
	e.SetText(in[contextPublisher], s.text(inv.PublisherID))
	name := inv.Domain
	if inv.Kind == openrtb.AppInventory {
		name = inv.Bundle
	}
	if name.IsZero() {
		name = inv.ID
	}
	e.SetText(in[contextInventory], s.text(name))
	if cats := r.Strs(inv.Cat); len(cats) > 0 {
		e.SetText(in[contextCategory], s.text(cats[0]))
	}
}

// weekdayOfEpoch: 1970-01-01 was a Thursday, and Monday is 0.
const weekdayOfEpoch = 3

// encodeImp sets what is the impression's own and encodes the context's
// columns.
func (p *Predictor) encodeImp(s *Selector, imp *openrtb.Imp, row []float32) {
	e, in := p.encoder, p.inputs.context
	media := openrtb.BannerMedia
	for media < openrtb.NativeMedia && !imp.Media.Has(media) {
		media++
	}
	w, h := s.slotSize(imp)
	p.width, p.height = w, h
	e.SetNumber(in[contextMedia], float64(media))
	e.SetNumber(in[contextWidth], given(w))
	e.SetNumber(in[contextHeight], given(h))
	e.SetNumber(in[contextPosition], float64(positionOf(imp)))
	e.SetNumber(in[contextFloor], imp.BidFloor.Float())
	e.SetNumber(in[contextSecure], flag(imp.Secure))
	e.SetNumber(in[contextInterstitial], flag(imp.Instl))
	e.Encode(feature.Context, row)
}

// slotSize is the size the impression asks for first.
func (s *Selector) slotSize(imp *openrtb.Imp) (w, h int32) {
	switch {
	case imp.Media.Has(openrtb.BannerMedia):
		if f := s.request.Formats(imp.Banner.Formats); len(f) > 0 && f[0].W > 0 && f[0].H > 0 {
			return f[0].W, f[0].H
		}
		return imp.Banner.W, imp.Banner.H
	case imp.Media.Has(openrtb.VideoMedia):
		return imp.Video.W, imp.Video.H
	}
	return 0, 0
}

// encodePair sets and encodes the columns of the user and request with one
// creative.
func (p *Predictor) encodePair(s *Selector, c campaign.CreativeIndex, row []float32) {
	e, in := p.encoder, p.inputs.cross
	snap := s.catalog.Snapshot
	cr := &snap.Creatives[c]
	e.Reset(feature.Cross)
	if s.known {
		var line, advertiser, category profile.Affinity
		advertiser.Since = profile.Never
		if u := p.user; u != nil {
			about := Subject(snap, c)
			line, advertiser = u.Line(about.Line, s.now), u.Advertiser(about.Advertiser, s.now)
			category = u.Category(about.Category, s.now)
		}
		e.SetNumber(in[crossLine], float64(line.Impressions))
		e.SetNumber(in[crossAdvertiser], float64(advertiser.Impressions))
		e.SetNumber(in[crossAdvertiserClicks], float64(advertiser.Clicks))
		e.SetNumber(in[crossCategory], float64(category.Impressions))
		e.SetNumber(in[crossCategoryClicks], float64(category.Clicks))
		e.SetNumber(in[crossSince], hours(advertiser.Since))
	}
	r := s.request
	if cats := r.Strs(r.Inventory.Cat); len(cats) > 0 && len(cr.Categories) > 0 {
		e.SetNumber(in[crossCategoryMatch], flag(sameCategory(s.text(cats[0]), cr.Categories[0])))
	}
	if p.width > 0 && cr.Size.W > 0 {
		e.SetNumber(in[crossSizeMatch], flag(p.width == int32(cr.Size.W) && p.height == int32(cr.Size.H)))
	}
	if !r.Device.Language.IsZero() && cr.Language != "" {
		e.SetNumber(in[crossLanguageMatch], flag(r.Device.Language.EqualFold(cr.Language)))
	}
	e.Encode(feature.Cross, row)
}

// sameCategory compares a category as a request has it with a creative's, which
// is in upper case.
func sameCategory(text []byte, upper string) bool {
	if len(text) != len(upper) {
		return false
	}
	for i, c := range text {
		if c-'a' < 26 {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// Subject is what an event of the creative is about, in the terms in which users
// are remembered.
func Subject(s *campaign.Snapshot, c campaign.CreativeIndex) profile.Subject {
	cr := &s.Creatives[c]
	return profile.Subject{
		Advertiser: short(uint64(s.Advertiser(cr.Line).ID)), Category: cr.CategoryKey, Line: short(uint64(s.Lines[cr.Line].ID)),
	}
}

// short keeps half of a hash; 0 stays what it is: none.
func short(id uint64) uint32 { return uint32(id>>32 ^ id) }
