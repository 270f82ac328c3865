package campaign

import "millrace/codec/openrtb"

// Blocklists: bcat, badv and bapp name what a publisher will not show. Each
// creative carries the ids of everything that would block it (its categories
// and their parents, its domains and those above them, its app), so that a
// blocklist entry is one lookup and a creative is a few bit tests.

// Kinds of blocking keys: the first byte of a key.
const (
	blockCategory = 'c'
	blockDomain   = 'd'
	blockApp      = 'b'
)

type blockIndex struct {
	dictionary
	kinds []byte // by id
}

func (b *blockIndex) note(key []byte) uint32 {
	id := b.add(key)
	if int(id) == len(b.kinds) {
		b.kinds = append(b.kinds, key[0])
	}
	return id
}

// Rejection is why a creative can't take an imp. 0 is that it can.
type Rejection uint8

// Rejections, in the order in which they are looked for.
const (
	Accepted Rejection = iota
	WrongMedia
	WrongSize
	NotSecure
	BlockedType
	BlockedAttribute
	BlockedCategory
	BlockedDomain
	BlockedApp
)

var rejectionNames = []string{"accepted", "media type not offered", "size not offered", "not secure", "banner type blocked",
	"attribute blocked", "category blocked", "advertiser domain blocked", "advertised app blocked"}

// String says it in words.
func (r Rejection) String() string { return rejectionNames[r] }

// Reject says whether the creative may take the imp of q: its format and size,
// TLS, and the blocklists. It asks nothing that targeting answers.
func (s *Snapshot) Reject(q *Query, creative CreativeIndex) Rejection {
	c := &s.Creatives[creative]
	switch {
	case !q.media.Has(c.Media):
		return WrongMedia
	case !q.fits(c):
		return WrongSize
	case q.secure && !c.Secure:
		return NotSecure
	case q.types>>c.BannerType&1 != 0:
		return BlockedType
	case q.attributes[c.Media]&c.Attributes != 0:
		return BlockedAttribute
	}
	if len(q.blockedIDs) == 0 {
		return Accepted
	}
	for _, id := range s.blockIDs[c.firstBlock:c.endBlock] {
		if q.blocked[id/64]>>(id%64)&1 == 0 {
			continue
		}
		switch s.blocks.kinds[id] {
		case blockCategory:
			return BlockedCategory
		case blockDomain:
			return BlockedDomain
		default:
			return BlockedApp
		}
	}
	return Accepted
}

// fits: a banner of a size needs that size offered, or none stated. The other
// formats scale.
func (q *Query) fits(c *Creative) bool {
	if c.Media != openrtb.BannerMedia || c.Size == (Size{}) || !q.sized {
		return true
	}
	for _, z := range q.sizes {
		if z == c.Size {
			return true
		}
	}
	return false
}
