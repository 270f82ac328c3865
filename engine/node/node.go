package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/gateway"
	"millrace/engine/serve"
	"millrace/models/coldstart"
	"millrace/netio/admin"
	"millrace/netio/ingress"
	"millrace/shards"
	"millrace/state/audit"
	"millrace/state/campaign"
	"millrace/state/outbox"
	"millrace/state/refund"
	"millrace/state/store"
	"millrace/state/store/embedded"
	"millrace/state/store/kafka"
)

// readyTimeout bounds the wait for the brokers' first leases.
const readyTimeout = 60 * time.Second

// Node is a running ad server.
type Node struct {
	cfg      Config
	log      *slog.Logger
	clock    shards.Clock
	registry *shards.Registry

	dataFolder string
	temporary  bool // dataFolder is ours to remove

	journal *outbox.Journal
	kafka   *kafka.Drain
	audit   *audit.Drain // nil: none
	refunds *refund.Desk

	reconciler *reconciler
	budgets    store.BudgetStore
	shared     *shared // nil: the budgets are this process's own
	group      *shards.Group[serve.Message]
	cores      []*serve.Core
	gate       *gateway.Gateway
	ingress    *ingress.Server
	admin      *admin.Server
	catalog    *campaign.Watcher
	models     *models
	demand     *demandSide

	stopOnce sync.Once
	stopErr  error
}

// Start brings a node up: journal, shards, catalog, first leases, then the
// listeners. When it returns the node takes traffic. Whatever fails, what was
// started is stopped again.
func Start(ctx context.Context, cfg Config, o Options) (*Node, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, faults
	}
	n := &Node{cfg: cfg, log: o.Logger, clock: shards.SystemClock(), registry: shards.NewRegistry()}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.tuneMemory()
	if err := n.start(ctx, o); err != nil {
		stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return nil, errors.Join(err, n.Stop(stop))
	}
	return n, nil
}

func (n *Node) start(ctx context.Context, o Options) error {
	if err := n.openData(); err != nil {
		return err
	}
	if err := n.watchCatalog(); err != nil {
		return err
	}
	keys, err := n.keyring()
	if err != nil {
		return err
	}
	if err := n.openMoney(ctx, o.files); err != nil {
		return err
	}
	if err := n.startKafka(); err != nil {
		return err
	}
	if err := n.startAudit(o.files); err != nil {
		return err
	}
	n.openRefunds(o.files)
	if err := n.newModels(); err != nil {
		return err
	}
	if err := n.newDemand(); err != nil {
		return err
	}
	if err := n.listen(keys); err != nil {
		return err
	}
	if err := n.startShards(ctx, keys); err != nil {
		return err
	}
	if err := n.distribute(ctx, n.catalog.Snapshot()); err != nil {
		return err
	}
	if err := n.awaitLeases(ctx); err != nil {
		return err
	}
	if err := n.demand.start(ctx); err != nil {
		return err
	}
	n.startReconciler()
	if err := n.listenAdmin(o); err != nil {
		return err
	}
	n.gate.SetReady(true)
	if n.cfg.CatalogPoll > 0 {
		n.catalog.Start(context.Background())
	}
	n.models.start(context.Background())
	return nil
}

// tuneMemory applies the collector's configuration.
func (n *Node) tuneMemory() {
	if os.Getenv("GOGC") == "" || n.cfg.Memory.GC != Default().Memory.GC {
		debug.SetGCPercent(n.cfg.Memory.GC)
	}
	if limit := int64(n.cfg.Memory.Limit); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}

func (n *Node) openData() error {
	n.dataFolder = n.cfg.Data
	if n.dataFolder != "" {
		if err := os.MkdirAll(n.dataFolder, 0o700); err != nil {
			return fmt.Errorf("data: %w; name a folder this user may write", err)
		}
		return nil
	}
	folder, err := os.MkdirTemp("", "millrace-")
	if err != nil {
		return fmt.Errorf("data: no temporary folder: %w; name one with --data", err)
	}
	n.dataFolder, n.temporary = folder, true
	n.log.Info("data is kept in a temporary folder and removed on exit; name one with --data to keep it", "folder", folder)
	return nil
}

func (n *Node) openMoney(ctx context.Context, files outbox.FS) error {
	c := outbox.Default()
	c.Dir = n.dataFolder + "/journal"
	c.Node = unit.NodeID(n.cfg.NodeID)
	c.Shards = n.shardCount()
	c.SegmentBytes = int64(n.cfg.Budget.JournalSegment)
	c.Retention = n.cfg.Budget.JournalRetention
	c.HoldBytesMax = int64(n.cfg.Budget.JournalHold)
	c.TokenTTL = n.cfg.Tokens.TTL
	c.Wall, c.FS = n.clock.Wall, files
	c.Alarm = func(err error) { n.log.Error("journal", "error", err) }
	if err := n.openShared(ctx, &c); err != nil {
		return err
	}
	started := n.clock.Mono()
	journal, err := outbox.Open(c)
	if err != nil {
		return err
	}
	n.journal = journal
	n.log.Info("journal recovered", "epoch", journal.Epoch(), "took", n.clock.Mono().Sub(started))
	if n.shared != nil {
		n.budgets, err = n.startShared()
		return err
	}
	own, err := embedded.Open(journal, n.clock.Wall, n.deliver)
	if err != nil {
		return err
	}
	n.budgets = own
	return nil
}

// deliver passes a reply of the budget store to the shard that asked. A full
// mailbox loses it; the shard asks again.
func (n *Node) deliver(r *store.Reply) bool {
	m := serve.Message{Type: serve.Budget, Budget: budgetReply(r)}
	return n.group.Submit(r.Shard, &m)
}

func (n *Node) shardCount() int {
	if n.cfg.Shards > 0 {
		return n.cfg.Shards
	}
	if len(n.cfg.CPUs) > 0 {
		return len(n.cfg.CPUs)
	}
	return shards.Default().Shards
}

func (n *Node) shardConfig() (shards.Config, error) {
	c := shards.Default()
	c.Shards = n.shardCount()
	c.CPUs = n.cfg.CPUs
	c.MailboxSlots = n.cfg.Shard.MailboxSlots
	c.BatchMax = n.cfg.Shard.Batch
	c.StallNanosMax = n.cfg.Shard.Stall
	c.KindNames, c.TimerNames = serve.KindNames, serve.TimerNames
	return c, c.Dispatch.UnmarshalText([]byte(n.cfg.Dispatch))
}

func (n *Node) coreConfig() serve.Config {
	c := serve.Default()
	c.Node, c.Epoch = unit.NodeID(n.cfg.NodeID), n.journal.Epoch()
	c.PublicURL = n.publicURL()
	c.TokenTTL = n.cfg.Tokens.TTL
	c.Budget.ReservationTTL, c.Budget.TokenTTL = n.cfg.Budget.ReservationTTL, n.cfg.Tokens.TTL
	c.Caps.Entries = n.cfg.Shard.FrequencySlots
	c.Caps.Seed = rand.Uint64() // nobody who chooses user ids can aim them at one slot
	c.EventsPendingMax = n.cfg.Limits.InFlight
	c.Users.Users, c.Users.Seed = n.cfg.Shard.UserSlots, rand.Uint64()
	c.Explore.Method, _ = coldstart.ParseMethod(n.cfg.Model.Explore) // Validate has read it
	c.ExploreSeed = rand.Uint64()
	c.Ladder.CostMax = n.cfg.Model.Latency
	c.Maturity = n.models.machine.Plan().Maturity
	c.Clock = n.clock
	c.Demand.Seed = rand.Uint64()
	c.ParkedMax, c.LastAuction, c.Notices = n.cfg.Demand.Parked, n.cfg.Demand.LastAuction, n.demand.notices
	return c
}

// publicURL is where browsers reach this node: as configured, else where it
// listens.
func (n *Node) publicURL() string {
	if n.cfg.PublicURL != "" {
		return strings.TrimRight(n.cfg.PublicURL, "/")
	}
	addr := n.ingress.Addr().String()
	if host, port, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host).IsUnspecified() {
		addr = net.JoinHostPort("127.0.0.1", port)
		n.log.Warn("tracking URLs lead to this machine only; set public_url to where browsers reach it", "public_url", "http://"+addr)
	}
	return "http://" + addr
}

func (n *Node) startShards(ctx context.Context, keys *event.Keyring) error {
	cfg, err := n.shardConfig()
	if err != nil {
		return err
	}
	core, metrics := n.coreConfig(), serve.NewMetrics(n.registry)
	n.cores = make([]*serve.Core, cfg.Shards)
	var faults []error
	n.group, err = shards.NewGroup(cfg, n.clock, n.registry, func(s *shards.Shard[serve.Message]) shards.Handler[serve.Message] {
		fx := newEffects(n, s.ID())
		c, err := serve.New(core, s, fx, keys, n.journal.Recovered(), metrics)
		faults = append(faults, err)
		n.cores[s.ID()] = c
		return c
	})
	if err := errors.Join(append(faults, err)...); err != nil {
		return err
	}
	if err := n.group.Start(ctx); err != nil {
		return err
	}
	for _, p := range n.group.Pinned() {
		n.log.Info("shard started", "pinning", p.String())
	}
	n.gate.Attach(n.group.Submit, n.group.Len())
	n.measureBrokers()
	return nil
}

func (n *Node) listen(keys *event.Keyring) error {
	limits := openrtb.DefaultLimits()
	limits.Depth, limits.Imps = n.cfg.Limits.Depth, n.cfg.Limits.Imps
	n.gate = gateway.New(gateway.Config{
		Node: unit.NodeID(n.cfg.NodeID), Epoch: n.journal.Epoch(),
		Limits: limits, Debug: n.cfg.DebugHeader, RetryAfterSeconds: 1,
	}, keys, n.clock, n.registry)
	c := ingress.Default()
	c.Addr = n.cfg.Listen
	if c.Pollers = n.cfg.Pollers; c.Pollers == 0 && ingress.Pollers() == 0 {
		// With inline dispatch the pollers do the shards' work; the journal's
		// writer and the kernel want a core too.
		c.Pollers = max(1, n.shardCount()-1)
	}
	l := n.cfg.Limits
	c.ConnectionsMax, c.InFlightMax, c.PipelineMax = l.Connections, l.InFlight, l.Pipeline
	c.HeadBytesMax, c.BodyBytesMax = int(l.HeadBytes), int(l.BodyBytes)
	c.HeadTimeout, c.BodyTimeout, c.IdleTimeout, c.WriteTimeout = l.HeadTimeout, l.BodyTimeout, l.IdleTimeout, l.WriteTimeout
	c.GzipBytesMin, c.GzipLevel = int(n.cfg.Gzip.BytesMin), n.cfg.Gzip.Level
	if n.cfg.Gzip.Answers == GzipOff {
		c.GzipBytesMin = 0
	}
	c.NewAttachment = n.gate.NewAttachment
	var err error
	if n.ingress, err = ingress.Listen(c, n.clock, n.registry, n.gate); err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	return nil
}

// awaitLeases waits until every shard has an answer for every account, so that
// the first request is not refused for want of a lease.
func (n *Node) awaitLeases(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := n.eachShard(ctx, "leases", func(c *serve.Core) bool { return c.Broker().Ready() || n.journal.Err() != nil })
	if failed := n.journal.Err(); failed != nil {
		return fmt.Errorf("no leases, the journal failed: %w", failed)
	}
	return err
}

// eachShard asks every shard until its core's answer is yes.
func (n *Node) eachShard(ctx context.Context, what string, done func(*serve.Core) bool) error {
	for i, core := range n.cores {
		for yes := false; !yes; {
			err := n.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) { yes = done(core) })
			if err == nil && !yes {
				select {
				case <-time.After(2 * time.Millisecond):
				case <-ctx.Done():
					err = ctx.Err()
				}
			}
			if err != nil {
				return fmt.Errorf("shard %d, waiting for %s: %w", i, what, err)
			}
		}
	}
	return nil
}

// Addr is where the node takes ad traffic.
func (n *Node) Addr() net.Addr { return n.ingress.Addr() }

// AdminAddr is where the admin server listens.
func (n *Node) AdminAddr() net.Addr { return n.admin.Addr() }

// Reload reads the catalog, the model's bundle and the demand file again. A faulty file changes
// nothing, and its faults are the error.
func (n *Node) Reload() error {
	err := n.catalog.Reload()
	if n.cfg.Model.Bundle == "" && n.demand.watcher == nil {
		return err
	}
	if errors.Is(err, campaign.ErrNoFile) {
		err = nil // there are other files to reload
	}
	if n.cfg.Model.Bundle != "" {
		err = errors.Join(err, n.models.reload(context.Background()))
	}
	if n.demand.watcher != nil {
		err = errors.Join(err, n.demand.watcher.Reload())
	}
	return err
}

// Stop ends the node: no new bids, requests in flight answered, money returned,
// journal closed. ctx bounds it; whatever it cuts short is recovered from the
// journal at the next start.
func (n *Node) Stop(ctx context.Context) error {
	n.stopOnce.Do(func() { n.stopErr = n.stop(ctx) })
	return n.stopErr
}

func (n *Node) stop(ctx context.Context) error {
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	if n.gate != nil {
		n.gate.SetReady(false)
	}
	if n.reconciler != nil {
		keep(n.reconciler.close())
	}
	if n.catalog != nil {
		n.catalog.Stop()
	}
	if n.models != nil {
		n.models.close()
	}
	if n.demand != nil {
		keep(n.demand.stop(ctx)) // nobody waits for bidders any more
	}
	if n.ingress != nil {
		keep(n.ingress.Shutdown(ctx))
	}
	if n.group != nil {
		keep(n.drain(ctx))
		keep(n.group.Stop(ctx))
	}
	if n.demand != nil {
		keep(n.demand.stopNotices(ctx))
	}
	switch {
	case n.shared != nil:
		keep(n.stopShared(ctx))
	case n.budgets != nil:
		keep(n.budgets.Close())
	}
	if n.kafka != nil {
		keep(n.stopKafka(ctx))
	}
	if n.audit != nil {
		keep(n.audit.Stop())
	}
	if n.journal != nil {
		keep(n.journal.Close())
	}
	if n.admin != nil {
		keep(n.admin.Shutdown(ctx))
	}
	if n.temporary {
		keep(os.RemoveAll(n.dataFolder))
	}
	return errors.Join(errs...)
}

// drainTimeout bounds the return of leases on the way out: what is not back by
// then is recovered at the next start.
const drainTimeout = 3 * time.Second

func (n *Node) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for i, core := range n.cores {
		err := n.group.Invoke(ctx, unit.ShardID(i), func(s *shards.Shard[serve.Message]) {
			core.Broker().Drain(s.Now(), s.Wall())
		})
		if errors.Is(err, shards.ErrNotRunning) {
			return nil // it never started: there is nothing to return
		}
		if err != nil {
			return err
		}
	}
	if err := n.eachShard(ctx, "leases to return", func(c *serve.Core) bool { return c.Broker().Drained() }); err != nil {
		n.log.Warn("not every lease was returned; the next start recovers them", "error", err)
	}
	return nil
}
