package openrtb

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/corpus"
	"millrace/codec/rulebook"
	"millrace/codec/unit"
)

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
	want := rulebook.Judge(&req, &o, p.second())
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

// second is the policy as the second reading of the rules takes it.
func (p *Policy) second() *rulebook.Policy {
	s := &rulebook.Policy{ConvertForeign: p.ConvertForeign, RequireCRID: p.RequireCRID, RequireADomain: p.RequireADomain, NeverInfer: p.NeverInfer, OpenUnknownDeals: p.OpenUnknownDeals}
	if p.Rates != nil {
		s.Rates = map[string]float64{"USD": 1, "EUR": 0.9}
	}
	return s
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
		for _, x := range corpus.ReadExchanges(t) {
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
	for _, x := range corpus.ReadExchanges(t) {
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
