// Package shards: stand-in until the real one is merged.
package shards

import (
	"time"

	"millrace/codec/unit"
)

type Clock interface {
	Mono() unit.MonoTime
	Wall() unit.WallTime
}

type systemClock struct{}

var processStart = time.Now()

func SystemClock() Clock                { return systemClock{} }
func (systemClock) Mono() unit.MonoTime { return unit.MonoTime(time.Since(processStart)) }
func (systemClock) Wall() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

type Registry struct{}
