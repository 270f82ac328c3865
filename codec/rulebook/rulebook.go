// Package rulebook is a second reading of the OpenRTB rules about bids (5 to 13
// and 17 of docs/openrtb.md), by their text: over types of another project, with
// maps, strings, floats and regular expressions. It shares nothing with
// codec/openrtb, whose Judge it is held against, over made exchanges and recorded
// ones, and over those that a whole node judged.
//
// For tests and for the oracle of bench/sim/market; nothing that serves imports it.
package rulebook

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/prebid/openrtb/v20/openrtb2"
)

// Policy is what the rules leave to the exchange. The zero value is strict
// about currencies and deals, and lenient otherwise.
type Policy struct {
	// Rates: what one unit of a base is in each currency.
	Rates map[string]float64

	ConvertForeign   bool
	RequireCRID      bool
	RequireADomain   bool
	NeverInfer       bool
	OpenUnknownDeals bool
}

// Judge gives, for each bid of the answer in order, every rule it breaks, since
// which one is told first is not a rule's business.
func Judge(req *openrtb2.BidRequest, res *openrtb2.BidResponse, p *Policy) (broken []map[int]bool) {
	imps := map[string]*openrtb2.Imp{}
	for i := range req.Imp {
		imps[req.Imp[i].ID] = &req.Imp[i]
	}
	cur := strings.ToUpper(res.Cur)
	if cur == "" {
		cur = "USD"
	}
	for _, seat := range res.SeatBid {
		var group []map[int]bool
		wins := map[string]bool{}
		for i := range seat.Bid {
			b := &seat.Bid[i]
			rules := map[int]bool{}
			if b.W < 0 || b.H < 0 || b.WRatio < 0 || b.HRatio < 0 || b.Exp < 0 || b.Dur < 0 {
				rules[5] = true
			}
			if imp := imps[b.ImpID]; imp == nil {
				rules[6] = true
			} else {
				price(req, imp, &seat, b, cur, p, rules)
				blocks(req, imp, &seat, b, p, rules)
				creative(imp, b, p, rules)
			}
			if len(rules) == 0 {
				wins[b.ImpID] = true
			}
			group = append(group, rules)
		}
		if seat.Group == 1 && slices.ContainsFunc(seat.Bid, func(b openrtb2.Bid) bool { return !wins[b.ImpID] }) {
			for _, rules := range group {
				rules[13] = true
			}
		}
		broken = append(broken, group...)
	}
	return broken
}

func price(req *openrtb2.BidRequest, imp *openrtb2.Imp, seat *openrtb2.SeatBid, b *openrtb2.Bid, cur string, p *Policy, rules map[int]bool) {
	if b.Price < 0 || b.Price == 0 && b.DealID == "" || p.RequireCRID && b.CrID == "" {
		rules[7] = true
	}
	allowed := req.Cur
	if len(allowed) == 0 {
		allowed = []string{"USD"}
	}
	if !slices.ContainsFunc(allowed, func(c string) bool { return strings.EqualFold(c, cur) }) && !p.ConvertForeign {
		rules[9] = true
	}
	convert := func(v float64, from, to string) (float64, bool) {
		if from == to {
			return v, true
		}
		if p.Rates[from] == 0 || p.Rates[to] == 0 {
			return 0, false
		}
		return v * p.Rates[to] / p.Rates[from], true
	}
	floor, floorCur := imp.BidFloor, imp.BidFloorCur
	private := imp.PMP != nil && imp.PMP.PrivateAuction == 1
	if b.DealID != "" {
		var deal *openrtb2.Deal
		if imp.PMP != nil {
			for i := range imp.PMP.Deals {
				if deal == nil && imp.PMP.Deals[i].ID == b.DealID {
					deal = &imp.PMP.Deals[i]
				}
			}
		}
		if deal != nil {
			floor, floorCur = deal.BidFloor, deal.BidFloorCur
			if len(deal.WSeat) > 0 && !slices.Contains(deal.WSeat, seat.Seat) {
				rules[10] = true
			}
			for _, d := range b.ADomain {
				if len(deal.WADomain) > 0 && !slices.ContainsFunc(deal.WADomain, func(a string) bool { return under(d, a) }) {
					rules[10] = true
				}
			}
			if len(deal.WADomain) > 0 && len(b.ADomain) == 0 {
				rules[10] = true
			}
		} else if private || !p.OpenUnknownDeals {
			rules[10] = true
		} else if b.Price == 0 {
			rules[7] = true
		}
	} else if private {
		rules[10] = true
	}
	if floorCur == "" {
		floorCur = "USD"
	}
	if v, ok := convert(b.Price, cur, strings.ToUpper(floorCur)); floor > 0 && (!ok || v < floor-1e-9) {
		rules[9] = true
	}
	if _, ok := convert(b.Price, cur, "USD"); !ok {
		rules[9] = true
	}
}

func under(domain, of string) bool {
	clean := func(s string) string {
		if u, err := url.Parse(s); err == nil && u.Host != "" {
			s = u.Hostname()
		}
		s, _, _ = strings.Cut(s, "/")
		return strings.ToLower(strings.TrimRight(s, "."))
	}
	domain, of = clean(domain), clean(of)
	return of != "" && (domain == of || strings.HasSuffix(domain, "."+of))
}

func blocks(req *openrtb2.BidRequest, imp *openrtb2.Imp, seat *openrtb2.SeatBid, b *openrtb2.Bid, p *Policy, rules map[int]bool) {
	if len(req.WSeat) > 0 && !slices.Contains(req.WSeat, seat.Seat) || slices.Contains(req.BSeat, seat.Seat) && seat.Seat != "" {
		rules[11] = true
	}
	if p.RequireADomain && len(b.ADomain) == 0 {
		rules[11] = true
	}
	for _, d := range b.ADomain {
		if slices.ContainsFunc(req.BAdv, func(a string) bool { return under(d, a) }) {
			rules[11] = true
		}
	}
	if slices.ContainsFunc(req.BApp, func(a string) bool { return a != "" && strings.EqualFold(a, b.Bundle) }) {
		rules[11] = true
	}
	if max(req.CatTax, 1) != max(b.CatTax, 1) {
		return
	}
	for _, c := range b.Cat {
		for _, of := range req.BCat {
			c, of := strings.ToUpper(c), strings.ToUpper(of)
			if of != "" && (c == of || max(b.CatTax, 1) == 1 && strings.HasPrefix(c, of+"-")) {
				rules[11] = true
			}
		}
	}
}

var (
	vastTag = regexp.MustCompile(`(?is)^\s*(<\?.*?\?>|<!--.*?-->|\s)*<VAST[\s>/]`)
	htmlTag = regexp.MustCompile(`(?is)^\s*(<!--.*?-->|\s)*<[a-z!/]`)
	loads   = regexp.MustCompile(`(?i)http:`)
	spared  = regexp.MustCompile(`(?is)<a\s[^<]*|<area\s[^<]*|<!doctype[^<]*|<(companion|icon|nonlinear)?clickthrough[^<]*(<!\[CDATA\[[^<]*)?|xmlns(:\w+)?\s*=\s*["'][^"']*|\S*schemaLocation=["'][^"'\s]*`)
)

func creative(imp *openrtb2.Imp, b *openrtb2.Bid, p *Policy, rules map[int]bool) {
	offered := map[openrtb2.MarkupType][]int{}
	if imp.Banner != nil {
		offered[openrtb2.MarkupBanner] = numbers(imp.Banner.BAttr)
	}
	if imp.Video != nil {
		offered[openrtb2.MarkupVideo] = numbers(imp.Video.BAttr)
	}
	if imp.Audio != nil {
		offered[openrtb2.MarkupAudio] = numbers(imp.Audio.BAttr)
	}
	if imp.Native != nil {
		offered[openrtb2.MarkupNative] = numbers(imp.Native.BAttr)
	}
	if b.AdM == "" && b.NURL == "" {
		rules[17] = true
		return
	}
	t := b.MType
	if t == 0 && len(offered) == 1 {
		for t = range offered {
		}
	}
	if _, audio := offered[3]; t == 0 && !p.NeverInfer && b.AdM != "" {
		_, video := offered[2]
		switch {
		case vastTag.MatchString(b.AdM) && audio && (!video || strings.Contains(b.AdM, "audio/") && !strings.Contains(b.AdM, "video/")):
			t = 3
		case vastTag.MatchString(b.AdM):
			t = 2
		case strings.HasPrefix(strings.TrimSpace(b.AdM), "{"):
			t = 4
		case htmlTag.MatchString(b.AdM):
			t = 1
		}
	}
	battr, ok := offered[t]
	if !ok {
		rules[8] = true
		return
	}
	for _, a := range b.Attr {
		if slices.Contains(battr, int(a)) {
			rules[11] = true
		}
	}
	if t == 1 && b.AdM != "" {
		low := strings.ToLower(b.AdM)
		iframe, script := strings.Contains(low, "<iframe"), strings.Contains(low, "<script")
		image := !iframe && !script && regexp.MustCompile(`<(img|picture|svg|canvas|video)[\s>/]`).MatchString(low)
		for _, blocked := range imp.Banner.BType {
			if blocked == 4 && iframe || blocked == 3 && script || blocked == 2 && image || blocked == 1 && !iframe && !script && !image {
				rules[11] = true
			}
		}
	}
	if imp.Secure != nil && *imp.Secure == 1 {
		if b.AdM != "" && loads.MatchString(spared.ReplaceAllString(b.AdM, "")) || b.AdM == "" && strings.HasPrefix(strings.ToLower(b.NURL), "http:") {
			rules[12] = true
		}
	}
}

func numbers[T ~int64](list []T) (out []int) {
	for _, n := range list {
		out = append(out, int(n))
	}
	return out
}
