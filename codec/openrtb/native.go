package openrtb

// NativeRequest is the view of the request of a native imp (native 1.2), which
// is JSON in a string. The view owns the decoded text, so that it is valid
// until the next Parse into it.
type NativeRequest struct {
	Ver           Str
	Context       int32
	PlcmtType     int32
	PlcmtCnt      int32
	Assets        []NativeAsset
	EventTrackers []NativeEventTracker

	text []byte
}

// NativeAssetKind is what an asset is.
type NativeAssetKind uint8

// Kinds of assets.
const (
	NativeUnknown NativeAssetKind = iota
	NativeTitle
	NativeImage
	NativeVideo
	NativeData
)

// NativeAsset is an asset that the request asks for.
type NativeAsset struct {
	ID       int32
	Required bool
	Kind     NativeAssetKind
	// Type is the image type (1 icon, 3 main) or the data type.
	Type int32
	// Len is the longest title or data text in characters; 0 = any.
	Len        int32
	W, H       int32 // exact image size; 0 = any
	WMin, HMin int32
}

// NativeEventTracker is an event the publisher can track and how.
type NativeEventTracker struct {
	Event int32 // 1 = impression
	Image bool  // method 1
	JS    bool  // method 2
}
