package gateway

import (
	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// Spaces of user ids: equal text in two of them is two users.
const (
	byUserID byte = iota + 1
	byBuyerUID
	byIFA
	byNetwork
	byRequest
)

// Identity finds whom a request is for. It owns scratch space and belongs to
// one exchange.
type Identity struct {
	scratch []byte
}

// Of is the id of the request's user by the strongest id it carries: user.id,
// user.buyeruid, device.ifa (unless it is the all-zero one that devices send
// when tracking is off), else address and user agent together. known is false
// if there is none of these: the id is then the request's own, so that
// anonymous traffic spreads over the shards and nothing is remembered by it.
func (id *Identity) Of(r *openrtb.BidRequest) (user unit.UserID, known bool) {
	switch {
	case !r.User.ID.IsZero():
		return unit.HashUser(byUserID, id.text(r.User.ID)), true
	case !r.User.BuyerUID.IsZero():
		return unit.HashUser(byBuyerUID, id.text(r.User.BuyerUID)), true
	case usableIFA(r.Device.IFA):
		// The same device writes its id in upper or lower case by platform.
		id.scratch = r.Device.IFA.AppendLower(id.scratch[:0])
		return unit.HashUser(byIFA, id.scratch), true
	}
	addr := r.Device.IP
	if addr.IsZero() {
		addr = r.Device.IPv6
	}
	if !addr.IsZero() {
		return unit.HashUser(byNetwork, addr.Raw(), r.Device.UA.Raw()), true
	}
	return unit.HashUser(byRequest, r.ID.Raw()), false
}

func (id *Identity) text(s openrtb.Str) (text []byte) {
	text, id.scratch = s.Text(id.scratch)
	return text
}

func usableIFA(ifa openrtb.Str) bool {
	for _, c := range ifa.Raw() {
		if c != '0' && c != '-' {
			return true
		}
	}
	return false
}
