package dspfleet

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prebid/openrtb/v20/openrtb2"
)

const request = `{"id":"%s","at":1,"cur":["USD"],"imp":[{"id":"1","bidfloor":0.5,"secure":1,"banner":{"format":[{"w":300,"h":250},{"w":728,"h":90}]}},` +
	`{"id":"2","video":{"mimes":["video/mp4"]}},{"id":"3","native":{"request":"{}"}}],"site":{"page":"https://p.example/"},"device":{"ip":"192.0.2.1"}}`

// start is a fleet of k bidders that answer at once.
func start(t testing.TB, k int, change func(*Config)) *Fleet {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the mock bidders need Linux")
	}
	c := Default(k)
	for i := range c.DSPs {
		b, err := c.DSPs[i].Behaviour.With("latency=0", "bids=1")
		if err != nil {
			t.Fatal(err)
		}
		c.DSPs[i].Behaviour = b
	}
	if change != nil {
		change(&c)
	}
	f, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// client speaks a protocol by net/http.
func client(t testing.TB, f *Fleet, p Protocol) *http.Client {
	tr := &http.Transport{Protocols: &http.Protocols{}, MaxIdleConnsPerHost: 8}
	tr.Protocols.SetHTTP1(!p.HTTP2())
	tr.Protocols.SetHTTP2(p == HTTP2)
	tr.Protocols.SetUnencryptedHTTP2(p == H2C)
	if f.cert != nil {
		roots := x509.NewCertPool()
		roots.AddCert(f.cert.Leaf)
		tr.TLSClientConfig = &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func ask(c *http.Client, url, id string) (*http.Response, []byte, error) {
	res, err := c.Post(url, "application/json", strings.NewReader(fmt.Sprintf(request, id)))
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, body, err
}

func answered(t *testing.T, c *http.Client, url, id string) (*http.Response, []byte) {
	t.Helper()
	res, body, err := ask(c, url, id)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

// TestProtocols: each protocol is spoken, over kept connections, by many at a
// time, and the bids are bids of the request.
func TestProtocols(t *testing.T) {
	f := start(t, int(protocols), func(c *Config) {
		for i := range c.DSPs {
			c.DSPs[i].Protocol = Protocol(i)
		}
	})
	for i := range int(protocols) {
		p := Protocol(i)
		t.Run(p.String(), func(t *testing.T) {
			c := client(t, f, p)
			var wg sync.WaitGroup
			for worker := range 4 {
				wg.Go(func() {
					for n := range 25 {
						id := fmt.Sprintf("r%d-%d", worker, n)
						res, body, err := ask(c, f.URL(i), id)
						if err != nil || res.StatusCode != 200 {
							t.Errorf("%v %v", res, err)
							return
						}
						checkBids(t, body, id, 3)
					}
				})
			}
			wg.Wait()
			s := f.Status()[i]
			if s.Requests != 100 || s.Answers != 100 || s.Bids != 300 || s.Opened > 50 || s.Breaches+s.BadRequests+s.Cancelled > 0 || (s.HTTP2 > 0) != p.HTTP2() || (s.Handshakes > 0) != p.TLS() {
				t.Errorf("%+v", s)
			}
		})
	}
}

func checkBids(t *testing.T, body []byte, id string, want int) {
	t.Helper()
	var r openrtb2.BidResponse
	if err := json.Unmarshal(body, &r); err != nil {
		t.Errorf("%v: %s", err, body)
		return
	}
	if r.ID != id || r.Cur != "USD" || len(r.SeatBid) != 1 || len(r.SeatBid[0].Bid) != want {
		t.Errorf("%s", body)
		return
	}
	for _, b := range r.SeatBid[0].Bid {
		if b.Price <= 0 || b.AdM == "" || b.CrID == "" || len(b.ADomain) != 1 || b.BURL == "" || b.MType == 0 || b.ImpID == "1" && (b.W*b.H == 0 || b.Price < 0.5) {
			t.Errorf("%+v", b)
		}
	}
}

// TestBidsAreDeterministic: an answer depends on the seed, the bidder and the
// request's id, not on what was asked before, nor on its faults.
func TestBidsAreDeterministic(t *testing.T) {
	var first [][]byte
	for run := range 3 {
		f := start(t, 2, func(c *Config) {
			if run == 1 {
				for i := range c.DSPs {
					c.DSPs[i].Behaviour, _ = c.DSPs[i].Behaviour.With("faults=error:0.3")
				}
			}
			if run == 2 {
				c.Seed = 2
			}
			for i := range c.DSPs {
				c.DSPs[i].Behaviour, _ = c.DSPs[i].Behaviour.With("bids=0.6", "notices=false")
			}
		})
		c := client(t, f, H2C)
		same, failed := 0, 0
		for n := range 200 {
			k := (n*7 + run*13) % 200 // another order
			res, body := answered(t, c, f.URL(k%2), fmt.Sprint("id", k))
			if run == 0 {
				first = append(first, nil)
			}
			if res.StatusCode == 500 {
				failed++
				continue
			}
			if run == 0 {
				for len(first) < 200 {
					first = append(first, nil)
				}
				first[k] = body
			} else if bytes.Equal(first[k], body) {
				same++
			}
		}
		switch {
		case run == 1 && (failed < 30 || failed > 90 || same != 200-failed):
			t.Errorf("with faults: %d failed, %d others the same", failed, same)
		case run == 2 && same > 60: // no-bids are alike
			t.Errorf("another seed: %d the same", same)
		}
	}
}

// TestFaults: each fault does what its name says, in HTTP/1.1 and in HTTP/2.
func TestFaults(t *testing.T) {
	f := start(t, 2, func(c *Config) {
		c.DSPs[0].Protocol = HTTP1
		c.DSPs[1].Protocol = H2C
	})
	for i, p := range []Protocol{HTTP1, H2C} {
		for k := Hang; k < faultKinds; k++ {
			t.Run(p.String()+"/"+k.String(), func(t *testing.T) {
				if _, err := f.Set(fmt.Sprintf("dsp-%02d", i+1), "faults="+k.String(), "retry=7", "drip=100us"); err != nil {
					t.Fatal(err)
				}
				c := client(t, f, p)
				before := f.Status()[i]
				if k == Hang {
					waitInVain(t, f, i, c, "x")
				} else {
					res, body, err := ask(c, f.URL(i), "x")
					checkFault(t, k, res, body, err)
				}
				if after := f.Status()[i]; after.Faults[k.String()] == before.Faults[k.String()] {
					t.Error("not counted")
				}
			})
		}
	}
}

// waitInVain asks a bidder that hangs, until it has the request.
func waitInVain(t *testing.T, f *Fleet, i int, c *http.Client, id string) {
	t.Helper()
	before := f.Status()[i].Faults[Hang.String()]
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "POST", f.URL(i), strings.NewReader(fmt.Sprintf(request, id)))
		if err == nil {
			_, err = c.Do(req)
		}
		failed <- err
	}()
	until(t, "a request that hangs", func() bool { return f.Status()[i].Faults[Hang.String()] > before })
	stop()
	if err := <-failed; err == nil {
		t.Error("it was answered")
	}
}

func checkFault(t *testing.T, k FaultKind, res *http.Response, body []byte, err error) {
	t.Helper()
	var r openrtb2.BidResponse
	bad := json.Unmarshal(body, &r)
	bids := []openrtb2.Bid{{}}
	if len(r.SeatBid) > 0 {
		bids = r.SeatBid[0].Bid
	}
	ok := false
	switch k {
	case Reset, ResetStream, Close:
		ok = err != nil
	case ServerError:
		ok = err == nil && res.StatusCode == 500
	case RateLimit:
		ok = err == nil && res.StatusCode == 429 && res.Header.Get("Retry-After") == "7"
	case HTML:
		ok = err == nil && res.StatusCode == 200 && strings.HasPrefix(string(body), "<!DOCTYPE")
	case Malformed:
		ok = err == nil && res.StatusCode == 200 && len(body) > 10 && bad != nil
	case Empty:
		ok = err == nil && res.StatusCode == 200 && len(body) == 0
	case Oversized:
		ok = err == nil && bad == nil && len(body) >= OversizedBytes && len(bids) == 3
	case SlowDrip, GoAway:
		ok = err == nil && bad == nil && len(bids) == 3
	case WrongID:
		ok = bad == nil && r.ID != "x" && len(bids) == 3
	case WrongImp:
		ok = bad == nil && bids[0].ImpID == "of-nobody"
	case WrongCurrency:
		ok = bad == nil && r.Cur == "XTS"
	case BelowFloor:
		ok = bad == nil && bids[0].Price == 0.25
	}
	if !ok {
		t.Errorf("%v %v %.200s", res, err, body)
	}
}

// TestGoAwayLeavesNothingBehind: a connection that was told to go away ends,
// and the next request finds another.
func TestGoAwayLeavesNothingBehind(t *testing.T) {
	f := start(t, 1, func(c *Config) { c.DSPs[0].Behaviour, _ = c.DSPs[0].Behaviour.With("faults=goaway:0.5") })
	c := client(t, f, H2C)
	for n := range 40 {
		res, _ := answered(t, c, f.URL(0), fmt.Sprint(n))
		if res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
	}
	if s := f.Status()[0]; s.GoAways < 5 || s.Opened < s.GoAways {
		t.Errorf("%+v", s)
	}
	until(t, "all that were told to go gone", func() bool { return f.Status()[0].Open <= 2 })
}

func TestGzip(t *testing.T) {
	for _, p := range []Protocol{HTTP1, H2C} {
		f := start(t, 1, func(c *Config) {
			c.DSPs[0].Protocol = p
			c.DSPs[0].Behaviour, _ = c.DSPs[0].Behaviour.With("gzip=true")
		})
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprintf(z, request, "z")
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest("POST", f.URL(0), &b)
		req.Header.Set("Content-Encoding", "gzip")
		res, err := client(t, f, p).Do(req) // asks for gzip by itself
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || !res.Uncompressed {
			t.Errorf("%v %+v", err, res)
		}
		checkBids(t, body, "z", 3)
	}
}

// TestCancelledStreams: a client that stops waiting resets the stream, the mock
// counts it, and the connection stays.
func TestCancelledStreams(t *testing.T) {
	f := start(t, 1, func(c *Config) { c.DSPs[0].Behaviour, _ = c.DSPs[0].Behaviour.With("faults=hang") })
	c := client(t, f, H2C)
	for n := range 5 {
		waitInVain(t, f, 0, c, fmt.Sprint(n))
	}
	until(t, "5 cancelled", func() bool { s := f.Status()[0]; return s.Cancelled == 5 && s.Resets == 5 && s.Opened == 1 })
}

// until waits for what another thread will do.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 20 s: " + what)
		}
	}
}

func TestDownAndUp(t *testing.T) {
	f := start(t, 1, nil)
	c := client(t, f, H2C)
	answered(t, c, f.URL(0), "1")
	if _, err := f.Set("*", "down=true"); err != nil {
		t.Fatal(err)
	}
	until(t, "down", func() bool { _, _, err := ask(c, f.URL(0), "2"); return err != nil })
	if _, err := f.Set("*", "reset"); err != nil {
		t.Fatal(err)
	}
	until(t, "up", func() bool { _, _, err := ask(c, f.URL(0), "3"); return err == nil })
}

// TestNotices: what the exchange reports is counted once, and held against the
// bid.
func TestNotices(t *testing.T) {
	f := start(t, 2, nil)
	c := client(t, f, H2C)
	_, body := answered(t, c, f.URL(1), "n")
	var r openrtb2.BidResponse
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	b := r.SeatBid[0].Bid[0]
	get := func(url string, macros ...string) int {
		t.Helper()
		res, err := client(t, f, HTTP1).Get(strings.NewReplacer(macros...).Replace(url))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	price := fmt.Sprint(b.Price)
	good := []string{"${AUCTION_PRICE}", price, "${AUCTION_CURRENCY}", "USD", "${AUCTION_LOSS}", "102"}
	for _, u := range []string{b.NURL, b.BURL, b.BURL, b.LURL} {
		if status := get(u, good...); status != 204 {
			t.Errorf("%d for %s", status, u)
		}
	}
	n := f.Status()[1].Notices
	if n.Wins != 1 || n.Billed != 1 || n.Lost != 1 || n.Repeats != 1 || n.Faults != 0 || n.LossReasons["102"] != 1 || n.Spend*1000 < b.Price-1e-6 || n.Spend*1000 > b.Price+1e-6 {
		t.Errorf("%+v, price %v", n, b.Price)
	}
	get(b.BURL)                                                                          // macros left in
	get(b.BURL, "${AUCTION_PRICE}", "99", "${AUCTION_CURRENCY}", "USD")                  // more than was bid
	get(b.BURL, "${AUCTION_PRICE}", price, "${AUCTION_CURRENCY}", "EUR")                 // another currency
	get(strings.Replace(b.BURL, "&b=", "&b=1", 1), good...)                              // not what was bid
	get(strings.Replace(b.LURL, "${AUCTION_LOSS}", "", 1), "x", "x")                     // no reason
	if status := get("http://"+f.NoticeAddress()+"/b/77?i=1", "x", "x"); status != 404 { // nobody's
		t.Error(status)
	}
	if n := f.Status()[1].Notices; n.Faults != 5 || n.Billed != 1 || f.Status()[0].Notices.Faults != 0 {
		t.Errorf("%+v", n)
	}
}

// TestAdmin: bidders are changed and shown while they serve.
func TestAdmin(t *testing.T) {
	f := start(t, 3, func(c *Config) { c.Admin = "127.0.0.1:0" })
	post := func(target string) (int, string) {
		t.Helper()
		res, err := http.Post("http://"+f.AdminAddress()+target, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	defer http.DefaultClient.CloseIdleConnections()
	if status, body := post("/dsp-0[12]?faults=html&bids=0.25"); status != 200 || !strings.Contains(body, `"changed": 2`) {
		t.Error(status, body)
	}
	if status, body := post("/dsp-02?reset"); status != 200 {
		t.Error(status, body)
	}
	for _, target := range []string{"/dsp-9?bids=1", "/dsp-01?bid=1", "/dsp-01?bids=2", "/*?faults=hangs"} {
		if status, body := post(target); status != 422 || !strings.Contains(body, "error") {
			t.Error(target, status, body)
		}
	}
	res, err := http.Get("http://" + f.AdminAddress() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s Summary
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"html:1", "ok", "ok"} {
		if s.DSPs[i].Settings["faults"] != want {
			t.Errorf("%d: %v", i, s.DSPs[i].Settings)
		}
	}
	var text strings.Builder
	if err := s.WriteText(&text); err != nil || !strings.Contains(text.String(), "dsp-01") {
		t.Error(err, text.String())
	}
}

// TestSchedule: steps are taken in their order.
func TestSchedule(t *testing.T) {
	f := start(t, 2, func(c *Config) {
		for _, text := range []string{"2ms dsp-02 reset", "1ms * faults=error"} {
			s, err := ParseStep(text)
			if err != nil {
				t.Fatal(err)
			}
			c.Schedule = append(c.Schedule, s)
		}
	})
	until(t, "both steps", func() bool {
		s := f.Status()
		return s[0].Settings["faults"] == "error:1" && s[1].Settings["faults"] == "ok"
	})
}

func TestConfigFaults(t *testing.T) {
	for _, text := range []string{"", "1s", "1s a", "x a b=1"} {
		if _, err := ParseStep(text); err == nil {
			t.Errorf("%q passes", text)
		}
	}
	c := Default(2)
	c.Host, c.Port, c.Workers, c.Streams = "nowhere", 65535, 0, 0
	c.DSPs[1].Name = c.DSPs[0].Name
	c.Schedule = []Step{{At: -1, Names: "none", Pairs: []string{"bids=1"}}, {Names: "*", Pairs: []string{"latency=fast"}}}
	err := c.Validate()
	for _, want := range []string{"nowhere", "port 65535", "workers 0", "streams 0", "is empty or taken", "before the start", `named "none"`, "lognormal:MEDIAN"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in %v", want, err)
		}
	}
	if _, err := Start(c); err == nil {
		t.Error("it starts")
	}
}

// TestPortTaken: what can't be had is said, and nothing stays open.
func TestPortTaken(t *testing.T) {
	f := start(t, 1, nil)
	c := Default(1)
	c.Port = f.dsps[0].port
	g, err := Start(c)
	if err == nil {
		g.Close()
		t.Fatal("two on one port")
	}
	if !strings.Contains(err.Error(), "dsp-01") || errors.Unwrap(err) == nil {
		t.Error(err)
	}
}

// TestObserve: the hook sees every request with its times.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var calls []Call
	f := start(t, 1, func(c *Config) {
		c.Observe = func(call Call) {
			mu.Lock()
			defer mu.Unlock()
			call.ID = bytes.Clone(call.ID)
			calls = append(calls, call)
		}
		c.DSPs[0].Behaviour, _ = c.DSPs[0].Behaviour.With("latency=3ms")
	})
	c := client(t, f, H2C)
	for n := range 10 {
		answered(t, c, f.URL(0), fmt.Sprint("o", n))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != 10 {
		t.Fatal(len(calls))
	}
	for n, call := range calls {
		if string(call.ID) != fmt.Sprint("o", n) || call.Answered-call.Received < 3*time.Millisecond || call.Received <= 0 {
			t.Errorf("%+v", call)
		}
	}
}
