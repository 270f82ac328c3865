package openrtb

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// tokens is the definition of an index, byte by byte.
func tokens(b []byte) (at []uint32, fault int, ok bool) {
	inString, scalar, escaped := false, false, false
	for i, c := range b {
		was := escaped
		escaped = c == '\\' && !was
		quote := c == '"' && !was
		switch {
		case inString:
			if c < ' ' {
				return nil, i, false
			}
			if escaped {
				at = append(at, uint32(i))
			}
			if quote {
				inString, scalar = false, false
			}
		case c == '\\':
			return nil, i, false
		case byteClass[c] == opByte:
			at = append(at, uint32(i))
			scalar = false
		case byteClass[c] == spaceByte:
			scalar = false
		default:
			if !scalar {
				at = append(at, uint32(i))
			}
			scalar = !quote
			inString = quote
		}
	}
	return at, len(b), !inString
}

// checkIndex compares what build made of a body with what both ways make.
func checkIndex(t testing.TB, x *index, b []byte) {
	t.Helper()
	want, wantFault, wantOK := tokens(b)
	for name, build := range ways(x) {
		fault, ok := build(b)
		if ok != wantOK || fault != wantFault {
			t.Fatalf("%s: fault %d %v, want %d %v\n%q", name, fault, ok, wantFault, wantOK, b)
		}
		if ok && !slices.Equal(x.at[:x.n], want) {
			t.Fatalf("%s: %v\nwant %v\n%q", name, x.at[:x.n], want, b)
		}
		if ok && (len(x.at) != x.n+indexPad || x.at[x.n] != 1 || x.at[len(x.at)-1] != 1) {
			t.Fatalf("%s: no padding", name)
		}
	}
}

func TestIndex(t *testing.T) {
	for name := range ways(new(index)) {
		t.Log("tested:", name)
	}
	var x index
	lines := append(corpusRequests(t), richRequest)
	for _, b := range lines {
		checkIndex(t, &x, b)
		for cut := 0; cut < len(b); cut += 7 {
			checkIndex(t, &x, b[cut:])
			checkIndex(t, &x, b[:cut])
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	m := mutator{rnd: rnd, seeds: seeds(t)}
	for range 20_000 {
		checkIndex(t, &x, m.next())
	}
	// Noise of the bytes that matter.
	const alphabet = "\"\"\"\\\\\\{}[]:,  \t\n\x00\x0c\x1a1a\xff"
	for range 20_000 {
		b := make([]byte, rnd.IntN(300))
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		checkIndex(t, &x, b)
	}
}

func BenchmarkIndex(b *testing.B) {
	var x index
	for name, build := range ways(&x) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(richRequest)))
			for b.Loop() {
				build(richRequest)
			}
		})
	}
}
