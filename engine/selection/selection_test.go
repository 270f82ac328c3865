package selection

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign"
	"millrace/state/campaign/catalogtest"
	"millrace/state/profile"
)

const testUser = unit.UserID(0xabcdef)

func newCaps(t testing.TB) *profile.Table {
	t.Helper()
	caps, err := profile.New(profile.Config{Entries: 4096, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return caps
}

type object = map[string]any

func some[T any](r *rand.Rand, p float64, most int, from ...T) (out []T) {
	if r.Float64() >= p {
		return nil
	}
	for range 1 + r.IntN(most) {
		out = append(out, from[r.IntN(len(from))])
	}
	return out
}

func maybe[T any](r *rand.Rand, o object, p float64, key string, choices ...T) {
	if r.Float64() < p {
		o[key] = choices[r.IntN(len(choices))]
	}
}

// vary adds to a request of catalogtest what blocks, floors, seats and deals
// ask for, and a second impression.
func vary(r *rand.Rand, s *campaign.Snapshot, body []byte) []byte {
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		panic(err)
	}
	seats := make([]string, 0, 8)
	for i := range 8 {
		seats = append(seats, s.Advertisers[i*7%len(s.Advertisers)].Name)
	}
	lists := func(o object, p float64, key string, from ...string) {
		if l := some(r, p, 4, from...); l != nil {
			o[key] = l
		}
	}
	lists(o, 0.1, "cur", "EUR", "USD", "JPY")
	lists(o, 0.1, "wseat", append(seats, "nobody")...)
	lists(o, 0.2, "bseat", seats...)
	lists(o, 0.4, "bcat", "IAB1", "IAB2-3", "IAB5", "IAB20", "IAB7-1")
	lists(o, 0.4, "badv", "shop1.example.com", "Shop2.Example.com", "example.net")
	if r.IntN(8) == 0 {
		delete(o["user"].(object), "id") // segments without a name to remember
	}
	imp := o["imp"].([]any)[0].(object)
	maybe(r, imp, 0.4, "bidfloor", 0.01, 0.5, 2.5, 4.37, 9.99, 50)
	maybe(r, imp, 0.1, "bidfloorcur", "EUR", "USD")
	maybe(r, imp, 0.3, "secure", 1)
	if banner, ok := imp["banner"].(object); ok {
		maybe(r, banner, 0.2, "battr", []int{1, 3, 9}, []int{16})
		maybe(r, banner, 0.2, "btype", []int{1}, []int{4}, []int{2, 3})
	}
	if pmp, ok := imp["pmp"].(object); ok {
		deals, _ := pmp["deals"].([]any)
		for _, d := range deals {
			d := d.(object)
			maybe(r, d, 0.4, "bidfloor", 1.5, 5.0, 30.0)
			maybe(r, d, 0.1, "bidfloorcur", "EUR", "USD")
			lists(d, 0.2, "wseat", seats...)
			lists(d, 0.2, "wadomain", "shop1.example.com", "SHOP3.example.com", "other.example")
		}
	}
	second := object{}
	for k, v := range imp {
		second[k] = v
	}
	second["id"] = "2"
	o["imp"] = []any{imp, second}
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return text
}

// history puts random observations, dry accounts and shown impressions into the
// selector and the naive evaluation alike.
func history(r *rand.Rand, s *Selector, n *naive) {
	snap := n.s
	for range 200 {
		var d Counts
		d[event.Impression.Index()] = uint64(r.IntN(5000))
		d[event.Click.Index()] = uint64(r.IntN(50))
		d[event.Conversion.Index()] = uint64(r.IntN(5))
		cr := &snap.Creatives[r.IntN(len(snap.Creatives))]
		id := cr.ID
		n.groups.category(cr.Categories).add(&d)
		n.groups.all.add(&d)
		s.Learn(id, &d)
		if n.seen[id] == nil {
			n.seen[id] = &Counts{}
		}
		n.seen[id].add(&d)
	}
	dry := make([]uint64, (len(snap.Accounts)+63)/64)
	for a := range snap.Accounts {
		if r.IntN(6) == 0 {
			dry[a/64] |= 1 << (a % 64)
			n.dry[campaign.AccountIndex(a)] = true
		}
	}
	s.Fund(dry)
	for range 300 {
		l := &snap.Lines[r.IntN(len(snap.Lines))]
		if l.FrequencyCap.Impressions > 0 {
			s.caps.Add(testUser, l.ID, 0, l.FrequencyCap.Window)
			n.shown[l.ID]++
		}
	}
}

// TestOrderEqualsNaive: the bids that scans bring up, their order, and who of
// them is admitted are those of a full evaluation without index, bitmaps,
// bounds or ranking.
func TestOrderEqualsNaive(t *testing.T) {
	catalogs := 12
	if testing.Short() {
		catalogs = 4
	}
	compared, won := 0, 0
	for seed := range uint64(catalogs) {
		for _, tight := range []bool{true, false} {
			o := catalogtest.Options{Lines: 60 + 330*int(seed%4), Seed: seed + 1, Tight: tight}
			c, w := compareCatalog(t, o)
			compared, won = compared+c, won+w
		}
	}
	t.Logf("%d bids compared, %d impressions won", compared, won)
	if compared < 1000 || won < 100 {
		t.Errorf("only %d bids and %d wins: the test shows too little", compared, won)
	}
}

func compareCatalog(t *testing.T, o catalogtest.Options) (compared, won int) {
	r := rand.New(rand.NewPCG(o.Seed, 5))
	snap := catalogtest.Snapshot(o)
	qualities(r, snap)
	for i := range snap.Creatives {
		snap.Creatives[i].Unrated = r.IntN(3) == 0
	}
	n := &naive{s: snap, seen: map[unit.CreativeID]*Counts{}, dry: map[campaign.AccountIndex]bool{}, shown: map[unit.LineID]int{}}
	s := NewSelector(Prepare(snap, Default()), NewRates(), newCaps(t), nil)
	history(r, s, n)
	pasts(t, r, s, n, o)
	for i, f := range catalogtest.Requests(40, o) {
		f.Sites = f.Sites[:min(len(f.Sites), 1)] // a request has one site
		body := vary(r, snap, f.AppendJSON(nil, fmt.Sprint("user-", i)))
		var view openrtb.BidRequest
		if fault := openrtb.Parse(body, &view); !fault.OK() {
			t.Fatalf("%s: %s", fault.AppendReason(nil), body)
		}
		n.facts, n.request, n.given = &f, naiveRequest{}, nil
		if err := json.Unmarshal(body, &n.request); err != nil {
			t.Fatal(err)
		}
		s.Begin(&view, User{ID: testUser, Known: n.request.User.ID != ""}, Choice{}, 0, f.Now)
		for imp := range view.Imp {
			c, w := expectImp(t, s, n, &view, imp, fmt.Sprintf("catalog %+v, request %d, imp %d:\n%s\n", o, i, imp, body))
			compared, won = compared+c, won+w
		}
	}
	return compared, won
}
