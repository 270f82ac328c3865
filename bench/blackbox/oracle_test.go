package blackbox

import (
	"net/http"
	"strings"
	"testing"
)

// The oracles judge the server, so they are judged first.

func TestJudge(t *testing.T) {
	const banner = `"banner":{"w":300,"h":250}`
	for body, want := range map[string]Verdict{
		`{"id":"1","imp":[{"id":"1",` + banner + `}]}`:                           MustAnswer,
		`{"id":"1","imp":[{"id":"1",` + banner + `}],"site":{},"app":null}`:      MustAnswer,
		`{"id":"1","imp":[{"id":"1",` + banner + `}],"site":{},"app":{}}`:        MustRefuse,
		`{"id":"1","imp":[{"id":"1",` + banner + `},{"id":"1",` + banner + `}]}`: MustRefuse,
		`{"id":"1","imp":[{"id":"1",` + banner + `}],"tmax":-1}`:                 MustRefuse,
		`{"id":"1","imp":[{"id":"1",` + banner + `}],"tmax":"-1"}`:               MustRefuse,
		`{"id":"1","imp":[{"id":"1"}]}`:                                          MustRefuse,
		`{"id":"1","imp":[{` + banner + `}]}`:                                    MustRefuse,
		`{"id":"1","imp":[null]}`:                                                MustRefuse,
		`{"id":"1","imp":[]}`:                                                    MustRefuse,
		`{"imp":[{"id":"1",` + banner + `}]}`:                                    MustRefuse,
		`{"id":"","imp":[{"id":"1",` + banner + `}]}`:                            MustRefuse,
		`{"id":1,"imp":[{"id":"1",` + banner + `}]}`:                             Either,
		`{"id":"1","imp":[{"id":"1","banner":[]}]}`:                              Either,
		`{"id":"1","imp":[{"id":"1",` + banner + `}],"ext":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`: MustRefuse,
		`[]`: MustRefuse, `null`: MustRefuse, `{"id":"1"`: MustRefuse, ``: MustRefuse,
	} {
		if got, why := Judge([]byte(body)); got != want {
			t.Errorf("%.120s: %v (%s), want %v", body, got, why, want)
		}
	}
}

const (
	goodRequest = `{"id":"r","cur":["USD"],"imp":[{"id":"1","bidfloor":"1.5","secure":1,"banner":{"format":[{"w":300,"h":250}]}}]}`
	goodBid     = `{"id":"b","impid":"1","price":2,"adm":"<img src=\"https://a.example/e/i?t=AAAA\">","cid":"c","crid":"k","adomain":["x.example"],"w":300,"h":250,"mtype":1}`
)

func TestCheckAnswer(t *testing.T) {
	answer := func(bid string) string { return `{"id":"r","seatbid":[{"seat":"s","bid":[` + bid + `]}],"cur":"USD"}` }
	alter := func(old, new string) string { return answer(strings.Replace(goodBid, old, new, 1)) }
	cases := []struct{ name, body, want string }{
		{"good", answer(goodBid), ""},
		{"other id", strings.Replace(answer(goodBid), `"id":"r"`, `"id":"q"`, 1), "request id"},
		{"other currency", strings.Replace(answer(goodBid), "USD", "EUR", 1), "in EUR"},
		{"unknown field", alter(`"price"`, `"prize":1,"price"`), "does not decode"},
		{"price as text", alter(`"price":2`, `"price":"2"`), "does not decode"},
		{"trailing", answer(goodBid) + "x", "follows"},
		{"no bid", answer(""), "without a bid"},
		{"twice the same id", answer(goodBid + "," + goodBid), "used twice"},
		{"unknown imp", alter(`"impid":"1"`, `"impid":"2"`), "does not have"},
		{"under the floor", alter(`"price":2`, `"price":1.4`), "floor"},
		{"negative", alter(`"price":2`, `"price":-1`), "price -1"},
		{"free under a floor", alter(`"price":2`, `"price":0`), "under the floor"},
		{"no creative id", alter(`"crid":"k",`, ``), "missing"},
		{"video for a banner", alter(`"mtype":1`, `"mtype":2`), "mtype"},
		{"size", alter(`"w":300`, `"w":320`), "size"},
		{"insecure", alter("https://a", "http://a"), "secure"},
		{"no impression URL", alter("/e/i", "/e/x"), "no impression URL"},
		{"deal out of nowhere", alter(`"cid"`, `"dealid":"d","cid"`), "deal"},
		{"not UTF-8", alter("x.example", "x\xff.example"), "UTF-8"},
	}
	for _, c := range cases {
		err := CheckAnswer([]byte(goodRequest), Answer{200, http.Header{"Content-Type": {"application/json"}}, []byte(c.body)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		request string
		a       Answer
		good    bool
	}{
		{goodRequest, Answer{Status: 204}, true},
		{goodRequest, Answer{Status: 204, Body: []byte("x")}, false},
		{goodRequest, Answer{Status: 400, Body: []byte("imp[0].id: missing")}, false},
		{goodRequest, Answer{Status: 503}, false},
		{`{}`, Answer{Status: 400, Body: []byte("id: missing")}, true},
		{`{}`, Answer{Status: 400}, false},
		{`{}`, Answer{Status: 400, Body: []byte(strings.Repeat("x", 513))}, false},
		{`{}`, Answer{Status: 204}, false},
		{goodRequest, Answer{Status: 200, Body: []byte(answer(goodBid))}, false}, // no content type
	} {
		if err := CheckAnswer([]byte(c.request), c.a); (err == nil) != c.good {
			t.Errorf("status %d to %.40s: %v", c.a.Status, c.request, err)
		}
	}
}

func TestTrackingURLs(t *testing.T) {
	for _, adm := range []string{
		`<a href="http://h:1/e/c?t=C_-1&amp;x=1"><img src='http://h:1/e/i?t=I1'></a>`,
		`<VAST><Impression><![CDATA[http://h:1/e/i?t=I1]]></Impression><ClickThrough>http://h:1/e/c?t=C_-1</ClickThrough></VAST>`,
		`{"native":{"link":{"url":"http:\/\/h:1\/e\/c?t=C_-1"},"imptrackers":["http://h:1/e/i?t=I1"]}}`,
	} {
		got := TrackingURLs(adm)
		if len(got.Impressions) != 1 || got.Impressions[0] != "http://h:1/e/i?t=I1" || len(got.Clicks) != 1 || got.Clicks[0] != "http://h:1/e/c?t=C_-1" {
			t.Errorf("%s: %+v", adm, got)
		}
	}
}

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics([]byte("# HELP a_total x\n# TYPE a_total counter\na_total{shard=\"0\"} 1\na_total{shard=\"1\"} 2.5\n\nb 1e3\n"))
	if err != nil || got["a_total"] != 3.5 || got["b"] != 1000 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"a\n", "a x\n", "# TYPE a counter\n# TYPE a counter\n"} {
		if _, err := parseMetrics([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
