package node

import (
	"context"
	"fmt"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/selection"
	"millrace/engine/serve"
	"millrace/shards"
	"millrace/state/campaign"
)

// watchCatalog loads the catalog; a fault is the error. The watcher calls
// distribute for each later one, one at a time, so that every shard sees them
// in the same order.
func (n *Node) watchCatalog() error {
	var err error
	n.catalog, err = campaign.NewWatcher(campaign.WatcherConfig{
		Path: n.cfg.Catalog, Poll: n.cfg.CatalogPoll, Log: n.log,
		Swapped: func(s *campaign.Snapshot) {
			// Without a deadline: a shard that missed a catalog would name accounts
			// by another list than its peers. A group that stops ends the wait.
			if err := n.distribute(context.Background(), s); err != nil {
				n.log.Error("the catalog did not reach every shard", "error", err)
			}
		},
	})
	if err != nil {
		return err
	}
	n.registry.CounterFunc(shards.Desc{Name: "millrace_catalog_loads", Help: "Catalogs put into service."},
		func() float64 { return float64(n.catalog.Status().Swaps) })
	n.registry.CounterFunc(shards.Desc{Name: "millrace_catalog_refused", Help: "Catalog files refused for their faults; the old catalog stayed in service."},
		func() float64 { return float64(n.catalog.Status().Failures) })
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_catalog_line_items", Help: "Line items of the catalog in service."},
		func() float64 { return float64(len(n.catalog.Snapshot().Lines)) })
	return nil
}

// distribute prepares each shard's catalog here, with the models made ready for
// it, and hands it over inside the shard's turn, where it costs a pointer.
func (n *Node) distribute(ctx context.Context, s *campaign.Snapshot) error {
	n.models.mu.Lock()
	defer n.models.mu.Unlock()
	started := n.clock.Mono()
	swaps := serve.PrepareCatalog(s, n.selectionConfig(), len(n.cores))
	totals, err := n.models.totals(ctx)
	if err != nil {
		return err
	}
	models, err := n.models.prepare(s, totals)
	if err != nil {
		return err
	}
	n.models.snapshot = s
	for i := range swaps {
		swaps[i].Models = models[i]
	}
	for i, core := range n.cores {
		err := n.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) { core.Load(swaps[i]) })
		if err != nil {
			return fmt.Errorf("catalog to shard %d: %w", i, err)
		}
	}
	n.log.Info("catalog in service", "version", s.Version, "line_items", len(s.Lines), "accounts", len(s.Accounts),
		"took", n.clock.Mono().Sub(started))
	return nil
}

func (n *Node) selectionConfig() selection.Config {
	c, r := selection.Default(), &n.cfg.Ranking
	c.ScoredMax = n.cfg.Model.Candidates
	share := func(percent int) float64 { return float64(percent) / 100 }
	c.Format[openrtb.BannerMedia], c.Format[openrtb.VideoMedia] = share(r.Banner), share(r.Video)
	c.Format[openrtb.AudioMedia], c.Format[openrtb.NativeMedia] = share(r.Audio), share(r.Native)
	const aboveFold, belowFold = 1, 3 // OpenRTB 5.4
	c.Position[aboveFold], c.Position[belowFold] = share(r.AboveFold), share(r.BelowFold)
	return c
}
