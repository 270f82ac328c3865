package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/demand"
	"millrace/engine/demand/partners"
	"millrace/engine/serve"
	"millrace/netio/dsp"
	"millrace/netio/notice"
	"millrace/shards"
)

// demandSide is what a node has beside its shards to ask bidders: the file, the
// shards' pools, and the notices. Without a demand file there are notices alone:
// exchanges may still tell of what was passed on before.
type demandSide struct {
	node    *Node
	watcher *partners.Watcher
	notices *notice.Sender
	pools   []*dsp.Pool

	mu   sync.Mutex // one swap at a time
	swap *serve.DemandSwap
	last string // why the last file's endpoints could not be used
}

// newDemand reads the demand file; what is wrong with it is the error.
func (n *Node) newDemand() error {
	d := &demandSide{node: n}
	n.demand = d
	c := notice.Default(n.shardCount())
	c.QueueMax, c.Workers = n.cfg.Demand.Notices.Queue, n.cfg.Demand.Notices.Workers
	c.Private, c.UserAgent = n.cfg.Demand.Notices.Private, userAgent
	c.Tries[event.Billed] = n.cfg.Demand.Notices.Tries
	c.AgeMax = n.cfg.Demand.Notices.Age
	var err error
	if d.notices, err = notice.Start(c); err != nil {
		return fmt.Errorf("demand.notices: %w", err)
	}
	d.metrics()
	if n.cfg.Demand.File == "" {
		return nil
	}
	d.watcher, err = partners.NewWatcher(partners.WatcherConfig{
		Path: n.cfg.Demand.File, Region: n.cfg.Demand.Region, Poll: n.cfg.Demand.Poll, Log: n.log, Now: n.clock.Wall,
		Swapped: func(b *partners.Book) {
			if err := d.distribute(context.Background(), b); err != nil {
				n.log.Error("the demand file did not reach every shard", "error", err)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("demand.file: %w", err)
	}
	d.swap, err = newSwap(d.watcher.Book())
	return err
}

// userAgent of the calls to bidders and of their notices.
const userAgent = "millrace"

// newSwap makes the endpoints of a book ready.
func newSwap(b *partners.Book) (*serve.DemandSwap, error) {
	s := &serve.DemandSwap{Book: b}
	var list []dsp.Endpoint
	for i, id := range b.Order {
		p := b.Partner(id)
		e, err := endpoint(p)
		if err != nil {
			return nil, fmt.Errorf("demand.file: partner %s: %w", p.Name, err)
		}
		s.EndpointOf[id] = dsp.EndpointID(i)
		list = append(list, e)
	}
	var err error
	if s.Endpoints, err = dsp.Prepare(list, userAgent); err != nil {
		return nil, fmt.Errorf("demand.file: %w", err)
	}
	return s, nil
}

// endpoint is a partner's, as the pools take it.
func endpoint(p *partners.Partner) (dsp.Endpoint, error) {
	from := &p.Endpoint
	e := dsp.Endpoint{
		Name: p.Name, URL: from.URL, Protocol: dsp.Protocol(from.Protocol), ServerName: from.TLS.ServerName,
		GzipRequest: from.Gzip, GzipResponse: from.Gzip, ConnsMin: from.ConnsMin, ConnsMax: from.ConnsMax,
	}
	for _, h := range from.Headers {
		e.Headers = append(e.Headers, dsp.Header{Name: h.Name, Value: h.Value})
	}
	if from.TLS.CA != "" {
		pem, err := os.ReadFile(from.TLS.CA)
		if err != nil {
			return e, fmt.Errorf("tls.ca: %w", err)
		}
		if e.RootCAs = x509.NewCertPool(); !e.RootCAs.AppendCertsFromPEM(pem) {
			return e, fmt.Errorf("tls.ca: %s has no certificate; give a file of PEM blocks", from.TLS.CA)
		}
	}
	if from.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(from.TLS.Cert, from.TLS.Key)
		if err != nil {
			return e, fmt.Errorf("tls.cert, tls.key: %w", err)
		}
		e.Certificates = []tls.Certificate{pair}
	}
	return e, nil
}

// start gives every shard its pool of connections and the file.
func (d *demandSide) start(ctx context.Context) error {
	if d.watcher == nil {
		return nil
	}
	n := d.node
	d.pools = make([]*dsp.Pool, len(n.cores))
	for i, core := range n.cores {
		id := unit.ShardID(i)
		var fault error
		err := n.group.Invoke(ctx, id, func(s *shards.Shard[serve.Message]) {
			c := dsp.Default()
			c.Seed = rand.Uint64()
			c.Notify = func() { n.group.Submit(id, &serve.Message{Type: serve.Socket}) }
			d.pools[i], fault = dsp.New(c, d.swap.Endpoints, s.Now())
			if fault == nil {
				core.SetDemand(d.swap, d.pools[i])
			}
		})
		if err = errors.Join(err, fault); err != nil {
			return fmt.Errorf("demand, shard %d: %w", i, err)
		}
	}
	if n.cfg.Demand.Poll > 0 {
		d.watcher.Start(context.Background())
	}
	return nil
}

// distribute hands a new book to every shard. A book whose endpoints can't be used
// (a certificate that is not there) changes nothing.
func (d *demandSide) distribute(ctx context.Context, b *partners.Book) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := newSwap(b)
	if err != nil {
		d.last = err.Error()
		return err
	}
	d.last, d.swap = "", s
	for i, core := range d.node.cores {
		err := d.node.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) { core.SetDemand(s, nil) })
		if err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	return nil
}

// Demand is how the node's bidders do.
func (n *Node) Demand(ctx context.Context) (DemandStatus, error) {
	var sum demand.Status
	var waiting int
	for i, core := range n.cores {
		err := n.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) {
			if desk := core.Desk(); desk != nil {
				desk.Gather(&sum)
				n.demand.late(i, desk.Book(), &sum)
			}
			waiting += core.Waiting()
		})
		if err != nil {
			return DemandStatus{}, fmt.Errorf("shard %d: %w", i, err)
		}
	}
	s := demandStatus(&sum, n.clock.Mono())
	s.Waiting = waiting
	s.File, s.LastRefusal = n.cfg.Demand.File, n.demand.refusal()
	return s, nil
}

// late adds the answers that a shard's connections saw too late; endpoints are
// numbered as the book orders its partners. Called inside the shard's turn, after
// the desk's Gather.
func (d *demandSide) late(shard int, b *partners.Book, sum *demand.Status) {
	if shard >= len(d.pools) || d.pools[shard] == nil || b == nil {
		return
	}
	for i := range b.Order {
		sum.Partners[i].Counts.Late += d.pools[shard].Stats(dsp.EndpointID(i)).Late
	}
}

// refusal is why the file as it is now does not serve; empty where it does.
func (d *demandSide) refusal() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if faults := d.watcher.Status().Faults; len(faults) > 0 {
		return faults[0].Error()
	}
	return d.last
}

// stop ends the asking: auctions that wait are decided with what there is, and
// the connections are closed.
func (d *demandSide) stop(ctx context.Context) error {
	if d.watcher != nil {
		d.watcher.Stop()
	}
	for i, pool := range d.pools {
		if pool == nil {
			continue
		}
		core := d.node.cores[i]
		err := d.node.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) {
			core.StopDemand()
			pool.Close()
		})
		if err != nil && !errors.Is(err, shards.ErrNotRunning) {
			return fmt.Errorf("demand, shard %d: %w", i, err)
		}
	}
	return nil
}

// noticesStopTimeout bounds the last tries of notices on the way out.
const noticesStopTimeout = 2 * time.Second

// stopNotices gives what is queued a last try.
func (d *demandSide) stopNotices(ctx context.Context) error {
	if d.notices == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, noticesStopTimeout)
	defer cancel()
	if err := d.notices.Stop(ctx); err != nil {
		d.node.log.Warn("notices to bidders were given up", "error", err)
	}
	return nil
}

func (d *demandSide) metrics() {
	r := d.node.registry
	for k := event.Billed; k.Valid(); k++ {
		kind := shards.Label{Name: "kind", Value: k.String()}
		count := func(name, help string, v func(s notice.Status) uint64) {
			r.CounterFunc(shards.Desc{Name: "millrace_notices_" + name, Help: help, Labels: []shards.Label{kind}},
				func() float64 { return float64(v(d.notices.Status(k))) })
		}
		count("done", "Notices that bidders took, by kind.", func(s notice.Status) uint64 { return s.Done })
		count("failed", "Calls of notices that failed, by kind.", func(s notice.Status) uint64 { return s.Failed })
		count("retried", "Calls of notices beyond the first, by kind.", func(s notice.Status) uint64 { return s.Retried })
		count("refused", "Notices not called: no URL to call, or none at a public address.", func(s notice.Status) uint64 { return s.Refused })
		count("given_up", "Notices given up after their tries or their age, by kind.", func(s notice.Status) uint64 { return s.GaveUp })
	}
	r.GaugeFunc(shards.Desc{Name: "millrace_notices_waiting", Help: "Notices on their way to bidders."},
		func() float64 { return float64(d.notices.Waiting()) })
	if d.node.cfg.Demand.File == "" {
		return
	}
	r.CounterFunc(shards.Desc{Name: "millrace_demand_loads", Help: "Demand files put into service."},
		func() float64 { return float64(d.watcher.Status().Swaps) })
	r.CounterFunc(shards.Desc{Name: "millrace_demand_refused", Help: "Demand files refused for their faults; the old one stayed in service."},
		func() float64 { return float64(d.watcher.Status().Failures) })
}

func (c DemandConfig) validate(l *faultList) {
	if c.Poll != 0 {
		l.lasting("demand.poll", c.Poll, 100*time.Millisecond, 24*time.Hour)
	}
	l.between("demand.parked", int64(c.Parked), 1, 1<<20)
	l.between("demand.notices.queue", int64(c.Notices.Queue), 1, 1<<20)
	l.between("demand.notices.workers", int64(c.Notices.Workers), 1, 4096)
	l.between("demand.notices.tries", int64(c.Notices.Tries), 1, 100)
	l.lasting("demand.notices.age", c.Notices.Age, 5*time.Second, 24*time.Hour)
}
