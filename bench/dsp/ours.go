package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"millrace/codec/unit"
	"millrace/netio/dsp"
	"millrace/shards"
)

// ours drives netio/dsp as the engine does: one shard whose turn netpoll's poller
// takes when sockets are ready.
type ours struct {
	group *shards.Group[event]

	// Owned by the shard.
	shard    *shards.Shard[event]
	pool     *dsp.Pool
	auctions []ourAuction
	calls    []dsp.Call // of auction a: those from a*hosts
	hosts    int
	running  int // auctions
	answered int // calls
	until    unit.MonoTime
	took     *latencies
	err      error
	done     chan struct{}
}

type ourAuction struct {
	open int
	from unit.MonoTime
}

type event struct{ kind uint8 }

func (e *event) Kind() uint8 { return e.kind }

const socketEvent, beginEvent = 0, 1

func newOurs(protocol dsp.Protocol) func(flight int, addrs []string) (driver, error) {
	return func(flight int, addrs []string) (driver, error) {
		d := &ours{
			hosts: len(addrs), auctions: make([]ourAuction, flight), calls: make([]dsp.Call, flight*len(addrs)),
			done: make(chan struct{}, 1),
		}
		var list []dsp.Endpoint
		for i, addr := range addrs {
			e := dsp.Endpoint{Name: strconv.Itoa(i), URL: "http://" + addr + path, Protocol: protocol, ConnsMin: 1}
			if protocol == dsp.HTTP1 {
				e.ConnsMin, e.ConnsMax = flight, flight
			}
			list = append(list, e)
		}
		endpoints, err := dsp.Prepare(list, "")
		if err != nil {
			return nil, err
		}
		cfg := shards.Default()
		cfg.Shards, cfg.Dispatch = 1, shards.DispatchInline
		d.group, err = shards.NewGroup(cfg, shards.SystemClock(), shards.NewRegistry(),
			func(s *shards.Shard[event]) shards.Handler[event] { d.shard = s; return d })
		if err != nil {
			return nil, err
		}
		if err = d.group.Start(context.Background()); err != nil {
			return nil, err
		}
		c := dsp.Default()
		c.DialsMax = 256
		c.Notify = func() { d.group.Submit(0, &event{socketEvent}) }
		if d.pool, err = dsp.New(c, endpoints, shards.SystemClock().Mono()); err != nil {
			return nil, err
		}
		return d, d.connected()
	}
}

// connected waits for the first connections.
func (d *ours) connected() error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		ready := true
		_ = d.group.Invoke(context.Background(), 0, func(s *shards.Shard[event]) {
			d.pool.Tick(s.Now())
			d.pool.Flush()
			for i := range d.hosts {
				st := d.pool.Stats(dsp.EndpointID(i))
				ready = ready && st.Conns > 0 && st.Dialing == 0
			}
		})
		if ready {
			return nil
		}
	}
	return errors.New("no connections within a minute")
}

func (d *ours) drive(until time.Time, took *latencies) (int, error) {
	_ = d.group.Invoke(context.Background(), 0, func(s *shards.Shard[event]) {
		d.answered, d.took = 0, took
		d.until = s.Now().Add(time.Until(until))
	})
	d.group.Submit(0, &event{beginEvent})
	<-d.done
	return d.answered, d.err
}

// Handle implements shards.Handler.
func (d *ours) Handle(e *event) {
	now := d.shard.Now()
	if e.kind == beginEvent {
		d.running = len(d.auctions)
		for a := range d.auctions {
			d.begin(a, now)
		}
		return
	}
	d.pool.Ready(now)
	d.collect(now)
}

func (d *ours) begin(auction int, now unit.MonoTime) {
	a := &d.auctions[auction]
	a.open, a.from = d.hosts, now
	for i := range d.hosts {
		c := &d.calls[auction*d.hosts+i]
		c.Endpoint, c.Tag, c.Deadline = dsp.EndpointID(i), uint64(auction), now.Add(time.Minute)
		if r := d.pool.Send(c, requestBody, now); r != dsp.Accepted {
			d.err = fmt.Errorf("refused: %v", r)
			a.open--
		}
	}
}

func (d *ours) collect(now unit.MonoTime) {
	for {
		c, ok := d.pool.Next()
		if !ok {
			return
		}
		if c.Outcome != dsp.Answered || c.Status != 200 || !bytes.Equal(c.Response, answerBody) {
			d.err = fmt.Errorf("%v, status %d: %q", c.Outcome, c.Status, c.Response)
		}
		d.pool.Release(c)
		d.answered++
		a := &d.auctions[c.Tag]
		if a.open--; a.open > 0 {
			continue
		}
		d.took.add(now.Sub(a.from))
		if now < d.until {
			d.begin(int(c.Tag), now)
		} else if d.running--; d.running == 0 {
			d.done <- struct{}{}
		}
	}
}

// Timer implements shards.Handler.
func (d *ours) Timer(uint8, uint64) {}

// EndBatch implements shards.Handler.
func (d *ours) EndBatch() {
	if d.pool == nil {
		return
	}
	d.pool.Tick(d.shard.Now())
	d.pool.Flush()
}
