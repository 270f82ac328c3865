package openrtb

import "math"

// NativeRequest is the view of the request of a native imp (native 1.2), which
// is JSON in a string. The view owns the decoded text: unlike a BidRequest it
// is valid, whatever becomes of the body, until the next Parse into it. The
// zero value is ready for use.
type NativeRequest struct {
	Ver       Str
	Context   int32
	PlcmtType int32
	PlcmtCnt  int32
	Assets    []NativeAsset
	// ImageImpressions: the publisher tracks impressions by event trackers
	// with images; otherwise the deprecated imptrackers are to be used.
	ImageImpressions bool
	Privacy          bool

	tracks      [nativeEvents]uint8 // methods of each event, by bit
	mimes       []Str
	text, spare []byte
	key         [keyMax]byte
}

// Lend gives the view its first memory, for who cares where it lies: a view of
// one core must not share a cache line with that of another.
func (n *NativeRequest) Lend(assets []NativeAsset, mimes []Str) {
	n.Assets, n.mimes = assets[:0], mimes[:0]
}

// nativeAssetsMax is more assets than any layout shows.
const nativeAssetsMax = 128

// nativeMimesMax bounds the types of all assets together.
const nativeMimesMax = 1024

// NativeMethod is how an event is reported: by an image that is fetched or a
// script that is run.
type NativeMethod uint8

// Methods of reporting an event.
const (
	NativeImageMethod  NativeMethod = 1
	NativeScriptMethod NativeMethod = 2
)

// nativeEvents is one more than the last event: impression, two of viewable
// display, viewable video.
const nativeEvents = 5

// Tracks reports whether the publisher reports the event in that way.
func (n *NativeRequest) Tracks(event int32, m NativeMethod) bool {
	return event > 0 && event < nativeEvents && n.tracks[event]>>m&1 != 0
}

// Mimes are the types that an image or video asset may have; none = any.
func (n *NativeRequest) Mimes(a *NativeAsset) []Str {
	return n.mimes[a.mimes.off : a.mimes.off+a.mimes.n]
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
	W, H       int32 // image size; 0 = any
	WMin, HMin int32

	mimes StrSpan
}

// Parse reads the request of a native imp; false if it is none. Two shapes of
// the wild are read as well: the object wrapped in "native" (before 1.1), and
// encoded as a string twice.
func (n *NativeRequest) Parse(request Str) bool {
	n.Ver, n.Context, n.PlcmtType, n.PlcmtCnt = Str{}, 0, 0, 0
	n.Assets, n.ImageImpressions, n.Privacy = n.Assets[:0], false, false
	n.tracks, n.mimes = [nativeEvents]uint8{}, n.mimes[:0]
	n.spare = emptied(n.spare)
	n.text = request.AppendText(emptied(n.text))
	for range 2 {
		if len(n.text) > math.MaxInt32 {
			return false
		}
		p := parser{b: n.text, key: &n.key, limit: DefaultLimits(), imp: -1}
		i := p.space(0)
		if i >= len(n.text) {
			return false
		}
		if n.text[i] == '{' {
			if i = n.object(&p, i, 0); i >= 0 {
				i = p.space(i)
			}
			return i == len(n.text) && len(n.Assets) > 0
		}
		var inner Str
		if n.text[i] != '"' || p.str(i, &inner) < 0 {
			return false
		}
		n.text, n.spare = inner.AppendText(n.spare[:0]), n.text
	}
	return false
}

func (n *NativeRequest) object(p *parser, i, wrapped int) int {
	k, i := p.first(i)
	for k != nil {
		ok := true
		switch string(k) {
		case "ver":
			i = p.str(i, &n.Ver)
		case "context":
			i = p.integer(i, &n.Context)
		case "plcmttype":
			i = p.integer(i, &n.PlcmtType)
		case "plcmtcnt":
			i = p.integer(i, &n.PlcmtCnt)
		case "privacy":
			i = p.flag(i, &n.Privacy, false)
		case "assets":
			i = n.assets(p, i)
		case "eventtrackers":
			i = n.eventTrackers(p, i)
		case "native":
			if i, ok = p.object(i); ok && wrapped == 0 {
				i = n.object(p, i, 1)
			} else if ok {
				i = p.skip(i)
			}
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return i
}

func (n *NativeRequest) assets(p *parser, i int) int {
	n.Assets = n.Assets[:0]
	i, ok := p.array(i)
	if !ok {
		return i
	}
	i, done := p.firstItem(i)
	for !done {
		if i, ok = p.object(i); ok {
			if len(n.Assets) >= nativeAssetsMax {
				return p.fail(i, TooMany)
			}
			n.Assets = append(n.Assets, NativeAsset{})
			i = n.asset(p, i, &n.Assets[len(n.Assets)-1])
		}
		if i < 0 {
			return i
		}
		i, done = p.nextItem(i)
	}
	return i
}

// asset reads one asset. One with a number that can't be read is of unknown
// kind: nothing satisfies it.
func (n *NativeRequest) asset(p *parser, i int, a *NativeAsset) int {
	p.bad = false
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "id":
			i = p.integer(i, &a.ID)
		case "required":
			i = p.flag(i, &a.Required, true)
		case "title":
			i = n.part(p, i, a, NativeTitle)
		case "img":
			i = n.part(p, i, a, NativeImage)
		case "video":
			i = n.part(p, i, a, NativeVideo)
		case "data":
			i = n.part(p, i, a, NativeData)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	if p.bad {
		a.Kind = NativeUnknown
	}
	return i
}

func (n *NativeRequest) part(p *parser, i int, a *NativeAsset, kind NativeAssetKind) int {
	i, ok := p.object(i)
	if !ok {
		return i
	}
	a.Kind, a.Type, a.Len, a.W, a.H, a.WMin, a.HMin, a.mimes = kind, 0, 0, 0, 0, 0, 0, StrSpan{}
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "type":
			i = p.integer(i, &a.Type)
		case "len":
			i = p.size(i, &a.Len)
		case "w":
			i = p.size(i, &a.W)
		case "h":
			i = p.size(i, &a.H)
		case "wmin":
			i = p.size(i, &a.WMin)
		case "hmin":
			i = p.size(i, &a.HMin)
		case "mimes":
			i = n.mimeList(p, i, a)
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	return i
}

func (n *NativeRequest) eventTrackers(p *parser, i int) int {
	i, ok := p.array(i)
	if !ok {
		return i
	}
	i, done := p.firstItem(i)
	for !done {
		if i, ok = p.object(i); ok {
			i = n.eventTracker(p, i)
		}
		if i < 0 {
			return i
		}
		i, done = p.nextItem(i)
	}
	return i
}

func (n *NativeRequest) eventTracker(p *parser, i int) int {
	const impression = 1
	var event int32
	var methods uint8
	k, i := p.first(i)
	for k != nil {
		switch string(k) {
		case "event":
			i = p.integer(i, &event)
		case "methods":
			var ok, done bool
			if i, ok = p.array(i); !ok {
				break
			}
			for i, done = p.firstItem(i); !done; i, done = p.nextItem(i) {
				var m int32
				if i = p.integer(i, &m); i < 0 {
					return i
				}
				if m == int32(NativeImageMethod) || m == int32(NativeScriptMethod) {
					methods |= 1 << m
				}
			}
		default:
			i = p.skip(i)
		}
		if i < 0 {
			return i
		}
		k, i = p.next(i)
	}
	if event > 0 && event < nativeEvents {
		n.tracks[event] |= methods
	}
	n.ImageImpressions = n.Tracks(impression, NativeImageMethod)
	return i
}

// mimeList reads the types of an image or video asset.
func (n *NativeRequest) mimeList(p *parser, i int, a *NativeAsset) int {
	a.mimes = StrSpan{off: uint32(len(n.mimes))}
	i, ok := p.array(i)
	if !ok {
		return i
	}
	i, done := p.firstItem(i)
	for !done {
		var s Str
		if len(n.mimes) >= nativeMimesMax {
			return p.fail(i, TooMany)
		}
		if i = p.lenientStr(i, &s); i < 0 {
			return i
		}
		if !s.IsZero() {
			n.mimes = append(n.mimes, s)
		}
		i, done = p.nextItem(i)
	}
	a.mimes.n = uint32(len(n.mimes)) - a.mimes.off
	return i
}
