package node

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

// Rules of OpenRTB that hold of the server as a whole; docs/openrtb.md lists
// them.

func TestRule01StatusAndType(t *testing.T) {
	n := start(t, testConfig(t))
	for _, c := range []struct {
		name, body, header string
		status             int
	}{
		{"no type is JSON", paidBody, "", 200},
		{"JSON", paidBody, "Content-Type: application/json", 200},
		{"nothing to say", `{"id":"r","imp":[{"id":"1","banner":{"w":1,"h":1}}]}`, "", 204},
		{"malformed", `{"id":"r","imp":[{"id":"1","banner":{}}`, "", 400},
		{"no object", `[]`, "", 400},
		{"no request", `{"id":"r"}`, "", 400},
	} {
		a := ask(t, n, "POST", "/openrtb2/auction", c.body, c.header)
		if a.status != c.status || (a.status == 204) != (a.body == "") {
			t.Errorf("%s: %d %q, want %d", c.name, a.status, a.body, c.status)
		}
		if a.status == 400 && (len(a.body) > 200 || strings.ContainsAny(strings.TrimSpace(a.body), "\n<{")) {
			t.Errorf("%s: %q is no short plain reason", c.name, a.body)
		}
	}
}

func TestRule18GzipBodies(t *testing.T) {
	c := testConfig(t)
	n := start(t, c)
	zip := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(s)); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	good := zip(paidBody)
	const header = "Content-Encoding: gzip"
	for _, x := range []struct {
		name, body, header string
		status             int
	}{
		{"gzip by header", good, header, 200},
		{"in any case", good, "Content-Encoding: GZIP", 200},
		{"gzip without the header", good, "", 400},
		{"the header without gzip", paidBody, header, 400},
		{"cut off", good[:len(good)-6], header, 400},
		{"a broken checksum", good[:len(good)-8] + "xxxx" + good[len(good)-4:], header, 400},
		{"a bomb", zip(strings.Repeat(" ", 64<<20) + paidBody), header, 413},
	} {
		if a := ask(t, n, "POST", "/openrtb2/auction", x.body, x.header); a.status != x.status {
			t.Errorf("%s: %d %q, want %d", x.name, a.status, a.body, x.status)
		}
	}
}

// TestRule24LossesAreCounted: every candidate that did not win is told of in an
// explained answer and counted by its reason always.
func TestRule24LossesAreCounted(t *testing.T) {
	n := start(t, testConfig(t))
	a := ask(t, n, "POST", "/openrtb2/auction", paidBody, "X-Millrace-Debug: 1")
	for _, want := range []string{`"line_item":"paid"`, `"result":"won"`, `"line_item":"house"`, `"lost to a higher bid"`, `no creative of an offered format and size`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in the explanation: %s", want, a.body)
		}
	}
	metrics := ask(t, n, "GET", "http://"+n.AdminAddr().String()+"/metrics", "").body
	if !strings.Contains(metrics, `candidates_lost`) || !strings.Contains(metrics, `reason="lost to a higher bid"`) {
		t.Error("the metrics do not count losses by reason")
	}
}
