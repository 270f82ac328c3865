package campaign

import "time"

// CreativeSpec is a creative as written. Which of HTML, Image, Frame, Video,
// Audio and Native is given decides what it is; Format, when given, must agree.
type CreativeSpec struct {
	ID     string `yaml:"id"`
	Name   string `yaml:"name"`
	Format string `yaml:"format"`
	// Size "300x250"; a banner without one is shown at any size.
	Size  string `yaml:"size"`
	HTML  string `yaml:"html"`
	Image string `yaml:"image"`
	Frame string `yaml:"iframe"`
	Alt   string `yaml:"alt"`
	// Trackers are further impression pixels of a banner.
	Trackers   []string `yaml:"trackers"`
	Landing    string   `yaml:"landing"`
	Domains    []string `yaml:"adomain"`
	Categories []string `yaml:"cat"`
	Attributes []uint8  `yaml:"attr"`
	Bundle     string   `yaml:"bundle"`
	Language   string   `yaml:"language"`
	// Secure: no content without TLS. By default it is looked up in the content.
	Secure *bool    `yaml:"secure"`
	CTR    *float64 `yaml:"ctr"`
	CVR    *float64 `yaml:"cvr"`
	// Quality 0…10 scales its rank: see QualityDefault.
	Quality *float64    `yaml:"quality"`
	Video   *LinearSpec `yaml:"video"`
	Audio   *LinearSpec `yaml:"audio"`
	Native  *NativeSpec `yaml:"native"`
}

// LinearSpec is a linear video or audio ad: files of its own, or a wrapper
// around another server's.
type LinearSpec struct {
	Duration    time.Duration   `yaml:"duration"`
	SkipAfter   time.Duration   `yaml:"skip_after"`
	Description string          `yaml:"description"`
	Files       []MediaFileSpec `yaml:"files"`
	Wrapper     *WrapperSpec    `yaml:"wrapper"`
	Parameters  string          `yaml:"parameters"`

	// URLs that are told of events.
	Trackers      []string    `yaml:"trackers"` // impressions
	Errors        []string    `yaml:"errors"`
	Events        []EventSpec `yaml:"events"`
	ClickTrackers []string    `yaml:"click_trackers"`
	CustomClicks  []string    `yaml:"custom_clicks"`
	Viewable      []string    `yaml:"viewable"`
	NotViewable   []string    `yaml:"not_viewable"`
	Undetermined  []string    `yaml:"view_undetermined"`

	Verifications      []VerificationSpec `yaml:"verifications"`
	Companions         []CompanionSpec    `yaml:"companions"`
	CompanionsRequired string             `yaml:"companions_required"` // all, any, none
	Icons              []IconSpec         `yaml:"icons"`
	AdID               AdIDSpec           `yaml:"ad_id"`
	ShowPrice          bool               `yaml:"show_price"`
}

// MediaFileSpec is one rendition of a video or audio ad. Bitrates are kbit/s.
type MediaFileSpec struct {
	URL        string `yaml:"url"`
	Mime       string `yaml:"mime"`
	Size       string `yaml:"size"` // of a video
	Codec      string `yaml:"codec"`
	Bitrate    int32  `yaml:"bitrate"`
	BitrateMin int32  `yaml:"bitrate_min"` // where it adapts
	BitrateMax int32  `yaml:"bitrate_max"`
	Delivery   string `yaml:"delivery"` // progressive (default) or streaming
}

// WrapperSpec is an ad that another server has.
type WrapperSpec struct {
	Tag           string   `yaml:"tag"`
	Mimes         []string `yaml:"mimes"`
	Follow        *bool    `yaml:"follow_wrappers"` // true by default
	MultipleAds   bool     `yaml:"multiple_ads"`
	FallbackNoAds bool     `yaml:"fallback_on_no_ad"`
}

// EventSpec is a moment of playback that is reported.
type EventSpec struct {
	Event string `yaml:"event"`
	URL   string `yaml:"url"`
	After string `yaml:"after"` // of progress: 10s or 25%
}

// VerificationSpec is the measurement script of one vendor.
type VerificationSpec struct {
	Vendor      string   `yaml:"vendor"`
	Script      string   `yaml:"script"`
	Parameters  string   `yaml:"parameters"`
	NotExecuted []string `yaml:"not_executed"`
}

// CompanionSpec is a banner beside a video or audio ad.
type CompanionSpec struct {
	ID            string   `yaml:"id"`
	Size          string   `yaml:"size"`
	Image         string   `yaml:"image"`
	Mime          string   `yaml:"mime"`
	Frame         string   `yaml:"iframe"`
	HTML          string   `yaml:"html"`
	Alt           string   `yaml:"alt"`
	Trackers      []string `yaml:"trackers"`
	ClickTrackers []string `yaml:"click_trackers"`
	Slot          string   `yaml:"slot"`
	Mode          string   `yaml:"mode"` // default, end-card, concurrent
}

// IconSpec is a mark over a video.
type IconSpec struct {
	Program       string        `yaml:"program"`
	Size          string        `yaml:"size"`
	X             string        `yaml:"x"` // left, right or pixels
	Y             string        `yaml:"y"` // top, bottom or pixels
	Image         string        `yaml:"image"`
	Mime          string        `yaml:"mime"`
	Click         string        `yaml:"click"`
	ClickTrackers []string      `yaml:"click_trackers"`
	Trackers      []string      `yaml:"trackers"`
	Start         time.Duration `yaml:"start"`
	For           time.Duration `yaml:"for"`
}

// AdIDSpec is a creative's id in a registry.
type AdIDSpec struct {
	Registry string `yaml:"registry"`
	Value    string `yaml:"value"`
}

// NativeSpec is the assets of a native ad.
type NativeSpec struct {
	Title         string              `yaml:"title"`
	Icon          *ImageSpec          `yaml:"icon"`
	Main          *ImageSpec          `yaml:"image"`
	Sponsored     string              `yaml:"sponsored"`
	Desc          string              `yaml:"desc"`
	Rating        string              `yaml:"rating"`
	Likes         string              `yaml:"likes"`
	Downloads     string              `yaml:"downloads"`
	Price         string              `yaml:"price"`
	SalePrice     string              `yaml:"sale_price"`
	Phone         string              `yaml:"phone"`
	Address       string              `yaml:"address"`
	Desc2         string              `yaml:"desc2"`
	DisplayURL    string              `yaml:"display_url"`
	CTA           string              `yaml:"cta"`
	PrivacyLink   string              `yaml:"privacy_link"`
	Fallback      string              `yaml:"fallback"`
	ClickTrackers []string            `yaml:"click_trackers"`
	Trackers      []NativeTrackerSpec `yaml:"trackers"`
}

// ImageSpec is an image asset.
type ImageSpec struct {
	URL  string `yaml:"url"`
	Size string `yaml:"size"`
	Mime string `yaml:"mime"`
}

// NativeTrackerSpec is a URL that is told of an event of a native ad.
type NativeTrackerSpec struct {
	URL    string `yaml:"url"`
	Event  string `yaml:"event"`  // impression by default
	Method string `yaml:"method"` // image (default) or script
}
