package node

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
)

// wire is a client on one connection that allocates nothing: it sends requests
// made beforehand and reads answers into one buffer.
type wire struct {
	conn net.Conn
	buf  []byte // read and not yet taken, from used on
	used int
	out  []byte
}

func dial(t testing.TB, n *Node) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &wire{conn: conn, buf: make([]byte, 0, 256<<10)}
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("Content-Length: ")
)

// answer reads one answer: its status and body, good until the next call.
func (w *wire) answer() (status int, body []byte, err error) {
	w.buf = w.buf[:copy(w.buf, w.buf[w.used:])]
	w.used = 0
	for {
		if end := bytes.Index(w.buf, headEnd); end >= 0 {
			status = int(w.buf[9]-'0')*100 + int(w.buf[10]-'0')*10 + int(w.buf[11]-'0')
			if w.used = end + 4 + bodyLength(w.buf[:end]); w.used <= len(w.buf) {
				return status, w.buf[end+4 : w.used], nil
			}
		}
		k, err := w.conn.Read(w.buf[len(w.buf):cap(w.buf)])
		if err != nil {
			return 0, nil, err
		}
		w.buf = w.buf[:len(w.buf)+k]
	}
}

func bodyLength(head []byte) (n int) {
	i := bytes.Index(head, contentLength)
	if i < 0 {
		return 0
	}
	for _, c := range head[i+len(contentLength):] {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func (w *wire) do(request []byte) (status int, body []byte, err error) {
	if _, err := w.conn.Write(request); err != nil {
		return 0, nil, err
	}
	return w.answer()
}

var getHead = []byte("GET ")
var getTail = []byte(" HTTP/1.1\r\nHost: ads.example\r\n\r\n")

// get fetches paths, all sent at once; each is answered 204 or 302.
func (w *wire) get(paths [][]byte) error {
	w.out = w.out[:0]
	for _, p := range paths {
		w.out = append(append(append(w.out, getHead...), p...), getTail...)
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return err
	}
	for range paths {
		if status, body, err := w.answer(); err != nil || status != 204 && status != 302 {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
	}
	return nil
}

var linkMarks = [...][]byte{[]byte("/e/i?t="), []byte("/e/c?t=")}

// link finds the first tracking path of a kind in an answer.
func link(body []byte, kind int) []byte {
	i := bytes.Index(body, linkMarks[kind])
	if i < 0 {
		return nil
	}
	end := i + len(linkMarks[kind])
	for end < len(body) && (body[end] == '-' || body[end] == '_' || body[end] >= '0' && body[end] <= '9' || body[end]|0x20 >= 'a' && body[end]|0x20 <= 'z') {
		end++
	}
	return body[i:end]
}

// mixed are n requests as exchanges send them: banners of several sizes, video,
// audio, native, two impressions; sites and apps; users who come back, and strangers.
func mixed(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	requests := make([][]byte, n)
	for i := range requests {
		media := []string{
			`"banner":{"w":300,"h":250}`, `"banner":{"format":[{"w":728,"h":90},{"w":970,"h":250}]}`, `"banner":{"w":320,"h":50,"battr":[1,3]}`,
			`"video":{"mimes":["video/mp4"],"protocols":[2,3,7],"w":640,"h":360,"minduration":5,"maxduration":60}`,
			`"audio":{"mimes":["audio/mpeg"],"protocols":[2,3,7],"maxduration":30,"companionad":[{"w":300,"h":250}]}`,
			`"native":{"request":"{\"ver\":\"1.2\",\"assets\":[{\"id\":1,\"required\":1,\"title\":{\"len\":90}},{\"id\":2,\"img\":{\"type\":3,\"wmin\":600,\"hmin\":300}}]}"}`,
			`"banner":{"w":11,"h":12}`,
		}
		imps := fmt.Sprintf(`{"id":"1","secure":1,"bidfloor":%s,%s}`, pick("0", "0.5", "2.1", "9.99"), media[i%len(media)])
		if i%5 == 0 {
			imps += fmt.Sprintf(`,{"id":"2",%s}`, pick(media...))
		}
		where := pick(`"site":{"domain":"news.example.org","cat":["IAB1","IAB12-3"]}`, `"app":{"bundle":"com.example.puzzle","cat":["IAB9"]}`)
		user := fmt.Sprintf(`,"user":{"id":"user-%d","data":[{"id":"p","segment":[{"id":"sports"},{"id":"auto"}]}]}`, r.IntN(500))
		if i%7 == 0 {
			user = ""
		}
		if i%9 == 0 {
			user += `,"wseat":["another-buyer"]` // no bid
		}
		body := fmt.Sprintf(`{"id":"req-%d","at":1,"tmax":120,"cur":["USD","EUR"],"imp":[%s],%s,"device":{"geo":{"country":%q,"city":"S\u00e3o Paulo"},"os":%q,"ip":"192.0.2.%d","ua":"Mozilla/5.0 (X11; Linux)","devicetype":%d,"language":"en"},"bcat":["IAB25","IAB7-39"],"badv":["bad.example"]%s}`,
			i, imps, where, pick("USA", "DEU", "JPN", "BRA"), pick("iOS", "Android", "Windows"), i%250, 1+i%5, user)
		requests[i] = post([]byte(body))
	}
	return requests
}

// post is a bid request's text on the wire.
func post(body []byte) []byte {
	return fmt.Appendf(nil, "POST /openrtb2/auction HTTP/1.1\r\nHost: ads.example\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// demoConfig serves the bundled catalog, which has every format, in both
// currencies of the requests.
func demoConfig(t testing.TB) Config {
	c := testConfig(t)
	c.Catalog = ""
	c.Shard.FrequencySlots = 1 << 16
	c.Budget.JournalSegment = Default().Budget.JournalSegment
	// What works beside requests, by the clock, allocates by the clock: on a busy
	// machine, on which the requests take their time, more than they may.
	c.Audit.Enabled, c.Budget.Reconcile = false, 0
	return c
}

// tally counts answers.
type tally struct{ bids, none, other int }

func (c *tally) add(status int) {
	switch status {
	case 200:
		c.bids++
	case 204:
		c.none++
	default:
		c.other++
	}
}

// mallocs is the number of allocations in the process while f runs.
func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// What is allowed, of the whole process: what a lease's grant takes in the
// budget store (a handful, for hundreds of wins; clicks cost more than was
// reserved for them, so beacons bring grants too), the roll of a journal
// segment, the Date header's text once a second, and the runtime's own. Of the
// requests themselves: nothing, as the best of the rounds shows.
const (
	roundPerThousandMax = 2
	totalPerThousandMax = 50
)

// expectFlat runs rounds of n requests each and counts their allocations.
func expectFlat(t *testing.T, what string, rounds, n int, round func(i int)) {
	t.Helper()
	least, total := ^uint64(0), uint64(0)
	for i := range rounds {
		m := mallocs(func() { round(i) })
		least, total = min(least, m), total+m
	}
	t.Logf("%s: %d allocations in %d, at best %d in %d", what, total, rounds*n, least, n)
	if raced {
		return // what watches allocates for itself; the run is for it to look at
	}
	if least > uint64(n*roundPerThousandMax/1000) || total > uint64(rounds*n*totalPerThousandMax/1000) {
		t.Errorf("%s: %d allocations in %d, at best %d in %d", what, total, rounds*n, least, n)
	}
}

// TestAllocServer: a node under real sockets allocates nothing for a request or
// a beacon once warm, from the bytes that come in to those that go out.
func TestAllocServer(t *testing.T) {
	n := start(t, demoConfig(t))
	w := dial(t, n)
	requests := mixed(512)
	rounds, each := 5, 4000
	if raced {
		each = 1000
	}
	var count tally
	auctions := func(n int) {
		for i := range n {
			status, _, err := w.do(requests[i%len(requests)])
			if err != nil {
				t.Fatal(err)
			}
			count.add(status)
		}
	}
	auctions(each)
	count = tally{}
	expectFlat(t, "auctions", rounds, each, func(int) { auctions(each) })
	if count.bids < rounds*each/2 || count.none < rounds*each/20 || count.other > 0 {
		t.Errorf("answers %+v: want bids and no-bids, and nothing else", count)
	}

	// Beacons: impressions and clicks of wins, each twice, since a duplicate
	// takes another way.
	const together = 20
	wins := each / 2
	paths := collect(t, w, requests, (rounds+1)*wins)
	beacons := func(i int) {
		for range 2 {
			for k := i * wins; k < (i+1)*wins; k += together {
				if err := w.get(paths[k : k+together]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	beacons(rounds)
	expectFlat(t, "beacons", rounds, each, beacons)
}

// collect wins until it has n tracking paths.
func collect(t testing.TB, w *wire, requests [][]byte, n int) (paths [][]byte) {
	for i := 0; len(paths) < n; i++ {
		_, body, err := w.do(requests[i%len(requests)])
		if err != nil {
			t.Fatal(err)
		}
		for kind := range linkMarks {
			// Clicks in their usual share: budgets by the click last then.
			if p := link(body, kind); p != nil && (kind == 0 || i%50 == 0) {
				paths = append(paths, bytes.Clone(p))
			}
		}
		if i > 20*n {
			t.Fatalf("%d of %d tracking paths in %d requests", len(paths), n, i)
		}
	}
	return paths
}
