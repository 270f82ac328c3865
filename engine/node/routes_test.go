package node

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	n := start(t, testConfig(t))
	const jsonType = "Content-Type: application/json"
	_, links := bid(t, n, paidBody)
	forged := links['i'][:len(links['i'])-4] + "AAAA"
	for _, c := range []struct {
		name, method, path, body, header string
		status                           int
		says                             string // in the body, or "Name: value" of a header
	}{
		{"bid", "POST", "/openrtb2/auction", paidBody, jsonType, 200, `"id":"r1"`},
		{"bid says its version", "POST", "/openrtb2/auction", paidBody, jsonType, 200, "X-Openrtb-Version: 2.6"},
		{"bid without a type", "POST", "/openrtb2/auction", paidBody, "", 200, "Content-Type: application/json"},
		{"bid of a charset", "POST", "/openrtb2/auction", paidBody, "Content-Type: application/json; charset=utf-8", 200, ""},
		{"bid of a JSON subtype", "POST", "/openrtb2/auction", paidBody, "Content-Type: application/openrtb+json", 200, ""},
		{"no bid", "POST", "/openrtb2/auction", `{"id":"r","imp":[{"id":"1","banner":{"w":1,"h":1}}]}`, jsonType, 204, ""},
		{"query is ignored", "POST", "/openrtb2/auction?x=1", paidBody, jsonType, 200, ""},
		{"protobuf", "POST", "/openrtb2/auction", paidBody, "Content-Type: application/x-protobuf", 415, "application/json"},
		{"not JSON", "POST", "/openrtb2/auction", "hello", jsonType, 400, ""},
		{"no imp", "POST", "/openrtb2/auction", `{"id":"1"}`, jsonType, 400, "imp"},
		{"no id", "POST", "/openrtb2/auction", `{"imp":[{"id":"1","banner":{}}]}`, jsonType, 400, "id"},
		{"imp without id", "POST", "/openrtb2/auction", `{"id":"1","imp":[{"banner":{}}]}`, jsonType, 400, "imp[0].id"},
		{"truncated", "POST", "/openrtb2/auction", paidBody[:40], jsonType, 400, ""},
		{"empty body", "POST", "/openrtb2/auction", "", jsonType, 400, ""},
		{"GET of the auction", "GET", "/openrtb2/auction", "", "", 405, "Allow: POST"},
		{"POST of a beacon", "POST", links['i'], "", "", 405, "Allow: GET, HEAD"},
		{"POST of readyz", "POST", "/readyz", "", "", 405, "Allow: GET, HEAD"},
		{"DELETE of healthz", "DELETE", "/healthz", "", "", 405, "Allow: GET, HEAD"},
		{"root", "GET", "/", "", "", 404, "/openrtb2/auction"},
		{"below the auction", "POST", "/openrtb2/auction/x", "", jsonType, 404, ""},
		{"no such event", "GET", "/e/x?t=1", "", "", 404, "/e/i"},
		{"event prefix", "GET", "/e/", "", "", 404, ""},
		{"no token", "GET", "/e/i", "", "", 400, "token"},
		{"empty token", "GET", "/e/i?t=", "", "", 400, "token"},
		{"not a token", "GET", "/e/i?t=x!", "", "", 400, "token"},
		{"forged", "GET", forged, "", "", 403, ""},
		{"impression as click", "GET", strings.Replace(links['i'], "/e/i", "/e/c", 1), "", "", 403, ""},
		{"health", "GET", "/healthz", "", "", 200, "ok"},
		{"HEAD of health", "HEAD", "/healthz", "", "", 200, "Content-Length: 3"},
		{"ready", "GET", "/readyz", "", "", 200, "ready"},
		{"HEAD of ready", "HEAD", "/readyz", "", "", 200, ""},
		{"beacon behind other parameters", "GET", strings.Replace(links['i'], "?", "?a=1&x&", 1) + "&cb=7", "", "", 204, "Cache-Control: no-store"},
		{"HEAD of a click", "HEAD", links['c'], "", "", 302, "Location: https://acme.example/land"},
	} {
		a := ask(t, n, c.method, c.path, c.body, c.header)
		if a.status != c.status {
			t.Errorf("%s: %d %q, want %d", c.name, a.status, a.body, c.status)
		}
		if name, value, ok := strings.Cut(c.says, ": "); ok && name == strings.TrimSpace(name) && !strings.Contains(name, " ") {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, value)
			}
		} else if !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %q does not say %q", c.name, a.body, c.says)
		}
		if c.method == "HEAD" && a.body != "" {
			t.Errorf("%s: a body", c.name)
		}
	}
}

// TestRule22ImpressionExpires: imp.exp bounds how long the impression's token is
// good; whoever comes later is told that it is gone.
func TestRule22ImpressionExpires(t *testing.T) {
	n := start(t, testConfig(t))
	_, links := bid(t, n, strings.Replace(paidBody, `"id":"1"`, `"id":"1","exp":1`, 1))
	for range 100 {
		if a := ask(t, n, "GET", links['i'], ""); a.status == 410 {
			return
		} else if a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		wait(50)
	}
	t.Error("a token of one second is good for five")
}

func TestDebugHeader(t *testing.T) {
	c := testConfig(t)
	explained := func(n *Node, header string) (e struct {
		Ext struct {
			Millrace struct {
				Imps []struct {
					Candidates []struct{ Line, Result string }
				}
			}
		}
	}) {
		a := ask(t, n, "POST", "/openrtb2/auction", paidBody, header)
		if err := json.Unmarshal([]byte(a.body), &e); a.status != 200 || err != nil {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		return e
	}
	n := start(t, c)
	e := explained(n, "X-Millrace-Debug: 1")
	if len(e.Ext.Millrace.Imps) != 1 || len(e.Ext.Millrace.Imps[0].Candidates) != 2 || e.Ext.Millrace.Imps[0].Candidates[0].Result != "won" {
		t.Errorf("the explanation: %+v", e)
	}
	for _, header := range []string{"X-Millrace-Debug: 0", "X-Other: 1"} {
		if e := explained(n, header); len(e.Ext.Millrace.Imps) > 0 {
			t.Errorf("%s is explained", header)
		}
	}
	stop(t, n)
	c.DebugHeader = false
	if e := explained(start(t, c), "X-Millrace-Debug: 1"); len(e.Ext.Millrace.Imps) > 0 {
		t.Error("explained though debug_header is off")
	}
}

// TestPreviewIsNoEvent: a HEAD of a tracking URL is answered like the event and
// counts as none; the GET that follows is still the first.
func TestPreviewIsNoEvent(t *testing.T) {
	n := start(t, testConfig(t))
	links := paid(t, n, paidBody, "paid-cr")
	for range 3 {
		expectStatus(t, n, 204, "HEAD", links['i'])
		expectStatus(t, n, 302, "HEAD", links['c'])
	}
	if total, line := spent(t, n); total != "0" || line.Impressions+line.Clicks > 0 {
		t.Fatalf("after previews: spent %s, %d impressions, %d clicks", total, line.Impressions, line.Clicks)
	}
	expectStatus(t, n, 204, "GET", links['i'])
	expectStatus(t, n, 302, "GET", links['c'])
	if total, line := spent(t, n); total == "0" || line.Impressions != 1 || line.Clicks != 1 {
		t.Fatalf("after the events: spent %s, %d impressions, %d clicks", total, line.Impressions, line.Clicks)
	}
}

// TestCompressedAnswers: the configuration's gzip reaches the wire.
func TestCompressedAnswers(t *testing.T) {
	for _, mode := range []GzipMode{GzipAuto, GzipOff} {
		c := testConfig(t)
		c.Gzip.Answers, c.Gzip.BytesMin = mode, 512
		n := start(t, c)
		plain := ask(t, n, "POST", "/openrtb2/auction", paidBody, "Accept-Encoding: identity")
		zipped := ask(t, n, "POST", "/openrtb2/auction", paidBody, "Accept-Encoding: gzip")
		if plain.status != 200 || zipped.status != 200 || plain.header.Get("Content-Encoding") != "" {
			t.Fatalf("%s: %d, %d %v", mode, plain.status, zipped.status, plain.header)
		}
		if vary := plain.header.Get("Vary"); (vary != "") != (mode == GzipAuto) {
			t.Errorf("%s: Vary %q", mode, vary)
		}
		if is := zipped.header.Get("Content-Encoding") == "gzip"; is != (mode == GzipAuto) {
			t.Errorf("%s: compressed %v", mode, is)
		}
		if mode == GzipOff {
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(zipped.body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil || !json.Valid(text) || len(text) <= len(zipped.body) || !strings.Contains(string(text), `"id":"r1"`) {
			t.Errorf("%v: %s", err, text)
		}
	}
}
