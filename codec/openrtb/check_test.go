package openrtb

import (
	"fmt"
	"strings"
	"testing"
)

func told(findings []Finding) string {
	var out []string
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%v %d %s", f.Severity, f.Rule, f.Path))
		if f.Message == "" || f.Remedy == "" {
			out = append(out, "without words")
		}
	}
	return strings.Join(out, "; ")
}

func TestCheckRequest(t *testing.T) {
	var c Checker
	const good = `{"id":"a","at":1,"imp":[{"id":"1","banner":{"w":300,"h":250}}]`
	for body, want := range map[string]string{
		good + `}`: "",
		good + `,"site":{"page":"p","content":{"producer":{"id":"x"},"data":[{"segment":[{"id":"s"}]}]}},"device":{"geo":{"lat":1.5}},"source":{"schain":{"nodes":[{"asi":"a"}]}}}`: "",
		`{"id":"a"`:                        "error 1 ",
		`{"id":"a","imp":[{"banner":{}}]}`: "error 4 imp[0].id",
		good + `,"site":{},"app":{}}`:      "error 4 app",
		good + `,"tmax":-1}`:               "error 5 tmax",
		good + `,"tmax":933.33}`:           "warning 5 tmax",
		good + `,"at":"1"}`:                "warning 5 at; warning 5 at",
		good + `,"wseat":["a"],"bseat":["b"],"cur":["USD","dollars"]}`:                               "error 11 bseat; error 9 cur",
		good + `,"badvv":[],"x-own":1,"ext":{"badvv":1}}`:                                            "warning 3 badvv",
		good + `,"regs":{"gdpr":1},"source":{"schain":{"ver":"1.0"}}}`:                               "warning 20 user.consent; warning 21 source.schain.nodes",
		`{"id":"a","imp":[{"id":"1","banner":{"w":-3}}]}`:                                            "error 5 imp[0].banner.w; warning 14 at; error 5 imp[0].banner",
		`{"id":"a","at":1,"imp":[{"id":"1","bidfloor":NaN,"video":{},"pmp":{"private_auction":1}}]}`: "error 5 imp[0].bidfloor; error 5 imp[0]; warning 10 imp[0].pmp.deals; warning 4 imp[0].video.mimes",
		`{"id":"a","at":1,"imp":[{"id":"1","native":{"request":"x"},"pmp":{"deals":[{"at":"1"}]}}]}`: "warning 5 imp[0].pmp.deals[0].at; error 10 imp[0].pmp.deals[0].id; error 4 imp[0].native.request",
		`{"id":"a","at":1,"imp":[{"id":"1","banner":{"format":[{"w":300.5,"h":1e99}]}}]}`:            "error 5 imp[0].banner.format[0].w; error 5 imp[0].banner.format[0].h",
		`{"id":"a","at":1,"imp":[{"id":"1","banner":{"pos":1e999,"format":[null,{"w":"300"}]}}]}`:    "error 5 imp[0].banner.pos; warning 5 imp[0].banner.format[1].w; error 5 imp[0].banner",
		`{"id":"a","id":"b","at":1,"imp":[{"id":"1","banner":{}}]}`:                                  "warning 5 id",
		`{"id":"a","at":1,"imp":[{"id":"1","banner":{"W":300}}],"device":{"w":"wide","hh":1,"h":2}}`: "warning 3 imp[0].banner.W; error 5 device.w",
		`{"id":"a","at":1,"imp":[` + strings.Repeat(`{"id":"1","banner":{}},`, 101) + `]}`:           "error 5 imp",
		`{"id":"a","at":1,"imp":[{"id":"1","banner":{}},{"id":"1","banner":{}}]}`:                    "error 4 imp[1].id",
	} {
		if got := told(c.Request([]byte(body))); got != want {
			t.Errorf("%s\n%s, want\n%s", body, got, want)
		}
	}
	many := strings.Repeat(`,"x":1`, 500)
	if f := c.Request([]byte(good + many + `}`)); len(f) != findingsMax+1 {
		t.Errorf("%d findings", len(f))
	}
}

func TestCheckResponse(t *testing.T) {
	var c Checker
	request := []byte(`{"id":"a","imp":[{"id":"1","banner":{},"bidfloor":2}]}`)
	bid := func(more string) string {
		return `{"id":"a","seatbid":[{"bid":[{"id":"b","impid":"1","price":3,"adm":"x","crid":"c","adomain":["a.example"],"mtype":1` + more + `}]}]}`
	}
	for _, x := range []struct {
		status         int
		body, want     string
		againstRequest bool
	}{
		{200, bid(""), "", false},
		{200, bid(""), "", true},
		{204, "", "", true},
		{200, "{}", "", true},
		{200, `{"id":"a","nbr":2}`, "", true},
		{200, "", "error 2 ", false},
		{200, "no", "error 2 ", false},
		{503, "", "error 2 ", false},
		{200, bid(`,"price":1`), "warning 5 seatbid[0].bid[0].price; error 9 seatbid[0].bid[0]", true},
		{200, bid(`,"w":-1`), "error 5 seatbid[0].bid[0].w; error 5 seatbid[0].bid[0]", true},
		{200, `{"cur":"dollar","seatbid":[{"bid":[{"impid":"2"}]}]}`, "error 9 cur; error 7 seatbid[0].bid[0].price; warning 13 seatbid[0].bid[0].id; warning 7 seatbid[0].bid[0].crid; warning 11 seatbid[0].bid[0].adomain; warning 8 seatbid[0].bid[0].mtype", false},
		{200, `{"id":"z","seatbid":[{"bid":[{"id":"b","impid":"2","crid":"c","adomain":["x"],"mtype":1}]}]}`, "warning 6 id; error 6 seatbid[0].bid[0]", true},
		{200, `{"id":"a","seatbid":[{"bid":[{"id":"b","impid":"1","price":1,"crid":"c","adomain":["x"],"mtype":1,"adomains":[]}]}]}`, "error 17 seatbid[0].bid[0].adm", false},
	} {
		var against []byte
		if x.againstRequest {
			against = request
		}
		if got := told(c.Response(x.status, []byte(x.body), against, &Policy{})); got != x.want {
			t.Errorf("%d %s\n%s, want\n%s", x.status, x.body, got, x.want)
		}
	}
	for r := range rejectReasons {
		if r != Accepted && r.remedy() == "" {
			t.Errorf("%v: no remedy", r)
		}
	}
}

// TestCheckAgrees: what the checker calls an error of the document is what the
// parser refuses, over real and broken input; and it never panics.
func TestCheckAgrees(t *testing.T) {
	var c Checker
	var r BidRequest
	for i, body := range append(seeds(t), fullResponse) {
		refused := !Parse(body, &r).OK()
		findings := c.Request(body)
		if refused != (len(findings) == 1 && findings[0].Severity == Fault) && refused {
			t.Errorf("%d: refused %v, found %s\n%s", i, refused, told(findings), body)
		}
		for _, f := range findings {
			if f.Offset < 0 || f.Offset > len(body) {
				t.Errorf("%+v", f)
			}
		}
		c.Response(200, body, richRequest, &Policy{})
	}
}
