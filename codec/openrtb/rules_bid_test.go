package openrtb

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
)

// Tests of the rules for bidders: what they are sent and what they answer.

// judgeOne is the verdict on the only bid of an answer, given as members of
// the bid, of its seatbid and of the answer.
func judgeOne(t *testing.T, request, bid, seat, answer string, p Policy) Verdict {
	t.Helper()
	if !strings.Contains(bid, `"impid"`) {
		bid = `"impid":"1",` + bid
	}
	if !strings.Contains(bid, `"adm"`) && !strings.Contains(bid, `"nurl"`) {
		bid += `,"adm":"<div>ad</div>"`
	}
	if !strings.Contains(bid, `"price"`) {
		bid += `,"price":5`
	}
	v := judgeAll(t, request, `{"id":"a","seatbid":[{"bid":[{`+bid+`}]`+seat+`}]`+answer+`}`, p)
	return v[0]
}

func judgeAll(t *testing.T, request, response string, p Policy) []Verdict {
	t.Helper()
	var res BidResponse
	if a, e := ReadAnswer(200, []byte(response), &res); a != Bids {
		t.Fatalf("%v: %v\n%s", a, e, response)
	}
	j := new(Judge)
	j.Begin(mustParse(t, request), &p)
	return j.Judge(&res)
}

type judged struct {
	request string // the impression and members of the request
	bid     string
	seat    string
	answer  string
	want    RejectReason
}

func checkJudged(t *testing.T, cases []judged) {
	t.Helper()
	for _, c := range cases {
		if v := judgeOne(t, c.request, c.bid, c.seat, c.answer, Policy{}); v.Reason != c.want {
			t.Errorf("%v, want %v: bid {%s}%s%s on %s", v.Reason, c.want, c.bid, c.seat, c.answer, c.request)
		}
	}
}

// begin parses a body and begins to patch it.
func begin(t *testing.T, p *Patcher, body string, common *Edit) {
	t.Helper()
	if e := p.Begin(mustParse(t, body), []byte(body), common); !e.OK() {
		t.Fatal(e)
	}
}

// on is a request with one impression of the given members.
func on(imp string, more ...string) string {
	if !strings.Contains(imp, "{") {
		imp = strings.TrimPrefix(imp+`,"banner":{}`, ",")
	}
	return `{"id":"a","imp":[{"id":"1",` + imp + `}]` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func TestRule02NoBidForms(t *testing.T) {
	var r BidResponse
	for _, c := range []struct {
		status int
		body   string
		want   Answer
		nbr    NoBidReason
	}{
		{204, ``, NoBid, NoReason},
		{204, `not looked at`, NoBid, NoReason},
		{200, `{}`, NoBid, NoReason},
		{200, ` {"id":"1","seatbid":[]} `, NoBid, NoReason},
		{200, `{"id":"1","seatbid":null}`, NoBid, NoReason},
		{200, `{"id":"1","seatbid":[{"bid":[]},{}]}`, NoBid, NoReason},
		{200, `{"id":"1","nbr":2}`, NoBid, InvalidRequest},
		{200, `{"id":"1","nbr":"8","seatbid":[]}`, NoBid, UnmatchedUser},
		{200, `{"id":"1","nbr":500}`, NoBid, 500},
		{200, ``, EmptyBody, NoReason},
		{200, " \r\n", EmptyBody, NoReason},
		{200, `no bid`, Malformed, NoReason},
		{200, `null`, Malformed, NoReason},
		{200, `[]`, Malformed, NoReason},
		{200, `{"seatbid":`, Malformed, NoReason},
		{200, `<html>`, Malformed, NoReason},
		{500, `{}`, BadStatus, NoReason},
		{302, ``, BadStatus, NoReason},
		{200, `{"seatbid":[{"bid":[{"impid":"1"}]}]}`, Bids, NoReason},
		{201, `{"seatbid":[{"bid":[{"impid":"1"}]}]}`, Bids, NoReason},
	} {
		a, e := ReadAnswer(c.status, []byte(c.body), &r)
		if a != c.want || a != Malformed && r.NBR != c.nbr || (a == Malformed) == e.OK() {
			t.Errorf("%d %q: %v nbr %d (%v), want %v nbr %d", c.status, c.body, a, r.NBR, e, c.want, c.nbr)
		}
	}
}

func TestRule03UnknownInAnswers(t *testing.T) {
	v := judgeOne(t, on(""), `"x":{"deep":[1]},"protocol":999,"qagmediarating":77,"attr":[12345],"ext":{"k" : 1}`, `,"y":2`, `,"units":[{}]`, Policy{})
	if v.Reason != Accepted {
		t.Errorf("%v", v.Reason)
	}
	var r BidResponse
	if e := ParseResponse([]byte(`{"ext":{"a" : 1},"seatbid":[{"ext":{"b" : 2},"bid":[{"ext":{"c" : "\u00e9"}}]}]}`), &r, DefaultResponseLimits()); !e.OK() ||
		string(r.Ext.Bytes())+string(r.Seats[0].Ext.Bytes())+string(r.Bids[0].Ext.Bytes()) != `{"a" : 1}{"b" : 2}{"c" : "\u00e9"}` {
		t.Errorf("%v: ext %s", e, r.Ext.Bytes())
	}
}

func TestRule05InvalidBidIsAllThatIsInvalid(t *testing.T) {
	v := judgeAll(t, on(""), `{"seatbid":[{"bid":[{"impid":"1","price":"2.5","adm":"x","w":"300","h":250.0},{"impid":"1","price":1e999,"adm":"x"},{"impid":"1","price":NaN,"adm":"x"},{"impid":"1","price":2,"w":-1,"adm":"x"},{"impid":"1","price":2,"adm":"x"},null]}]}`, Policy{})
	var got []string
	for _, x := range v {
		got = append(got, x.Reason.String())
	}
	if s := strings.Join(got, " "); s != "accepted invalid_bid invalid_bid invalid_bid accepted" || v[0].Price != 2_500_000 {
		t.Errorf("%s, price %v", s, v[0].Price)
	}
	checkJudged(t, []judged{{request: on(`"bidfloor":NaN`), bid: `"id":"x"`, want: InvalidImp}})
}

func TestRule06ImpIDs(t *testing.T) {
	checkJudged(t, []judged{
		{request: on(""), bid: `"impid":"1"`, want: Accepted},
		{request: on(""), bid: `"impid":"\u0031"`, want: Accepted},
		{request: on(""), bid: `"impid":"2"`, want: UnknownImp},
		{request: on(""), bid: `"impid":null`, want: UnknownImp},
		{request: on(""), bid: `"impid":1`, want: Accepted},
	})
	// That bid only; and an id that is absent or another is counted, no more.
	v := judgeAll(t, on(""), `{"id":"other","seatbid":[{"bid":[{"impid":"2","price":1,"adm":"x"},{"impid":"1","price":1,"adm":"x"}]}]}`, Policy{})
	if v[0].Reason != UnknownImp || v[1].Reason != Accepted {
		t.Errorf("%+v", v)
	}
	var j Judge
	var res BidResponse
	j.Begin(mustParse(t, on("")), &Policy{})
	for id, want := range map[string]bool{`"id":"a",`: true, `"id":"b",`: false, ``: false, `"id":"\u0061",`: true} {
		if ParseResponse([]byte(`{`+id+`"seatbid":[]}`), &res, DefaultResponseLimits()); j.IDMatches(&res) != want {
			t.Errorf("{%s}: matches %v", id, !want)
		}
	}
}

func TestRule07Price(t *testing.T) {
	deal := on(`"banner":{},"pmp":{"deals":[{"id":"d"}]}`)
	checkJudged(t, []judged{
		{request: on(""), bid: `"price":0.000001`, want: Accepted},
		{request: on(""), bid: `"price":-0.01`, want: BadPrice},
		{request: on(""), bid: `"price":0`, want: BadPrice},
		{request: on(""), bid: `"price":null`, want: BadPrice},
		{request: on(""), bid: `"price":NaN`, want: InvalidBid},
		{request: deal, bid: `"price":0,"dealid":"d"`, want: Accepted},
		{request: deal, bid: `"price":-1,"dealid":"d"`, want: BadPrice},
		{request: deal, bid: `"price":0`, want: BadPrice},
		{request: on(""), bid: `"id":"without crid"`, want: Accepted},
	})
	for bid, want := range map[string]RejectReason{`"id":"x"`: MissingCRID, `"crid":""`: MissingCRID, `"crid":"c"`: Accepted, `"crid":5`: Accepted} {
		if v := judgeOne(t, on(""), bid, "", "", Policy{RequireCRID: true}); v.Reason != want {
			t.Errorf("crid required, {%s}: %v", bid, v.Reason)
		}
	}
}

func TestRule08MediaType(t *testing.T) {
	both := on(`"banner":{},"video":{},"audio":{},"native":{}`)
	checkJudged(t, []judged{
		{request: on(`"video":{}`), bid: `"mtype":1`, want: WrongMedia},
		{request: on(`"video":{}`), bid: `"mtype":2`, want: Accepted},
		{request: on(`"video":{"w":-1},"banner":{}`), bid: `"mtype":2`, want: WrongMedia},
		{request: on(`"banner":{}`), bid: `"mtype":77`, want: WrongMedia},
		{request: both, bid: `"adm":"what is it?"`, want: UnknownMedia},
		{request: both, bid: `"nurl":"https://n.example"`, want: UnknownMedia},
		{request: on(`"banner":{},"video":{}`), bid: `"adm":"{\"native\":{}}"`, want: WrongMedia},
	})
	for _, c := range []struct {
		imp, adm string
		want     MediaType
	}{
		{`"native":{}`, `anything`, NativeMedia},
		{`"banner":{},"video":{}`, `\n \u003cVAST version=\"4.0\">`, VideoMedia},
		{`"banner":{},"audio":{}`, `<VAST>`, AudioMedia},
		{`"video":{},"audio":{}`, `<?xml version=\"1.0\"?><!-- x --><vast/>`, VideoMedia},
		{`"video":{},"audio":{}`, `<VAST><MediaFile type=\"audio/mp4\">`, AudioMedia},
		{`"video":{},"audio":{}`, `<DAAST version=\"1.0\">`, AudioMedia},
		{`"banner":{},"video":{}`, `<!-- VAST --><script>x</script>`, BannerMedia},
		{`"banner":{},"video":{}`, `<!DOCTYPE html><html>`, BannerMedia},
		{`"banner":{},"native":{}`, ` {\"assets\":[]}`, NativeMedia},
	} {
		if v := judgeOne(t, on(c.imp), `"adm":"`+c.adm+`"`, "", "", Policy{}); v.Reason != Accepted || v.Media != c.want {
			t.Errorf("%s on %s: %v %v, want %v", c.adm, c.imp, v.Reason, v.Media, c.want)
		}
	}
	if v := judgeOne(t, both, `"adm":"<div>"`, "", "", Policy{NeverInfer: true}); v.Reason != UnknownMedia {
		t.Errorf("inferred, though the policy says never: %v", v.Reason)
	}
}

func TestRule09CurrencyAndFloors(t *testing.T) {
	eur := unit.Currency{'E', 'U', 'R'}
	rates := NewRates(unit.USD, []Rate{{eur, 500_000_000}}) // 1 USD is 0.5 EUR
	for _, c := range []struct {
		request, bid, answer string
		p                    Policy
		want                 RejectReason
		price                unit.CPMMicros
	}{
		{on(""), `"price":1`, ``, Policy{}, Accepted, 1_000_000},
		{on(""), `"price":1`, `,"cur":"usd"`, Policy{}, Accepted, 1_000_000},
		{on(""), `"price":1`, `,"cur":"EUR"`, Policy{}, ForeignCurrency, 0},
		{on(""), `"price":1`, `,"cur":"EUR"`, Policy{Rates: rates}, ForeignCurrency, 0},
		{on(""), `"price":1`, `,"cur":"EUR"`, Policy{Rates: rates, ConvertForeign: true}, Accepted, 2_000_000},
		{on(""), `"price":1`, `,"cur":"EUR"`, Policy{ConvertForeign: true}, NoRate, 0},
		{on(""), `"price":1`, `,"cur":"GBP"`, Policy{Rates: rates, ConvertForeign: true}, NoRate, 0},
		{on(""), `"price":1`, `,"cur":"dollars"`, Policy{Rates: rates, ConvertForeign: true}, UnknownCurrency, 0},
		{on(``, `"cur":["EUR"]`), `"price":1`, ``, Policy{Rates: rates}, ForeignCurrency, 0},
		{on(``, `"cur":["EUR","USD"]`), `"price":1`, `,"cur":"EUR"`, Policy{Rates: rates}, Accepted, 2_000_000},
		{on(``, `"cur":["EUR"]`), `"price":1`, `,"cur":"EUR"`, Policy{Cur: eur}, Accepted, 1_000_000},
		// Equal to the floor passes; the floor's currency defaults to USD.
		{on(`"bidfloor":1.1`), `"price":1.1`, ``, Policy{}, Accepted, 1_100_000},
		{on(`"bidfloor":1.1`), `"price":1.099999`, ``, Policy{}, BelowFloor, 0},
		{on(`"bidfloor":1,"bidfloorcur":"EUR"`), `"price":2`, ``, Policy{Rates: rates}, Accepted, 2_000_000},
		{on(`"bidfloor":1,"bidfloorcur":"EUR"`), `"price":1.9`, ``, Policy{Rates: rates}, BelowFloor, 0},
		{on(`"bidfloor":1,"bidfloorcur":"EUR"`), `"price":9`, ``, Policy{}, NoRate, 0},
		// A deal has its own floor, whose currency is not the impression's.
		{on(`"bidfloor":9,"bidfloorcur":"EUR","banner":{},"pmp":{"deals":[{"id":"d","bidfloor":1.5}]}`), `"price":1.5,"dealid":"d"`, ``, Policy{}, Accepted, 1_500_000},
		{on(`"banner":{},"pmp":{"deals":[{"id":"d","bidfloor":1.5}]}`), `"price":1.49,"dealid":"d"`, ``, Policy{}, BelowDeal, 0},
		{on(`"bidfloor":9,"banner":{},"pmp":{"deals":[{"id":"d"}]}`), `"price":0.1,"dealid":"d"`, ``, Policy{}, Accepted, 100_000},
		{on(`"banner":{},"pmp":{"deals":[{"id":"d","bidfloor":1,"bidfloorcur":"EUR"}]}`), `"price":1.5,"dealid":"d"`, ``, Policy{Rates: rates}, BelowDeal, 0},
	} {
		if v := judgeOne(t, c.request, c.bid, "", c.answer, c.p); v.Reason != c.want || v.Reason == Accepted && v.Price != c.price {
			t.Errorf("%v at %v, want %v at %v: %s%s on %s", v.Reason, v.Price, c.want, c.price, c.bid, c.answer, c.request)
		}
	}
}

func TestRule10Deals(t *testing.T) {
	private := on(`"banner":{},"pmp":{"private_auction":1,"deals":[{"id":"d","wseat":["s1"],"wadomain":["brand.example"]},{"id":"e","at":3,"bidfloor":4}]}`)
	open := strings.Replace(private, `"private_auction":1`, `"private_auction":0`, 1)
	checkJudged(t, []judged{
		{request: private, bid: `"id":"x"`, want: PrivateOnly},
		{request: private, bid: `"dealid":"none"`, want: UnknownDeal},
		{request: private, bid: `"dealid":"e"`, want: Accepted},
		{request: open, bid: `"id":"x"`, want: Accepted},
		{request: open, bid: `"dealid":"none"`, want: UnknownDeal},
		{request: open, bid: `"dealid":"d","adomain":["brand.example"]`, want: DealSeat},
		{request: open, bid: `"dealid":"d","adomain":["brand.example"]`, seat: `,"seat":"s2"`, want: DealSeat},
		{request: open, bid: `"dealid":"d","adomain":["brand.example"]`, seat: `,"seat":"s1"`, want: Accepted},
		{request: open, bid: `"dealid":"d","adomain":["WWW.Brand.example"]`, seat: `,"seat":"s1"`, want: Accepted},
		{request: open, bid: `"dealid":"d","adomain":["brand.example","x.example"]`, seat: `,"seat":"s1"`, want: DealDomain},
		{request: open, bid: `"dealid":"d"`, seat: `,"seat":"s1"`, want: DealDomain},
		{request: open, bid: `"dealid":"e","price":3.99`, want: BelowDeal},
	})
	if v := judgeOne(t, open, `"dealid":"none"`, "", "", Policy{OpenUnknownDeals: true}); v.Reason != Accepted || v.Deal != -1 {
		t.Errorf("an unknown deal as an open bid: %+v", v)
	}
	// at 3: the deal's floor is the agreed price, however high the bid.
	if v := judgeOne(t, open, `"dealid":"e","price":9`, "", "", Policy{}); v.At != FixedPrice || v.Price != 4_000_000 || v.Deal != 1 {
		t.Errorf("a deal of a fixed price: %+v", v)
	}
}

func TestRule11Blocks(t *testing.T) {
	checkJudged(t, []judged{
		{request: on(``, `"wseat":["s1","s2"]`), bid: `"id":"x"`, want: BlockedSeat},
		{request: on(``, `"wseat":["s1","s2"]`), bid: `"id":"x"`, seat: `,"seat":"s2"`, want: Accepted},
		{request: on(``, `"bseat":["s1"]`), bid: `"id":"x"`, seat: `,"seat":"s1"`, want: BlockedSeat},
		{request: on(``, `"bseat":["s1"]`), bid: `"id":"x"`, want: Accepted},
		{request: on(``, `"badv":["Rival.example"]`), bid: `"adomain":["rival.EXAMPLE"]`, want: BlockedDomain},
		{request: on(``, `"badv":["rival.example"]`), bid: `"adomain":["ok.example","shop.rival.example"]`, want: BlockedDomain},
		{request: on(``, `"badv":["rival.example"]`), bid: `"adomain":["notrival.example"]`, want: Accepted},
		{request: on(``, `"badv":["shop.rival.example"]`), bid: `"adomain":["rival.example"]`, want: Accepted},
		{request: on(``, `"badv":["rival.example"]`), bid: `"adomain":["https://www.rival.example/path"]`, want: BlockedDomain},
		{request: on(``, `"badv":["rival.example"]`), bid: `"adomain":[]`, want: Accepted},
		{request: on(``, `"bcat":["IAB1"]`), bid: `"cat":["IAB1-3"]`, want: BlockedCategory},
		{request: on(``, `"bcat":["IAB1"]`), bid: `"cat":["iab1"]`, want: BlockedCategory},
		{request: on(``, `"bcat":["IAB1"]`), bid: `"cat":["IAB10","IAB19-1"]`, want: Accepted},
		{request: on(``, `"bcat":["IAB1-3"]`), bid: `"cat":["IAB1"]`, want: Accepted},
		{request: on(``, `"bcat":["IAB1"],"cattax":1`), bid: `"cat":["IAB1-3"],"cattax":1`, want: BlockedCategory},
		{request: on(``, `"bcat":["150"],"cattax":2`), bid: `"cat":["150"],"cattax":6`, want: Accepted},
		{request: on(``, `"bcat":["150"],"cattax":6`), bid: `"cat":["150"],"cattax":6`, want: BlockedCategory},
		{request: on(``, `"bcat":["150"]`), bid: `"cat":["150"],"cattax":6`, want: Accepted},
		{request: on(``, `"bapp":["com.rival.app"]`), bid: `"bundle":"com.rival.app"`, want: BlockedApp},
		{request: on(``, `"bapp":["com.rival.app"]`), bid: `"bundle":"com.rival.app2"`, want: Accepted},
		{request: on(`"banner":{"battr":[3]},"video":{"battr":[4]}`), bid: `"attr":[1,3],"mtype":1`, want: BlockedAttribute},
		{request: on(`"banner":{"battr":[3]},"video":{"battr":[4]}`), bid: `"attr":[1,3],"mtype":2`, want: Accepted},
		{request: on(`"banner":{"btype":[4]}`), bid: `"adm":"<IFRAME src='https://x'>"`, want: BlockedAdType},
		{request: on(`"banner":{"btype":[3]}`), bid: `"adm":"<div><script>x</script></div>"`, want: BlockedAdType},
		{request: on(`"banner":{"btype":[2]}`), bid: `"adm":"<img src='https://x'>"`, want: BlockedAdType},
		{request: on(`"banner":{"btype":[1]}`), bid: `"adm":"<b>text</b>"`, want: BlockedAdType},
		{request: on(`"banner":{"btype":[1,2,4]}`), bid: `"adm":"<script>x</script>"`, want: Accepted},
	})
	if v := judgeOne(t, on(""), `"adomain":[]`, "", "", Policy{RequireADomain: true}); v.Reason != MissingADomain {
		t.Errorf("an empty adomain where one is required: %v", v.Reason)
	}
	// We do not send both wseat and bseat.
	var p Patcher
	begin(t, &p, on(``, `"bseat":["s9"]`), nil)
	if got := string(p.Append(nil, &Edit{WSeat: []string{"s1"}})); got != on(``, `"wseat":["s1"]`) {
		t.Errorf("wseat beside bseat: %s", got)
	}
}

func TestRule11ParentsByTable(t *testing.T) {
	table := NewParents([]CategoryParent{{IABContent22, "1", ""}, {IABContent22, "2", "1"}, {IABContent22, "30", "2"}, {IABContent22, "30", "9"}, {IABContent30, "30", "7"},
		{IABContent22, "51", "52"}, {IABContent22, "52", "51"}})
	for _, c := range []struct {
		blocked, cat string
		tax          int
		want         RejectReason
	}{
		{"1", "1", 6, BlockedCategory}, {"1", "2", 6, BlockedCategory}, {"1", "30", 6, BlockedCategory}, {"2", "30", 6, BlockedCategory}, {"9", "30", 6, Accepted},
		{"30", "2", 6, Accepted}, {"1", "30", 7, Accepted}, {"7", "30", 7, BlockedCategory}, {"1", "51", 6, Accepted}, {"52", "51", 6, BlockedCategory}, {"1", "99", 6, Accepted},
	} {
		request := on(``, fmt.Sprintf(`"bcat":[%q],"cattax":%d`, c.blocked, c.tax))
		if v := judgeOne(t, request, fmt.Sprintf(`"cat":[%q],"cattax":%d`, c.cat, c.tax), "", "", Policy{Parents: table}); v.Reason != c.want {
			t.Errorf("%+v: %v", c, v.Reason)
		}
	}
}

func TestRule11LongLists(t *testing.T) {
	var badv []string
	for i := range 5000 {
		badv = append(badv, fmt.Sprintf(`"rival-%d.example"`, i))
	}
	request := on(``, `"badv":[`+strings.Join(badv, ",")+`]`)
	for i := range 100 {
		for domain, want := range map[string]RejectReason{"rival-%d.example": BlockedDomain, "a.b.RIVAL-%d.example": BlockedDomain, "xrival-%d.example": Accepted, "rival-%d": Accepted} {
			if v := judgeOne(t, request, `"adomain":["`+fmt.Sprintf(domain, i*50)+`"]`, "", "", Policy{}); v.Reason != want {
				t.Fatalf(domain+": %v, want %v", i*50, v.Reason, want)
			}
		}
	}
}

func TestRule12Secure(t *testing.T) {
	secure := on(`"secure":1`)
	for adm, want := range map[string]RejectReason{
		`<img src=\"https://x/\">`:                                                  Accepted,
		`<img src=\"http://x/\">`:                                                   NotSecure,
		`<IMG SRC=HTTP://x/>`:                                                       NotSecure,
		`<img src=\"\u0068ttp:\/\/x\/\">`:                                           NotSecure,
		`<img src=\"//x/\">`:                                                        Accepted,
		`<a href=\"http://landing/\"><img src=\"https://x/\"></a>`:                  Accepted,
		`<a href=\"http://landing/\"><img src=\"http://x/\"></a>`:                   NotSecure,
		`<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>`:                          Accepted,
		`<!DOCTYPE html PUBLIC \"x\" \"http://www.w3.org/TR/x.dtd\"><p>`:            Accepted,
		`<script>var u='http://x/';</script>`:                                       NotSecure,
		`<VAST><ClickThrough><![CDATA[http://l/]]></ClickThrough></VAST>`:           Accepted,
		`<VAST><MediaFile><![CDATA[http://m/]]></MediaFile></VAST>`:                 NotSecure,
		`<VAST><Impression>http://i/</Impression></VAST>`:                           NotSecure,
		`{\"native\":{\"link\":{\"url\":\"http://l/\"}}}`:                           Accepted,
		`{\"native\":{\"assets\":[{\"img\":{\"url\":\"http://x/\"}}]}}`:             NotSecure,
		`<img src=\"https://x/?r=http%3A%2F%2Fy\">`:                                 Accepted,
		`no address at all`:                                                         Accepted,
		`<linkhttp://x>`:                                                            NotSecure,
		`<div style=\"background:url(http://x)\">`:                                  NotSecure,
		`<VAST xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" version=\"4.2\"/>`:     Accepted,
		`<VAST xsi:noNamespaceSchemaLocation=\"http://x/vast.xsd\" version=\"3\"/>`: Accepted,
	} {
		if v := judgeOne(t, secure, `"adm":"`+adm+`"`, "", "", Policy{}); v.Reason != want {
			t.Errorf("%s: %v, want %v", adm, v.Reason, want)
		}
		if v := judgeOne(t, on(""), `"adm":"`+adm+`"`, "", "", Policy{}); v.Reason != Accepted {
			t.Errorf("%s is %v where nothing has to be secure", adm, v.Reason)
		}
	}
	checkJudged(t, []judged{
		{request: secure, bid: `"nurl":"http://markup/"`, want: NotSecure},
		{request: secure, bid: `"nurl":"https://markup/"`, want: Accepted},
		// With an adm, nurl is called by the server.
		{request: secure, bid: `"nurl":"http://notice/","adm":"<img src='https://x'>"`, want: Accepted},
	})
}

func TestRule13GroupsAndTies(t *testing.T) {
	two := `{"id":"a","imp":[{"id":"1","banner":{}},{"id":"2","banner":{},"bidfloor":3}]}`
	bids := `"bid":[{"impid":"1","price":2,"adm":"x"},{"impid":"2","price":%s,"adm":"x"}%s]`
	for _, c := range []struct{ group, price, more, want string }{
		{`0`, `2`, ``, "accepted below_floor"},
		{`1`, `2`, ``, "group_broken below_floor"},
		{`1`, `3`, ``, "accepted accepted"},
		{`1`, `2`, `,{"impid":"2","price":4,"adm":"x"}`, "accepted below_floor accepted"},
		{`1`, `3`, `,{"impid":"9","price":4,"adm":"x"}`, "group_broken group_broken unknown_imp"},
	} {
		var got []string
		for _, v := range judgeAll(t, two, `{"seatbid":[{"group":`+c.group+`,`+fmt.Sprintf(bids, c.price, c.more)+`},{"bid":[{"impid":"1","price":1,"adm":"x"}]}]}`, Policy{}) {
			got = append(got, v.Reason.String())
		}
		if s := strings.Join(got, " "); s != c.want+" accepted" {
			t.Errorf("group %s at %s%s: %s, want %s", c.group, c.price, c.more, s, c.want)
		}
	}

	// The order is total: any shuffle sorts into the same.
	var all []Standing
	for i := range 200 {
		all = append(all, Standing{Price: unit.CPMMicros(i % 3), Tier: uint8(i / 3 % 2), Seat: MakeStr([]byte([]string{"", "a", "ab", "b"}[i/6%4])), ID: MakeStr([]byte(fmt.Sprint(i / 24 % 3))), Place: uint32(i)})
	}
	compare := func(a, b Standing) int {
		switch before, after := a.Before(&b), b.Before(&a); {
		case before == after:
			t.Fatalf("%+v and %+v: no order", a, b)
			return 0
		case before:
			return -1
		}
		return 1
	}
	sorted := slices.SortedFunc(slices.Values(all), compare)
	rnd := rand.New(rand.NewPCG(1, 3))
	for range 20 {
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if slices.SortFunc(all, compare); fmt.Sprint(all) != fmt.Sprint(sorted) {
			t.Fatal("the order depends on how they came")
		}
	}
	for i := range sorted[1:] {
		a, b := &sorted[i], &sorted[i+1]
		if a.Price < b.Price || a.Price == b.Price && (a.Tier > b.Tier || a.Tier == b.Tier && a.Seat.String() > b.Seat.String()) {
			t.Errorf("%+v before %+v", a, b)
		}
	}
}

func TestRule14FirstPriceIsSaid(t *testing.T) {
	if v := judgeOne(t, on(""), `"id":"x"`, "", "", Policy{}); v.At != SecondPricePlus {
		t.Errorf("an absent at means %d", v.At)
	}
	for _, at := range []string{``, `"at":2,`} {
		var p Patcher
		begin(t, &p, `{`+at+`"id":"a",`+oneImp+`}`, &Edit{At: FirstPrice})
		if r := mustParse(t, string(p.Append(nil, &Edit{}))); r.At != FirstPrice {
			t.Errorf("at %d is sent by a first-price exchange", r.At)
		}
	}
}

func TestRule15BidderTMax(t *testing.T) {
	ms := time.Millisecond
	a := Allowance{Elapsed: 7 * ms, Network: 20 * ms, Answer: 10 * ms, Least: 30 * ms, Absent: 150, Most: 500}
	for _, c := range []struct {
		tmax, out int32
		ok        bool
	}{{200, 163, true}, {67, 30, true}, {66, 0, false}, {37, 0, false}, {1, 0, false}, {0, 113, true}, {10_000, 463, true}} {
		if out, ok := BidderTMax(c.tmax, &a); out != c.out || ok != c.ok {
			t.Errorf("tmax %d: %d %v, want %d %v", c.tmax, out, ok, c.out, c.ok)
		}
	}
	rnd := rand.New(rand.NewPCG(15, 15))
	for range 20_000 {
		a := Allowance{Elapsed: time.Duration(rnd.Int64N(int64(200 * ms))), Network: time.Duration(rnd.Int64N(int64(50 * ms))), Answer: time.Duration(rnd.Int64N(int64(50 * ms))),
			Least: time.Duration(rnd.Int64N(int64(40 * ms))), Absent: rnd.Int32N(300), Most: rnd.Int32N(600)}
		tmax := rnd.Int32N(1000)
		given := tmax
		if tmax == 0 {
			given = a.Absent
		}
		out, ok := BidderTMax(tmax, &a)
		left := time.Duration(given)*ms - a.Elapsed - a.Network - a.Answer
		if ok && (time.Duration(out)*ms > left || out <= 0 || left < a.Least) || !ok && out != 0 {
			t.Fatalf("tmax %d, %+v: %d %v with %v left", tmax, a, out, ok, left)
		}
	}
}

func TestRule17MarkupByAdmOrNURL(t *testing.T) {
	checkJudged(t, []judged{
		{request: on(""), bid: `"adm":"","nurl":""`, want: NoMarkup},
		{request: on(""), bid: `"adm":null,"burl":"https://b/"`, want: NoMarkup},
	})
	if v := judgeOne(t, on(""), `"nurl":"https://n/"`, "", "", Policy{}); v.Reason != Accepted || !v.ByNURL {
		t.Errorf("markup by nurl: %+v", v)
	}
	if v := judgeOne(t, on(""), `"nurl":"https://n/","adm":"<p>"`, "", "", Policy{}); v.Reason != Accepted || v.ByNURL {
		t.Errorf("adm beats nurl: %+v", v)
	}
}

func TestRule19TestIsKnownToTheJudge(t *testing.T) {
	var j Judge
	for body, want := range map[string]bool{`1`: true, `0`: false} {
		if j.Begin(mustParse(t, on("", `"test":`+body)), &Policy{}); j.Test() != want {
			t.Errorf("test %s is %v", body, !want)
		}
	}
	var p Patcher
	begin(t, &p, on("", `"test":1`), nil)
	if got := string(p.Append(nil, &Edit{})); !strings.Contains(got, `"test":1`) {
		t.Errorf("bidders are not told: %s", got)
	}
}

func TestRule20EachVersionItsPlaces(t *testing.T) {
	old := `{"id":"a","imp":[{"id":"1","banner":{},"ext":{"rwdd":1,"k":1}}],"regs":{"ext":{"gdpr":1,"us_privacy":"1YNN","gpp":"DBAA","gpp_sid":[2]}},"user":{"ext":{"consent":"CO","eids":[{"source":"s"}],"k":2}},"source":{"ext":{"schain":{"ver":"1.0","nodes":[]}}}}`
	new := `{"id":"a","imp":[{"id":"1","banner":{},"ext":{"k":1},"rwdd":1}],"regs":{"gdpr":1,"us_privacy":"1YNN","gpp":"DBAA","gpp_sid":[2]},"user":{"ext":{"k":2},"consent":"CO","eids":[{"source":"s"}]},"source":{"schain":{"ver":"1.0","nodes":[]}}}`
	var p Patcher
	for from, body := range map[string]string{"2.5": old, "2.6": new} {
		for to, want := range map[Version]string{V25: old, V26: new, AsReceived: body} {
			begin(t, &p, body, nil)
			got := p.Append(nil, &Edit{Version: to})
			var a, b any
			if json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("%s to version %d:\n%s, want\n%s", from, to, got, want)
			}
			x, y := mustParse(t, body), mustParse(t, string(got))
			if !y.User.Consent.EqualStr(x.User.Consent) || string(y.User.EIDs.Bytes()) != string(x.User.EIDs.Bytes()) || x.Imp[0].Rwdd != y.Imp[0].Rwdd {
				t.Errorf("%s to version %d means something else: %s", from, to, got)
			}
		}
	}
}

func TestRule21SupplyChain(t *testing.T) {
	edit := Edit{SChainNode: []byte(`{"asi":"own"}`), SChainComplete: true}
	for _, c := range []struct {
		body string
		v    Version
		want string
	}{
		{`"source":{"schain":{"complete":1,"nodes":[{"asi":"b"},{"asi":"a"}],"ver":"1.0"}}`, V26, `"source":{"schain":{"complete":1,"nodes":[{"asi":"b"},{"asi":"a"},{"asi":"own"}],"ver":"1.0"}}`},
		{`"source":{"ext":{"schain":{"nodes":[{"asi":"a"}]},"k":1}}`, V26, `"source":{"ext":{"k":1},"schain":{"nodes":[{"asi":"a"},{"asi":"own"}]}}`},
		{`"source":{"schain":{"nodes":[{"asi":"a"}]}}`, V25, `"source":{"ext":{"schain":{"nodes":[{"asi":"a"},{"asi":"own"}]}}}`},
		{`"source":{"fd":1}`, V26, `"source":{"fd":1,"schain":{"complete":1,"ver":"1.0","nodes":[{"asi":"own"}]}}`},
		{`"source":null`, V25, `"source":{"ext":{"schain":{"complete":1,"ver":"1.0","nodes":[{"asi":"own"}]}}}`},
		{`"tmax":5`, AsReceived, `"tmax":5,"source":{"schain":{"complete":1,"ver":"1.0","nodes":[{"asi":"own"}]}}`},
		{`"source":{"ext":{"schain":"broken"}}`, V26, `"source":{"schain":{"complete":0,"ver":"1.0","nodes":[{"asi":"own"}]}}`},
	} {
		var p Patcher
		begin(t, &p, `{"id":"a",`+oneImp+`,`+c.body+`}`, &edit)
		if got := string(p.Append(nil, &Edit{Version: c.v})); got != `{"id":"a",`+oneImp+`,`+c.want+`}` {
			t.Errorf("%s as version %d: %s", c.body, c.v, got)
		}
	}
}

func TestRule22ExpOfImpressionAndBid(t *testing.T) {
	for _, c := range []struct {
		imp, bid string
		want     int32
	}{{`"exp":360`, `"exp":60`, 60}, {`"exp":30`, `"exp":60`, 30}, {`"exp":30`, `"id":"x"`, 30}, {``, `"exp":60`, 60}, {``, `"id":"x"`, 0}} {
		if v := judgeOne(t, on(c.imp), c.bid, "", "", Policy{}); v.Exp != c.want {
			t.Errorf("imp {%s}, bid {%s}: %d s, want %d", c.imp, c.bid, v.Exp, c.want)
		}
	}
}

func TestRule23ManyImpsOneRequest(t *testing.T) {
	var imps, bids []string
	for i := range 100 {
		imps = append(imps, fmt.Sprintf(`{"id":"imp-%d","banner":{},"bidfloor":%d}`, i, i%3))
		bids = append(bids, fmt.Sprintf(`{"impid":"imp-%d","price":1.5,"adm":"x"}`, 99-i))
	}
	request := `{"id":"a","imp":[` + strings.Join(imps, ",") + `]}`
	for i, v := range judgeAll(t, request, `{"seatbid":[{"bid":[`+strings.Join(bids, ",")+`]}]}`, Policy{}) {
		if want := map[bool]RejectReason{true: BelowFloor, false: Accepted}[(99-i)%3 == 2]; v.Imp != int32(99-i) || v.Reason != want {
			t.Fatalf("bid %d: %+v, want %v", i, v, want)
		}
	}
	// A bidder gets all it may bid on in one request, in order.
	var p Patcher
	begin(t, &p, request, nil)
	r := mustParse(t, string(p.Append(nil, &Edit{OnlyImps: true, Imps: []ImpEdit{{Imp: 3}, {Imp: 50}, {Imp: 99}}})))
	if len(r.Imp) != 3 || !r.Imp[0].ID.Equal("imp-3") || !r.Imp[1].ID.Equal("imp-50") || !r.Imp[2].ID.Equal("imp-99") {
		t.Errorf("%d impressions", len(r.Imp))
	}
}

func TestRule24EveryRejectionHasAReason(t *testing.T) {
	seen := map[string]bool{}
	for r := range rejectReasons {
		name := r.String()
		if name == "" || seen[name] {
			t.Errorf("reason %d: %q is no name of its own", r, name)
		}
		seen[name] = true
		if r != Accepted && (r.Rule() < 1 || r.Rule() > 24 || r.Loss() == BidWon || r.Loss().String() == "exchange_specific") {
			t.Errorf("%v: rule %d, loss %d", r, r.Rule(), r.Loss())
		}
	}
}
