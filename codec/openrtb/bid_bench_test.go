package openrtb

import (
	"encoding/json"
	"testing"

	"github.com/bytedance/sonic"
	"github.com/prebid/openrtb/v20/openrtb2"
)

// benchResponses reads answers, and reads and judges them, against libraries
// that fill the types of another project.
func benchResponses(b *testing.B, bodies [][]byte) {
	var req BidRequest
	if e := Parse(richRequest, &req); !e.OK() {
		b.Fatal(e)
	}
	b.Run("millrace", func(b *testing.B) {
		var r BidResponse
		benchBodies(b, bodies, func(body []byte) bool { a, _ := ReadAnswer(200, body, &r); return a.OK() })
	})
	b.Run("millrace-judged", func(b *testing.B) {
		var r BidResponse
		var j Judge
		j.Begin(&req, &Policy{})
		benchBodies(b, bodies, func(body []byte) bool {
			a, _ := ReadAnswer(200, body, &r)
			return a.OK() && len(j.Judge(&r)) == len(r.Bids)
		})
	})
	for _, lib := range []struct {
		name  string
		parse func([]byte, any) error
	}{
		{"sonic", sonic.ConfigDefault.Unmarshal},
		{"sonic-fastest", sonic.ConfigFastest.Unmarshal},
		{"encoding-json", json.Unmarshal},
	} {
		b.Run(lib.name, func(b *testing.B) {
			benchBodies(b, bodies, func(body []byte) bool {
				var r openrtb2.BidResponse
				return lib.parse(body, &r) == nil
			})
		})
	}
}

func BenchmarkResponseCorpus(b *testing.B) { benchResponses(b, corpusResponses(b)) }

func BenchmarkResponseFull(b *testing.B) { benchResponses(b, [][]byte{fullResponse}) }
