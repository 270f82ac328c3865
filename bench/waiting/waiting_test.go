package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestWaiting smoke-runs the measurement and holds what must be true of any
// record, however the figures are.
func TestWaiting(t *testing.T) {
	records := []*record{generate(1, 8, 3000, nil), generate(2, 8, 3000, []float64{0.5, 1, 4})}
	results := measure(records, []policy{whole, fixed(50 * ms), fixed(80 * ms), expecting(1)})
	full, early, later, pays := results[0], results[1], results[2], results[3]
	if full.kept != 1 || full.saved != 0 || full.full < 1 || full.knowing >= full.mean {
		t.Errorf("waiting for everybody: %+v", full)
	}
	// A record's hours go by at the desk's ticks: nobody is asked later than planned.
	if early.mean > 55*ms || later.mean > 85*ms || early.kept >= later.kept || later.kept >= full.full {
		t.Errorf("until 50 ms: %.3f of the revenue in %v; until 80 ms: %.3f in %v", early.kept, early.mean, later.kept, later.mean)
	}
	if pays.kept <= early.kept || pays.mean >= full.mean {
		t.Errorf("where it pays: %.3f of the revenue in %v", pays.kept, pays.mean)
	}
	if again := measure(records, []policy{whole, expecting(1)})[1]; again.kept != pays.kept || again.mean != pays.mean {
		t.Error("two replays of one record differ")
	}
	var out bytes.Buffer
	if err := table(&out, results, records); err != nil || !strings.Contains(out.String(), "cut-off at 50ms") {
		t.Errorf("%v\n%s", err, out.String())
	}
	dec := xml.NewDecoder(bytes.NewReader(plot(results, records)))
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordIsReadAsWritten(t *testing.T) {
	r := generate(3, 5, 200, nil)
	var b bytes.Buffer
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := read(&b)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v: another record", err)
	}
	for text, want := range map[string]string{
		"":                  "empty",
		"0,0,5":             "wrong number of fields",
		"0,0,5,x":           "no whole number",
		"0,99,5,1":          "out of range",
		"99999999999,1,5,1": "number auctions",
	} {
		if _, err := read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if r, err := read(strings.NewReader("1,1,5000,7\n0,0,-1,0\n")); err != nil || r.auctions() != 2 || r.of(1)[1] != (call{5 * time.Millisecond, 7}) || r.of(1)[0].latency != never {
		t.Errorf("%+v %v", r, err)
	}
}
