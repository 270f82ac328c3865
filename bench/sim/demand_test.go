package sim

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/demand/partners"
	"millrace/engine/serve"
	"millrace/netio/dsp"
)

// book compiles a demand file.
func book(t testing.TB, text string) *partners.Book {
	t.Helper()
	b, faults := partners.Check("demand.yaml", []byte(text), partners.Options{Now: start, Version: 1})
	if b == nil {
		t.Fatal(faults.Error())
	}
	return b
}

const demandHead = `currency: USD
rates: {base: USD, date: "2026-01-01", max_age: 8760h, per_base: {EUR: 0.9}}
explore: {share: 0}
partners:
`

// partner is a line of a demand file.
func partner(id, more string) string {
	return fmt.Sprintf("  - {id: %s, tier: 1, endpoints: [{url: 'https://%s.example/bid'}]%s}\n", id, id, more)
}

// bids is a bidder that answers after a while with what is given of a BidResponse.
func bids(after time.Duration, answer string) Reply {
	return Reply{After: after, Outcome: dsp.Answered, Status: 200, Body: []byte(strings.ReplaceAll(answer, "'", `"`))}
}

// oneBid is an answer of one bid on impression 1.
func oneBid(price, more string) Reply {
	return bids(10*time.Millisecond, `{'id':'req','seatbid':[{'seat':'s','bid':[{'id':'b','impid':'1','price':`+price+`,'adm':'<i>x</i>','crid':'theirs'`+more+`}]}]}`)
}

// fleet answers by endpoint, which is the partner's place.
func fleet(replies ...Reply) Respond {
	return func(_ unit.ShardID, to dsp.EndpointID, _ []byte) Reply { return replies[to] }
}

func TestUnifiedAuction(t *testing.T) {
	lines := []line{{id: "a", attrs: "price: 2"}}
	deal := `"imp":[{"id":"1","banner":{"w":300,"h":250},"pmp":{"deals":[{"id":"d1","bidfloor":1%s}]}}]`
	cases := []struct {
		name     string
		lines    []line
		partners string
		replies  []Reply
		request  string
		want     string // crid and price of impression 1
	}{
		{"the higher bid wins", lines, partner("p", ""), []Reply{oneBid("2.5", "")}, plainImp, "theirs 2.5"},
		{"ours is higher", lines, partner("p", ""), []Reply{oneBid("1.5", "")}, plainImp, "a-cr 2"},
		{"ours goes first in a tie", lines, partner("p", ""), []Reply{oneBid("2", "")}, plainImp, "a-cr 2"},
		{"adjusted", lines, partner("p", ", adjust: 0.5"), []Reply{oneBid("3.9", "")}, plainImp, "a-cr 2"},
		{"adjusted and still higher", lines, partner("p", ", adjust: 0.5"), []Reply{oneBid("5", "")}, plainImp, "theirs 2.5"},
		{"guaranteed before price", []line{{id: "a", attrs: "price: 1, kind: guaranteed"}}, partner("p", ""), []Reply{oneBid("9", "")}, plainImp, "a-cr 1"},
		{"before house", []line{{id: "a", attrs: "kind: house"}}, partner("p", ""), []Reply{oneBid("0.1", "")}, plainImp, "theirs 0.1"},
		{"a deal before price", lines, partner("p", ""), []Reply{oneBid("1.5", ",'dealid':'d1'")}, fmt.Sprintf(deal, ""), "theirs 1.5"},
		{"a deal of second price, against a line", lines, partner("p", ""), []Reply{oneBid("4", ",'dealid':'d1'")}, fmt.Sprintf(deal, `,"at":2`), "theirs 2.01"},
		{"a deal of second price, nobody else", []line{}, partner("p", ""), []Reply{oneBid("4", ",'dealid':'d1'")}, fmt.Sprintf(deal, `,"at":2`), "theirs 1"},
		{"an agreed price", lines, partner("p", ""), []Reply{oneBid("4", ",'dealid':'d1'")}, fmt.Sprintf(deal, `,"at":3`), "theirs 1"},
		{"euros", lines, partner("p", ", currency: EUR"), []Reply{bids(time.Millisecond, `{'id':'req','cur':'EUR','seatbid':[{'bid':[{'id':'b','impid':'1','price':1.9,'adm':'x','crid':'theirs'}]}]}`)}, plainImp, "theirs 2.111111"},
		{"two bidders", lines, partner("p", "") + partner("q", ""), []Reply{oneBid("2.5", ""), oneBid("3", ",'adid':'q'")}, plainImp, "theirs 3"},
		{"nobody of ours", []line{}, partner("p", ""), []Reply{oneBid("0.3", "")}, plainImp, "theirs 0.3"},
		{"too late", lines, partner("p", ""), []Reply{bids(400*time.Millisecond, `{}`)}, plainImp, "a-cr 2"},
		{"never", lines, partner("p", ""), []Reply{{Never: true}}, plainImp, "a-cr 2"},
		{"not sent", lines, partner("p", ""), []Reply{{Refused: dsp.RefusedBusy}}, plainImp, "a-cr 2"},
		{"HTML", lines, partner("p", ""), []Reply{{Outcome: dsp.Answered, Status: 200, Body: []byte("<html>")}}, plainImp, "a-cr 2"},
		{"reset", lines, partner("p", ""), []Reply{{Outcome: dsp.Reset}}, plainImp, "a-cr 2"},
		{"below the floor", lines, partner("p", ""), []Reply{oneBid("3", "")}, `"imp":[{"id":"1","bidfloor":3.5,"banner":{"w":300,"h":250}}]`, "-"},
		{"the answer's currency", []line{}, partner("p", ""), []Reply{oneBid("1", "")}, `"cur":["EUR"],` + plainImp, "theirs 0.9"},
		{"blocked", lines, partner("p", ", block: {badv: [bad.example]}"), []Reply{oneBid("3", ",'adomain':['www.bad.example']")}, plainImp, "a-cr 2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if len(c.lines) == 0 {
				c.lines = []line{{"other", "price: 1", `size: 1x1, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/"`}}
			}
			w := world(t, Config{Catalog: compile(t, catalog(c.lines...)), Demand: book(t, demandHead+c.partners), Respond: fleet(c.replies...)})
			got := "-"
			for _, b := range bidsOf(t, w.Bid([]byte(request(c.request)))) {
				got = fmt.Sprint(b.CRID, " ", b.Price)
			}
			if got != c.want {
				t.Errorf("won %q, want %q", got, c.want)
			}
			if err := w.UnderWay(); err != nil {
				t.Error(err)
			}
		})
	}
}

var noticeURL = regexp.MustCompile(`"(nurl|burl|lurl)":"http://sim\.example(/[a-z]/[a-z])\?t=([A-Za-z0-9_-]+)(&[pl]=[^"]*)"`)

// TestNotices: what bidders are told, when, and what the journal keeps.
func TestNotices(t *testing.T) {
	full := `,'nurl':'https://n/?p=${AUCTION_PRICE}&i=${AUCTION_IMP_ID}&s=${AUCTION_SEAT_ID}&m=${AUCTION_MIN_TO_WIN}','burl':'https://b/?p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&id=${AUCTION_ID}','lurl':'https://l/?r=${AUCTION_LOSS}&p=${AUCTION_PRICE}&m=${AUCTION_MIN_TO_WIN}'`
	w := world(t, Config{Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"})),
		Demand: book(t, demandHead+partner("p", ", adjust: 0.9, loss_notices: true")+partner("q", ", loss_notices: true")+partner("r", "")),
		Respond: fleet(
			bids(time.Millisecond, `{'id':'req','seatbid':[{'seat':'s','bid':[{'id':'b','impid':'1','price':4,'adm':'<i>${AUCTION_PRICE} \"${AUCTION_AD_ID}\" $x \u0024{AUCTION_LOSS}</i>','adid':'\"ad','crid':'theirs'`+full+`}]}]}`),
			bids(time.Millisecond, `{'id':'req','seatbid':[{'seat':'s','bid':[{'id':'b','impid':'1','price':3,'adm':'x','crid':'q'`+full+`},{'id':'c','impid':'9','price':3,'adm':'x','crid':'q'`+full+`}]}]}`),
			oneBid("3", full))})
	a := w.Bid([]byte(request(plainImp)))
	b := bidsOf(t, a)
	if len(b) != 1 || b[0].CRID != "theirs" || b[0].Price != 3.6 || b[0].Adm != `<i>4 ""ad" $x 0</i>` {
		t.Fatalf("%+v\n%s", b, a.Body)
	}
	want := []Told{
		{event.LostThere, "https://l/?r=102&p=&m=3.6"}, // q's bid on 1: what p's is worth
		{event.LostThere, "https://l/?r=3&p=&m="},      // q's bid on no impression
	}
	expect := func(what string) {
		t.Helper()
		if fmt.Sprint(w.Told) != fmt.Sprint(want) {
			t.Fatalf("%s: told %v, want %v", what, w.Told, want)
		}
	}
	expect("after the auction")
	found := map[string][]string{}
	for _, m := range noticeURL.FindAllStringSubmatch(string(a.Body), -1) {
		found[m[1]] = m[2:]
	}
	if len(found) != 3 || found["nurl"][0] != "/n/w" || found["burl"][0] != "/e/i" || found["lurl"][0] != "/n/l" ||
		found["nurl"][2] != "&p=${AUCTION_PRICE}" || found["lurl"][2] != "&l=${AUCTION_LOSS}" {
		t.Fatalf("notices %v in %s", found, a.Body)
	}
	for range 3 {
		if a := w.Notice(event.WonThere, []byte(found["nurl"][1]), 0); a.Status != 204 {
			t.Fatalf("nurl: %d", a.Status)
		}
	}
	want = append(want, Told{event.WonThere, "https://n/?p=4&i=1&s=s&m=3.333334"})
	expect("after our win notice, three times")
	for range 3 {
		if a := w.Event(event.Impression, []byte(found["burl"][1])); a.Status != 204 {
			t.Fatalf("burl: %d", a.Status)
		}
	}
	want = append(want, Told{event.Billed, "https://b/?p=4&c=USD&id=req"})
	expect("after our billing notice, three times")
	w.Notice(event.LostThere, []byte(found["lurl"][1]), 102)
	want = append(want, Told{event.LostThere, "https://l/?r=102&p=4&m=3.333334"})
	expect("after our loss notice")
	sold := 0
	for i := range w.History {
		if r := &w.History[i]; r.Sale.Bid > 0 {
			sold++
			if r.Amount != 4_000_000 || r.Sale.Bid != 3_600_000 || string(r.Name) != "p" || r.Currency != unit.USD {
				t.Errorf("%+v", r)
			}
		}
	}
	if sold != 1 {
		t.Errorf("%d sales in the journal, want 1", sold)
	}
	if n, _ := w.postings(); n != 0 {
		t.Errorf("%d postings: no campaign pays for a bidder's impression", n)
	}
}

func TestRule24ExplanationNamesEveryBid(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"})),
		Demand:  book(t, demandHead+partner("p", "")+partner("q", "")+partner("r", "")),
		Respond: fleet(oneBid("4", ""), oneBid("3", ""), Reply{Outcome: dsp.Answered, Status: 500})})
	a := w.Explain([]byte(request(plainImp)))
	for _, want := range []string{`"bidder":"p","outcome":"answered","latency_ms":10`, `"price":"4","worth":"4","reason":"accepted","loss_reason":0`,
		`"price":"3","worth":"3","reason":"accepted","loss_reason":102`, `"bidder":"r","outcome":"bad_status"`} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("no %s in %s", want, a.Body)
		}
	}
}

func TestRule17MarkupByNoticeIsNotTold(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"})), LastAuction: true,
		Demand: book(t, demandHead+partner("p", "")), Respond: fleet(bids(time.Millisecond,
			`{'id':'req','seatbid':[{'bid':[{'id':'b','impid':'1','price':4,'nurl':'https://n/?p=${AUCTION_PRICE}','crid':'theirs'}]}]}`))})
	a := w.Bid([]byte(request(plainImp)))
	if !strings.Contains(string(a.Body), `"nurl":"https://n/?p=4"`) || strings.Contains(string(a.Body), `"adm"`) || len(w.Told) != 0 {
		t.Errorf("%s, told %v", a.Body, w.Told)
	}
}

// TestGroups: a group wins all its impressions or none (rule 13).
func TestRule13GroupsInTheAuction(t *testing.T) {
	group := func(a, b string) Reply {
		return bids(time.Millisecond, `{'id':'req','seatbid':[{'seat':'g','group':1,'bid':[{'id':'1','impid':'1','price':`+a+`,'adm':'x','crid':'g1'},{'id':'2','impid':'2','price':`+b+`,'adm':'x','crid':'g2'}]}]}`)
	}
	single := oneBid("1.5", "")
	two := `"imp":[{"id":"1","banner":{"w":300,"h":250}},{"id":"2","banner":{"w":300,"h":250}}]`
	for _, c := range []struct {
		replies []Reply
		want    string
	}{
		{[]Reply{group("3", "3"), single}, "g1 g2"},
		{[]Reply{group("3", "1"), single}, "a-cr a-cr"}, // it would win the first only
		{[]Reply{group("1", "1"), single}, "a-cr a-cr"},
		{[]Reply{group("3", "1"), oneBid("2.5", "")}, "theirs a-cr"},
	} {
		w := world(t, Config{Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"})), Demand: book(t, demandHead+partner("p", "")+partner("q", "")), Respond: fleet(c.replies...)})
		byImp := map[string]string{}
		for _, b := range bidsOf(t, w.Bid([]byte(request(two)))) {
			byImp[b.ImpID] = b.CRID
		}
		if got := byImp["1"] + " " + byImp["2"]; got != c.want {
			t.Errorf("won %q, want %q", got, c.want)
		}
		// What was undone holds no money.
		w.Advance(10 * time.Minute)
	}
}

// TestManyWaitAtOnce: auctions that wait do not disturb each other, and what the
// slab does not hold is decided from our own campaigns.
func TestManyWaitAtOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := world(t, Config{Shards: 1, ParkedMax: 64, Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"})), Demand: book(t, demandHead+partner("p", "")+partner("q", "")),
		Respond: func(_ unit.ShardID, to dsp.EndpointID, body []byte) Reply {
			price := 1 + random.IntN(9)
			return bids(time.Duration(1+random.IntN(60))*time.Millisecond, fmt.Sprintf(`{'id':'x','seatbid':[{'bid':[{'id':'b','impid':'1','price':%d,'adm':'x','crid':'theirs'}]}]}`, price))
		}})
	var waiting []*answering
	own := 0
	for i := range 100 {
		x, ok := w.Ask(fmt.Appendf(nil, `{"id":"r%d","user":{"id":"u%d"},%s}`, i, i, plainImp))
		if !ok {
			t.Fatal("refused")
		}
		waiting = append(waiting, &answering{fmt.Sprint("r", i), x})
	}
	w.Settle()
	for _, x := range waiting {
		if a, ok := w.Answered(x.x); ok {
			own++
			if b := bidsOf(t, a); len(b) != 1 || b[0].CRID != "a-cr" {
				t.Errorf("%s", a.Body)
			}
			x.x = nil
		}
	}
	if own != 36 {
		t.Errorf("%d decided at once, want 36", own)
	}
	w.Advance(200 * time.Millisecond)
	for _, x := range waiting {
		if x.x == nil {
			continue
		}
		a, ok := w.Answered(x.x)
		if !ok || a.Status != 200 || !strings.Contains(string(a.Body), `{"id":"`+x.id+`"`) {
			t.Fatalf("%s: %v %s", x.id, ok, a.Body)
		}
	}
	if err := w.UnderWay(); err != nil {
		t.Error(err)
	}
}

type answering struct {
	id string
	x  *serve.Context
}

// TestRefusedCostsNoBudget: a call that the pool does not take leaves the bidder's
// cap as it was; one that it takes is counted.
func TestRefusedCostsNoBudget(t *testing.T) {
	for _, c := range []struct {
		refused dsp.Refused
		want    int
	}{{dsp.RefusedBusy, 10}, {dsp.RefusedBody, 10}, {dsp.RefusedDeadline, 10}, {dsp.Accepted, 2}} {
		sent := 0
		w := world(t, Config{Shards: 1, Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"})),
			Demand: book(t, demandHead+partner("p", ", qps: 10")),
			Respond: func(_ unit.ShardID, _ dsp.EndpointID, _ []byte) Reply {
				sent++
				return Reply{Refused: c.refused, After: time.Millisecond, Outcome: dsp.Answered, Status: 204}
			}})
		for i := range 10 {
			w.Ask(fmt.Appendf(nil, `{"id":"r%d",%s}`, i, plainImp))
		}
		w.Settle()
		if sent != c.want {
			t.Errorf("%v: %d calls of ten requests at once, want %d of a cap of 10 a second", c.refused, sent, c.want)
		}
		w.Advance(time.Second)
		if err := w.UnderWay(); err != nil {
			t.Error(err)
		}
	}
}
