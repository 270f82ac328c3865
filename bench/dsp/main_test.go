package main

import (
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if serveIfChild() {
		return
	}
	os.Exit(m.Run())
}

// TestSmoke runs every client for a moment; it asserts no speed.
func TestSmoke(t *testing.T) {
	p := plan{duration: 20 * time.Millisecond}
	for i, delay := range []time.Duration{0, time.Millisecond} {
		mock, err := startMock(3, delay, delay)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range clientNames() {
			if r, err := p.measure(name, 1+3*i, mock.addrs); err != nil || r.calls <= 0 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
		mock.stop()
	}
}
