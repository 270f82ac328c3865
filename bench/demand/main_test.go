package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"millrace/bench/dspfleet"
	"millrace/bench/load"
)

func TestWrongCallsAreUsageErrors(t *testing.T) {
	for _, args := range [][]string{nil, {"scales"}, {"scale", "extra"}, {"scale", "-dsps", "x"}, {"scale", "-protocol", "h3"}, {"timing", "-dsps", "1"}, {"faults", "-bad", "0s"}, {"soak", "-duration", "-1s"}} {
		var errs bytes.Buffer
		if code := run(context.Background(), args, io.Discard, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: %d %q", args, code, errs.String())
		}
	}
}

// TestRecorder: what the client waited beyond the bidders is told apart.
func TestRecorder(t *testing.T) {
	r := newRecorder()
	r.began = time.Now()
	at := func(ms int) time.Time { return r.began.Add(time.Duration(ms) * time.Millisecond) }
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	r.observe(dspfleet.Call{ID: []byte("00000000000000ff"), Received: ms(12), Answered: ms(20)})
	r.observe(dspfleet.Call{ID: []byte("00000000000000ff"), Received: ms(11), Answered: ms(17)})
	r.observe(dspfleet.Call{ID: []byte("00000000000000ff"), Received: ms(11)}) // never answered
	r.observe(dspfleet.Call{ID: []byte("no number"), Received: ms(1), Answered: ms(2)})
	r.answered(load.Answered{ID: 0xff, Sent: at(10), Done: at(24)})
	r.answered(load.Answered{ID: 0xfe, Sent: at(10), Done: at(11)}) // nobody was asked
	for _, c := range []struct {
		what      string
		got, want float64
	}{{"own", quantile(r.own, 50), 9}, {"above", quantile(r.above, 50), 5}, {"total", quantile(r.total, 100), 14}} {
		if c.got < c.want*0.99 || c.got > c.want*1.01 {
			t.Errorf("%s: %v ms, want %v", c.what, c.got, c.want)
		}
	}
	if r.calls != 2 || len(r.auctions) != 0 {
		t.Errorf("%d calls, %d auctions left", r.calls, len(r.auctions))
	}
}

func TestPatientMix(t *testing.T) {
	for in, want := range map[string]string{
		`{"id":"1","tmax":120,"imp":[]}`: `{"id":"1","imp":[]}`, `{"id":"1","tmax":120}`: `{"id":"1"}`, `{"tmax":5}`: `{}`, `{"id":"1"}`: `{"id":"1"}`,
	} {
		if got := string(withoutTMax([]byte(in))); got != want {
			t.Errorf("%s became %s", in, got)
		}
	}
	c := patient()
	for i := range c.Len() {
		if b := c.Body(i); !json.Valid(b) || bytes.Contains(b, []byte("tmax")) {
			t.Fatalf("%s", b)
		}
	}
}

func TestTables(t *testing.T) {
	o := &options{counts: []int{5}}
	var b bytes.Buffer
	h := newRecorder().total
	_ = h.RecordValue(int64(121300 * time.Microsecond))
	for _, err := range []error{
		writeScale(&b, o, []scaleRow{{DSPs: 20, CPU: 132, Failed: 1}}), writeTiming(&b, o, []timingRun{{What: "x", Answered: 1, buckets: h}}),
		writeSoak(&b, o, []soakSample{{Seconds: 1}}), writeFaults(&b, o, []faultRun{{What: "well", Spend: []float64{1, 2}}, {What: "silent", Spend: []float64{0, 3}}, {What: "slow", Isolated: 1.5, Back: -1, Kept: 1.01, Spend: []float64{1, 2}}}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, want := range []string{"1/50", "6600 cited", "121.00 ms  ", "never", "101.0 %", "1.5 s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
