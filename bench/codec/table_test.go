package codec

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bytedance/sonic"
	"github.com/minio/simdjson-go"
	"github.com/prebid/openrtb/v20/openrtb2"

	"millrace/codec/corpus"
	"millrace/codec/openrtb"
)

var rounds = flag.Int("rounds", 2, "how many times everything is measured in turn")

// slice is how long one measurement takes: short, so that most are not
// interrupted on a busy machine.
const slice = 2 * time.Millisecond

// work is what is compared: one parse of a body; false if it failed.
type work struct {
	name  string
	parse func([]byte) bool
}

func contenders(t *testing.T) []work {
	var view openrtb.BidRequest
	into := func(unmarshal func([]byte, any) error) func([]byte) bool {
		return func(b []byte) bool {
			var r openrtb2.BidRequest
			return unmarshal(b, &r) == nil
		}
	}
	all := []work{
		{"millrace", func(b []byte) bool { e := openrtb.Parse(b, &view); return e.OK() }},
		{"sonic", into(sonic.ConfigDefault.Unmarshal)},
		{"sonic, fastest", into(sonic.ConfigFastest.Unmarshal)},
		{"encoding/json", into(json.Unmarshal)},
	}
	if simdjson.SupportedCPU() {
		var tape *simdjson.ParsedJson
		all = append(all, work{"simdjson-go, tape only", func(b []byte) bool {
			p, err := simdjson.Parse(b, tape, simdjson.WithCopyStrings(false))
			if err == nil {
				tape = p
			}
			return err == nil
		}})
	} else {
		t.Log("simdjson-go does not run on this processor")
	}
	// The limits: every byte looked at once by the standard library's vectors.
	return append(all,
		work{"bytes.Count, a pass that counts", func(b []byte) bool { return bytes.Count(b, []byte{'"'}) > 0 }},
		work{"bytes.IndexByte, a pass that finds nothing", func(b []byte) bool { return bytes.IndexByte(b, 0) < 0 }},
	)
}

// measure is the time of one parse, over as many passes over the bodies as
// fill a slice.
func measure(w work, bodies [][]byte) (ns float64) {
	passes, start := 0, time.Now()
	for {
		for _, b := range bodies {
			w.parse(b)
		}
		passes++
		if d := time.Since(start); d >= slice {
			return float64(d.Nanoseconds()) / float64(passes*len(bodies))
		}
	}
}

// TestTable measures all in turn, so that a noisy moment hits all alike, and
// prints for each its best time, the ratio of that to our best, and the median
// of the ratios within a round. It asserts nothing about time; that everybody reads the bodies is
// checked.
func TestTable(t *testing.T) {
	all := contenders(t)
	for _, in := range requests(t) {
		compare(t, in.name, in.bodies, all)
	}
}

// input is a set of bodies.
type input struct {
	name   string
	bodies [][]byte
}

// requests are the requests to measure with.
func requests(t *testing.T) []input {
	rich, err := os.ReadFile(filepath.Join("..", "..", "codec", "openrtb", "testdata", "rich.json"))
	if err != nil {
		t.Fatal(err)
	}
	inputs := []input{{"rich app request", [][]byte{bytes.TrimSpace(rich)}}}
	if !corpus.Has(corpus.Requests) || !corpus.Has(corpus.IABRequests) {
		t.Log("no corpus: only the rich request is measured")
		return inputs
	}
	return append(inputs, input{"corpus of real requests", append(corpus.Lines(t, corpus.Requests), corpus.Lines(t, corpus.IABRequests)...)})
}

func compare(t *testing.T, name string, bodies [][]byte, all []work) {
	bytesEach := 0
	for _, b := range bodies {
		bytesEach += len(b)
	}
	for _, w := range all {
		failed := 0
		for _, b := range bodies {
			if !w.parse(b) {
				failed++
			}
		}
		if failed > len(bodies)/20 {
			t.Errorf("%s fails on %d of %d bodies of the %s", w.name, failed, len(bodies), name)
		}
	}
	print(t, name, float64(bytesEach)/float64(len(bodies)), all, run(all, bodies))
}

// run is a row of times for each contender, one a round.
func run(all []work, bodies [][]byte) [][]float64 {
	times := make([][]float64, len(all))
	for range *rounds {
		for i, w := range all {
			times[i] = append(times[i], measure(w, bodies))
		}
	}
	return times
}

func print(t *testing.T, name string, size float64, all []work, times [][]float64) {
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %.0f bytes, %d rounds\n%-44s %10s %10s %14s %18s\n", name, size, *rounds, "", "best ns", "MB/s", "× Millrace", "median of rounds")
	best := slices.Min(times[0])
	for i, w := range all {
		ratios := make([]float64, *rounds)
		for r := range ratios {
			ratios[r] = times[i][r] / times[0][r]
		}
		slices.Sort(ratios)
		ns := slices.Min(times[i])
		fmt.Fprintf(&out, "%-44s %10.1f %10.0f %14.2f %18.2f\n", w.name, ns, size/ns*1e3, ns/best, ratios[len(ratios)/2])
	}
	t.Log("\n" + out.String())
}
