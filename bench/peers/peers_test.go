package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/bench/process"
)

// TestMain lets this test binary be the peer, as the command itself is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "--peer" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestFixedAnswerHasTheAskedSize(t *testing.T) {
	for _, n := range []int{2, 10, 11, 600, 5000} {
		b := fixedAnswer(n)
		if !json.Valid(b) || n >= 10 && len(b) != n {
			t.Errorf("%d: %d bytes, %q", n, len(b), b)
		}
	}
}

func TestSpread(t *testing.T) {
	if s := spreadOf([]float64{3, 1, 2}); s != (spread{2, 1, 3}) {
		t.Error(s)
	}
	if s := spreadOf([]float64{4, 1, 2, 3}); s != (spread{2.5, 1, 4}) {
		t.Error(s)
	}
	if s := spreadOf(nil); s != (spread{}) {
		t.Error(s)
	}
}

func TestWrongCallsAreUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"--rounds", "0"}, {"extra"}, {"--no-such"}, {"--duration", "-1s"}} {
		var errs bytes.Buffer
		if code := run(context.Background(), args, io.Discard, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: %d %q", args, code, errs.String())
		}
	}
}

func TestPeerAsChild(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	servers, _ := process.SplitCores(true)
	c, err := process.Start(ctx, servers, os.Stderr, self, "--peer", "127.0.0.1:0", "--peer-bytes", "321")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	resp, err := http.Post("http://"+c.Address+"/openrtb2/auction", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || len(b) != 321 {
		t.Errorf("%d, %d bytes, %v", resp.StatusCode, len(b), err)
	}
	if runtime.GOOS == "linux" {
		var o options
		o.connections, o.pipeline, o.duration, o.warmup = 4, 1, 50*time.Millisecond, 10*time.Millisecond
		r, err := playRound(ctx, o, true, c, c)
		if err != nil || r.Ratio <= 0 || r.Peer.Failed+r.Millrace.Failed != 0 {
			t.Errorf("%+v %v", r, err)
		}
		res := result{Rounds: []round{r}, Ratio: spreadOf([]float64{r.Ratio})}
		var text bytes.Buffer
		if err := res.writeText(&text); err != nil || !strings.Contains(text.String(), "aim 0.8") {
			t.Error(text.String(), err)
		}
	}
}

func TestChildThatEndsIsNoServer(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := process.Start(context.Background(), nil, io.Discard, self, "--peer", "nonsense"); err == nil {
		t.Fatal("a child that ended counts as a server")
	}
}
