package openrtb

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/corpus"
	"millrace/codec/unit"
)

// The differential tests compare every typed field of the view with what
// prebid/openrtb/v20 reads through encoding/json. Where both accept a request
// but may differ, a rule says so (openrtb rules, by number):
//
//   - 5: of duplicate keys the last wins whole; encoding/json merges objects.
//   - 5: null in a list is absent; encoding/json makes it a zero element.
//   - 5: negative sizes, and integers over 31 bits, make their object invalid.
//   - 9: a bidfloorcur that is no currency makes the impression invalid.
//   - JSON names are exact; encoding/json also takes them in another case.
//
// oddities finds these, and such requests are not compared field by field.

type facts map[string]string

func (f facts) put(path string, v any) {
	s := fmt.Sprint(v)
	if s != "" && s != "0" && s != "false" && s != "[]" {
		f[path] = s
	}
}

func strList[T ~[]E, E any](l T) []string {
	out := make([]string, 0, len(l))
	for _, e := range l {
		out = append(out, fmt.Sprintf("%q", fmt.Sprint(e)))
	}
	return out
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func viewFacts(r *BidRequest) facts {
	f := facts{}
	f.put("id", r.ID)
	f.put("at", r.At)
	f.put("tmax", r.TMax)
	f.put("test", r.Test)
	f.put("allimps", r.AllImps)
	f.put("cattax", r.CatTax)
	for name, l := range map[string]StrSpan{"cur": r.Cur, "bcat": r.BCat, "badv": r.BAdv, "bapp": r.BApp, "wseat": r.WSeat, "bseat": r.BSeat, "wlang": r.WLang} {
		f.put(name, strList(r.Strs(l)))
	}
	for i := range r.Imp {
		viewImpFacts(f, r, fmt.Sprintf("imp[%d].", i), &r.Imp[i])
	}
	n := &r.Inventory
	p := n.Kind.String() + "."
	f.put(p+"present", n.Kind != NoInventory)
	for name, s := range map[string]Str{"id": n.ID, "name": n.Name, "domain": n.Domain, "page": n.Page, "ref": n.Ref, "bundle": n.Bundle,
		"storeurl": n.StoreURL, "ver": n.Ver, "keywords": n.Keywords, "publisher.id": n.PublisherID, "publisher.name": n.PublisherName,
		"publisher.domain": n.PublisherDomain, "content.id": n.Content.ID, "content.title": n.Content.Title, "content.genre": n.Content.Genre,
		"content.keywords": n.Content.Keywords, "content.language": n.Content.Language} {
		f.put(p+name, s)
	}
	f.put(p+"cattax", n.CatTax)
	f.put(p+"cat", strList(r.Strs(n.Cat)))
	f.put(p+"sectioncat", strList(r.Strs(n.SectionCat)))
	f.put(p+"pagecat", strList(r.Strs(n.PageCat)))
	f.put(p+"publisher.cat", strList(r.Strs(n.PublisherCat)))
	f.put(p+"content.cat", strList(r.Strs(n.Content.Cat)))
	viewDataFacts(f, r, p+"content.data", n.Content.Data)
	f.put(p+"ext", string(n.Ext.Bytes()))
	viewPartyFacts(f, r)
	return f
}

func viewImpFacts(f facts, r *BidRequest, p string, m *Imp) {
	f.put(p+"id", m.ID)
	f.put(p+"tagid", m.TagID)
	f.put(p+"bidfloor", int64(m.BidFloor))
	f.put(p+"bidfloorcur", m.BidFloorCur)
	f.put(p+"secure", m.Secure)
	f.put(p+"instl", m.Instl)
	f.put(p+"exp", m.Exp)
	f.put(p+"ext", string(m.Ext.Bytes()))
	f.put(p+"media", m.Listed)
	b, v, a, n := &m.Banner, &m.Video, &m.Audio, &m.Native
	f.put(p+"banner", fmt.Sprint(b.W, b.H, b.Pos, r.Ints(b.BType), r.Ints(b.BAttr), r.Ints(b.API), strList(r.Strs(b.Mimes)), r.Formats(b.Formats)))
	f.put(p+"video", fmt.Sprint(v.W, v.H, v.MinDuration, v.MaxDuration, v.StartDelay, v.Linearity, v.Placement, v.Plcmt, v.Pos, v.Skip, v.MinBitrate, v.MaxBitrate,
		r.Ints(v.Protocols), r.Ints(v.BAttr), r.Ints(v.API), r.Ints(v.Delivery), r.Ints(v.PlaybackMethod), strList(r.Strs(v.Mimes))))
	f.put(p+"audio", fmt.Sprint(a.MinDuration, a.MaxDuration, r.Ints(a.Protocols), r.Ints(a.BAttr), r.Ints(a.API), strList(r.Strs(a.Mimes))))
	f.put(p+"native", fmt.Sprintf("%q %q %v %v", n.Request, n.Ver, r.Ints(n.API), r.Ints(n.BAttr)))
	f.put(p+"private", m.PrivateAuction)
	for i, d := range r.Deals(m.Deals) {
		f.put(fmt.Sprintf("%sdeal[%d]", p, i), fmt.Sprintf("%q %d %v %d %v %v", d.ID, d.BidFloor, d.BidFloorCur, d.At, strList(r.Strs(d.WSeat)), strList(r.Strs(d.WADomain))))
	}
}

func viewPartyFacts(f facts, r *BidRequest) {
	d, u, g, s := &r.Device, &r.User, &r.Regs, &r.Source
	for name, s := range map[string]Str{"device.ua": d.UA, "device.ip": d.IP, "device.ipv6": d.IPv6, "device.ifa": d.IFA, "device.os": d.OS, "device.osv": d.OSV,
		"device.make": d.Make, "device.model": d.Model, "device.language": d.Language, "device.carrier": d.Carrier, "user.id": u.ID,
		"user.buyeruid": u.BuyerUID, "user.gender": u.Gender, "user.keywords": u.Keywords, "source.tid": s.TID} {
		f.put(name, s)
	}
	f.put("device.flags", fmt.Sprint(d.Present, d.DNT, d.LMT, int32(d.DeviceType), d.ConnectionType, d.W, d.H))
	f.put("device.ext", string(d.Ext.Bytes()))
	for name, g := range map[string]Geo{"device.geo": d.Geo, "user.geo": u.Geo} {
		f.put(name, fmt.Sprintf("%v %v %v %d %q %q %q %q %q", g.Present, g.Lat, g.Lon, g.Type, g.Country, g.Region, g.City, g.Metro, g.Zip))
	}
	f.put("user", fmt.Sprint(u.Present, u.YOB))
	f.put("user.ext", string(u.Ext.Bytes()))
	viewDataFacts(f, r, "user.data", u.Data)
	f.put("regs", fmt.Sprint(g.Present, g.COPPA))
	f.put("regs.ext", string(g.Ext.Bytes()))
	f.put("source", fmt.Sprint(s.Present, s.FD))
	f.put("source.ext", string(s.Ext.Bytes()))
	f.put("ext", string(r.Ext.Bytes()))
}

func viewDataFacts(f facts, r *BidRequest, p string, l DataSpan) {
	for i, d := range r.Data(l) {
		f.put(fmt.Sprintf("%s[%d]", p, i), fmt.Sprintf("%q %q %q", d.ID, d.Name, r.Segments(d.Segments)))
	}
}

func oracleFacts(o *openrtb2.BidRequest) facts {
	f := facts{}
	f.put("id", o.ID)
	f.put("at", o.AT)
	f.put("tmax", o.TMax)
	f.put("test", o.Test != 0)
	f.put("allimps", o.AllImps != 0)
	f.put("cattax", o.CatTax)
	for name, l := range map[string][]string{"cur": o.Cur, "bcat": o.BCat, "badv": o.BAdv, "bapp": o.BApp, "wseat": o.WSeat, "bseat": o.BSeat, "wlang": o.WLang} {
		f.put(name, strList(l))
	}
	for i := range o.Imp {
		oracleImpFacts(f, fmt.Sprintf("imp[%d].", i), &o.Imp[i])
	}
	if s := o.Site; s != nil {
		for name, v := range map[string]string{"id": s.ID, "name": s.Name, "domain": s.Domain, "page": s.Page, "ref": s.Ref, "keywords": s.Keywords} {
			f.put("site."+name, v)
		}
		f.put("site.cattax", s.CatTax)
		f.put("site.cat", strList(s.Cat))
		f.put("site.sectioncat", strList(s.SectionCat))
		f.put("site.pagecat", strList(s.PageCat))
		oracleCommonFacts(f, "site.", s.Publisher, s.Content, s.Ext)
	}
	if a := o.App; a != nil {
		for name, v := range map[string]string{"id": a.ID, "name": a.Name, "domain": a.Domain, "bundle": a.Bundle, "storeurl": a.StoreURL, "ver": a.Ver, "keywords": a.Keywords} {
			f.put("app."+name, v)
		}
		f.put("app.cattax", a.CatTax)
		f.put("app.cat", strList(a.Cat))
		f.put("app.sectioncat", strList(a.SectionCat))
		f.put("app.pagecat", strList(a.PageCat))
		oracleCommonFacts(f, "app.", a.Publisher, a.Content, a.Ext)
	}
	if d := o.DOOH; d != nil {
		for name, v := range map[string]string{"id": d.ID, "name": d.Name, "domain": d.Domain, "keywords": d.Keywords} {
			f.put("dooh."+name, v)
		}
		oracleCommonFacts(f, "dooh.", d.Publisher, d.Content, d.Ext)
	}
	oraclePartyFacts(f, o)
	return f
}

func oracleCommonFacts(f facts, p string, b *openrtb2.Publisher, c *openrtb2.Content, ext json.RawMessage) {
	f.put(p+"present", true)
	f.put(p+"ext", notNull(ext))
	if b != nil {
		f.put(p+"publisher.id", b.ID)
		f.put(p+"publisher.name", b.Name)
		f.put(p+"publisher.domain", b.Domain)
		f.put(p+"publisher.cat", strList(b.Cat))
	}
	if c != nil {
		for name, v := range map[string]string{"id": c.ID, "title": c.Title, "genre": c.Genre, "keywords": c.Keywords, "language": c.Language} {
			f.put(p+"content."+name, v)
		}
		f.put(p+"content.cat", strList(c.Cat))
		oracleDataFacts(f, p+"content.data", c.Data)
	}
}

func notNull(ext json.RawMessage) string {
	if string(ext) == "null" {
		return ""
	}
	return string(ext)
}

func micros(f float64) int64 {
	c, _ := unit.CPMFromFloat(f)
	return int64(c)
}

func currencyOr(s string) string {
	if c, ok := unit.ParseCurrency(s); ok {
		return c.String()
	}
	return "USD"
}

func oracleImpFacts(f facts, p string, m *openrtb2.Imp) {
	f.put(p+"id", m.ID)
	f.put(p+"tagid", m.TagID)
	f.put(p+"bidfloor", micros(m.BidFloor))
	f.put(p+"bidfloorcur", currencyOr(m.BidFloorCur))
	f.put(p+"secure", deref(m.Secure) != 0)
	f.put(p+"instl", m.Instl != 0)
	f.put(p+"exp", m.Exp)
	f.put(p+"ext", notNull(m.Ext))
	var media MediaMask
	for t, there := range map[MediaType]bool{BannerMedia: m.Banner != nil, VideoMedia: m.Video != nil, AudioMedia: m.Audio != nil, NativeMedia: m.Native != nil} {
		if there {
			media |= t.Mask()
		}
	}
	f.put(p+"media", media)
	b, v, a, n := deref(m.Banner), deref(m.Video), deref(m.Audio), deref(m.Native)
	formats := []Format{}
	for _, x := range b.Format {
		formats = append(formats, Format{int32(x.W), int32(x.H), int32(x.WRatio), int32(x.HRatio), int32(x.WMin)})
	}
	f.put(p+"banner", fmt.Sprint(deref(b.W), deref(b.H), deref(b.Pos), b.BType, b.BAttr, b.API, strList(b.MIMEs), formats))
	if len(v.Protocols) == 0 && v.Protocol != 0 {
		v.Protocols = append(v.Protocols, v.Protocol)
	}
	f.put(p+"video", fmt.Sprint(deref(v.W), deref(v.H), v.MinDuration, v.MaxDuration, deref(v.StartDelay), v.Linearity, v.Placement, v.Plcmt, deref(v.Pos), deref(v.Skip),
		v.MinBitRate, v.MaxBitRate, v.Protocols, v.BAttr, v.API, v.Delivery, v.PlaybackMethod, strList(v.MIMEs)))
	f.put(p+"audio", fmt.Sprint(a.MinDuration, a.MaxDuration, a.Protocols, a.BAttr, a.API, strList(a.MIMEs)))
	f.put(p+"native", fmt.Sprintf("%q %q %v %v", n.Request, n.Ver, n.API, n.BAttr))
	pmp := deref(m.PMP)
	f.put(p+"private", pmp.PrivateAuction != 0)
	for i, d := range pmp.Deals {
		f.put(fmt.Sprintf("%sdeal[%d]", p, i), fmt.Sprintf("%q %d %v %d %v %v", d.ID, micros(d.BidFloor), currencyOr(d.BidFloorCur), d.AT, strList(d.WSeat), strList(d.WADomain)))
	}
}

func oraclePartyFacts(f facts, o *openrtb2.BidRequest) {
	d, u, g, s := deref(o.Device), deref(o.User), deref(o.Regs), deref(o.Source)
	for name, s := range map[string]string{"device.ua": d.UA, "device.ip": d.IP, "device.ipv6": d.IPv6, "device.ifa": d.IFA, "device.os": d.OS, "device.osv": d.OSV,
		"device.make": d.Make, "device.model": d.Model, "device.language": d.Language, "device.carrier": d.Carrier, "user.id": u.ID,
		"user.buyeruid": u.BuyerUID, "user.gender": u.Gender, "user.keywords": u.Keywords, "source.tid": s.TID} {
		f.put(name, s)
	}
	f.put("device.flags", fmt.Sprint(o.Device != nil, deref(d.DNT) != 0, deref(d.Lmt) != 0, int32(d.DeviceType), deref(d.ConnectionType), d.W, d.H))
	f.put("device.ext", notNull(d.Ext))
	for name, p := range map[string]*openrtb2.Geo{"device.geo": d.Geo, "user.geo": u.Geo} {
		g := deref(p)
		f.put(name, fmt.Sprintf("%v %v %v %d %q %q %q %q %q", p != nil, deref(g.Lat), deref(g.Lon), g.Type, g.Country, g.Region, g.City, g.Metro, g.ZIP))
	}
	f.put("user", fmt.Sprint(o.User != nil, u.Yob))
	f.put("user.ext", notNull(u.Ext))
	oracleDataFacts(f, "user.data", u.Data)
	f.put("regs", fmt.Sprint(o.Regs != nil, g.COPPA != 0))
	f.put("regs.ext", notNull(g.Ext))
	f.put("source", fmt.Sprint(o.Source != nil, deref(s.FD)))
	f.put("source.ext", notNull(s.Ext))
	f.put("ext", notNull(o.Ext))
}

func oracleDataFacts(f facts, p string, l []openrtb2.Data) {
	for i, d := range l {
		segments := []string{}
		for _, s := range d.Segment {
			segments = append(segments, fmt.Sprintf("{%q %q %q}", s.ID, s.Name, s.Value))
		}
		f.put(fmt.Sprintf("%s[%d]", p, i), fmt.Sprintf("%q %q [%s]", d.ID, d.Name, strings.Join(segments, " ")))
	}
}

// oddities reports whether a body has one of the documented differences.
func oddities(body []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	odd := false
	var walk func(key string) error
	walk = func(key string) error {
		if key == "ext" || key == "eids" || key == "sua" {
			// Kept as it is by both.
			was := odd
			defer func() { odd = was }()
		}
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case json.Delim:
			seen := map[string]bool{}
			for dec.More() {
				k := ""
				if t == '{' {
					kt, err := dec.Token()
					if err != nil {
						return err
					}
					k = kt.(string)
					low := strings.ToLower(k)
					odd = odd || seen[low] || low != k || strings.ContainsFunc(k, func(r rune) bool { return r > 126 })
					seen[low] = true
				} else {
					k = "[]"
				}
				if err := walk(k); err != nil {
					return err
				}
			}
			_, err = dec.Token()
			return err
		case nil:
			odd = odd || key == "[]"
		case json.Number:
			x, err := t.Float64()
			odd = odd || err != nil || math.Abs(x) > math.MaxInt32 || (x < 0 || strings.HasPrefix(t.String(), "-")) && key != "lat" && key != "lon"
			odd = odd || key == "bidfloor" && math.Abs(math.Mod(x*1e6, 1)-0.5) < 1e-3
		case string:
			_, ok := unit.ParseCurrency(t)
			odd = odd || key == "bidfloorcur" && t != "" && !ok
		}
		return nil
	}
	return walk("") != nil || odd
}

// excused are the faults for which a rule refuses what encoding/json accepts:
// rule 4 for what is missing, double or in conflict, 5 for the rest.
func excused(c Code) bool {
	switch c {
	case Missing, Duplicate, Conflict, TooDeep, TooMany, Invalid:
		return true
	}
	return false
}

// compare runs both parsers over a body; compared tells that the fields were.
func compare(t testing.TB, r *BidRequest, body []byte) (compared bool) {
	t.Helper()
	e := Parse(body, r)
	var o openrtb2.BidRequest
	err := json.Unmarshal(body, &o)
	if !e.OK() {
		// Into a struct, encoding/json reads null as nothing; rule 4 wants an id.
		nothing := string(bytes.TrimSpace(body)) == "null"
		if err == nil && !nothing && !excused(e.Code) && !oddities(body) {
			t.Errorf("refused (%v) what encoding/json reads: %s", e, body)
		}
		return false
	}
	if err != nil || oddities(body) {
		return false
	}
	got, want := viewFacts(r), oracleFacts(&o)
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %s, want %s\n%s", k, got[k], v, body)
		}
		delete(got, k)
	}
	for k, v := range got {
		t.Errorf("%s: %s, want none\n%s", k, v, body)
	}
	return true
}

func TestDifferentialCorpus(t *testing.T) {
	var r BidRequest
	compared, lines := 0, corpusRequests(t)
	for _, body := range lines {
		if compare(t, &r, body) {
			compared++
		}
	}
	t.Logf("compared %d of %d", compared, len(lines))
	if compared < len(lines)*9/10 {
		t.Errorf("only %d of %d requests were compared", compared, len(lines))
	}
}

func TestDifferentialRich(t *testing.T) {
	var r BidRequest
	lower := bytes.ReplaceAll(richRequest, []byte("linkType"), []byte("linktype"))
	if !compare(t, &r, lower) {
		t.Error("not compared")
	}
}

var mutations = flag.Int("mutations", 40_000, "how many mutated requests the differential test compares")

func TestDifferentialMutations(t *testing.T) {
	lines := append(corpusRequests(t), richRequest)
	n := *mutations
	if testing.Short() {
		n = min(n, 4_000)
	}
	rnd := rand.New(rand.NewPCG(2, 6))
	var r BidRequest
	compared := 0
	for range n {
		if compare(t, &r, mutate(rnd, lines)) {
			compared++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("compared %d of %d", compared, n)
}

// mutate returns a line with a few edits of the kinds that break parsers.
func mutate(rnd *rand.Rand, lines [][]byte) []byte {
	snippets := []string{"null", "1", "0", `""`, `"a"`, "{}", "[]", ",", ":", "{", "}", "[", "]", `"`, `\`, `\"`, `\u00e9`, `\ud83d\ude00`, `\ud800`,
		"1e2", "1.5", "3.0", "-1", "1e999", "true", "false", " ", "\n", "\t", "é", "\xff", "\x00", "0.1", "00", "1E-3", "12345678901234567890", `{"id":"x"}`, `[1,null]`}
	line := append([]byte(nil), lines[rnd.IntN(len(lines))]...)
	for range 1 + rnd.IntN(6)/5 {
		if len(line) == 0 {
			break
		}
		at := rnd.IntN(len(line))
		switch min(rnd.IntN(12), 6) {
		case 0:
			line = line[:at]
		case 1:
			line[at] = byte(rnd.Uint32())
		case 6: // replace a value
			if c := bytes.IndexByte(line[at:], ':'); c >= 0 {
				from := at + c + 1
				to := from
				for to < len(line) && !strings.ContainsRune(",}]", rune(line[to])) {
					to++
				}
				line = append(line[:from:from], append([]byte(snippets[rnd.IntN(len(snippets))]), line[to:]...)...)
			}
		case 3: // insert
			line = append(line[:at:at], append([]byte(snippets[rnd.IntN(len(snippets))]), line[at:]...)...)
		case 4: // cut a piece
			to := min(len(line), at+1+rnd.IntN(8))
			line = append(line[:at:at], line[to:]...)
		case 2, 5: // splice with another
			other := lines[rnd.IntN(len(lines))]
			line = append(line[:at:at], other[rnd.IntN(len(other)):]...)
		}
	}
	return line
}

func TestDifferentialExchanges(t *testing.T) {
	var r BidRequest
	compared, lines := 0, corpus.Lines(t, corpus.Exchanges)
	for _, line := range lines {
		var x struct{ Request json.RawMessage }
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		if compare(t, &r, x.Request) {
			compared++
		}
	}
	// Some bidders speak formats of their own.
	if t.Logf("compared %d of %d", compared, len(lines)); compared < len(lines)/2 {
		t.Errorf("only %d of %d were compared", compared, len(lines))
	}
}
