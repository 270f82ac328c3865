//go:build !unix

package shards

import (
	"testing"
	"time"
)

// doorbell wakes a goroutine; here by a channel.
type doorbell chan struct{}

func newDoorbell(*testing.B) doorbell { return make(doorbell, 1) }

func (d doorbell) ring() { d <- struct{}{} }

func (d doorbell) wait() { <-d }

// processCPU is not known here: the benchmarks then report 0 for it.
func processCPU() time.Duration { return 0 }
