package openrtb

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/unit"
)

// naiveJudge is a second reading of rules 5 to 13 and 17, over types of another
// project, with maps, strings and floats, by the text of the rules. It gives
// every rule a bid breaks, since which one is told first is not a rule's
// business.
func naiveJudge(req *openrtb2.BidRequest, res *openrtb2.BidResponse, p *Policy) (broken []map[int]bool) {
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
			if imp := imps[b.ImpID]; imp == nil {
				rules[6] = true
			} else {
				naivePrice(req, imp, &seat, b, cur, p, rules)
				naiveBlocks(req, imp, &seat, b, p, rules)
				naiveCreative(imp, b, p, rules)
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

func naivePrice(req *openrtb2.BidRequest, imp *openrtb2.Imp, seat *openrtb2.SeatBid, b *openrtb2.Bid, cur string, p *Policy, rules map[int]bool) {
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
	rate := map[string]float64{"USD": 1, "EUR": 0.9}
	convert := func(v float64, from, to string) (float64, bool) {
		if from == to {
			return v, true
		}
		if p.Rates == nil || rate[from] == 0 || rate[to] == 0 {
			return 0, false
		}
		return v * rate[to] / rate[from], true
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
				if len(deal.WADomain) > 0 && !slices.ContainsFunc(deal.WADomain, func(a string) bool { return naiveUnder(d, a) }) {
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

func naiveUnder(domain, of string) bool {
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

func naiveBlocks(req *openrtb2.BidRequest, imp *openrtb2.Imp, seat *openrtb2.SeatBid, b *openrtb2.Bid, p *Policy, rules map[int]bool) {
	if len(req.WSeat) > 0 && !slices.Contains(req.WSeat, seat.Seat) || slices.Contains(req.BSeat, seat.Seat) && seat.Seat != "" {
		rules[11] = true
	}
	if p.RequireADomain && len(b.ADomain) == 0 {
		rules[11] = true
	}
	for _, d := range b.ADomain {
		if slices.ContainsFunc(req.BAdv, func(a string) bool { return naiveUnder(d, a) }) {
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

func naiveCreative(imp *openrtb2.Imp, b *openrtb2.Bid, p *Policy, rules map[int]bool) {
	offered := map[openrtb2.MarkupType][]int{}
	attrs := func(t openrtb2.MarkupType, there bool, list any) {
		if there {
			offered[t] = nil
			raw, _ := json.Marshal(list)
			var l []int
			_ = json.Unmarshal(raw, &l)
			offered[t] = l
		}
	}
	attrs(1, imp.Banner != nil, deref(imp.Banner).BAttr)
	attrs(2, imp.Video != nil, deref(imp.Video).BAttr)
	attrs(3, imp.Audio != nil, deref(imp.Audio).BAttr)
	attrs(4, imp.Native != nil, deref(imp.Native).BAttr)
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
	if deref(imp.Secure) == 1 {
		if b.AdM != "" && loads.MatchString(spared.ReplaceAllString(b.AdM, "")) || b.AdM == "" && strings.HasPrefix(strings.ToLower(b.NURL), "http:") {
			rules[12] = true
		}
	}
}

// checkExchange holds the verdicts on an answer against the naive ones; judged
// is how many bids were compared.
func checkExchange(t testing.TB, request, response []byte, p *Policy) (accepted, judged int) {
	t.Helper()
	var r BidRequest
	var res BidResponse
	var req openrtb2.BidRequest
	var o openrtb2.BidResponse
	if !Parse(request, &r).OK() || json.Unmarshal(request, &req) != nil || oddities(request) {
		return 0, 0
	}
	if a, _ := ReadAnswer(200, response, &res); a != Bids || json.Unmarshal(response, &o) != nil || oddities(response) || res.BadCur {
		return 0, 0
	}
	var j Judge
	j.Begin(&r, p)
	verdicts := j.Judge(&res)
	want := naiveJudge(&req, &o, p)
	if len(want) != len(verdicts) {
		t.Fatalf("%d verdicts on %d bids\n%s", len(verdicts), len(want), response)
	}
	for i, v := range verdicts {
		judged++
		switch {
		case v.Reason == Accepted:
			accepted++
			if len(want[i]) > 0 {
				t.Fatalf("bid %d accepted, breaks rules %v\nrequest %s\nresponse %s", i, want[i], request, response)
			}
		case !want[i][v.Reason.Rule()]:
			t.Fatalf("bid %d: %v (rule %d), but the naive reading breaks %v\nrequest %s\nresponse %s", i, v.Reason, v.Reason.Rule(), want[i], request, response)
		}
	}
	return accepted, judged
}

func judgePolicies() []*Policy {
	rates := NewRates(unit.USD, []Rate{{unit.Currency{'E', 'U', 'R'}, 900_000_000}})
	return []*Policy{
		{},
		{Rates: rates, ConvertForeign: true, OpenUnknownDeals: true},
		{Rates: rates, RequireCRID: true, RequireADomain: true, NeverInfer: true, OpenUnknownDeals: true},
	}
}

// TestExchangesAreJudged: every recorded bid is accepted or rejected for a
// reason that a rule gives, and a second reading of the rules agrees.
func TestExchangesAreJudged(t *testing.T) {
	for n, p := range judgePolicies() {
		accepted, judged := 0, 0
		reasons := map[RejectReason]int{}
		for _, x := range exchanges(t) {
			a, b := checkExchange(t, x.Request, x.Response, p)
			accepted += a
			judged += b
			var r BidRequest
			var res BidResponse
			answer, e := ReadAnswer(x.Status, x.Response, &res)
			if !Parse(x.Request, &r).OK() || answer != Bids {
				if !answer.OK() {
					t.Logf("%v: %v: %.120s", answer, e, x.Response)
				}
				continue
			}
			var j Judge
			j.Begin(&r, p)
			for _, v := range j.Judge(&res) {
				reasons[v.Reason]++
			}
		}
		t.Logf("policy %d: %d of %d compared bids accepted; all: %v", n, accepted, judged, reasons)
		if judged < 250 || accepted < judged/4 {
			t.Errorf("policy %d: only %d compared, %d accepted", n, judged, accepted)
		}
	}
}

// TestJudgeMutations: the two readings agree on what never was recorded.
func TestJudgeMutations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 13))
	var requests, responses [][]byte
	for _, x := range exchanges(t) {
		requests, responses = append(requests, x.Request), append(responses, x.Response)
	}
	n := 3_000
	if testing.Short() {
		n = 1_000
	}
	judged, accepted := 0, 0
	for range n {
		k := rnd.IntN(len(requests))
		_, b := checkExchange(t, mutate(rnd, requests[k:k+1]), mutate(rnd, responses[k:k+1]), judgePolicies()[rnd.IntN(3)])
		judged += b
	}
	t.Logf("%d bids compared", judged)
	judged = 0
	for range n {
		req, res := randomExchange(rnd)
		a, b := checkExchange(t, req, res, judgePolicies()[rnd.IntN(3)])
		accepted += a
		judged += b
	}
	if t.Logf("%d made bids compared, %d accepted", judged, accepted); judged < n || accepted < n/50 {
		t.Error("too few")
	}
}

// randomExchange is a request and an answer whose values often meet: domains
// below others, prices at floors, seats and deals listed or not.
func randomExchange(rnd *rand.Rand) (request, response []byte) {
	pick := func(l ...string) string { return l[rnd.IntN(len(l))] }
	list := func(l ...string) (out []string) {
		for range rnd.IntN(3) {
			out = append(out, pick(l...))
		}
		return out
	}
	quoted := func(l []string) string {
		raw, _ := json.Marshal(l)
		if l == nil {
			return "[]"
		}
		return string(raw)
	}
	domains := []string{"a.example", "shop.a.example", "WWW.A.Example", "b.example", "https://b.example/x", "nota.example", "example"}
	cats := []string{"IAB1", "IAB1-3", "IAB10", "iab2-1", "IAB2", "53", "112"}
	seats := []string{"s1", "s2", "S1", ""}
	price := func() string { return pick("0.9", "1", "1.1", "1.111112", "2", "0", "0.5") }
	cur := func() string { return pick("USD", "EUR", "usd", "GBP") }
	media := []string{`"banner":{"battr":[1,2],"btype":[3]}`, `"video":{"battr":[3]}`, `"audio":{}`, `"native":{"battr":[9]}`, `"banner":{"btype":[1,4]}`, `"banner":{}`}
	adms := []string{`<div>x</div>`, `<img src='https://x/'>`, `<IMG SRC=http://x/>`, `<script src='http://x/'></script>`, `<iframe src='https://x'>`, `<a href='http://click/'><img src=https://x></a>`,
		`<VAST version='3.0' xmlns='http://ns/'></VAST>`, `<?xml version='1.0'?> <!-- c --><VAST><ClickThrough><![CDATA[http://c/]]></ClickThrough><Impression>https://i</Impression></VAST>`,
		`<VAST><MediaFile type='audio/mpeg'>HTTP://m</MediaFile></VAST>`, `{'native':{'assets':[]}}`, `awesome`, ``, ` <!-- http://c --><p>`}
	var imps, seatbids []string
	for i := range 1 + rnd.IntN(7) {
		m := pick(media...)
		if other := pick(media...); rnd.IntN(2) == 0 && other[:4] != m[:4] {
			m += "," + other
		}
		imps = append(imps, fmt.Sprintf(`{"id":"%d","bidfloor":%s,"bidfloorcur":%q,"secure":%d,"exp":%d,%s,"pmp":{"private_auction":%d,"deals":[{"id":"d1","bidfloor":%s,"bidfloorcur":%q,"wseat":%s,"wadomain":%s},{"id":"d2","at":3,"bidfloor":2}]}}`,
			i, price(), cur(), rnd.IntN(2), rnd.IntN(500), m, rnd.IntN(4)/3, price(), cur(), quoted(list(seats...)), quoted(list(domains...))))
	}
	for range 1 + rnd.IntN(2) {
		var bids []string
		for range 1 + rnd.IntN(3) {
			adm, _ := json.Marshal(strings.ReplaceAll(pick(adms...), "'", `"`))
			bids = append(bids, fmt.Sprintf(`{"id":"b","impid":"%d","price":%s,"adm":%s,"nurl":%q,"crid":%q,"adomain":%s,"cat":%s,"attr":[%d],"mtype":%d,"dealid":%q,"exp":%d}`, rnd.IntN(len(imps)+1), pick("0.9", "1", "2", "2.5", "3"), adm,
				pick("", "https://n/", "http://n/"), pick("", "c"), quoted(list(domains...)), quoted(list(cats...)), rnd.IntN(12), rnd.IntN(6)*rnd.IntN(2), pick("", "", "d1", "d2", "d9"), rnd.IntN(500)))
		}
		seatbids = append(seatbids, fmt.Sprintf(`{"seat":%q,"group":%d,"bid":[%s]}`, pick(seats...), rnd.IntN(2), strings.Join(bids, ",")))
	}
	if rnd.IntN(2) == 0 {
		// Half of the requests block nothing: else hardly a bid would be accepted.
		domains, cats, seats = nil, nil, nil
		list = func(...string) []string { return nil }
	}
	request = fmt.Appendf(nil, `{"id":"r","cur":%s,"badv":%s,"bcat":%s,"cattax":%d,"wseat":%s,"bseat":%s,"imp":[%s]}`, quoted(list("USD", "EUR", "eur")), quoted(list(domains...)), quoted(list(cats...)), rnd.IntN(3),
		quoted(list(seats...)[:0]), quoted(list(seats...)), strings.Join(imps, ","))
	if rnd.IntN(4) == 0 {
		request = []byte(strings.Replace(string(request), `"wseat":[]`, `"wseat":["s1"]`, 1))
	}
	response = fmt.Appendf(nil, `{"id":"r","cur":%q,"seatbid":[%s]}`, pick("USD", "USD", "EUR", "GBP", ""), strings.Join(seatbids, ","))
	return request, response
}
