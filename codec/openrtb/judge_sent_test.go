package openrtb

import (
	"math/rand/v2"
	"testing"

	"millrace/codec/unit"
)

// randomTerms draws what a bidder's request differs in, of what bids are held
// against.
func randomTerms(rnd *rand.Rand, r *BidRequest) *Edit {
	e := &Edit{At: AuctionType(rnd.IntN(3)), OnlyImps: rnd.IntN(3) == 0}
	if rnd.IntN(2) == 0 {
		e.Cur = []unit.Currency{{'E', 'U', 'R'}, unit.USD}[:1+rnd.IntN(2)]
	}
	for i := range r.Imp {
		if rnd.IntN(2) == 0 {
			continue
		}
		m := ImpEdit{Imp: int32(i), Drop: rnd.IntN(5) == 0, HasFloor: rnd.IntN(2) == 0, Floor: unit.CPMMicros(rnd.IntN(3_000_000))}
		if rnd.IntN(3) == 0 {
			m.FloorCur = unit.Currency{'E', 'U', 'R'}
		}
		if deals := r.Deals(r.Imp[i].Deals); rnd.IntN(3) == 0 {
			m.OnlyDeals = true
			for k := range deals {
				if rnd.IntN(2) == 0 {
					m.Deals = append(m.Deals, deals[k].ID.String())
				}
			}
		}
		e.Imps = append(e.Imps, m)
	}
	if rnd.IntN(3) == 0 {
		e.BAdv = []string{"a.example", "https://B.Example/x"}
	}
	if rnd.IntN(3) == 0 {
		e.BCat = []string{"IAB1", "iab2-1", "53"}
	}
	if rnd.IntN(3) == 0 {
		e.BApp = []string{"com.example.game"}
	}
	return e
}

// TestJudgeSent: a bid judged by the request and the edit fares as one judged by
// the request that the edit makes.
func TestJudgeSent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 13))
	var patcher Patcher
	var judge, plain Judge
	var request, patched BidRequest
	var response BidResponse
	judged, reasons := 0, map[RejectReason]int{}
	for range 4000 {
		body, answer := randomExchange(rnd)
		if !Parse(body, &request).OK() || !patcher.Begin(&request, body, nil).OK() {
			continue
		}
		e := randomTerms(rnd, &request)
		sent := patcher.Append(nil, e)
		if len(sent) == 0 {
			continue // no impression is left to ask for
		}
		if fault := Parse(sent, &patched); !fault.OK() {
			t.Fatalf("%s: %s", fault.AppendReason(nil), sent)
		}
		if a, _ := ReadAnswer(200, answer, &response); a != Bids {
			continue
		}
		for _, p := range judgePolicies() {
			plain.Begin(&patched, p)
			judge.Begin(&request, p)
			want := append([]Verdict(nil), plain.Judge(&response)...)
			got := judge.JudgeSent(&response, e)
			for i := range want {
				g, w := got[i], want[i]
				g.Imp, g.Deal, w.Imp, w.Deal = min(g.Imp, 0), min(g.Deal, 0), min(w.Imp, 0), min(w.Deal, 0)
				if g != w {
					t.Fatalf("bid %d: %v by the edit, %v by the request it makes\nreceived %s\nsent %s\nanswer %s", i, g, w, body, sent, answer)
				}
				judged++
				reasons[w.Reason]++
			}
			if again := judge.Judge(&response); len(again) != len(want) {
				t.Fatalf("%d verdicts after an edit, want %d", len(again), len(want))
			}
		}
	}
	if judged < 1000 || reasons[Accepted] < 100 || reasons[BelowFloor] < 20 || reasons[UnknownDeal] < 20 {
		t.Fatalf("%d bids judged, by reason %v: too few to tell", judged, reasons)
	}
}

func TestJudgeSentSeats(t *testing.T) {
	var request BidRequest
	var response BidResponse
	var judge Judge
	mustParse := func(body string) {
		if fault := Parse([]byte(body), &request); !fault.OK() {
			t.Fatalf("%s", fault.AppendReason(nil))
		}
		judge.Begin(&request, &Policy{})
	}
	if a, _ := ReadAnswer(200, []byte(`{"id":"r","seatbid":[{"seat":"a","bid":[{"id":"1","impid":"1","price":1,"adm":"<b>"}]}]}`), &response); a != Bids {
		t.Fatal(a)
	}
	const imp = `"imp":[{"id":"1","banner":{}}]}`
	for _, c := range []struct {
		request string
		seats   []string
		want    RejectReason
	}{
		{`{"id":"r",` + imp, []string{"a"}, Accepted},
		{`{"id":"r",` + imp, []string{"b"}, BlockedSeat},
		{`{"id":"r","wseat":["a"],` + imp, []string{"b"}, Accepted},
		{`{"id":"r","wseat":["c"],` + imp, []string{"a"}, BlockedSeat},
	} {
		mustParse(c.request)
		if v := judge.JudgeSent(&response, &Edit{WSeat: c.seats}); v[0].Reason != c.want {
			t.Errorf("%s with seats %v: %v, want %v", c.request, c.seats, v[0].Reason, c.want)
		}
	}
}

func TestAllocJudgeSent(t *testing.T) {
	body := []byte(`{"id":"r","imp":[{"id":"1","bidfloor":1,"banner":{"w":300,"h":250}}],"badv":["x.example"]}`)
	answer := []byte(`{"id":"r","seatbid":[{"seat":"a","bid":[{"id":"1","impid":"1","price":2,"adm":"<b>","adomain":["y.example"],"cat":["IAB3"],"crid":"c"}]}]}`)
	var request BidRequest
	var response BidResponse
	var judge Judge
	policy := &Policy{}
	e := &Edit{At: FirstPrice, BAdv: []string{"z.example"}, BCat: []string{"IAB7"}, Imps: []ImpEdit{{HasFloor: true, Floor: 1_500_000}}}
	run := func() {
		if !Parse(body, &request).OK() {
			t.Fatal("request")
		}
		judge.Begin(&request, policy)
		if a, _ := ReadAnswer(200, answer, &response); a != Bids || judge.JudgeSent(&response, e)[0].Reason != Accepted {
			t.Fatal("answer")
		}
	}
	run()
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
