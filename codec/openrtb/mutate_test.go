package openrtb

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/corpus"
)

// fill gives a value of the oracle's types a content, each part of it with the
// given probability in percent.
func fill(rnd *rand.Rand, v reflect.Value, percent, depth int) {
	words := []string{"a", "USD", "IAB1-2", "text with spaces", "é \"quoted\" \\ \n", "https://a.example/?b=c&d=<e>", strings.Repeat("long ", 30), "\u2028😀"}
	switch v.Kind() {
	case reflect.String:
		v.SetString(words[rnd.IntN(len(words))])
	case reflect.Int8, reflect.Int, reflect.Int64:
		v.SetInt(int64(1 + rnd.IntN(120)))
	case reflect.Float64:
		v.SetFloat(float64(rnd.IntN(400)) / 8)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rnd, v.Elem(), percent, depth)
		if k := v.Elem().Kind(); rnd.IntN(3) == 0 && k != reflect.Struct {
			v.Elem().SetZero()
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			exts := []string{`{}`, `{"a":[1,{"b":null}]}`, `"x"`, `{"prebid":{"is_rewarded_inventory":1}}`, `{"gdpr":1,"gpp":"g","gpp_sid":[7],"us_privacy":"1YNN"}`,
				`{"consent":"c","eids":[{"source":"s","uids":[{"id":"i"}]}]}`, `{"schain":{"ver":"1.0","complete":1,"nodes":[{"asi":"a","sid":"1","hp":1}]}}`}
			v.SetBytes([]byte(exts[rnd.IntN(len(exts))]))
			return
		}
		for range 1 + rnd.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(rnd, e, percent, depth+1)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if rnd.IntN(100) < percent {
				fill(rnd, v.Field(i), percent, depth+1)
			}
		}
	}
}

// generate writes a request of the given density.
func generate(rnd *rand.Rand, percent int) []byte {
	var o openrtb2.BidRequest
	fill(rnd, reflect.ValueOf(&o).Elem(), percent, 0)
	o.ID = "r"
	if len(o.Imp) == 0 {
		o.Imp = make([]openrtb2.Imp, 1)
	}
	for i := range o.Imp {
		m := &o.Imp[i]
		m.ID = fmt.Sprint(i)
		m.BidFloorCur = "EUR"
		if m.Banner == nil && m.Video == nil && m.Audio == nil && m.Native == nil {
			m.Banner = &openrtb2.Banner{}
		}
		for j := range deref(m.PMP).Deals {
			m.PMP.Deals[j].BidFloorCur = "GBP"
		}
	}
	switch rnd.IntN(3) {
	case 0:
		o.App, o.DOOH = nil, nil
	case 1:
		o.Site, o.DOOH = nil, nil
	case 2:
		o.Site, o.App = nil, nil
	}
	body, err := json.Marshal(&o)
	if err != nil {
		panic(err)
	}
	return body
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// wholeRequests have every field that the oracle knows.
func wholeRequests(testing.TB) (bodies [][]byte) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		bodies = append(bodies, generate(rnd, 100))
	}
	return bodies
}

// seeds are what mutations begin with: the corpus, where there is one, and
// generated requests.
func seeds(t testing.TB) [][]byte {
	bodies := append(wholeRequests(t)[:3], richRequest)
	rnd := rand.New(rand.NewPCG(2, 1))
	for range 300 {
		bodies = append(bodies, generate(rnd, 5+rnd.IntN(40)))
	}
	if corpus.Has(corpus.Requests) && corpus.Has(corpus.IABRequests) {
		bodies = append(bodies, corpusRequests(t)...)
	}
	return bodies
}

// mutator edits requests: by structure (values, members, keys, spaces) and by
// bytes.
type mutator struct {
	rnd   *rand.Rand
	seeds [][]byte
	x     index
}

var snippets = []string{"null", "1", "0", `""`, `"a"`, "{}", "[]", ",", ":", "{", "}", "[", "]", `"`, `\`, `\"`, `\u00e9`, `\ud83d\ude00`, `\ud800`,
	"1e2", "1.5", "3.0", "-1", "1e999", "true", "false", " ", "\n", "\t", "é", "\xff", "\x00", "0.1", "00", "1E-3", "12345678901234567890", `{"id":"x"}`, `[1,null]`}

var values = []string{"null", "1", "0", "-1", `""`, `"a"`, "{}", "[]", "true", "false", "1e2", "1.5", "3.0", "1e999", "-0", "00", "1.", "+1", ".5", "NaN", "Infinity", `"300"`, `"x\u0031"`, `"\x"`, `"\ud800"`,
	"2147483648", "99999999", "123456789", "12345678901234567890", "0.1", "1E-3", `[1,null]`, `[null]`, `["a",1]`, `{"id":"x"}`, `[{}]`, `[{"id":"x"},null]`, `"a b"`, `"\"\\"`, "tru", "nul", "nullx", `"a"x`, "1x", "[1 2]", `{"a" "b"}`, `{"a":1,}`, "[1,]"}

// next is an edited copy of a seed.
func (m *mutator) next() []byte {
	body := bytes.Clone(m.seeds[m.rnd.IntN(len(m.seeds))])
	for range 1 + m.rnd.IntN(6)/5 {
		if m.rnd.IntN(3) == 0 {
			body = m.editBytes(body)
		} else {
			body = m.editTokens(body)
		}
	}
	return body
}

// mutate is one edited copy of one of the lines.
func mutate(rnd *rand.Rand, lines [][]byte) []byte {
	m := mutator{rnd: rnd, seeds: lines}
	return m.next()
}

// value is the span of the value that begins at a token.
func value(b []byte, x *index, k int) (from, to int) {
	from, depth := int(x.at[k]), 0
	for ; k < x.n; k++ {
		switch c := b[x.at[k]]; c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth <= 0 {
			break
		}
	}
	to = len(b)
	switch c := b[from]; {
	case c == '{' || c == '[':
		if k < x.n {
			to = int(x.at[k]) + 1
		}
	case k+1 < x.n:
		to = int(x.at[k+1])
	}
	return from, to
}

func spliced(b []byte, from, to int, with string) []byte {
	return append(append(append(make([]byte, 0, len(b)+len(with)), b[:from]...), with...), b[to:]...)
}

// editTokens makes one edit that knows what a token is.
func (m *mutator) editTokens(b []byte) []byte {
	if _, ok := m.x.build(b); !ok || m.x.n < 4 {
		return m.editBytes(b)
	}
	rnd, x := m.rnd, &m.x
	k := rnd.IntN(x.n)
	at := int(x.at[k])
	// From a token on to the next colon: a key before it, a value behind.
	colon := k
	for colon < x.n-1 && b[x.at[colon]] != ':' {
		colon++
	}
	if colon == 0 || colon >= x.n-1 {
		return m.editBytes(b)
	}
	from, to := value(b, x, colon+1)
	key := int(x.at[colon-1])
	switch rnd.IntN(9) {
	case 0, 1, 2:
		return spliced(b, from, to, values[rnd.IntN(len(values))])
	case 3: // the value of another member
		other := rnd.IntN(x.n)
		f, t := value(b, x, other)
		return spliced(b, from, to, string(b[f:t]))
	case 4: // the member again, perhaps with another value
		with := string(b[key:to]) + ","
		if rnd.IntN(2) == 0 {
			with = string(b[key:from]) + values[rnd.IntN(len(values))] + ","
		}
		return spliced(b, key, key, with)
	case 5: // without the member
		if to < len(b) && b[to] == ',' {
			to++
		}
		return spliced(b, key, to, "")
	case 6: // another name
		all := []string{"id", "w", "ext", "data", "ID", "bidfloor", "bidfloorcur", "battr", "format", "geo", "name", "cat", "\\u0069d", "unknown", "a-very-long-name-that-nobody-knows"}
		return spliced(b, key, int(x.at[colon]), `"`+all[rnd.IntN(len(all))]+`"`)
	case 7: // space
		return spliced(b, at, at, strings.Repeat([]string{" ", "\n", "\t", "\r\n"}[rnd.IntN(4)], 1+rnd.IntN(20)))
	}
	// deeper
	n := 1 + rnd.IntN(70)
	return spliced(b, from, to, strings.Repeat("[", n)+"1"+strings.Repeat("]", n))
}

// editBytes makes one edit of the kinds that break parsers.
func (m *mutator) editBytes(line []byte) []byte {
	if len(line) == 0 {
		return line
	}
	rnd := m.rnd
	at := rnd.IntN(len(line))
	switch rnd.IntN(6) {
	case 0:
		return line[:at]
	case 1:
		line[at] = byte(rnd.Uint32())
		return line
	case 2, 3:
		return spliced(line, at, at, snippets[rnd.IntN(len(snippets))])
	case 4:
		return spliced(line, at, min(len(line), at+1+rnd.IntN(8)), "")
	}
	other := m.seeds[rnd.IntN(len(m.seeds))]
	return spliced(line, at, len(line), string(other[rnd.IntN(len(other)):]))
}

var mutations = flag.Int("mutations", 40_000, "how many mutated requests the differential test compares")

func TestDifferentialMutations(t *testing.T) {
	n := *mutations
	if testing.Short() {
		n = min(n, 4_000)
	}
	m := mutator{rnd: rand.New(rand.NewPCG(2, 6)), seeds: seeds(t)}
	j := newJudge()
	for i := range n {
		if j.compare(t, m.next()); t.Failed() {
			t.Fatalf("mutation %d", i)
		}
	}
	j.log(t, n)
}
