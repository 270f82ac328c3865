package openrtb

import (
	"bytes"
	_ "embed"
	"testing"
)

// richRequest is a mobile app request with all the weight such requests carry.
//
//go:embed testdata/rich.json
var richText []byte

var richRequest = bytes.TrimSpace(richText)

// benchBodies runs work over all bodies in turn; ns/op is per request.
func benchBodies(b *testing.B, bodies [][]byte, work func([]byte)) {
	total := 0
	for _, body := range bodies {
		total += len(body)
	}
	b.SetBytes(int64(total / len(bodies)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		work(bodies[i%len(bodies)])
	}
}

// The comparison with other parsers is in bench/codec.

func BenchmarkParseCorpus(b *testing.B) {
	var r BidRequest
	benchBodies(b, corpusRequests(b), func(body []byte) { Parse(body, &r) })
}

func BenchmarkParseRich(b *testing.B) {
	var r BidRequest
	benchBodies(b, [][]byte{richRequest}, func(body []byte) { Parse(body, &r) })
}

// BenchmarkDetails reads what a rich request has of what few ask for.
func BenchmarkDetails(b *testing.B) {
	var r BidRequest
	var d Details
	if e := Parse(richRequest, &r); !e.OK() {
		b.Fatal(e)
	}
	b.ReportAllocs()
	for b.Loop() {
		d.Reset()
		_, eids := d.EIDs(r.User.EIDs)
		_, agent := d.UserAgent(r.Device.SUA)
		_, chain := d.SupplyChain(r.Source.SChain)
		if !eids || !agent || !chain {
			b.Fatal("not read")
		}
	}
}
