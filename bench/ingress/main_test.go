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

// TestSmoke runs every arrangement for a moment; it asserts no speed.
func TestSmoke(t *testing.T) {
	for i, a := range arrangements() {
		pipeline := 1 + i%2*7
		r, err := measure(a, &plan{duration: 20 * time.Millisecond, connections: 4, pipeline: pipeline, body: 1500})
		if err != nil || r.rate <= 0 {
			t.Errorf("%+v, pipeline %d: %+v, %v", a, pipeline, r, err)
		}
	}
}
