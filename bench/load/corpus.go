package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
)

// Corpus is a set of bid requests, immutable once made and shared by workers.
type Corpus struct{ bodies []body }

// body is one request's JSON; the ids in it are patched in at each send, so
// that requests and users differ without being rendered anew. An offset of -1
// is "nothing to patch".
type body struct {
	json     []byte
	idAt     int // idDigits hex digits
	userAt   int // userDigits digits
	sendable []byte
	headLen  int
}

const (
	idDigits   = 16
	userDigits = 12
	idHole     = "IIIIIIIIIIIIIIII"
	userHole   = "UUUUUUUUUUUU"
)

// Len is the number of different requests.
func (c *Corpus) Len() int { return len(c.bodies) }

// Body is request i's JSON as it stands before patching.
func (c *Corpus) Body(i int) []byte { return bytes.Clone(c.bodies[i].json) }

// NewCorpus takes complete request bodies as they are; they are sent in turn.
func NewCorpus(bodies [][]byte) *Corpus {
	c := &Corpus{}
	for _, b := range bodies {
		c.add(b)
	}
	return c
}

func (c *Corpus) add(b []byte) {
	c.bodies = append(c.bodies, body{json: b, idAt: bytes.Index(b, []byte(idHole)), userAt: bytes.Index(b, []byte(userHole))})
}

// lineBytesMax bounds one line of a corpus file.
const lineBytesMax = 16 << 20

// ReadCorpus reads a file with one JSON request a line. Lines must be JSON;
// whether they are good bid requests is the server's to say.
func ReadCorpus(name string) (*Corpus, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("load: cannot read the corpus: %w", err)
	}
	defer f.Close()
	c, err := readCorpus(f)
	if err != nil {
		return nil, fmt.Errorf("load: corpus %s: %w", name, err)
	}
	return c, nil
}

func readCorpus(r io.Reader) (*Corpus, error) {
	c := &Corpus{}
	s := bufio.NewScanner(r)
	s.Buffer(nil, lineBytesMax)
	for n := 1; s.Scan(); n++ {
		b := bytes.TrimSpace(s.Bytes())
		if len(b) == 0 {
			continue
		}
		if !json.Valid(b) {
			return nil, fmt.Errorf("line %d is not JSON; write one request a line", n)
		}
		c.add(bytes.Clone(b))
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if len(c.bodies) == 0 {
		return nil, fmt.Errorf("it holds no request; write one JSON object a line")
	}
	return c, nil
}

// render prepares the bytes on the wire for a target.
func (c *Corpus) render(host, path string) []body {
	out := make([]body, len(c.bodies))
	for i, b := range c.bodies {
		head := "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nX-Openrtb-Version: 2.6\r\nContent-Length: " +
			strconv.Itoa(len(b.json)) + "\r\n\r\n"
		b.headLen = len(head)
		b.sendable = append([]byte(head), b.json...)
		out[i] = b
	}
	return out
}

// appendTo appends the request with its ids patched in.
func (b *body) appendTo(dst []byte, id, user uint64) []byte {
	at := len(dst) + b.headLen
	dst = append(dst, b.sendable...)
	if b.idAt >= 0 {
		const hex = "0123456789abcdef"
		for i := idDigits - 1; i >= 0; i-- {
			dst[at+b.idAt+i] = hex[id&15]
			id >>= 4
		}
	}
	if b.userAt >= 0 {
		for i := userDigits - 1; i >= 0; i-- {
			dst[at+b.userAt+i] = byte('0' + user%10)
			user /= 10
		}
	}
	return dst
}

// users draws user numbers by Zipf: few users make many of the requests, most
// make one. Owned by one worker.
type users struct{ z *rand.Zipf }

// userPopulation is how many users there are to draw from.
const userPopulation = 2_000_000

func newUsers(seed uint64) users {
	return users{rand.NewZipf(rand.New(rand.NewPCG(seed, 0x5eed)), 1.1, 20, userPopulation-1)}
}

func (u users) next() uint64 { return u.z.Uint64() }
