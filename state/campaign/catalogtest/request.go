package catalogtest

import (
	"encoding/json"
	"math/rand/v2"
	"strings"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// Facts is what a request of one imp says, as text.
type Facts struct {
	Now                                 unit.WallTime
	Country, Region, City, OS, Language string
	DeviceType                          int
	Sites, Bundles, Categories          []string
	Segments                            [][2]string // provider, segment
	Media                               openrtb.MediaMask
	Sizes                               []campaign.Size
	Deals                               []string
	Private                             bool
}

// Fill makes q the query of the facts.
func (f *Facts) Fill(s *campaign.Snapshot, q *campaign.Query) {
	s.Begin(q)
	q.SetGeo([]byte(f.Country), []byte(f.Region), []byte(f.City))
	q.SetDevice(f.DeviceType, []byte(f.OS), []byte(f.Language))
	for _, v := range f.Sites {
		q.AddSite([]byte(v))
	}
	for _, v := range f.Bundles {
		q.AddBundle([]byte(v))
	}
	for _, v := range f.Categories {
		q.AddCategory([]byte(v))
	}
	for _, v := range f.Segments {
		q.AddSegment([]byte(v[0]), []byte(v[1]))
	}
	for m := openrtb.BannerMedia; m <= openrtb.NativeMedia; m++ {
		if f.Media.Has(m) {
			q.Offer(m)
		}
	}
	for _, z := range f.Sizes {
		q.AddSize(int(z.W), int(z.H))
	}
	for _, v := range f.Deals {
		q.AddDeal([]byte(v))
	}
	if f.Private {
		q.SetPrivate()
	}
}

// AppendJSON appends the facts as an OpenRTB request of the user.
func (f *Facts) AppendJSON(dst []byte, user string) []byte {
	type object = map[string]any
	imp := object{"id": "1"}
	var formats []object
	for _, z := range f.Sizes {
		formats = append(formats, object{"w": z.W, "h": z.H})
	}
	offers := map[openrtb.MediaType]object{
		openrtb.BannerMedia: {"format": formats},
		openrtb.VideoMedia:  {"mimes": []string{"video/mp4"}, "protocols": []int{2, 3, 7}},
		openrtb.NativeMedia: {"request": `{"ver":"1.2","assets":[{"id":1,"required":1,"title":{"len":140}}]}`},
	}
	for m, offer := range offers {
		if f.Media.Has(m) {
			imp[m.String()] = offer
		}
	}
	if len(f.Deals) > 0 || f.Private {
		pmp := object{"private_auction": 0}
		if f.Private {
			pmp["private_auction"] = 1
		}
		var deals []object
		for _, d := range f.Deals {
			deals = append(deals, object{"id": d})
		}
		pmp["deals"] = deals
		imp["pmp"] = pmp
	}
	request := object{
		"id": "synthetic-" + user, "at": 1, "imp": []object{imp},
		"device": object{
			"geo": object{"country": f.Country, "region": f.Region, "city": f.City},
			"os":  f.OS, "language": f.Language, "devicetype": f.DeviceType,
		},
	}
	var data []object
	for _, s := range f.Segments {
		data = append(data, object{"id": s[0], "segment": []object{{"id": s[1]}}})
	}
	request["user"] = object{"id": user, "data": data}
	switch {
	case len(f.Sites) > 0:
		request["site"] = object{"domain": f.Sites[0], "cat": f.Categories}
	case len(f.Bundles) > 0:
		request["app"] = object{"bundle": f.Bundles[0], "cat": f.Categories}
	}
	text, err := json.Marshal(request)
	if err != nil {
		panic(err) // maps of plain values always marshal
	}
	return append(dst, text...)
}

// Requests are n requests that fit the catalogs of the same shape.
func Requests(n int, o Options) []Facts {
	w := writer{r: rand.New(rand.NewPCG(o.Seed, 77)), v: wide}
	if o.Tight {
		w.v = tight
	}
	out := make([]Facts, n)
	for i := range out {
		w.request(&out[i])
	}
	return out
}

func (w *writer) some(p float64, most int, from []string) (out []string) {
	if !w.chance(p) {
		return nil
	}
	for range 1 + w.r.IntN(most) {
		out = append(out, w.pick(from))
	}
	return out
}

func (w *writer) one(p float64, from []string) string {
	if !w.chance(p) {
		return ""
	}
	return w.pick(from)
}

func (w *writer) request(f *Facts) {
	f.Now = unit.WallFromUnix(1_780_000_000 + w.r.Int64N(400*86400))
	f.Country = w.one(0.95, w.v.countries)
	f.Region = w.one(0.5, w.v.regions)
	if _, code, ok := strings.Cut(f.Region, "-"); ok && w.chance(0.5) {
		f.Region = code
	}
	f.City = w.one(0.5, w.v.cities)
	f.OS = w.one(0.9, []string{"Android", "iOS 17.2", "Windows", "Mac OS X", "unknown"})
	f.Language = w.one(0.8, append([]string{"en-US"}, w.v.languages...))
	f.DeviceType = w.r.IntN(8)
	if w.chance(0.5) {
		f.Sites = []string{"site-7", "www." + w.pick(w.v.sites)}
	} else {
		f.Bundles = []string{w.pick(w.v.bundles)}
	}
	f.Categories = w.some(0.8, 5, w.v.categories)
	for _, s := range w.some(0.6, 10, w.v.segments) {
		provider, segment, ok := strings.Cut(s, "/")
		if !ok {
			provider, segment = "p9", s
		}
		f.Segments = append(f.Segments, [2]string{provider, segment})
	}
	switch w.r.IntN(10) {
	case 0:
		f.Media = openrtb.VideoMedia.Mask()
	case 1:
		f.Media = openrtb.NativeMedia.Mask()
	case 2:
		f.Media = openrtb.BannerMedia.Mask() | openrtb.VideoMedia.Mask()
	default:
		f.Media = openrtb.BannerMedia.Mask()
	}
	for range w.r.IntN(3) {
		f.Sizes = append(f.Sizes, [...]campaign.Size{{W: 300, H: 250}, {W: 320, H: 50}, {W: 728, H: 90}, {W: 11, H: 12}}[w.r.IntN(4)])
	}
	if w.chance(0.1) {
		f.Deals = w.some(1, 3, w.v.deals)
		f.Private = w.chance(0.3)
	}
}
