package ingress

import (
	"sync/atomic"

	"millrace/shards"
)

// metrics are counted by pollers and shards alike, hence atomic.
type metrics struct {
	requests           atomic.Uint64
	writes             atomic.Uint64
	accepted           atomic.Uint64
	answers            [6]atomic.Uint64 // by status class
	malformed          atomic.Uint64    // requests answered by ingress with 4xx or 5xx
	refusedConnections atomic.Uint64
	refusedInFlight    atomic.Uint64
	refusedMemory      atomic.Uint64
	acceptFailures     atomic.Uint64
	resets             atomic.Uint64
	overflows          atomic.Uint64 // connections dropped for too much backlog or waiting input
	slowed             atomic.Uint64 // handed to the slow lane
	stalls             atomic.Uint64 // input that had to wait for room
	timeouts           [timeoutKinds]atomic.Uint64
	drained            atomic.Uint64 // idle ones closed by a shutdown
	forced             atomic.Uint64 // closed at the end of a shutdown's patience
}

type timeoutKind uint8

const (
	timeoutHead timeoutKind = iota
	timeoutBody
	timeoutIdle
	timeoutAnswer
	timeoutWrite
	timeoutLinger
	timeoutKinds
)

func (s *Server) register(_ *shards.Registry) {}
