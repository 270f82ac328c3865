package openrtb

import (
	"fmt"
	"strings"
	"testing"

	"millrace/codec/unit"
)

// Tests of the rules for requests; the numbers are those of the project's list
// of OpenRTB rules that implementations get wrong.

func parse(t *testing.T, body string) (*BidRequest, Error) {
	t.Helper()
	r := new(BidRequest)
	return r, Parse([]byte(body), r)
}

func mustParse(t *testing.T, body string) *BidRequest {
	t.Helper()
	r, e := parse(t, body)
	if !e.OK() {
		t.Fatalf("%v\n%s", e, body)
	}
	return r
}

type refusal struct {
	body string
	code Code
	path string // prefix of the reason
}

func checkRefusals(t *testing.T, cases []refusal) {
	t.Helper()
	for _, c := range cases {
		_, e := parse(t, c.body)
		if e.Code != c.code || !strings.HasPrefix(e.Error(), c.path) {
			t.Errorf("%q: %v, want %v at %q", c.body, e, c.code, c.path)
		}
	}
}

const oneImp = `"imp":[{"id":"1","banner":{}}]`

func TestRule01MalformedHasAPlainReason(t *testing.T) {
	checkRefusals(t, []refusal{
		{``, Syntax, "not valid JSON (byte 0)"},
		{`   `, Syntax, "not valid JSON (byte 3)"},
		{`[]`, Syntax, "not valid JSON (byte 0)"},
		{`{"id":"a"`, Syntax, "not valid JSON (byte 9)"},
		{`{"id":"a"}x`, Syntax, "not valid JSON (byte 10)"},
		{`{"id":"a",}`, Syntax, "not valid JSON"},
		{`{"id":"a` + "\n" + `"}`, Syntax, "not valid JSON"},
		{`{"id":"\x"}`, Syntax, ""},
		{`{"id":"\u12g4"}`, Syntax, ""},
		{`{"a":01,"id":"a",` + oneImp + `}`, Syntax, ""},
		{`{"a":1.,"id":"a",` + oneImp + `}`, Syntax, ""},
		{`{"a":[1,],"id":"a",` + oneImp + `}`, Syntax, ""},
		{`{"a":[1}],"id":"a",` + oneImp + `}`, Syntax, ""},
		{`{"id":7,` + oneImp + `}`, Type, "id: wrong type"},
		{`{"id":"a","imp":{}}`, Type, "imp: wrong type"},
		{`{"id":"a",` + oneImp + `,"device":{"geo":{"country":5}}}`, Type, "device.geo.country: wrong type"},
		{`{"id":"a","imp":[{"id":"1","banner":{}},{"id":"2","video":{"mimes":"video/mp4"}}]}`, Type, "imp[1].video.mimes: wrong type"},
		{`{"id":"a","imp":[{"id":"1","banner":{"format":[{"w":{}}]}}]}`, Type, "imp[0].banner.format[].w: wrong type"},
	})
}

func TestRule03UnknownNeverRejects(t *testing.T) {
	r := mustParse(t, `{"id":"a","x-new":{"deep":[1,{"y":null}]},"at":77,"imp":[{"id":"1","banner":{"api":[99999],"pos":-3},"hologram":{"w":"tall"},
		"ext":{"a": 1 , "b":"\u00e9"}}],"device":{"devicetype":900},"app":{"page":7},"ext": {"keep" : [ 1,2 ]}}`)
	if r.At != 77 || r.Device.DeviceType != 900 || r.Inventory.Kind != AppInventory {
		t.Errorf("unknown values changed: %+v", r)
	}
	if got := string(r.Ext.Bytes()); got != `{"keep" : [ 1,2 ]}` {
		t.Errorf("ext: %s", got)
	}
	if got := string(r.Imp[0].Ext.Bytes()); got != `{"a": 1 , "b":"\u00e9"}` {
		t.Errorf("imp.ext: %s", got)
	}
}

func TestRule04Required(t *testing.T) {
	checkRefusals(t, []refusal{
		{`{}`, Missing, "id: missing"},
		{`{"id":"",` + oneImp + `}`, Missing, "id: missing"},
		{`{"id":null,` + oneImp + `}`, Missing, "id: missing"},
		{`{"id":"a"}`, Missing, "imp: missing"},
		{`{"id":"a","imp":[]}`, Missing, "imp: missing"},
		{`{"id":"a","imp":null}`, Missing, "imp: missing"},
		{`{"id":"a","imp":[{"banner":{}}]}`, Missing, "imp[0].id: missing"},
		{`{"id":"a","imp":[{"id":"1"}]}`, Missing, "imp[0].banner|video|audio|native: missing"},
		{`{"id":"a","imp":[{"id":"1","banner":null}]}`, Missing, "imp[0].banner|video"},
		{`{"id":"a","imp":[{"id":"1","banner":{}},{"id":"1","banner":{}}]}`, Duplicate, "imp[1].id: duplicate"},
		{`{"id":"a","imp":[{"id":"é","banner":{}},{"id":"\u00e9","banner":{}}]}`, Duplicate, "imp[1].id: duplicate"},
		{`{"id":"a","imp":[{"id":"\u0065","banner":{}},{"id":"\u0065","banner":{}}]}`, Duplicate, "imp[1].id"},
		{`{"id":"a",` + oneImp + `,"site":{},"app":{}}`, Conflict, "app: more than one of site, app, dooh"},
		{`{"id":"a",` + oneImp + `,"dooh":{},"site":{}}`, Conflict, "site: more than one"},
	})
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf(`{"id":"%d","native":{}}`, i)
	}
	mustParse(t, `{"id":"a","imp":[`+strings.Join(many, ",")+`]}`)
	many[29] = `{"id":"1\u0032","native":{}}` // "12"
	checkRefusals(t, []refusal{{`{"id":"a","imp":[` + strings.Join(many, ",") + `]}`, Duplicate, "imp[29].id"}})

	// What the specification only recommends is not asked for.
	for _, body := range []string{
		`{"id":"a",` + oneImp + `}`,
		`{"id":"a",` + oneImp + `,"site":{}}`,
		`{"id":"a",` + oneImp + `,"site":null,"app":{}}`,
		`{"id":"a",` + oneImp + `,"site":{},"site":null,"app":{}}`,
		`{"id":"a","imp":[{"id":"1","banner":{},"metric":[{}]}],"device":{},"user":{},"regs":{},"source":{}}`,
	} {
		mustParse(t, body)
	}
}

func TestRule05WildNumbers(t *testing.T) {
	r := mustParse(t, `{"id":"a","tmax":933.33,"at":"1","imp":[{"id":"1","bidfloor":"1.5","secure":"1","banner":{"w":"300","h":250.0,
		"format":[{"w":3e2,"h":"250"},{"w":-1,"h":2},{"w":1e999,"h":2},{"w":"wide"},{"w":728,"h":90},null],"battr":[1,"2",null,3.5,4]}}]}`)
	b := &r.Imp[0].Banner
	if r.TMax != 933 || r.At != FirstPrice || r.Imp[0].BidFloor != 1_500_000 || !r.Imp[0].Secure || b.W != 300 || b.H != 250 {
		t.Errorf("%+v", r)
	}
	if got := r.Formats(b.Formats); len(got) != 2 || got[0] != (Format{W: 300, H: 250}) || got[1] != (Format{W: 728, H: 90}) {
		t.Errorf("formats %v: the invalid ones are left out, nothing more", got)
	}
	if got := fmt.Sprint(r.Ints(b.BAttr)); got != "[1 2 4]" {
		t.Errorf("battr %s", got)
	}
	checkRefusals(t, []refusal{
		{`{"id":"a","tmax":-1,` + oneImp + `}`, Invalid, "tmax: invalid value"},
		{`{"id":"a","tmax":1e999,` + oneImp + `}`, Invalid, "tmax"},
		{`{"id":"a","at":"x",` + oneImp + `}`, Invalid, "at"},
		{`{"id":"a","test":"maybe",` + oneImp + `}`, Invalid, "test"},
		{`{"id":"a","imp":[null]}`, Type, "imp[0]"},
		{`{"id":"a","imp":[1]}`, Type, "imp[0]"},
	})
}

func TestRule05UnreadableSideIssuesDoNotRefuse(t *testing.T) {
	mustParse(t, `{"id":"a","cattax":1e999,"allimps":"x",`+oneImp+`,"site":{"cattax":"x"},"user":{"yob":-1e99},"source":{"fd":NaN}}`)
}

func TestRule05InvalidObjectIsAllThatIsInvalid(t *testing.T) {
	r := mustParse(t, `{"id":"a","imp":[
		{"id":"1","banner":{"w":NaN},"video":{"w":640}},
		{"id":"2","banner":{"w":-300}},
		{"id":"3","bidfloor":1e999,"banner":{"w":300}},
		{"id":"4","bidfloor":Infinity,"banner":{}},
		{"id":"5","bidfloorcur":"money","banner":{}},
		{"id":"6","banner":{"w":300.5},"pmp":{"deals":[{"id":"x","bidfloor":-Infinity},{"id":"y","bidfloor":2},null]}},
		{"id":"7","banner":{"w":99999999999}},
		{"id":"8","banner":{"w":300}}],
		"device":{"w":"NaN","lmt":"maybe","geo":{"lat":1e999,"lon":1,"country":"USA"},"ua":"x"},"regs":{"coppa":1e999},"user":{"yob":"19xx","id":"u"}}`)
	var got []string
	for i := range r.Imp {
		m := &r.Imp[i]
		got = append(got, fmt.Sprint(m.Invalid, m.Media.Has(BannerMedia), m.Media.Has(VideoMedia), m.Listed.Len()))
	}
	want := "false false true 2|false false false 1|true false false 1|true false false 1|true false false 1|false false false 1|false false false 1|false true false 1"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("imps\n%s, want\n%s", s, want)
	}
	if d := r.Deals(r.Imp[5].Deals); len(d) != 1 || !d[0].ID.Equal("y") {
		t.Errorf("deals %v", d)
	}
	if d := &r.Device; d.Geo.Present || d.W != 0 || !d.UA.Equal("x") || !r.User.ID.Equal("u") {
		t.Errorf("device %+v, user %+v", d, r.User)
	}
	if !r.Device.LMT || !r.Regs.COPPA {
		t.Error("a privacy flag that can't be read does not count as set")
	}
}

func TestRule05NullIsAbsentAndLastDuplicateWins(t *testing.T) {
	r := mustParse(t, `{"id":"old","id":"new","cur":["EUR"],"cur":null,"bcat":[null,"IAB1",null],"tmax":5,"tmax":null,
		"imp":[{"id":"9","banner":{}},{"id":"8","banner":{}}],
		"imp":[{"id":"1","banner":{"w":1},"banner":null,"video":null,"native":{},"pmp":{"private_auction":1,"deals":[{"id":"d"}]},"pmp":{"private_auction":0}}],
		"device":{"ua":"first","ip":"192.0.2.1","geo":null},"device":{"ua":"second"},"user":null,"regs":null,"site":{"page":"p","content":{"language":"en"}},"site":{"id":"s"},"ext":null}`)
	if !r.ID.Equal("new") || r.Cur.Len() != 0 || r.TMax != 0 || len(r.Strs(r.BCat)) != 1 || r.Ext.Present() {
		t.Errorf("%+v", r)
	}
	if len(r.Imp) != 1 || !r.Imp[0].ID.Equal("1") || r.Imp[0].Media != NativeMedia.Mask() || r.Imp[0].Banner.W != 0 || r.Imp[0].PrivateAuction || r.Imp[0].Deals.Len() != 0 {
		t.Errorf("imp %+v", r.Imp)
	}
	if !r.Device.UA.Equal("second") || r.Device.IP.Present() || r.User.Present || r.Regs.Present {
		t.Errorf("device %+v", r.Device)
	}
	if n := &r.Inventory; !n.ID.Equal("s") || n.Page.Present() || n.Content.Present {
		t.Errorf("site %+v", n)
	}
}

func TestRule05Caps(t *testing.T) {
	nest := func(n int) string {
		return `{"id":"a",` + oneImp + `,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	mustParse(t, nest(DepthMax-1))
	checkRefusals(t, []refusal{
		{nest(DepthMax), TooDeep, "nested too deep"},
		{strings.Repeat(`{"a":`, 100_000), TooDeep, "nested"},
		{`{"id":"a","imp":[` + strings.Repeat(`{"id":"1","banner":{}},`, 101), TooMany, "imp: too many"},
	})
	var r BidRequest
	if e := ParseLimits([]byte(nest(5)), &r, Limits{Depth: 5, Imps: 1, Items: 8}); e.Code != TooDeep {
		t.Errorf("depth 5: %v", e)
	}
	if e := ParseLimits([]byte(`{"id":"a","imp":[{"id":"1","banner":{}},{"id":"2","banner":{}}]}`), &r, Limits{Depth: 5, Imps: 1, Items: 8}); e.Code != TooMany {
		t.Errorf("two imps: %v", e)
	}
}

func TestRule09FloorCurrencies(t *testing.T) {
	r := mustParse(t, `{"id":"a","imp":[{"id":"1","banner":{},"bidfloor":0.1,"bidfloorcur":"eur","pmp":{"deals":[{"id":"d","bidfloor":1e-05},{"id":"e","bidfloor":2,"bidfloorcur":"GBP","at":3}]}},{"id":"2","video":{}}]}`)
	m, d := &r.Imp[0], r.Deals(r.Imp[0].Deals)
	if m.BidFloor != 100_000 || m.BidFloorCur.String() != "EUR" || r.Imp[1].BidFloorCur != unit.USD || r.Imp[1].HasBidFloor {
		t.Errorf("%+v", r.Imp)
	}
	if d[0].BidFloor != 10 || d[0].BidFloorCur != unit.USD || d[1].BidFloorCur.String() != "GBP" || d[1].At != FixedPrice {
		t.Errorf("a deal's floor currency does not inherit: %+v", d)
	}
}

func TestRule10PrivateAuction(t *testing.T) {
	r := mustParse(t, `{"id":"a","imp":[{"id":"1","banner":{},"pmp":{"private_auction":1,"deals":[{"id":"d","wseat":["s1","s2"],"wadomain":["a.example"]}]}},{"id":"2","banner":{},"pmp":{}}]}`)
	if !r.Imp[0].PrivateAuction || !r.Imp[0].HasPMP || r.Imp[1].PrivateAuction || !r.Imp[1].HasPMP {
		t.Errorf("%+v", r.Imp)
	}
	d := r.Deals(r.Imp[0].Deals)[0]
	if s := r.Strs(d.WSeat); len(s) != 2 || !s[1].Equal("s2") || !r.Strs(d.WADomain)[0].Equal("a.example") {
		t.Errorf("%+v", d)
	}
}

func TestRule14AtIsKeptAsGiven(t *testing.T) {
	if r := mustParse(t, `{"id":"a",`+oneImp+`}`); r.At != 0 {
		t.Errorf("absent at is %d; its reader decides that 0 means second price", r.At)
	}
}

func TestRule19TestFlag(t *testing.T) {
	for body, want := range map[string]bool{`1`: true, `0`: false, `"1"`: true, `true`: true, `null`: false} {
		if r := mustParse(t, `{"id":"a","test":`+body+`,`+oneImp+`}`); r.Test != want {
			t.Errorf("test %s is %v", body, r.Test)
		}
	}
}

func TestRule20BothPlaces(t *testing.T) {
	old := mustParse(t, `{"id":"a","imp":[{"id":"1","banner":{},"ext":{"prebid":{"is_rewarded_inventory":1}}}],
		"regs":{"ext":{"gdpr":1,"us_privacy":"1YNN","gpp":"DBAA"}},"user":{"ext":{"consent":"CO","eids":[{"source":"s"}]}},"source":{"ext":{"schain":{"ver":"1.0"}}}}`)
	new := mustParse(t, `{"id":"a","imp":[{"id":"1","banner":{},"rwdd":1}],
		"regs":{"gdpr":1,"us_privacy":"1YNN","gpp":"DBAA","ext":{"gdpr":0,"us_privacy":"1---","gpp":"other"}},
		"user":{"consent":"CO","eids":[{"source":"s"}],"ext":{"consent":"other","eids":[]}},"source":{"schain":{"ver":"1.0"},"ext":{"schain":{}}}}`)
	for name, r := range map[string]*BidRequest{"2.5": old, "2.6": new} {
		if !r.Imp[0].Rwdd || !r.Regs.GDPR || !r.Regs.HasGDPR || !r.Regs.USPrivacy.Equal("1YNN") || !r.Regs.GPP.Equal("DBAA") ||
			!r.User.Consent.Equal("CO") || string(r.User.EIDs.Bytes()) != `[{"source":"s"}]` || string(r.Source.SChain.Bytes()) != `{"ver":"1.0"}` {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// In ext nothing has to be of a type.
	mustParse(t, `{"id":"a","imp":[{"id":"1","banner":{},"ext":"x"}],"regs":{"ext":{"gdpr":{},"us_privacy":7,"gpp":[]}},"user":{"ext":{"consent":5,"eids":"x"}},"source":{"ext":[]}}`)
}

func TestRule22Exp(t *testing.T) {
	if r := mustParse(t, `{"id":"a","imp":[{"id":"1","banner":{},"exp":360}]}`); r.Imp[0].Exp != 360 {
		t.Errorf("exp %d", r.Imp[0].Exp)
	}
}

func TestRule23ManyImps(t *testing.T) {
	imps := make([]string, 100)
	for i := range imps {
		imps[i] = fmt.Sprintf(`{"id":"imp-%d","banner":{"format":[{"w":%d,"h":1}]}}`, i, i)
	}
	r := mustParse(t, `{"id":"a","imp":[`+strings.Join(imps, ",")+`]}`)
	for i := range r.Imp {
		if f := r.Formats(r.Imp[i].Banner.Formats); len(f) != 1 || f[0].W != int32(i) || !r.Imp[i].ID.Equal(fmt.Sprint("imp-", i)) {
			t.Fatalf("imp %d: %+v", i, f)
		}
	}
}

func TestTextDecoding(t *testing.T) {
	cases := map[string]string{
		`plain`: "plain", `a\"b\\c\/d\b\f\n\r\t`: "a\"b\\c/d\b\f\n\r\t", `\u00e9\ud83d\ude00x`: "é😀x",
		`\ud800`: "\ufffd", `\ud800\u0041`: "\ufffdA", `\udc00\ud800\udc00`: "\ufffd\U00010000", "bad\xffbyte": "bad\ufffdbyte", `x\u0000y`: "x\x00y",
	}
	for raw, want := range cases {
		r := mustParse(t, `{"id":"`+raw+`",`+oneImp+`}`)
		if got := r.ID.String(); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
		if !strings.ContainsRune(want, '\ufffd') && !r.ID.Equal(want) || r.ID.Equal(want+"x") || r.ID.Equal("") {
			t.Errorf("%q: Equal", raw)
		}
	}
	r := mustParse(t, `{"id":"a","imp":[{"id":"\u0049\u0044","b\u0061nner":{"\u0077":7}}],"device":{"os":"iOS","make":"\u0041pple"}}`)
	if r.Imp[0].Banner.W != 7 || !r.Device.OS.EqualFold("ios") || !r.Device.Make.EqualFold("apple") || string(r.Device.Make.AppendLower(nil)) != "apple" {
		t.Errorf("escaped keys and folding: %+v", r.Device)
	}
}

func TestViewIsReusable(t *testing.T) {
	var r, fresh BidRequest
	full := richRequest
	small := []byte(`{"id":"b","imp":[{"id":"1","native":{}}]}`)
	for range 3 {
		if e := Parse(full, &r); !e.OK() {
			t.Fatal(e)
		}
		if e := Parse([]byte(`{"id":"x","device":{"ua":"u"},"imp":[{`), &r); e.OK() {
			t.Fatal("broken JSON accepted")
		}
		if e := Parse(small, &r); !e.OK() {
			t.Fatal(e)
		}
	}
	Parse(small, &fresh)
	if a, b := r.Imp[0], fresh.Imp[0]; a.imp != b.imp || a.Banner != b.Banner || a.Video != b.Video || a.Audio != b.Audio || a.Native != b.Native || r.Inventory != fresh.Inventory || r.Device != fresh.Device || r.User != fresh.User || r.Regs != fresh.Regs || r.Source != fresh.Source {
		t.Errorf("left over from earlier requests:\n%+v\n%+v", a, b)
	}
}
