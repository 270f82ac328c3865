package blackbox

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
)

const contentJSON = "Content-Type: application/json"

// badCase is one hostile request and what may come back. 0 is "closed without
// an answer".
type badCase struct {
	name      string
	out       []byte
	halfClose bool
	want      []int
}

func badCases(t *testing.T) []badCase {
	good := BannerRequest("bad", "u", "USA")
	zip := Gzip(t, good)
	bomb := Gzip(t, bytes.Repeat([]byte(" "), 64<<20))
	// A bomb in a bomb's place: many members, each small.
	members := bytes.Repeat(Gzip(t, bytes.Repeat([]byte("["), 100_000)), 200)
	broken := bytes.Clone(zip)
	broken[len(broken)/2] ^= 0xff
	latin := bytes.Replace(good, []byte("news.example"), []byte("n\xe9ws\xff.example"), 1)
	get := func(target string) []byte { return []byte("GET " + target + " HTTP/1.1\r\nHost: test\r\n\r\n") }
	cases := []badCase{
		{"good, to compare", Post(good, contentJSON), false, []int{200}},
		{"no content type is JSON", Post(good), false, []int{200}},
		{"charset", Post(good, "Content-Type: application/json; charset=utf-8"), false, []int{200}},
		{"gzip", Post(zip, contentJSON, "Content-Encoding: gzip"), false, []int{200}},
		{"chunked", Post(fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(good), good), contentJSON, "Transfer-Encoding: chunked"), false, []int{200}},

		{"truncated JSON", Post(good[:len(good)/2], contentJSON), false, []int{400}},
		{"truncated body", Post(good[:20], contentJSON, "Content-Length: 500"), true, []int{0, 400}},
		{"truncated head", []byte("POST /openrtb2/auction HT"), true, []int{0, 400}},
		{"empty body", Post(nil, contentJSON), false, []int{400}},
		{"nothing", nil, true, []int{0}},
		{"huge body", Post(bytes.Repeat([]byte("x"), 8<<20), contentJSON), false, []int{413}},
		{"huge length, no body", Post(nil, contentJSON, "Content-Length: 99999999999"), false, []int{413}},
		{"length beyond numbers", Post(nil, contentJSON, "Content-Length: 99999999999999999999999"), false, []int{400, 413}},
		{"huge chunk", Post([]byte("ffffffff\r\n"), contentJSON, "Transfer-Encoding: chunked"), false, []int{413}},
		{"chunk beyond numbers", Post([]byte("fffffffffffffffffffff\r\n"), contentJSON, "Transfer-Encoding: chunked"), false, []int{400, 413}},
		{"huge head", Post(good, contentJSON, "X-Fill: "+strings.Repeat("x", 64<<10)), false, []int{431}},
		{"huge target", get("/" + strings.Repeat("x", 64<<10)), false, []int{414, 431}},
		{"deep arrays", Post([]byte(`{"id":"1","ext":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}`), contentJSON), false, []int{400}},
		{"deep objects", Post([]byte(`{"id":"1","ext":`+strings.Repeat(`{"a":`, 50_000)+"1"+strings.Repeat("}", 50_000)+`}`), contentJSON), false, []int{400}},
		{"a thousand imps", Post([]byte(`{"id":"1","imp":[`+strings.Repeat(`{"id":"1","banner":{}},`, 999)+`{"id":"2","banner":{}}]}`), contentJSON), false, []int{400}},
		{"not UTF-8", Post(latin, contentJSON), false, []int{200, 204}},
		{"NUL bytes", Post(make([]byte, 1000), contentJSON), false, []int{400}},
		{"not JSON", Post([]byte("<xml/>"), contentJSON), false, []int{400}},
		{"wrong content type", Post(good, "Content-Type: text/xml"), false, []int{415, 400}},
		{"form", Post([]byte("a=1&b=2"), "Content-Type: application/x-www-form-urlencoded"), false, []int{415, 400}},
		{"bad gzip", Post(broken, contentJSON, "Content-Encoding: gzip"), false, []int{400}},
		{"cut gzip", Post(zip[:len(zip)-6], contentJSON, "Content-Encoding: gzip"), false, []int{400}},
		{"no gzip at all", Post(good, contentJSON, "Content-Encoding: gzip"), false, []int{400}},
		{"gzip bomb", Post(bomb, contentJSON, "Content-Encoding: gzip"), false, []int{413}},
		{"gzip bomb of members", Post(members, contentJSON, "Content-Encoding: gzip"), false, []int{400, 413}},
		{"unknown encoding", Post(good, contentJSON, "Content-Encoding: br"), false, []int{415}},

		{"no length", []byte("POST /openrtb2/auction HTTP/1.1\r\nHost: test\r\n" + contentJSON + "\r\n\r\n"), false, []int{411}},
		{"length and chunks", Post([]byte("0\r\n\r\n"), "Content-Length: 5", "Transfer-Encoding: chunked"), false, []int{400}},
		{"two lengths", Post(good, "Content-Length: 5", fmt.Sprintf("Content-Length: %d", len(good))), false, []int{400}},
		{"negative length", Post(good, "Content-Length: -5"), false, []int{400}},
		{"folded header", Post(good, "X-A: 1\r\n folded"), false, []int{400}},
		{"space before colon", Post(good, "Content-Length : 5"), false, []int{400}},
		{"not HTTP", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), false, []int{0, 400}},
		{"HTTP/2 preface", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), false, []int{0, 400, 505}},
		{"method", get("/openrtb2/auction"), false, []int{405}},
		{"unknown method", []byte("BREW /openrtb2/auction HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"), false, []int{400, 405, 501}},
		{"unknown path", get("/admin"), false, []int{404}},
		{"path above", get("/../../etc/passwd"), false, []int{400, 404}},
	}
	return cases
}

// TestBadInput sends what clients must not and sometimes do. Every case gets its
// status, refusals say why, nothing crashes, and the server answers on.
func TestBadInput(t *testing.T) {
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(NewCatalogFile(t,
		Line{Name: "paid", Price: "3", Total: "1000"}, Line{Name: "own", Kind: "house"}))})
	c := s.NewClient()
	firstBids(t, c, BannerRequest("warm", "u", "USA"))
	cases := badCases(t)
	before := s.Memory()
	for range 3 { // the second time round nothing may have been left behind
		for _, b := range cases {
			a, err := s.Raw(b.out, b.halfClose)
			switch {
			case err != nil:
				t.Errorf("%s: %v", b.name, err)
			case !slices.Contains(b.want, a.Status):
				t.Errorf("%s: status %d %s, want one of %v", b.name, a.Status, head(a.Body), b.want)
			case a.Status >= 400:
				if err := checkReason(a.Body); err != nil {
					t.Errorf("%s: %v", b.name, err)
				}
			}
		}
		firstBids(t, c, BannerRequest("after", "u", "USA"))
	}
	checkMemory(t, before, s.Memory(), 64<<20, "bad input")
	s.Stop()
}

// checkMemory: after garbage is collected the heap is as before, and the process
// has not taken more than the allowance.
func checkMemory(t *testing.T, before, after Memory, residentAllowance int64, what string) {
	t.Helper()
	t.Logf("%s: live heap %.1f → %.1f MiB, resident %.1f → %.1f MiB", what,
		mib(before.LiveBytes), mib(after.LiveBytes), mib(before.ResidentBytes), mib(after.ResidentBytes))
	const liveAllowance = 16 << 20
	if after.LiveBytes > before.LiveBytes+liveAllowance {
		t.Errorf("%s: the live heap grew from %.1f to %.1f MiB", what, mib(before.LiveBytes), mib(after.LiveBytes))
	}
	if raceEnabled {
		return // the detector's shadow memory is not ours
	}
	if after.ResidentBytes > before.ResidentBytes+residentAllowance {
		t.Errorf("%s: resident memory grew from %.1f to %.1f MiB", what, mib(before.ResidentBytes), mib(after.ResidentBytes))
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// TestBadTokens: what the server did not sign, or has outlived, changes nothing
// and leads nowhere.
func TestBadTokens(t *testing.T) {
	line := Line{Name: "paid", Price: "3", Total: "1000"}
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(NewCatalogFile(t, line))})
	c, signer := s.NewClient(), NewSigner()
	tracking := TrackingURLs(firstBids(t, c, BannerRequest("tokens", "u", "USA"))[0].AdM)
	impression, click := tracking.Impressions[0], tracking.Clicks[0]
	token, err := ReadToken(signer, click, event.Click)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(change func(*event.Token)) string {
		changed := token
		change(&changed)
		return "/e/c?t=" + string(signer.Append(nil, &changed))
	}
	path := func(tracking string) string { u, _ := url.Parse(tracking); return u.RequestURI() }
	text := path(click)
	// The last character but a few: inside the authentication code.
	flipped, at := []byte(text), len(text)-5
	flipped[at] = 'A'
	if text[at] == 'A' {
		flipped[at] = 'Q'
	}
	stranger, err := event.NewKeyring([]event.Key{{ID: SigningKeyID, Secret: []byte("another secret of thirty-two bytes")}}, SigningKeyID)
	if err != nil {
		t.Fatal(err)
	}
	evil := token
	evil.Landing = []byte("https://evil.example/")
	for _, b := range []struct {
		name, path string
		want       []int
	}{
		{"no token", "/e/i", []int{400}},
		{"empty token", "/e/i?t=", []int{400}},
		{"no base64", "/e/i?t=%00%ff..", []int{400}},
		{"cut", path(impression)[:len(path(impression))-8], []int{400, 403}},
		{"authentication code changed", string(flipped), []int{403}},
		{"another's key", "/e/c?t=" + string(stranger.NewSigner().Append(nil, &evil)), []int{403}},
		{"unknown key id", "/e/c?t=" + "_w" + strings.TrimPrefix(text, "/e/c?t=")[2:], []int{403}},
		{"impression as click", strings.Replace(path(impression), "/e/i", "/e/c", 1), []int{400, 403}},
		{"click as impression", strings.Replace(text, "/e/c", "/e/i", 1), []int{400, 403}},
		{"expired", sign(func(e *event.Token) { e.Issued, e.Expires = e.Issued.Add(-48*time.Hour), Now().Add(-time.Hour) }), []int{410}},
		{"huge", "/e/i?t=" + strings.Repeat("A", 12<<10), []int{400, 414, 431}},
	} {
		a, err := c.Get(b.path)
		if err != nil || !slices.Contains(b.want, a.Status) {
			t.Errorf("%s: status %d %s, %v; want one of %v", b.name, a.Status, head(a.Body), err, b.want)
		}
		if to := a.Header.Get("Location"); to != "" {
			t.Errorf("%s: redirects to %q", b.name, to)
		}
	}
	if got := s.Spent("paid"); got != 0 {
		t.Errorf("bad tokens cost %v", got)
	}
	checkRedirects(t, c, text, line.Landing())
	s.Stop()
}

// checkRedirects: a good click goes to the page in its token, whatever else the
// URL or the headers say.
func checkRedirects(t *testing.T, c *Client, click, landing string) {
	t.Helper()
	for _, extra := range []string{
		"", "&url=https://evil.example/", "&u=//evil.example", "&redirect=https%3A%2F%2Fevil.example", "&t=AAAA", "&landing=javascript:alert(1)",
		"#https://evil.example", "&r=%0d%0aLocation:%20https://evil.example",
	} {
		a, err := c.Get(click + extra)
		if err != nil || a.Status != 302 || a.Header.Get("Location") != landing {
			t.Errorf("click with %q: status %d to %q, %v; want 302 to %q", extra, a.Status, a.Header.Get("Location"), err, landing)
		}
	}
	for _, extra := range []string{"?url=https://evil.example&" + click[len("/e/c?"):], "//evil.example/?" + click[len("/e/c?"):], "/%2e%2e//evil.example?" + click[len("/e/c?"):]} {
		if a, err := c.Get("/e/c" + extra); err != nil || strings.Contains(a.Header.Get("Location"), "evil") {
			t.Errorf("%q: status %d to %q, %v", extra, a.Status, a.Header.Get("Location"), err)
		}
	}
}
