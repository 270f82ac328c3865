package unit

import "github.com/cespare/xxhash/v2"

// Ids of catalog objects: hashes of their names (HashID). Zero is "none".
type (
	// AdvertiserID names an advertiser.
	AdvertiserID uint64
	// CampaignID names a campaign; its home shard holds the campaign's lease.
	CampaignID uint64
	// LineID names a line item.
	LineID uint64
	// CreativeID names a creative.
	CreativeID uint64
	// AccountID names a budget account: a campaign's, or a line item's own.
	AccountID uint64
	// UserID is the hash of a user's strongest id; it decides the owning shard.
	UserID uint64
)

// ShardID is a shard's index in its group, from 0.
type ShardID uint16

// NodeID is the operator's number of a node, unique in a deployment.
type NodeID uint16

// Epoch counts a node's starts. It fences everything an earlier life handed out.
type Epoch uint32

// HashID is the 64-bit id of a catalog name within its namespace ("line",
// "campaign", ...). It is never 0.
func HashID(namespace, name string) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(namespace)
	_, _ = d.WriteString("/")
	_, _ = d.WriteString(name)
	if h := d.Sum64(); h != 0 {
		return h
	}
	return 1
}

// HashText is HashID of a text that is no string.
func HashText(namespace string, text []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(namespace)
	_, _ = d.WriteString("/")
	_, _ = d.Write(text)
	if h := d.Sum64(); h != 0 {
		return h
	}
	return 1
}

// HashUser is the id of a user known by the given bytes; kind separates the
// spaces of ids (user.id, buyeruid, ifa, ip+ua) so that equal text in two of
// them is two users.
func HashUser(kind byte, parts ...[]byte) UserID {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write([]byte{kind})
	for _, p := range parts {
		_, _ = d.Write(p)
		_, _ = d.Write([]byte{0})
	}
	return UserID(d.Sum64())
}

// Owner is the shard, of n, that owns the key: jump-free multiply-shift of the
// well-mixed 64-bit hash, so every shard gets the same share.
func Owner(key uint64, n int) ShardID {
	// The high bits of a second mix: the low bits of user ids index tables.
	key *= 0x9E3779B97F4A7C15
	return ShardID((key >> 32) * uint64(n) >> 32)
}
