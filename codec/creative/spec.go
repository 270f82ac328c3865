package creative

import "millrace/codec/openrtb"

// Spec is a creative as the catalog gives it. Media says which of the parts is
// used.
type Spec struct {
	// ID and Title stand in VAST and in messages.
	ID    string
	Title string
	// Advertiser's domain, for VAST.
	Domain string
	Media  openrtb.MediaType

	Banner Banner
	Video  Video
	Native Native
}

// Banner is HTML of the advertiser's, or an image.
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
}

// Video is a linear video ad.
type Video struct {
	Seconds int32
	// SkipAfter is when the viewer may skip, in seconds; 0 = never.
	SkipAfter int32
	Files     []MediaFile
	// Trackers are further impression URLs.
	Trackers []string
}

// MediaFile is one rendition of a video.
type MediaFile struct {
	URL     string
	Mime    string // "video/mp4"
	W, H    int32
	Bitrate int32 // kbit/s; 0 = not given
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

	// Protocols of the imp's video decide the VAST version; none = 4.2.
	Protocols []int32
	// Native is the parsed native request of the imp.
	Native *openrtb.NativeRequest
}
