package sim

import (
	"fmt"
	"strings"
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand/partners"
	"millrace/engine/serve"
	"millrace/netio/dsp"
	"millrace/shards"
)

// instant are bidders who have answered before the turn is over, without
// allocating: what is left is the shard's own work.
type instant struct {
	answers [][]byte // by endpoint
	calls   []*dsp.Call
	at      int
	sent    int
}

func (b *instant) Send(c *dsp.Call, body []byte, now unit.MonoTime) dsp.Refused {
	c.Outcome, c.Status, c.Response, c.Sent, c.Done = dsp.Answered, 200, b.answers[c.Endpoint], now, now
	b.calls = append(b.calls, c)
	b.sent += len(body)
	return dsp.Accepted
}
func (b *instant) Cancel(*dsp.Call)    {}
func (b *instant) Release(*dsp.Call)   {}
func (b *instant) Ready(unit.MonoTime) {}
func (b *instant) Tick(unit.MonoTime) unit.MonoTime {
	return shards.NoDeadline
}
func (b *instant) Next() (*dsp.Call, bool) {
	if b.at == len(b.calls) {
		b.calls, b.at = b.calls[:0], 0
		return nil, false
	}
	b.at++
	return b.calls[b.at-1], true
}
func (b *instant) Flush()                                     {}
func (b *instant) SetEndpoints(*dsp.Endpoints, unit.MonoTime) {}

// fanout is a loop whose requests go to n bidders, with answers of some 600 bytes.
func fanout(t testing.TB, n int) (*Loop, *instant) {
	t.Helper()
	w := world(t, Config{Shards: 1, Catalog: compile(t, catalog(line{id: "a", attrs: "price: 2"}))})
	text := strings.Replace(demandHead, "explore: {share: 0}", "explore: {share: 0}\nbudget: {fanout: 64}", 1)
	for i := range n {
		text += partner(fmt.Sprintf("p%02d", i), ", loss_notices: true")
	}
	b := book(t, text)
	bidders := &instant{answers: make([][]byte, partners.Max)}
	swap := &serve.DemandSwap{Book: b}
	for i, p := range b.Order {
		swap.EndpointOf[p] = dsp.EndpointID(p)
		bidders.answers[p] = fmt.Appendf(nil, `{"id":"req-1","bidid":"x%d","cur":"USD","seatbid":[{"seat":"seat-%d","bid":[{"id":"b%d","impid":"1","price":%d.25,"adid":"ad","crid":"c%d","cid":"camp","adomain":["brand%d.example"],"cat":["IAB7","IAB3-1"],"attr":[1,2],"w":300,"h":250,"adm":"<div>%s</div><img src=\"https://p.example/?p=${AUCTION_PRICE}\">","nurl":"https://n.example/?p=${AUCTION_PRICE}&i=${AUCTION_ID}","burl":"https://b.example/?p=${AUCTION_PRICE}","lurl":"https://l.example/?r=${AUCTION_LOSS}"}]}]}`,
			i, i, i, 1+i%7, i, i, strings.Repeat("x", 150))
	}
	w.sim.Invoke(0, func(*shards.Shard[serve.Message]) { w.cores[0].SetDemand(swap, bidders) })
	return w.Loop(), bidders
}

const fanoutRequest = `{"id":"req-1","at":1,"tmax":120,"cur":["USD"],"imp":[{"id":"1","secure":1,"bidfloor":0.4,"banner":{"w":300,"h":250,"format":[{"w":300,"h":250}]}}],` +
	`"site":{"id":"s1","domain":"news.example.com","page":"https://news.example.com/a","publisher":{"id":"pub1"}},"device":{"ua":"Mozilla/5.0","ip":"192.0.2.1","geo":{"country":"DEU"},"devicetype":2,"os":"Linux"},` +
	`"user":{"id":"u-1","buyeruid":"b-1"},"regs":{"gdpr":0},"badv":["a.example","b.example","c.example"],"bcat":["IAB25","IAB26"]}`

// TestAllocDemand: an auction with twenty bidders allocates nothing on its shard
// once warm: choice, requests, answers, verdicts, auction, markup, tokens, notices.
func TestAllocDemand(t *testing.T) {
	l, b := fanout(t, 20)
	body := []byte(fanoutRequest)
	run := func() {
		status, answer := l.Decide(body)
		if status != 200 || len(answer) < 500 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	for range 200 {
		run()
	}
	if b.sent == 0 || !strings.Contains(string(l.x.Answer.Body), `"price":7.25`) {
		t.Fatalf("%d bytes sent, %s", b.sent, l.x.Answer.Body)
	}
	if fault := openrtb.Parse(body, &l.x.Request); !fault.OK() {
		t.Fatal(fault)
	}
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("%v allocations an auction", n)
	}
}

// BenchmarkDemand is an auction's work on its shard, without sockets.
func BenchmarkDemand(b *testing.B) {
	for _, n := range []int{1, 5, 20, 50} {
		b.Run(fmt.Sprintf("bidders=%d", n), func(b *testing.B) {
			l, _ := fanout(b, n)
			body := []byte(fanoutRequest)
			sum := 0
			b.ReportAllocs()
			for b.Loop() {
				_, answer := l.Decide(body)
				sum += len(answer)
			}
			b.ReportMetric(float64(sum)/float64(b.N), "answer-bytes/op")
		})
	}
}
