package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/shards"
	"millrace/state/campaign"
)

// catalogKeeper loads the catalog and gives every shard its prepared copy. A
// swap is slow work done here, and one pointer on the shard.
type catalogKeeper struct {
	node *Node

	reloading sync.Mutex // one reload at a time: every shard sees them in one order

	mu      sync.Mutex
	current *campaign.Snapshot

	quit     chan struct{}
	finished chan struct{}

	loads, failures shards.AtomicCounter
}

func newCatalogKeeper(n *Node) (*catalogKeeper, error) {
	k := &catalogKeeper{
		node:     n,
		loads:    n.registry.AtomicCounter(shards.Desc{Name: "millrace_catalog_loads", Help: "Catalogs taken into service."}),
		failures: n.registry.AtomicCounter(shards.Desc{Name: "millrace_catalog_faults", Help: "Catalog files refused; the old catalog stayed in service."}),
	}
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_catalog_line_items", Help: "Line items of the catalog in service."},
		func() float64 { return float64(len(k.snapshot().Lines)) })
	snapshot, faults := k.load(1)
	if len(faults) > 0 {
		return nil, faults
	}
	k.current = snapshot
	return k, nil
}

func (k *catalogKeeper) snapshot() *campaign.Snapshot {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

func (k *catalogKeeper) load(version uint64) (*campaign.Snapshot, strict.Faults) {
	if k.node.cfg.Catalog == "" {
		return campaign.DemoSnapshot(campaign.Options{Version: version})
	}
	return campaign.LoadSnapshot(k.node.cfg.Catalog, campaign.Options{Version: version})
}

// reload loads the catalog anew and distributes it.
func (k *catalogKeeper) reload() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	k.reloading.Lock()
	defer k.reloading.Unlock()
	next, faults := k.load(k.snapshot().Version + 1)
	if len(faults) > 0 {
		k.failures.Inc()
		return faults
	}
	k.mu.Lock()
	k.current = next
	k.mu.Unlock()
	return k.distribute(ctx)
}

// distribute gives the current snapshot to every shard and waits until each has
// taken it.
func (k *catalogKeeper) distribute(ctx context.Context) error {
	started := k.node.clock.Mono()
	s := k.snapshot()
	swaps := serve.PrepareCatalog(s, selection.Default(), len(k.node.cores))
	for i, core := range k.node.cores {
		err := k.node.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) { core.Load(swaps[i]) })
		if err != nil {
			return fmt.Errorf("catalog to shard %d: %w", i, err)
		}
	}
	k.loads.Inc()
	k.node.log.Info("catalog in service", "version", s.Version, "line_items", len(s.Lines), "accounts", len(s.Accounts),
		"took", k.node.clock.Mono().Sub(started))
	return nil
}
