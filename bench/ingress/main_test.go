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
	for _, a := range arrangements() {
		for _, pipeline := range []int{1, 8} {
			r, err := measure(a, &plan{duration: 20 * time.Millisecond, connections: 4, pipeline: pipeline, body: 1500})
			if err != nil || r.rate <= 0 {
				t.Errorf("%+v, pipeline %d: %+v, %v", a, pipeline, r, err)
			}
		}
	}
}
