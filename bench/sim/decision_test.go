package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
)

// line is a line item of a small catalog, in YAML flow style.
type line struct{ id, attrs, creative string }

func catalog(lines ...line) string {
	var b strings.Builder
	b.WriteString("advertisers:\n  - id: adv\n    name: Adv\n    domain: adv.example.com\n    cat: [IAB20]\n    campaigns:\n" +
		"      - id: camp\n        currency: USD\n        time_zone: UTC\n        budget: {daily: 100, pacing: asap}\n        line_items:\n")
	for _, l := range lines {
		creative := l.creative
		if creative == "" {
			creative = `size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/land"`
		}
		fmt.Fprintf(&b, "          - {id: %s, %s, creatives: [{id: %s-cr, %s}]}\n", l.id, l.attrs, l.id, creative)
	}
	return b.String()
}

const plainImp = `"imp":[{"id":"1","banner":{"w":300,"h":250}}]`

func request(extra string) string {
	return `{"id":"req","user":{"id":"u"},` + extra + `}`
}

// TestWinner: who wins, by the rules of selection and auction.
func TestWinner(t *testing.T) {
	cpm := func(id, price, more string) line { return line{id: id, attrs: "price: " + price + more} }
	cases := []struct {
		name    string
		lines   []line
		request string
		want    string // crid by impression, "-" for none
	}{
		{"highest price", []line{cpm("a", "1", ""), cpm("b", "2", "")}, plainImp, "b-cr"},
		{"tie goes to the catalog's order", []line{cpm("b", "2", ""), cpm("a", "2", "")}, plainImp, "b-cr"},
		{"guaranteed before price", []line{cpm("a", "9", ""), cpm("b", "1", ", kind: guaranteed")}, plainImp, "b-cr"},
		{"house last", []line{line{id: "h", attrs: "kind: house"}, cpm("b", "0.1", "")}, plainImp, "b-cr"},
		{"house when all else is below the floor", []line{line{id: "h", attrs: "kind: house"}, cpm("b", "0.1", "")},
			`"imp":[{"id":"1","bidfloor":1,"banner":{"w":300,"h":250}}]`, "h-cr"},
		{"equal to the floor passes", []line{cpm("a", "2.5", "")}, `"imp":[{"id":"1","bidfloor":2.5,"banner":{"w":300,"h":250}}]`, "a-cr"},
		{"a micro below the floor", []line{cpm("a", "2.5", "")}, `"imp":[{"id":"1","bidfloor":2.500001,"banner":{"w":300,"h":250}}]`, "-"},
		{"floor in another currency", []line{cpm("a", "2.5", "")}, `"imp":[{"id":"1","bidfloor":1,"bidfloorcur":"EUR","banner":{"w":300,"h":250}}]`, "-"},
		{"currency not accepted", []line{cpm("a", "2.5", "")}, `"cur":["EUR"],` + plainImp, "-"},
		{"currency accepted", []line{cpm("a", "2.5", "")}, `"cur":["EUR","USD"],` + plainImp, "a-cr"},
		{"wrong size", []line{cpm("a", "2", "")}, `"imp":[{"id":"1","banner":{"w":728,"h":90}}]`, "-"},
		{"banner without a size takes any", []line{cpm("a", "2", "")}, `"imp":[{"id":"1","banner":{}}]`, "a-cr"},
		{"badv blocks subdomains", []line{cpm("a", "2", "")}, `"badv":["EXAMPLE.com"],` + plainImp, "-"},
		{"bcat blocks", []line{cpm("a", "2", "")}, `"bcat":["IAB20"],` + plainImp, "-"},
		{"wseat without us", []line{cpm("a", "2", "")}, `"wseat":["other"],` + plainImp, "-"},
		{"wseat with us", []line{cpm("a", "2", "")}, `"wseat":["other","adv"],` + plainImp, "a-cr"},
		{"bseat", []line{cpm("a", "2", "")}, `"bseat":["adv"],` + plainImp, "-"},
		{"deal line needs its deal", []line{cpm("a", "2", ", deals: [d1]")}, plainImp, "-"},
		{"deal line in its deal", []line{cpm("a", "2", ", deals: [d1]")},
			`"imp":[{"id":"1","bidfloor":50,"pmp":{"deals":[{"id":"d1","bidfloor":2}]},"banner":{"w":300,"h":250}}]`, "a-cr"},
		{"deal floor", []line{cpm("a", "2", ", deals: [d1]")},
			`"imp":[{"id":"1","pmp":{"deals":[{"id":"d1","bidfloor":2.1}]},"banner":{"w":300,"h":250}}]`, "-"},
		{"deal wadomain", []line{cpm("a", "2", ", deals: [d1]")},
			`"imp":[{"id":"1","pmp":{"deals":[{"id":"d1","wadomain":["other.com"]}]},"banner":{"w":300,"h":250}}]`, "-"},
		{"private auction keeps the open line out", []line{cpm("open", "9", ""), cpm("d", "1", ", deals: [d1]")},
			`"imp":[{"id":"1","pmp":{"private_auction":1,"deals":[{"id":"d1"}]},"banner":{"w":300,"h":250}}]`, "d-cr"},
		{"every impression has its own auction", []line{cpm("a", "2", ""),
			{"b", "price: 3", `size: 728x90, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/"`}},
			`"imp":[{"id":"1","banner":{"w":300,"h":250}},{"id":"2","banner":{"w":728,"h":90}},{"id":"3","banner":{"w":1,"h":1}}]`, "a-cr b-cr -"},
		{"click price times rate", []line{cpm("a", "2", ""), {"c", "pricing: cpc, price: 1",
			`size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/", ctr: 0.003`}}, plainImp, "c-cr"},
		{"click price times a low rate", []line{cpm("a", "2", ""), {"c", "pricing: cpc, price: 1",
			`size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/", ctr: 0.001`}}, plainImp, "a-cr"},
		{"conversion price times both rates", []line{cpm("a", "2", ""), {"c", "pricing: cpa, price: 30",
			`size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/?c=${MILLRACE_CONVERSION}", ctr: 0.01, cvr: 0.01`}}, plainImp, "c-cr"},
		{"cap within one request", []line{cpm("a", "2", ", frequency_cap: {impressions: 1, per: 1h}"), cpm("b", "1", "")},
			`"imp":[{"id":"1","banner":{"w":300,"h":250}},{"id":"2","banner":{"w":300,"h":250}}]`, "a-cr b-cr"},
		{"an invalid impression beside a good one", []line{cpm("a", "2", "")},
			`"imp":[{"id":"1","banner":{"w":-5,"h":250}},{"id":"2","banner":{"w":300,"h":250}}]`, "- a-cr"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := world(t, Config{Catalog: compile(t, catalog(c.lines...))})
			bids := bidsOf(t, w.Bid([]byte(request(c.request))))
			var got []string
			for i := range strings.Count(c.want, " ") + 1 {
				crid := "-"
				for _, b := range bids {
					if b.ImpID == fmt.Sprint(i+1) {
						crid = b.CRID
					}
				}
				got = append(got, crid)
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("won %q, want %q", g, c.want)
			}
		})
	}
}

// one makes a world with one line and wins with it.
func one(t *testing.T, attrs, creative, extra string) (*World, bidView) {
	t.Helper()
	w := world(t, Config{Catalog: compile(t, catalog(line{"a", attrs, creative}))})
	bids := bidsOf(t, w.Bid([]byte(request(extra+plainImp))))
	if len(bids) != 1 {
		t.Fatalf("%d bids", len(bids))
	}
	return w, bids[0]
}

func (w *World) postings() (n int, sum unit.Nanos) {
	for i := range w.History {
		if w.History[i].Kind == ledger.Posted {
			n++
			sum += w.History[i].Amount
		}
	}
	return n, sum
}

func expectPosted(t *testing.T, w *World, n int, sum string) {
	t.Helper()
	want, err := unit.ParseNanos(sum)
	if err != nil {
		t.Fatal(err)
	}
	if gotN, gotSum := w.postings(); gotN != n || gotSum != want {
		t.Fatalf("posted %d events, %v; want %d, %v", gotN, gotSum, n, want)
	}
}

func TestImpressionBillsOnce(t *testing.T) {
	w, b := one(t, "price: 2.5", "", "")
	tok := token(t, b.Adm, event.Impression)
	for range 3 {
		if a := w.Event(event.Impression, tok); a.Status != 204 {
			t.Fatalf("status %d", a.Status)
		}
	}
	if a := w.Event(event.Click, token(t, b.Adm, event.Click)); a.Status != 302 || string(a.Location) != "https://adv.example.com/land" {
		t.Fatalf("click: %d to %s", a.Status, a.Location)
	}
	expectPosted(t, w, 1, "0.0025")
}

func TestTokenIsGoodForItsKindOnly(t *testing.T) {
	w, b := one(t, "price: 2.5", "", "")
	if a := w.Event(event.Conversion, token(t, b.Adm, event.Impression)); a.Status != 403 {
		t.Fatalf("an impression's token as a conversion: %d", a.Status)
	}
	expectPosted(t, w, 0, "0")
}

func TestClickBillsAtItsPrice(t *testing.T) {
	w, b := one(t, "pricing: cpc, price: 0.75", `size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/", ctr: 0.01`, "")
	w.Event(event.Impression, token(t, b.Adm, event.Impression))
	expectPosted(t, w, 0, "0")
	for range 2 {
		w.Event(event.Click, token(t, b.Adm, event.Click))
	}
	expectPosted(t, w, 1, "0.75")
}

func TestConversionBillsThroughTheLandingPage(t *testing.T) {
	w, b := one(t, "pricing: cpa, price: 30",
		`size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/?c=${MILLRACE_CONVERSION}", ctr: 0.01, cvr: 0.1`, "")
	w.Event(event.Impression, token(t, b.Adm, event.Impression))
	a := w.Event(event.Click, token(t, b.Adm, event.Click))
	// The landing page gets the bare token, and fires it from its own pages.
	_, text, found := strings.Cut(string(a.Location), "?c=")
	if !found {
		t.Fatalf("no conversion token in %s", a.Location)
	}
	tok := []byte(text)
	expectPosted(t, w, 0, "0")
	for range 2 {
		if a := w.Event(event.Conversion, tok); a.Status != 204 {
			t.Fatalf("conversion: %d", a.Status)
		}
	}
	expectPosted(t, w, 1, "30")
}

// TestClickWaitsForItsMoney: a click's price is fetched from wherever it is,
// and a click beyond the budget is answered all the same, unbilled.
func TestClickWaitsForItsMoney(t *testing.T) {
	yaml := strings.Replace(catalog(line{"a", "pricing: cpc, price: 0.75",
		`size: 300x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/", ctr: 0.01`}), "daily: 100", "daily: 1", 1)
	for _, shards := range []int{1, 2, 7} {
		for user := range 12 {
			w := world(t, Config{Shards: shards, Catalog: compile(t, yaml)})
			var clicks [][]byte
			for range 3 {
				for _, b := range bidsOf(t, w.Bid(fmt.Appendf(nil, `{"id":"r","user":{"id":"u%d"},%s}`, user, plainImp))) {
					clicks = append(clicks, token(t, b.Adm, event.Click))
				}
			}
			if len(clicks) != 3 {
				t.Fatalf("%d shards, user %d: %d bids of 3", shards, user, len(clicks))
			}
			for i, click := range clicks {
				before := w.Wall()
				if a := w.Event(event.Click, click); a.Status != 302 {
					t.Fatalf("%d shards, user %d, click %d: %d %s", shards, user, i, a.Status, a.Body)
				}
				if took := w.Wall().Sub(before); took > 250*time.Millisecond || i == 0 && took > step {
					t.Fatalf("%d shards, user %d, click %d took %v", shards, user, i, took)
				}
			}
			expectPosted(t, w, 1, "0.75")
			for range 2 { // and again: decided is decided
				w.Event(event.Click, clicks[1])
			}
			unfunded := 0
			for i := range w.History {
				if w.History[i].Reason == ledger.Unfunded {
					unfunded++
				}
			}
			if unfunded != 2 {
				t.Fatalf("%d shards, user %d: %d clicks recorded unfunded, want 2", shards, user, unfunded)
			}
		}
	}
}

func TestRule19TestRequestIsNeverBilled(t *testing.T) {
	w, b := one(t, "price: 2.5", "", `"test":1,`)
	if a := w.Event(event.Impression, token(t, b.Adm, event.Impression)); a.Status != 204 {
		t.Fatalf("status %d", a.Status)
	}
	if a := w.Event(event.Click, token(t, b.Adm, event.Click)); a.Status != 302 {
		t.Fatalf("status %d", a.Status)
	}
	for i := range w.History {
		if k := w.History[i].Kind; k == ledger.Posted || k == ledger.Recorded {
			t.Fatalf("a test left a record: %+v", w.History[i])
		}
	}
}

func TestFrequencyCapCountsImpressions(t *testing.T) {
	w := world(t, Config{Shards: 3, Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2, frequency_cap: {impressions: 2, per: 1h}"}))})
	show := func(user string) bool {
		bids := bidsOf(t, w.Bid([]byte(`{"id":"r","user":{"id":"`+user+`"},`+plainImp+`}`)))
		if len(bids) == 0 {
			return false
		}
		w.Event(event.Impression, token(t, bids[0].Adm, event.Impression))
		return true
	}
	for i, want := range []bool{true, true, false} {
		if show("u") != want {
			t.Errorf("impression %d of a cap of 2: shown %v", i+1, !want)
		}
	}
	if !show("v") {
		t.Error("another user is capped")
	}
	w.Advance(time.Hour + time.Second)
	if !show("u") {
		t.Error("still capped after the window")
	}
	if bids := bidsOf(t, w.Bid([]byte(`{"id":"r",`+plainImp+`}`))); len(bids) > 0 {
		t.Error("a capped line was shown to nobody in particular")
	}
}

// TestReservationComesBack: what was won and never shown can be spent again.
func TestReservationComesBack(t *testing.T) {
	yaml := strings.Replace(catalog(line{id: "a", attrs: "price: 10"}), "daily: 100", "daily: 0.05", 1)
	w := world(t, Config{Shards: 1, Catalog: compile(t, yaml)})
	won := func() (n int) {
		for range 20 {
			n += len(bidsOf(t, w.Bid([]byte(request(plainImp)))))
		}
		return n
	}
	if n := won(); n != 5 {
		t.Fatalf("0.05 at 0.01 an impression: %d wins, want 5", n)
	}
	w.Advance(6 * time.Minute)
	if n := won(); n != 5 {
		t.Fatalf("after the reservations lapsed: %d wins, want 5 again", n)
	}
}

func TestRule22ImpressionExpires(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"}))})
	bids := bidsOf(t, w.Bid([]byte(request(`"imp":[{"id":"1","exp":30,"banner":{"w":300,"h":250}}]`))))
	if len(bids) != 1 || bids[0].Exp != 30 {
		t.Fatalf("bids %+v", bids)
	}
	w.Advance(32 * time.Second)
	if a := w.Event(event.Impression, token(t, bids[0].Adm, event.Impression)); a.Status != 403 || string(a.Body) != event.Expired.String() {
		t.Fatalf("status %d %s", a.Status, a.Body)
	}
	expectPosted(t, w, 0, "0")
}

func TestReloadKeepsMoneyAndCaps(t *testing.T) {
	first := catalog(line{id: "a", attrs: "price: 2, frequency_cap: {impressions: 1, per: 1h}"}, line{id: "b", attrs: "price: 1"})
	w := world(t, Config{Catalog: compile(t, first)})
	bids := bidsOf(t, w.Bid([]byte(request(plainImp))))
	w.Load(compile(t, strings.Replace(first, "price: 1}", "price: 1.5}", 1)+"\n"))
	w.Settle()
	w.Event(event.Impression, token(t, bids[0].Adm, event.Impression))
	expectPosted(t, w, 1, "0.002")
	if bids := bidsOf(t, w.Bid([]byte(request(plainImp)))); len(bids) != 1 || bids[0].CRID != "b-cr" {
		t.Fatalf("after the reload: %+v", bids)
	}
}

func TestRule24ExplanationNamesEveryLine(t *testing.T) {
	w := world(t, Config{Catalog: compile(t, catalog(
		line{id: "win", attrs: "price: 3"}, line{id: "low", attrs: "price: 1"},
		line{id: "geo", attrs: "price: 9, targeting: {include: {country: [DEU]}}"},
		line{"big", "price: 9", `size: 970x250, html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/"`}))})
	a := w.Explain([]byte(request(plainImp)))
	for _, want := range []string{`"line_item":"win"`, `"result":"won"`, `"line_item":"low"`, `"lost to a higher bid"`, `"line_item":"geo"`, `"targeting: country"`, `"line_item":"big"`} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("no %s in %s", want, a.Body)
		}
	}
}
