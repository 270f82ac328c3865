package demand

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/demand/partners"
)

// wall is when tests begin: a Monday noon in 2026, UTC.
const wall = unit.WallTime(1_780_315_200e9)

// bookOf compiles a demand file that must be good.
func bookOf(t testing.TB, text string, previous *partners.Book) *partners.Book {
	t.Helper()
	version := uint64(1)
	if previous != nil {
		version = previous.Version + 1
	}
	b, faults := partners.Check("demand.yaml", []byte(text), partners.Options{Now: wall, Region: "eu", Previous: previous, Version: version})
	if b == nil {
		t.Fatal(faults.Error())
	}
	return b
}

// fleet is a file of n partners, of tier 1 but where more says otherwise.
func fleet(n int, head string, more func(i int) string) string {
	var s strings.Builder
	s.WriteString(head + "\npartners:\n")
	for i := range n {
		extra := ""
		if more != nil {
			extra = more(i)
		}
		tier := ", tier: 1"
		if strings.Contains(extra, "tier:") {
			tier = ""
		}
		fmt.Fprintf(&s, "  - {id: p%02d%s, endpoints: [{region: eu, url: 'https://p%d.example.com/bid'}]%s}\n", i, tier, i, extra)
	}
	return s.String()
}

func requestOf(t testing.TB, body string) *openrtb.BidRequest {
	t.Helper()
	r := new(openrtb.BidRequest)
	if e := openrtb.Parse([]byte(body), r); !e.OK() {
		t.Fatal(e)
	}
	return r
}

const bannerRequest = `{"id":"1","tmax":200,"imp":[{"id":"a","banner":{"w":300,"h":250},"bidfloor":0.1}],"site":{"domain":"news.example.com","publisher":{"id":"pub1"}},"device":{"devicetype":4,"geo":{"country":"DEU"}}}`

func newDesk(t testing.TB, text string) *Desk {
	d := New(Default(), 0, 1, nil)
	d.Load(bookOf(t, text, nil), 0)
	return d
}

func TestPlanAsksEverybodyAtFirst(t *testing.T) {
	d := newDesk(t, fleet(50, "", nil))
	r := requestOf(t, bannerRequest)
	ask := &Ask{Request: r, Size: 1500, Arrived: 0, Now: unit.MonoTime(time.Millisecond), Wall: wall}
	p := d.Plan(ask)
	if len(p.Choices) != 50 {
		t.Fatalf("%d of 50 asked", len(p.Choices))
	}
	for i, c := range p.Choices {
		if int(c.Partner) != i || !c.Imps.Has(0) || c.TMax != 117 || c.Deadline != unit.MonoTime(118*time.Millisecond) {
			t.Fatalf("choice %d: %+v", i, c)
		}
	}
	if p.Imps[0].Floor != 100_000 {
		t.Errorf("floor %v", p.Imps[0].Floor)
	}
	e := d.Edit(ask, 0)
	if len(e.Imps) != 1 || !e.Imps[0].HasFloor || e.Imps[0].Floor != 100_000 || e.TMax != 117 {
		t.Errorf("%+v", e)
	}
	if d.Common().At != openrtb.FirstPrice {
		t.Error("a first-price auction has to say so")
	}
}
