package selection

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/auction"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
)

// naive evaluates an impression the slow way: it reads the request with
// encoding/json, asks every line item's own rules, sorts all bids, and decides
// about each by the words of the specification. It shares no code with the
// selector but the catalog and the order of bids.
type naive struct {
	s       *campaign.Snapshot
	facts   *catalogtest.Facts
	request naiveRequest
	seen    map[unit.CreativeID]*Counts
	dry     map[campaign.AccountIndex]bool
	shown   map[unit.LineID]int // to this user, in the window
	given   []campaign.LineIndex
	groups  naiveGroups
}

type naiveRequest struct {
	Cur, WSeat, BSeat, BCat, BAdv []string
	User                          struct{ ID string }
	Device                        struct {
		OS         string
		DeviceType int
		Geo        struct{ Country string }
	}
	Imp []naiveImp
}

type naiveImp struct {
	BidFloor    json.Number
	BidFloorCur string
	Secure      int
	Banner      *struct{ BAttr, BType []int }
	Video       *struct{}
	Audio       *struct{}
	PMP         *struct {
		Private int `json:"private_auction"`
		Deals   []naiveDeal
	}
}

type naiveDeal struct {
	ID              string
	BidFloor        json.Number
	BidFloorCur     string
	WSeat, WADomain []string
}

// query is the request in targeting's terms, filled from the facts and not by
// the selector.
func (n *naive) query(imp *naiveImp) *campaign.Query {
	q := new(campaign.Query)
	n.facts.Fill(n.s, q)
	for _, c := range n.request.BCat {
		q.BlockCategory([]byte(c))
	}
	for _, d := range n.request.BAdv {
		q.BlockDomain([]byte(d))
	}
	if imp.Banner != nil {
		for _, a := range imp.Banner.BAttr {
			q.BlockAttribute(openrtb.BannerMedia, a)
		}
		for _, t := range imp.Banner.BType {
			q.BlockType(t)
		}
	}
	if imp.Secure == 1 {
		q.SetSecure()
	}
	return q
}

// worth is the expected revenue by the package comment's words.
func (n *naive) worth(imp *naiveImp, l *campaign.LineItem, cr *campaign.Creative) unit.Nanos {
	seen := n.seen[cr.ID]
	if seen == nil {
		seen = &Counts{}
	}
	impressions, clicks, conversions := seen[event.Impression.Index()], seen[event.Click.Index()], seen[event.Conversion.Index()]
	ctr := (float64(clicks) + n.prior(cr)*1000) / (float64(max(impressions, clicks)) + 1000)
	cvr := (float64(conversions) + float64(cr.CVR)*100) / (float64(max(clicks, conversions)) + 100)
	by := n.groups.factor(&n.request, imp)
	switch l.Pricing {
	case campaign.CPC:
		return min(unit.Nanos(math.Floor(float64(l.Price)*ctr)*by), l.Price)
	case campaign.CPA:
		return min(unit.Nanos(math.Floor(float64(l.Price)*ctr*cvr)*by), l.Price)
	}
	return l.Price
}

// rankOf weighs a price by the creative's quality: 7 of 10 weighs 1.
func rankOf(worth unit.Nanos, cr *campaign.Creative) unit.Nanos {
	return unit.Nanos(math.Floor(float64(worth) * float64(float32(float64(cr.Quality)/7))))
}

// bids are all bids that targeting, creative and funds allow, in the order.
func (n *naive) bids(imp *naiveImp) (bids []auction.Bid, lines int) {
	q := n.query(imp)
	for i := range n.s.Lines {
		l := &n.s.Lines[i]
		if n.s.Explain(q, n.facts.Now, campaign.LineIndex(i)) != campaign.NotExcluded || n.dry[l.Account] || n.dry[l.LineAccount] {
			continue
		}
		lines++
		for cr := l.FirstCreative; cr < l.EndCreative; cr++ {
			worth := n.worth(imp, l, &n.s.Creatives[cr])
			if n.s.Reject(q, cr) == campaign.Accepted && (worth > 0 || l.Kind == campaign.House) {
				bids = append(bids, auction.Bid{Rank: rankOf(worth, &n.s.Creatives[cr]), Price: worth, Line: uint32(i), Creative: uint32(cr), Tier: l.Tier})
			}
		}
	}
	slices.SortFunc(bids, func(a, b auction.Bid) int {
		switch {
		case auction.Before(&a, &b):
			return -1
		case auction.Before(&b, &a):
			return 1
		}
		return 0
	})
	return bids, lines
}

// admits decides about one bid: whether it may have the impression and in
// which deal.
func (n *naive) admits(imp *naiveImp, b *auction.Bid) (deal string, ok bool) {
	l := &n.s.Lines[b.Line]
	adv := n.s.Advertiser(campaign.LineIndex(b.Line))
	accepted := n.request.Cur
	if len(accepted) == 0 {
		accepted = []string{"USD"}
	}
	if !slices.Contains(accepted, l.Currency.String()) ||
		len(n.request.WSeat) > 0 && !slices.Contains(n.request.WSeat, adv.Name) || slices.Contains(n.request.BSeat, adv.Name) {
		return "", false
	}
	if deal, ok = n.place(imp, b, l, adv); !ok {
		return "", false
	}
	limit := int(l.FrequencyCap.Impressions)
	if limit == 0 {
		return deal, true
	}
	had := n.shown[l.ID]
	for _, g := range n.given {
		if g == campaign.LineIndex(b.Line) {
			had++
		}
	}
	return deal, n.request.User.ID != "" && had < limit
}

func (n *naive) place(imp *naiveImp, b *auction.Bid, l *campaign.LineItem, adv *campaign.Advertiser) (string, bool) {
	mine := n.s.Deals(campaign.LineIndex(b.Line))
	if len(mine) == 0 {
		return "", (imp.PMP == nil || imp.PMP.Private == 0) && clears(b, l, imp.BidFloor, imp.BidFloorCur)
	}
	if imp.PMP == nil {
		return "", false
	}
	for _, d := range imp.PMP.Deals {
		switch {
		case !slices.Contains(mine, d.ID):
		case len(d.WSeat) > 0 && !slices.Contains(d.WSeat, adv.Name):
		case len(d.WADomain) > 0 && !slices.ContainsFunc(d.WADomain, func(w string) bool { return strings.EqualFold(w, adv.Domain) }):
		case clears(b, l, d.BidFloor, d.BidFloorCur):
			return d.ID, true
		}
	}
	return "", false
}

// clears compares a bid in nanos an impression with a floor per thousand, in
// exact arithmetic.
func clears(b *auction.Bid, l *campaign.LineItem, floor json.Number, currency string) bool {
	if floor == "" {
		return true
	}
	want, ok := new(big.Rat).SetString(floor.String())
	if !ok || want.Sign() <= 0 {
		return true
	}
	if currency == "" {
		currency = "USD"
	}
	if currency != l.Currency.String() {
		return false
	}
	perThousand := new(big.Rat).Quo(new(big.Rat).SetInt64(int64(b.Price)*1000), new(big.Rat).SetInt64(int64(unit.NanosPerUnit)))
	return l.Kind == campaign.House || perThousand.Cmp(want) >= 0
}

// expectImp compares all the selector finds for an impression with the naive
// evaluation, bid by bid, and gives the winner to both. What the selector leaves
// out must be what would not have been admitted.
func expectImp(t *testing.T, s *Selector, n *naive, r *openrtb.BidRequest, i int, what string) (compared, won int) {
	t.Helper()
	imp := &n.request.Imp[i]
	want, lines := n.bids(imp)
	s.BeginImp(&r.Imp[i])
	var lost [ReasonCount]uint32
	first := -1
	skip := func(to func(auction.Bid) bool) {
		for ; compared < len(want) && !to(want[compared]); compared++ {
			if _, ok := n.admits(imp, &want[compared]); ok {
				t.Fatalf("%s: left out %s, which would be admitted", what, at(want, compared))
			}
		}
	}
	for {
		b, more := s.Next(&lost)
		if s.Candidates() != lines {
			t.Fatalf("%s: %d candidate lines, want %d", what, s.Candidates(), lines)
		}
		if !more {
			break
		}
		skip(func(w auction.Bid) bool { return w == *b })
		if compared == len(want) {
			t.Fatalf("%s: %+v is out of order, or no candidate", what, *b)
		}
		place, reason := s.Admit(b)
		deal, ok := n.admits(imp, b)
		if ok != (reason == Won) || ok && place.Deal.String() != deal {
			t.Fatalf("%s: bid %d %+v: %v in deal %q; want admitted %v in deal %q", what, compared, *b, reason, place.Deal.String(), ok, deal)
		}
		if ok && first < 0 {
			first = compared
		}
		compared++
	}
	skip(func(auction.Bid) bool { return false })
	if first >= 0 {
		line := campaign.LineIndex(want[first].Line)
		s.Give(line)
		n.given = append(n.given, line)
		won++
	}
	return compared, won
}

func at(bids []auction.Bid, i int) string {
	if i >= len(bids) {
		return "none"
	}
	return fmt.Sprintf("%+v", bids[i])
}
