package serve

import (
	"millrace/engine/budget"
	"millrace/engine/pace"
	"millrace/engine/selection"
	"millrace/state/campaign"
)

// CatalogSwap is a new catalog for one shard.
type CatalogSwap struct {
	Catalog *selection.Catalog
	// Accounts are the snapshot's, as the broker takes them.
	Accounts []budget.AccountSpec
	// Pace is how the accounts' spending is spread.
	Pace *pace.Catalog
	// Models made ready for the catalog; nil leaves those in force, which predict
	// nothing for another catalog than theirs.
	Models *ModelSwap
}

// PrepareCatalog makes each of n shards its swap to the snapshot. Slow work,
// for the loader's goroutine; Core.Load then takes a swap inside a turn.
func PrepareCatalog(s *campaign.Snapshot, cfg selection.Config, n int) []*CatalogSwap {
	accounts := accountSpecs(s)
	swaps := make([]*CatalogSwap, n)
	var terms *pace.Terms
	for i := range swaps {
		c := selection.Prepare(s, cfg)
		if i == 0 {
			terms = pace.NewTerms(s, c.Worth, c.LinesOf)
		}
		swaps[i] = &CatalogSwap{Catalog: c, Accounts: accounts, Pace: pace.Prepare(terms)}
	}
	return swaps
}

func accountSpecs(s *campaign.Snapshot) []budget.AccountSpec {
	specs := make([]budget.AccountSpec, len(s.Accounts))
	for i := range s.Accounts {
		a := &s.Accounts[i]
		specs[i] = budget.AccountSpec{
			ID: a.ID, Campaign: a.Campaign, Name: a.Name, Daily: a.Daily, Total: a.Total, Currency: a.Currency, Zone: a.Zone,
		}
	}
	for i := range s.Lines {
		for _, a := range s.Lines[i].Accounts() {
			if a >= 0 {
				specs[a].Unit = max(specs[a].Unit, s.Lines[i].Price)
			}
		}
	}
	return specs
}

// Load swaps the catalog, inside the shard's turn. Counts, balances and caps go
// on.
func (c *Core) Load(swap *CatalogSwap) {
	if c.sel == nil {
		c.sel = selection.NewSelector(swap.Catalog, c.rates, c.caps, c.predictor)
	} else {
		c.tally.fold(c.sel.Catalog().Snapshot)
		c.sel.Swap(swap.Catalog)
	}
	if swap.Models != nil {
		c.SetModels(swap.Models)
	}
	c.tally.resize(len(swap.Catalog.Snapshot.Lines))
	c.broker.SetAccounts(swap.Accounts, c.shard.Now(), c.shard.Wall())
	c.board.Load(swap.Pace)
	c.sel.Pace(c.board.Throttle())
}
