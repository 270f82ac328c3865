package creative

import "millrace/codec/openrtb"

// Spec is a creative as the catalog gives it. Media says which of the parts is
// used. Faults name fields as the catalog writes them.
type Spec struct {
	// ID, Title and Description stand in VAST and in messages.
	ID, Title, Description string
	// Domain is the advertiser's, for VAST.
	Domain string
	Media  openrtb.MediaType

	Banner Banner
	Linear Linear // of video and of audio
	Native Native
}

// Banner is HTML of the advertiser's, an image, or a page of its own.
type Banner struct {
	W, H int32
	// HTML is markup with macros: ${MILLRACE_CLICK} (the click URL, plain),
	// ${MILLRACE_CLICK_ESC} (percent-encoded, to prefix another URL as a
	// parameter), ${MILLRACE_IMPRESSION}, ${MILLRACE_CACHEBUSTER}, and those of OpenRTB 4.4. An
	// impression pixel is added where HTML has none.
	HTML string
	// Image is the URL of an image, linked to the landing page.
	Image string
	Alt   string
	// Frame is the URL of a page, shown in a sandboxed iframe. It is told the
	// click URL by ${MILLRACE_CLICK} in its own.
	Frame string
	// Trackers are further impression pixels.
	Trackers []string
}

// Linear is a linear video or audio ad: VAST.
type Linear struct {
	Seconds int32
	// SkipAfter is when the viewer may skip, in seconds; 0 = never.
	SkipAfter int32
	// Files, or Wrapper: the ad itself, or where it is fetched.
	Files   []MediaFile
	Wrapper *Wrapper
	// Parameters are AdParameters, for interactive media files.
	Parameters string

	// Trackers are further impression URLs.
	Trackers []string
	// Errors are told [ERRORCODE] when the ad does not play.
	Errors []string
	Events []Event
	// ClickTrackers are pinged on a click, besides the click URL.
	ClickTrackers []string
	CustomClicks  []string
	// Viewable and the like are pinged when viewability is known (VAST 4).
	Viewable, NotViewable, Undetermined []string

	Verifications []Verification
	Companions    []Companion
	// CompanionsRequired is all, any or none of them; "" = not said.
	CompanionsRequired string
	Icons              []Icon
	// AdID in AdRegistry is the creative's UniversalAdId; "" = unknown.
	AdRegistry, AdID string
	// ShowPrice puts the price into the markup (Pricing).
	ShowPrice bool
}

// MediaFile is one rendition of a video or audio ad.
type MediaFile struct {
	URL   string
	Mime  string // "video/mp4"
	W, H  int32  // 0 for audio
	Codec string
	// Bitrate in kbit/s; 0 = not given. BitrateMin and BitrateMax are given
	// instead where it adapts.
	Bitrate, BitrateMin, BitrateMax int32
	// Streaming, or else progressive download.
	Streaming bool
}

// Wrapper is an ad that another server has.
type Wrapper struct {
	Tag string // the URL that answers with VAST
	// Mimes are the types it answers with; none = not known.
	Mimes []string
	// NoFurtherWrappers: the answer must be the ad itself.
	NoFurtherWrappers bool
	AllowMultipleAds  bool
	FallbackOnNoAd    bool
}

// Event is a moment of playback that is reported to a URL.
type Event struct {
	Name string // of VAST 4.2
	URL  string
	// After is the offset of a progress event: "10s" or "25%".
	After string
}

// Verification is the measurement script of one vendor (Open Measurement).
type Verification struct {
	Vendor     string // "company.com-omid"
	Script     string // JavaScript, by the OMID API
	Parameters string
	// NotExecuted is told [REASON] when the script can't run.
	NotExecuted []string
}

// Companion is a banner beside a video or audio ad: one of Image, Frame, HTML.
type Companion struct {
	ID          string
	W, H        int32
	Image, Mime string // Mime is guessed from the URL if empty
	Frame       string
	HTML        string
	Alt         string
	Trackers    []string // when it is shown
	Clicks      []string // pinged on a click
	Slot        string   // the place on the page it is for
	Mode        string   // default, end-card or concurrent
}

// Icon is a mark over a video, such as AdChoices.
type Icon struct {
	Program     string
	W, H        int32
	X, Y        string // pixels, or left, right; top, bottom
	Image, Mime string
	Click       string // page behind it
	Clicks      []string
	Trackers    []string // when it is shown
	Start, For  int32    // seconds; 0 = from the start, to the end
}

// Native is a native ad as the assets it can show; what is empty it does not
// have.
type Native struct {
	Title string
	Icon  Image
	Main  Image

	Sponsored   string // data 1
	Desc        string // data 2
	Rating      string // data 3
	Likes       string // data 4
	Downloads   string // data 5
	Price       string // data 6
	SalePrice   string // data 7
	Phone       string // data 8
	Address     string // data 9
	Desc2       string // data 10
	DisplayURL  string // data 11
	CTA         string // data 12
	PrivacyLink string
	// Fallback is where the link leads if the device can't follow it.
	Fallback string
	// ClickTrackers are pinged on a click, besides the click URL.
	ClickTrackers []string
	Trackers      []NativeTracker
}

// NativeTracker is a URL that is told of an event.
type NativeTracker struct {
	URL string
	// Event is 1 impression, 2 and 3 viewable (MRC: 50 % and 100 %), 4 viewable video.
	Event int32
	// Script: the URL is of JavaScript to run, not of an image to fetch.
	Script bool
}

// Image is an image asset.
type Image struct {
	URL  string
	W, H int32
	Mime string // guessed from the URL if empty
}

// Vars are the values of one auction for the holes of a template.
type Vars struct {
	// ImpressionURL and ClickURL are absolute URLs with their tokens.
	ImpressionURL []byte
	ClickURL      []byte

	// Conversion is the token that a landing page is given.
	Conversion []byte
	// CacheBuster differs between impressions, such as the win's number.
	CacheBuster uint64

	Macros

	// Fit is what Template.Fits found. The zero value is the newest VAST with
	// all it has; native ads need one.
	Fit Fit
}

// Fit is the form in which a creative fits an impression.
type Fit struct {
	version uint8  // of vastVersions
	without uint64 // parts left out, see op.part
	native  *openrtb.NativeRequest
}
