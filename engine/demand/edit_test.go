package demand

import (
	"encoding/json"
	"strings"
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// What leaves for a partner says what the file says: floors in its currency and
// grossed up, its time, its seats, its deals and members; and nothing of it
// leaks into another partner's.
func TestRequestsForPartners(t *testing.T) {
	text := `
rates: {base: USD, date: 2026-05-31, per_base: {EUR: 0.8}}
schain: {asi: x.example.com, sid: "1"}
publishers: [{id: pub1, badv: [rival.example.com]}]
partners:
  - {id: a, tier: 1, endpoints: [{url: https://a.example.com/}]}
  - id: b
    tier: 1
    currency: EUR
    adjust: 0.9
    seats: [s1]
    deals: [d2]
    formats: [video]
    ext: {x: '{"y":1}'}
    imp_ext: {z: 'true'}
    block: {badv: [bank.example.com], bcat: [IAB7]}
    endpoints: [{url: https://b.example.com/, network: 9ms}]
`
	body := `{"id":"1","tmax":100,"imp":[{"id":"i1","banner":{"w":300,"h":250}},{"id":"i2","bidfloor":1.2345,"video":{"mimes":["video/mp4"]},"pmp":{"deals":[{"id":"d1"},{"id":"d2"}]}}],"site":{"publisher":{"id":"pub1"}},"bcat":["IAB1"]}`
	d := newDesk(t, text)
	r := requestOf(t, body)
	a := &Ask{Request: r, Size: len(body), Now: unit.MonoTime(4 * ms), Wall: wall}
	p := d.Plan(a)
	if len(p.Choices) != 2 {
		t.Fatalf("%d asked", len(p.Choices))
	}
	var patcher openrtb.Patcher
	if e := patcher.Begin(r, []byte(body), d.Common()); !e.OK() {
		t.Fatal(e)
	}
	var sent [2]string
	for i := range p.Choices {
		out := patcher.Append(nil, d.Edit(a, i))
		if !json.Valid(out) {
			t.Fatalf("%s", out)
		}
		sent[p.Choices[i].Partner] = string(out)
	}
	for i, want := range [2][]string{
		{`"at":1`, `"tmax":91`, `"i1"`, `"i2"`, `"bidfloor":1.2345`, `"d1"`, `"cur":["USD"]`, `rival.example.com`, `"asi":"x.example.com"`},
		// 1.2345 / 0.9 = 1.371666…, up; × 0.8, up.
		{`"at":1`, `"tmax":82`, `"i2"`, `"bidfloor":1.097334`, `"bidfloorcur":"EUR"`, `"d2"`, `"cur":["EUR"]`, `"wseat":["s1"]`, `"bank.example.com"`, `"IAB1","IAB7"`, `"x":{"y":1}`, `"z":true`},
	} {
		for _, w := range want {
			if !strings.Contains(sent[i], w) {
				t.Errorf("partner %d misses %s\n%s", i, w, sent[i])
			}
		}
	}
	for i, not := range [2][]string{{"EUR", "bank", `"s1"`, `"z"`}, {`"i1"`, `"d1"`}} {
		for _, w := range not {
			if strings.Contains(sent[i], w) {
				t.Errorf("partner %d has %s\n%s", i, w, sent[i])
			}
		}
	}
}

// A Retry-After told to one shard is honoured by all.
func TestHoldIsShared(t *testing.T) {
	m := newMarket(t, 1, 3, fleet(2, "", nil), fine(2))
	r := requestOf(t, bannerRequest)
	d := m.desks[1]
	d.Plan(&Ask{Request: r, Size: 1500, Wall: wall})
	var c Collector
	c.Begin(d, 0)
	d.Observe(&c, 0, &Result{Outcome: Limited, Latency: ms, RetryAfter: 10e9}, 0)
	for i, x := range m.desks {
		p := x.Plan(&Ask{Request: r, Size: 1500, Wall: wall})
		if len(p.Choices) != 1 || p.Choices[0].Partner != 1 {
			t.Errorf("shard %d still asks it", i)
		}
	}
}
