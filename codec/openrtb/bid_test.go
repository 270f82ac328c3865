package openrtb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/corpus"
	"millrace/codec/unit"
)

func corpusResponses(tb testing.TB) (list [][]byte) {
	for _, x := range corpus.ReadExchanges(tb) {
		list = append(list, x.Response)
	}
	return append(list, corpus.Lines(tb, corpus.IABResponses)...)
}

// fullResponse has every field of the 2.6 objects.
var fullResponse = []byte(`{"id":"8f2a4c1e","bidid":"b-77","cur":"USD","customdata":"cd=1","ext":{"x":[1, 2]},"seatbid":[{"seat":"seat-1","group":0,"ext":{"s":1},"bid":[
	{"id":"1","impid":"1","price":4.51,"nurl":"https://dsp.example/w?p=${AUCTION_PRICE}","burl":"https://dsp.example/b","lurl":"https://dsp.example/l?r=${AUCTION_LOSS}","adm":"<a href=\"https://c.example\"><img src=\"https://cdn.example/1.png\"></a>","adid":"ad-1","adomain":["brand.example"],"bundle":"com.brand","iurl":"https://cdn.example/i.png","cid":"c1","crid":"cr1","tactic":"t","cattax":1,"cat":["IAB1-3","IAB2"],"attr":[1,3],"apis":[5,7],"api":5,"protocol":2,"qagmediarating":1,"language":"en","langb":"en-GB","dealid":"deal-premium-001","w":320,"h":480,"wratio":2,"hratio":3,"exp":300,"dur":15,"mtype":1,"slotinpod":1,"ext":{"k":"v"}},
	{"id":"2","impid":"2","price":0.36,"adm":"<script src='https://cdn.example/a.js'></script>","adomain":["other.example"],"crid":"cr2","mtype":1}]},
	{"seat":"seat-2","group":1,"bid":[{"id":"3","impid":"1","price":1.3,"adm":"<VAST version=\"3.0\"></VAST>","crid":"v","mtype":2}]}]}`)

// responseFacts is a view as text, one line an object.
func responseFacts(r *BidResponse) []string {
	f := []string{fmt.Sprintf("%q %q %q %v %d %s", r.ID, r.BidID, r.CustomData, r.Cur, max(r.NBR, 0), r.Ext.Bytes())}
	for i := range r.Seats {
		s := &r.Seats[i]
		f = append(f, fmt.Sprintf("%q %v %s", s.Seat, s.Group, s.Ext.Bytes()))
		for _, b := range r.BidsOf(s) {
			f = append(f, fmt.Sprintf("%q %q %q %q %q %q %q %v %q %q %q %q %q %d %v %v %v %d %d %d %q %q %q %d %d %d %d %d %d %d %d %s", b.ID, b.ImpID, b.NURL, b.BURL, b.LURL, b.Adm, b.AdID, quotedTexts(r.Strs(b.ADomain)),
				b.Bundle, b.IURL, b.CID, b.CRID, b.Tactic, b.CatTax, quotedTexts(r.Strs(b.Cat)), r.Ints(b.Attr), r.Ints(b.APIs), b.API, b.Protocol, b.QAGMediaRating, b.Language, b.LangB, b.DealID,
				b.W, b.H, b.WRatio, b.HRatio, b.Exp, b.Dur, b.MType, b.SlotInPod, b.Ext.Bytes()))
		}
	}
	return f
}

func oracleResponseFacts(r *openrtb2.BidResponse) []string {
	f := []string{fmt.Sprintf("%q %q %q %v %d %s", r.ID, r.BidID, r.CustomData, currencyOr(r.Cur), max(deref(r.NBR), 0), notNull(r.Ext))}
	for _, s := range r.SeatBid {
		f = append(f, fmt.Sprintf("%q %v %s", s.Seat, s.Group != 0, notNull(s.Ext)))
		for _, b := range s.Bid {
			f = append(f, fmt.Sprintf("%q %q %q %q %q %q %q %v %q %q %q %q %q %d %v %v %v %d %d %d %q %q %q %d %d %d %d %d %d %d %d %s", b.ID, b.ImpID, b.NURL, b.BURL, b.LURL, b.AdM, b.AdID, quotedTexts(b.ADomain),
				b.Bundle, b.IURL, b.CID, b.CrID, b.Tactic, b.CatTax, quotedTexts(b.Cat), b.Attr, b.APIs, b.API, b.Protocol, b.QAGMediaRating, b.Language, b.LangB, b.DealID,
				b.W, b.H, b.WRatio, b.HRatio, b.Exp, b.Dur, b.MType, b.SlotInPod, notNull(b.Ext)))
		}
	}
	return f
}

func quotedTexts[T ~[]E, E any](l T) []string {
	out := make([]string, 0, len(l))
	for _, e := range l {
		out = append(out, fmt.Sprintf("%q", fmt.Sprint(e)))
	}
	return out
}

// oddities reports whether a body has one of the documented differences
// between our reading and that of encoding/json: then the two are not compared.
func oddities(body []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	odd := false
	var walk func(key string) error
	walk = func(key string) error {
		if key == "ext" || key == "eids" || key == "sua" {
			// Kept as it is by both.
			was := odd
			defer func() { odd = was }()
		}
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case json.Delim:
			seen := map[string]bool{}
			for dec.More() {
				k := ""
				if t == '{' {
					kt, err := dec.Token()
					if err != nil {
						return err
					}
					k = kt.(string)
					low := strings.ToLower(k)
					odd = odd || seen[low] || low != k || strings.ContainsFunc(k, func(r rune) bool { return r > 126 })
					seen[low] = true
				} else {
					k = "[]"
				}
				if err := walk(k); err != nil {
					return err
				}
			}
			_, err = dec.Token()
			return err
		case nil:
			odd = odd || key == "[]"
		case json.Number:
			x, err := t.Float64()
			odd = odd || err != nil || math.Abs(x) > math.MaxInt32 || (x < 0 || strings.HasPrefix(t.String(), "-")) && key != "lat" && key != "lon"
			odd = odd || (key == "bidfloor" || key == "price") && math.Abs(math.Mod(x*1e6, 1)-0.5) < 1e-3
		case string:
			_, ok := unit.ParseCurrency(t)
			odd = odd || key == "bidfloorcur" && t != "" && !ok
		}
		return nil
	}
	return walk("") != nil || odd
}

// compareResponse holds a parsed answer against encoding/json. The exceptions
// are those of requests; besides, we read ids that are numbers, and drop a bid
// with a value of the wrong type instead of the answer (rule 5).
func compareResponse(t testing.TB, r *BidResponse, body []byte) (compared bool) {
	t.Helper()
	e := ParseResponse(body, r, DefaultResponseLimits())
	var o openrtb2.BidResponse
	err := json.Unmarshal(body, &o)
	odd := oddities(body)
	if !e.OK() {
		if err == nil && !odd && e.Code != TooDeep && e.Code != TooMany && !strings.HasPrefix(strings.TrimSpace(string(body)), "null") {
			t.Errorf("refused (%v) what encoding/json reads: %s", e, body)
		}
		return false
	}
	if err != nil || odd || r.BadCur {
		return false
	}
	for _, b := range r.Bids {
		if b.Invalid {
			t.Errorf("invalid: what encoding/json reads: %s", body)
			return false
		}
	}
	got, want := responseFacts(r), oracleResponseFacts(&o)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s\nof %s", strings.Join(got, "\n"), strings.Join(want, "\n"), body)
	}
	n := 0
	for _, s := range o.SeatBid {
		for _, b := range s.Bid {
			if d := micros(b.Price) - int64(r.Bids[n].Price); d < -1 || d > 1 {
				t.Errorf("price %v, want %v", r.Bids[n].Price, b.Price)
			}
			n++
		}
	}
	return true
}

func TestResponseCorpus(t *testing.T) {
	var r BidResponse
	compared, lines := 0, append(corpusResponses(t), fullResponse)
	for _, body := range lines {
		if compareResponse(t, &r, body) {
			compared++
		} else {
			t.Logf("not compared: %.150s", body)
		}
	}
	if t.Logf("compared %d of %d", compared, len(lines)); compared < len(lines)*9/10 {
		t.Errorf("only %d of %d were compared", compared, len(lines))
	}
}

func TestResponseMutations(t *testing.T) {
	lines := append(corpusResponses(t), fullResponse)
	n := 40_000
	if testing.Short() {
		n = min(n, 4_000)
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	var r BidResponse
	compared := 0
	for range n {
		if compareResponse(t, &r, mutate(rnd, lines)) {
			compared++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("compared %d of %d", compared, n)
}

func TestResponseWild(t *testing.T) {
	var r BidResponse
	body := `{"id":7,"cur":"eur","nbr":"x","seatbid":[null,{"bid":null},{"seat":5,"bid":[{"id":12345,"impid":1,"price":"1.25","crid":99,"w":"300","h":250.0,"adomain":["a",null,7],"attr":[1,"2",null,1.5]},
		{"id":"b","price":NaN},{"id":"c","price":1e999},{"id":"d","w":-1},{"id":"e","adm":{"native":{}}},{"id":"f","adomain":"a.example"},{"id":"g","price":-2.5},null]},
		{"group":"all","bid":[{"id":"h","price":1}]}],"ext":null}`
	if e := ParseResponse([]byte(body), &r, DefaultResponseLimits()); !e.OK() {
		t.Fatal(e)
	}
	if !r.ID.Equal("7") || r.Cur.String() != "EUR" || r.NBR != UnknownError || len(r.Seats) != 3 || len(r.Bids) != 8 {
		t.Fatalf("%+v", r)
	}
	invalid := ""
	for _, b := range r.Bids {
		if b.Invalid {
			invalid += b.ID.String()
		}
	}
	b := &r.Bids[0]
	if invalid != "bcdefh" || !b.ID.Equal("12345") || !b.CRID.Equal("99") || b.Price != 1_250_000 || b.W != 300 || b.H != 250 || fmt.Sprint(r.Strs(b.ADomain), r.Ints(b.Attr)) != "[a 7] [1 2]" {
		t.Errorf("invalid %s, %+v", invalid, b)
	}
	if r.Bids[6].Price != -2_500_000 {
		t.Errorf("%+v", r.Bids[6])
	}
}

func TestResponseLimits(t *testing.T) {
	var r BidResponse
	for _, body := range []string{
		`{"seatbid":[` + strings.Repeat(`{},`, 1001), `{"seatbid":[{"bid":[` + strings.Repeat(`{},`, 1001),
		`{"seatbid":[{"bid":[{"cat":[` + strings.Repeat(`"",`, 1<<15), `{"seatbid":[{"bid":[{"attr":[` + strings.Repeat(`1,`, 1<<15),
	} {
		if e := ParseResponse([]byte(body), &r, DefaultResponseLimits()); e.Code != TooMany {
			t.Errorf("%.40s: %v", body, e)
		}
	}
	if e := ParseResponse([]byte(strings.Repeat(`{"ext":`, 100)), &r, DefaultResponseLimits()); e.Code != TooDeep {
		t.Error(e)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add(fullResponse)
	for _, s := range []string{`{}`, `{"seatbid":[]}`, `{"nbr":2}`, `{"seatbid":[{"bid":[{"impid":"1","price":1}],"group":1}],"cur":"EUR"}`,
		`{"seatbid":[{"bid":[{"id":5,"price":"2","adm":"\u003cVAST","mtype":9}]},{"bid":[]}],"seatbid":[{"bid":[{}]}]}`, `{"seatbid":[{"bid":[{"price":NaN}]}]}`} {
		f.Add([]byte(s))
	}
	var used BidResponse
	var judge Judge
	var req BidRequest
	if e := Parse(richRequest, &req); !e.OK() {
		f.Fatal(e)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		compareResponse(t, &used, body)
		var fresh BidResponse
		a, b := ParseResponse(body, &used, DefaultResponseLimits()), ParseResponse(body, &fresh, DefaultResponseLimits())
		if a.Code != b.Code || a.OK() && fmt.Sprint(responseFacts(&used)) != fmt.Sprint(responseFacts(&fresh)) {
			t.Fatalf("used view: %v, fresh view: %v", a, b)
		}
		if a.OK() {
			judge.Begin(&req, &Policy{})
			if v := judge.Judge(&used); len(v) != len(used.Bids) {
				t.Fatalf("%d verdicts on %d bids", len(v), len(used.Bids))
			}
		}
	})
}

func TestAllocResponse(t *testing.T) {
	lines := append(corpusResponses(t), fullResponse)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		lines = append(lines, mutate(rnd, lines))
	}
	var reqs []*BidRequest
	for _, body := range append(corpusRequests(t)[:40], richRequest) {
		r := new(BidRequest)
		if Parse(body, r).OK() {
			reqs = append(reqs, r)
		}
	}
	policy := &Policy{Rates: NewRates(unit.USD, []Rate{{unit.Currency{'E', 'U', 'R'}, 900_000_000}}), ConvertForeign: true, Parents: NewParents([]CategoryParent{{IABContent22, "2", "1"}})}
	var res BidResponse
	var j Judge
	run := func() {
		for i, body := range lines {
			if a, _ := ReadAnswer(200, body, &res); a == Bids {
				j.Begin(reqs[i%len(reqs)], policy)
				j.Judge(&res)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(3, run); n != 0 {
		t.Errorf("%v allocations over %d answers", n, len(lines))
	}
}
