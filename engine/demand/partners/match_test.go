package partners

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// What the oracle's worlds are made of: few values, so that they often meet.
var (
	worldCountries = []string{"DEU", "AUT", "USA"}
	worldDevices   = []string{"phone", "desktop", "tv"}
	worldDeviceIDs = map[string][]int{"phone": {4}, "desktop": {2}, "tv": {3, 7}}
	worldFormats   = []string{"banner", "video", "audio", "native"}
	worldSizes     = []string{"300x250", "728x90", "320x50"}
	worldDomains   = []string{"a.example.com", "example.com", "b.example.org"}
	worldBundles   = []string{"com.a", "com.b"}
	worldPubs      = []string{"p1", "p2"}
	worldSegments  = []string{"s1", "s2", "s3"}
	worldDeals     = []string{"d1", "d2", "d3"}
	worldSeats     = []string{"x", "y", "z"}
	worldHours     = []string{"mon-fri 8-20", "sat,sun", "12-13", "22-6"}
	worldCurs      = []string{"USD", "EUR", "JPY"}
)

func some(r *rand.Rand, of []string, p float64) (list []string) {
	if r.Float64() > p {
		return nil
	}
	for _, x := range of {
		if r.IntN(2) == 0 {
			list = append(list, x)
		}
	}
	return list
}

// world is a random file, as JSON that both sides read.
func world(r *rand.Rand) string {
	f := map[string]any{"rates": map[string]any{"base": "USD", "date": "2026-05-31", "per_base": map[string]any{"EUR": json.Number("0.923456789"), "JPY": json.Number("155.31")}}}
	places := func(p float64) map[string]any {
		return map[string]any{"publisher": some(r, worldPubs, p), "domain": some(r, worldDomains, p), "bundle": some(r, worldBundles, p)}
	}
	var list []any
	for i := range 1 + r.IntN(70) {
		p := map[string]any{
			"id": fmt.Sprintf("p%d", i), "tier": 1 + r.IntN(3), "endpoints": []any{map[string]any{"region": []string{"eu", "us", ""}[r.IntN(3)], "url": "https://a.example.com/"}},
			"formats": some(r, worldFormats, 0.5), "sizes": some(r, worldSizes, 0.4), "devices": some(r, worldDevices, 0.3),
			"country": map[string]any{"include": some(r, worldCountries, 0.3), "exclude": some(r, worldCountries, 0.2)},
			"except":  places(0.2), "seats": some(r, worldSeats, 0.4), "currency": worldCurs[r.IntN(3)],
		}
		if r.IntN(3) == 0 {
			p["deals"] = append([]string{}, some(r, worldDeals, 0.8)...)
		}
		if r.IntN(10) == 0 {
			p["status"] = "paused"
		}
		list = append(list, p)
	}
	f["partners"] = list
	var floors []any
	for range r.IntN(150) {
		x := places(0.15)
		x["floor"], x["currency"] = json.Number(fmt.Sprintf("%d.%06d", r.IntN(5), r.IntN(1e6))), worldCurs[r.IntN(3)]
		x["segment"], x["format"], x["country"] = some(r, worldSegments, 0.3), some(r, worldFormats, 0.3), some(r, worldCountries, 0.3)
		x["device"], x["hour"] = some(r, worldDevices, 0.3), some(r, worldHours, 0.3)
		floors = append(floors, x)
	}
	f["floors"] = floors
	prem := places(0.2)
	prem["formats"], prem["deals"] = some(r, worldFormats, 0.2), r.IntN(4) == 0
	f["premium"] = prem
	f["publishers"] = []any{map[string]any{"id": "p1", "block_partners": []string{"p0"}}}
	text, _ := json.Marshal(f)
	return string(text)
}

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// worldRequest is a random request that speaks of the same things.
func worldRequest(r *rand.Rand) string {
	deal := func() any { return map[string]any{"id": pick(r, worldDeals)} }
	var imps []any
	for i := range 1 + r.IntN(4) {
		imp := map[string]any{"id": fmt.Sprint(i)}
		if r.IntN(2) == 0 {
			imp["bidfloor"], imp["bidfloorcur"] = r.Float64(), append(worldCurs, "SEK")[r.IntN(4)]
		}
		if r.IntN(3) > 0 {
			b := map[string]any{}
			for range r.IntN(3) {
				formats, _ := b["format"].([]any)
				var w, h int
				_, _ = fmt.Sscanf(pick(r, append(worldSizes, "1x1")), "%dx%d", &w, &h)
				b["format"] = append(formats, map[string]any{"w": w, "h": h})
			}
			if r.IntN(2) == 0 {
				b["w"], b["h"] = 300, 250
			}
			imp["banner"] = b
		}
		if r.IntN(3) == 0 || imp["banner"] == nil {
			imp["video"] = map[string]any{"mimes": []string{"video/mp4"}}
		}
		if r.IntN(5) == 0 {
			imp["native"] = map[string]any{"request": "{}"}
		}
		if r.IntN(3) == 0 {
			imp["pmp"] = map[string]any{"private_auction": r.IntN(2), "deals": []any{deal(), deal()}[:r.IntN(3)]}
		}
		imps = append(imps, imp)
	}
	req := map[string]any{"id": "1", "imp": imps, "device": map[string]any{"devicetype": r.IntN(9), "geo": map[string]any{"country": pick(r, append(worldCountries, "FRA", ""))}}}
	pub := map[string]any{"id": pick(r, append(worldPubs, "p3"))}
	if r.IntN(2) == 0 {
		req["site"] = map[string]any{"domain": pick(r, append(worldDomains, "deep.a.example.com", "other.org")), "publisher": pub}
	} else {
		req["app"] = map[string]any{"bundle": pick(r, append(worldBundles, "com.c")), "publisher": pub}
	}
	if seats := some(r, worldSeats, 0.5); len(seats) > 0 {
		req[[]string{"wseat", "bseat"}[r.IntN(2)]] = seats
	}
	var segments []any
	for _, s := range some(r, worldSegments, 0.6) {
		segments = append(segments, map[string]any{"id": s})
	}
	req["user"] = map[string]any{"data": []any{map[string]any{"segment": segments}}}
	text, _ := json.Marshal(req)
	return string(text)
}

// The oracle reads the rules once more, over the file as written.

func in(list []string, x string) bool { return slices.Contains(list, x) }

func domains(of string) (list []string) {
	for of != "" {
		list = append(list, of)
		_, of, _ = strings.Cut(of, ".")
	}
	return list
}

type seen struct {
	pub, bundle, country string
	domains              []string
	device               int
}

func look(r *openrtb.BidRequest) seen {
	return seen{r.Inventory.PublisherID.String(), r.Inventory.Bundle.String(), r.Device.Geo.Country.String(), domains(r.Inventory.Domain.String()), int(r.Device.DeviceType)}
}

func (s *seen) at(x *InventorySpec) bool {
	return in(x.Publisher, s.pub) || in(x.Bundle, s.bundle) || slices.ContainsFunc(s.domains, func(d string) bool { return in(x.Domain, d) })
}

func (s *seen) holds(devices []string) bool {
	return slices.ContainsFunc(devices, func(d string) bool { return slices.Contains(worldDeviceIDs[d], s.device) })
}

func mayBid(f *File, p *PartnerSpec, r *openrtb.BidRequest, imp *openrtb.Imp) bool {
	s := look(r)
	switch {
	case p.Status == "paused", s.at(&p.Except),
		len(p.Country.Include) > 0 && !in(p.Country.Include, s.country), in(p.Country.Exclude, s.country),
		len(p.Devices) > 0 && !s.holds(p.Devices):
		return false
	}
	for _, pub := range f.Publishers {
		if pub.ID == s.pub && in(pub.Block, p.ID) {
			return false
		}
	}
	if len(p.Seats) > 0 {
		var wseat, bseat []string
		for _, x := range r.Strs(r.WSeat) {
			wseat = append(wseat, x.String())
		}
		for _, x := range r.Strs(r.BSeat) {
			bseat = append(bseat, x.String())
		}
		if !slices.ContainsFunc(p.Seats, func(x string) bool { return (len(wseat) == 0 || in(wseat, x)) && !in(bseat, x) }) {
			return false
		}
	}
	if imp.PrivateAuction {
		some := false
		for _, d := range r.Deals(imp.Deals) {
			some = some || p.Deals == nil || in(*p.Deals, d.ID.String())
		}
		if !some {
			return false
		}
	}
	for m, name := range map[openrtb.MediaType]string{openrtb.BannerMedia: "banner", openrtb.VideoMedia: "video", openrtb.AudioMedia: "audio", openrtb.NativeMedia: "native"} {
		if imp.Media.Has(m) && (len(p.Formats) == 0 || in(p.Formats, name)) && (m != openrtb.BannerMedia || fits(p, r, &imp.Banner)) {
			return true
		}
	}
	return false
}

func fits(p *PartnerSpec, r *openrtb.BidRequest, b *openrtb.Banner) bool {
	var sizes []string
	if b.W > 0 && b.H > 0 {
		sizes = append(sizes, fmt.Sprintf("%dx%d", b.W, b.H))
	}
	for _, f := range r.Formats(b.Formats) {
		sizes = append(sizes, fmt.Sprintf("%dx%d", f.W, f.H))
	}
	return len(p.Sizes) == 0 || len(sizes) == 0 || slices.ContainsFunc(sizes, func(z string) bool { return in(p.Sizes, z) })
}

// up is amount × to ÷ from in nanos of a base, rounded up, by big rationals.
func up(amount unit.CPMMicros, from, to unit.Nanos) unit.CPMMicros {
	x := new(big.Rat).Mul(big.NewRat(int64(amount), 1), big.NewRat(int64(to), int64(from)))
	n, m := new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int))
	if m.Sign() > 0 {
		n.Add(n, big.NewInt(1))
	}
	return unit.CPMMicros(n.Int64())
}

func rateOf(f *File, cur string) unit.Nanos {
	if cur == "" || cur == "USD" {
		return unit.NanosPerUnit
	}
	return f.Rates.PerBase[cur]
}

// worldFloor finds the floor by looking at all of them.
func worldFloor(f *File, r *openrtb.BidRequest, imp *openrtb.Imp, wall unit.WallTime) unit.CPMMicros {
	s := look(r)
	var segments []string
	for _, d := range r.Data(r.User.Data) {
		for _, x := range r.Segments(d.Segments) {
			segments = append(segments, x.ID.String())
		}
	}
	type found struct {
		dims  []int // 1 where it names the dimension
		at    int
		price unit.CPMMicros
	}
	var all []found
	for i := range f.Floors {
		x := &f.Floors[i]
		holds, dims := true, make([]int, 6)
		ask := func(d int, named, is bool) {
			if named {
				dims[d] = 1
				holds = holds && is
			}
		}
		ask(0, len(x.Publisher)+len(x.Domain)+len(x.Bundle) > 0, s.at(&x.InventorySpec))
		ask(1, len(x.Segment) > 0, slices.ContainsFunc(segments, func(t string) bool { return in(x.Segment, t) }))
		ask(2, len(x.Format) > 0, slices.ContainsFunc(x.Format, func(t string) bool {
			return imp.Media.Has(openrtb.MediaType(1 + slices.Index(worldFormats, t)))
		}))
		ask(3, len(x.Country) > 0, in(x.Country, s.country))
		ask(4, len(x.Device) > 0, s.holds(x.Device))
		var h campaign.Hours
		for _, t := range x.Hour {
			h.Parse(t)
		}
		at := wall.Time()
		ask(5, len(x.Hour) > 0, h.Has((int(at.Weekday())+6)%7*24+at.Hour()))
		if holds {
			all = append(all, found{dims, i, up(*x.Floor, rateOf(f, x.Currency.String()), unit.NanosPerUnit)})
		}
	}
	count := func(x found) (n int) {
		for _, d := range x.dims {
			n += d
		}
		return n
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(count(b)-count(a), slices.Compare(b.dims, a.dims), a.at-b.at)
	})
	floor := unit.CPMMicros(0)
	if len(all) > 0 {
		floor = all[0].price
	}
	if rate := rateOf(f, imp.BidFloorCur.String()); rate > 0 {
		floor = max(floor, up(imp.BidFloor, rate, unit.NanosPerUnit))
	}
	return floor
}

// TestMatchAgainstOracle: who may bid, and the floors, as by a naive reading of
// the file.
func TestMatchAgainstOracle(t *testing.T) {
	var m Match
	asked, floors, premium := 0, 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := world(r)
		f, faults := Parse("w.json", []byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		b := check(t, text, Options{Region: "eu"})
		for range 50 {
			req := parse(t, worldRequest(r))
			now := noon.Add(time.Duration(r.IntN(60)) * time.Hour)
			b.Match(req, now, &m)
			for i := range req.Imp {
				for k, p := range b.Order {
					want := mayBid(f, &f.Partners[k], req, &req.Imp[i])
					if m.Imps[i].Partners.Has(p) != want {
						t.Fatalf("seed %d: %s on imp %d: %v, want %v\n%s", seed, b.Partners[p].Name, i, !want, want, text)
					}
					if want {
						asked++
					}
				}
				if want := worldFloor(f, req, &req.Imp[i], now); m.Imps[i].Floor != want {
					t.Fatalf("seed %d: floor %v, want %v", seed, m.Imps[i].Floor, want)
				} else if want > 0 {
					floors++
				}
			}
			s := look(req)
			want := s.at(&f.Premium.InventorySpec)
			for i := range req.Imp {
				want = want || f.Premium.Deals && req.Imp[i].Deals.Len() > 0
				for _, name := range f.Premium.Formats {
					want = want || req.Imp[i].Media.Has(openrtb.MediaType(1+slices.Index(worldFormats, name)))
				}
			}
			if m.Premium != want {
				t.Fatalf("seed %d: premium %v, want %v", seed, m.Premium, want)
			} else if want {
				premium++
			}
		}
	}
	if asked == 0 || floors == 0 || premium == 0 {
		t.Errorf("%d asked, %d floors, %d premium: the test shows nothing", asked, floors, premium)
	}
}

func TestAllocMatch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	b := check(t, world(r), Options{Region: "eu"})
	var requests []*openrtb.BidRequest
	for range 50 {
		requests = append(requests, parse(t, worldRequest(r)))
	}
	var m Match
	run := func() {
		for _, req := range requests {
			b.Match(req, noon, &m)
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// A bid at the floor that was asked for is worth the floor, whatever the
// adjustment and the currency; a micro less is not.
func TestFloorAskedIsFloorHeld(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	eur := unit.Currency{'E', 'U', 'R'}
	for range 200_000 {
		rates := openrtb.NewRates(unit.USD, []openrtb.Rate{{Cur: eur, PerBase: unit.Nanos(1 + r.Int64N(200e9))}})
		p := Partner{Adjust: unit.CPMMicros(1 + r.Int64N(2_000_000))}
		floor := unit.CPMMicros(1 + r.Int64N(50_000_000))
		asked, ok := rates.ConvertUp(p.Asked(floor), unit.USD, eur)
		if !ok {
			t.Fatal("no rate")
		}
		price, ok := rates.Convert(asked, eur, unit.USD)
		if got := p.Adjusted(price); !ok || got < floor {
			t.Fatalf("adjust %v: asked %v for %v, which is worth %v", p.Adjust, asked, floor, got)
		}
		if least := p.Asked(floor); p.Adjusted(least-1) >= floor {
			t.Fatalf("adjust %v: %v would do for %v, %v is asked", p.Adjust, least-1, floor, least)
		}
	}
}
