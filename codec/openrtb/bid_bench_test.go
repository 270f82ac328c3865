package openrtb

import "testing"

// The comparison with other parsers is in bench/codec.

func benchResponses(b *testing.B, bodies [][]byte) {
	var req BidRequest
	if e := Parse(richRequest, &req); !e.OK() {
		b.Fatal(e)
	}
	var r BidResponse
	b.Run("read", func(b *testing.B) {
		benchBodies(b, bodies, func(body []byte) { ReadAnswer(200, body, &r) })
	})
	b.Run("read-and-judge", func(b *testing.B) {
		var j Judge
		j.Begin(&req, &Policy{})
		benchBodies(b, bodies, func(body []byte) {
			if a, _ := ReadAnswer(200, body, &r); a == Bids {
				j.Judge(&r)
			}
		})
	})
}

func BenchmarkResponseCorpus(b *testing.B) { benchResponses(b, corpusResponses(b)) }

func BenchmarkResponseFull(b *testing.B) { benchResponses(b, [][]byte{fullResponse}) }
