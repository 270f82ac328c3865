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
	deflated           atomic.Uint64 // answers sent compressed
	deflatedFrom       atomic.Uint64 // their bytes before
	deflatedTo         atomic.Uint64 // and after
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

var timeoutNames = [timeoutKinds]string{"head", "body", "idle", "answer", "write", "linger"}

// register defines the metrics. They are functions over the atomics above: a
// scrape reads them, nothing is pushed.
func (s *Server) register(reg *shards.Registry) {
	if reg == nil {
		return
	}
	m := &s.metrics
	counter := func(name, help string, v *atomic.Uint64, labels ...shards.Label) {
		reg.CounterFunc(shards.Desc{Name: "millrace_ingress_" + name, Help: help, Labels: labels},
			func() float64 { return float64(v.Load()) })
	}
	counter("requests", "Complete requests handed to the handler.", &m.requests)
	counter("writes", "Write calls; answers per write is the coalescing.", &m.writes)
	counter("connections_accepted", "Connections accepted.", &m.accepted)
	counter("malformed", "Requests refused by the protocol: 4xx and 5xx that no handler saw.", &m.malformed)
	counter("accept_failures", "Accept calls that failed; out of descriptors, mostly.", &m.acceptFailures)
	counter("resets", "Connections ended by the peer's reset.", &m.resets)
	counter("overflows", "Connections dropped for too much backlog or waiting input.", &m.overflows)
	counter("slowed", "Hand-overs to the slow lane: clients that did not take an answer at once.", &m.slowed)
	counter("stalls", "Times a connection's input had to wait for room.", &m.stalls)
	counter("drained", "Idle connections closed by a shutdown.", &m.drained)
	counter("forced", "Connections cut off when a shutdown's patience ended.", &m.forced)
	counter("answers_gzip", "Answers sent compressed.", &m.deflated)
	counter("answers_gzip_plain_bytes", "Bytes of compressed answers before compression.", &m.deflatedFrom)
	counter("answers_gzip_bytes", "Bytes of compressed answers as sent.", &m.deflatedTo)
	for class := 1; class <= 5; class++ {
		counter("answers", "Answers by status class.", &m.answers[class],
			shards.Label{Name: "class", Value: string(rune('0'+class)) + "xx"})
	}
	const refused = "Refusals by what was exhausted."
	counter("refused", refused, &m.refusedConnections, shards.Label{Name: "limit", Value: "connections"})
	counter("refused", refused, &m.refusedInFlight, shards.Label{Name: "limit", Value: "in_flight"})
	counter("refused", refused, &m.refusedMemory, shards.Label{Name: "limit", Value: "memory"})
	for kind, name := range timeoutNames {
		counter("timeouts", "Connections ended by a timeout.", &m.timeouts[kind], shards.Label{Name: "of", Value: name})
	}
	gauge := func(name, help string, unit shards.Unit, v func() float64) {
		reg.GaugeFunc(shards.Desc{Name: "millrace_ingress_" + name, Help: help, Unit: unit}, v)
	}
	gauge("connections", "Open connections.", shards.None, func() float64 { return float64(s.Connections()) })
	gauge("connections_limit", "Connections that are accepted at most.", shards.None,
		func() float64 { return float64(s.cfg.ConnectionsMax) })
	gauge("in_flight", "Exchanges not yet answered.", shards.None, func() float64 { return float64(s.InFlight()) })
	gauge("buffered", "Partial requests and backlogs held for slow clients.", shards.Bytes,
		func() float64 { return float64(s.buffered.Load()) })
}
