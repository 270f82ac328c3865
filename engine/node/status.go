package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/pace"
	"millrace/engine/serve"
	"millrace/netio/admin"
	"millrace/shards"
	"millrace/state/campaign"
)

func (n *Node) listenAdmin(o Options) error {
	c := admin.Default()
	c.Listen = n.cfg.Admin
	sources := admin.Sources{
		Version:   o.Version,
		Metrics:   n.registry.WritePrometheus,
		Config:    func() any { return n.cfg.View() },
		Campaigns: func(ctx context.Context) (any, error) { return n.Campaigns(ctx) },
		Campaign:  n.campaign,
		Shards:    func(ctx context.Context) (any, error) { return n.shardStatus(ctx) },
		Store:     func(context.Context) (any, error) { return n.Store(), nil },
		Models:    func(ctx context.Context) (any, error) { return n.Models(ctx) },
		Promote:   n.PromoteModel,
		Rollback:  n.RollbackModel,
		Refund:    n.Refund,
		Reconcile: n.Reconcile,
		Ready:     n.readiness,
		Reload:    n.Reload,
		Level:     o.Level,
		Logger:    n.log,
	}
	if n.demand.watcher != nil {
		sources.Demand = func(ctx context.Context) (any, error) { return n.Demand(ctx) }
	}
	var err error
	n.admin, err = admin.Listen(c, sources)
	return err
}

func (n *Node) readiness() error {
	if !n.gate.Ready() {
		return errors.New("starting or stopping")
	}
	if err := n.journal.Err(); err != nil {
		return fmt.Errorf("the journal failed; serving house ads only: %w", err)
	}
	if n.shared != nil && n.shared.store.Status().Fenced {
		return errors.New("the ledger has given up on this life of the node; serving house ads only until a restart")
	}
	return nil
}

func (n *Node) shardStatus(ctx context.Context) ([]admin.ShardStatus, error) {
	list := make([]admin.ShardStatus, n.group.Len())
	for i, p := range n.group.Pinned() {
		var st shards.Status
		err := n.group.Invoke(ctx, unit.ShardID(i), func(s *shards.Shard[serve.Message]) { st = s.Status() })
		if err != nil {
			return nil, fmt.Errorf("shard %d: %w", i, err)
		}
		list[i] = admin.ShardStatus{
			ID: i, Pinned: p.String(), QueueDepth: st.Depth, QueueSlots: st.Slots, Messages: st.Messages, Stalls: st.Stalls,
		}
	}
	return list, nil
}

// books is what the shards know together, at about one time.
type books struct {
	balances map[unit.AccountID]budget.Balance
	courses  map[unit.AccountID]pace.Course
	lines    map[unit.LineID]serve.LineTotals
}

func (n *Node) books(ctx context.Context) (books, error) {
	b := books{balances: map[unit.AccountID]budget.Balance{}, courses: map[unit.AccountID]pace.Course{}, lines: map[unit.LineID]serve.LineTotals{}}
	for i, core := range n.cores {
		var balances []budget.Balance
		var totals []serve.LineTotals
		var courses []pace.Course
		err := n.group.Invoke(ctx, unit.ShardID(i), func(*shards.Shard[serve.Message]) {
			balances, totals = core.Broker().AppendBalances(nil), core.AppendTotals(nil)
			courses = core.Board().AppendCourses(nil, n.clock.Wall())
		})
		if err != nil {
			return b, fmt.Errorf("shard %d: %w", i, err)
		}
		for _, x := range balances {
			sum := b.balances[x.Account]
			sum.Add(&x)
			b.balances[x.Account] = sum
		}
		for _, x := range courses {
			b.courses[x.Account] = x
		}
		for _, x := range totals {
			sum := b.lines[x.Line]
			sum.Wins += x.Wins
			sum.Billed += x.Billed
			for k := range sum.Events {
				sum.Events[k] += x.Events[k]
			}
			b.lines[x.Line] = sum
		}
	}
	return b, nil
}

// Campaigns is every campaign of the catalog with its live spend. Counters
// count since this process started; budgets survive restarts.
func (n *Node) Campaigns(ctx context.Context) ([]admin.CampaignStatus, error) {
	b, err := n.books(ctx)
	if err != nil {
		return nil, err
	}
	s := n.catalog.Snapshot()
	active := new(campaign.Activity).At(s, n.clock.Wall())
	list := make([]admin.CampaignStatus, len(s.Campaigns))
	for i := range s.Campaigns {
		c := &s.Campaigns[i]
		list[i] = admin.CampaignStatus{
			ID: hexID(uint64(c.ID)), Name: c.Name, Advertiser: s.Advertisers[c.Advertiser].Name,
			Currency: c.Currency.String(), Zone: c.Zone.String(), Lines: []admin.LineStatus{},
		}
		if a := b.account(s, c.Account); a != nil {
			list[i].Budget = *a
		}
	}
	for i := range s.Lines {
		c := &list[s.Lines[i].Campaign]
		c.Lines = append(c.Lines, b.line(s, campaign.LineIndex(i), active.Has(campaign.LineIndex(i))))
	}
	return list, nil
}

func (n *Node) campaign(ctx context.Context, id string) (any, error) {
	list, err := n.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Name == id || list[i].ID == id {
			return list[i], nil
		}
	}
	return nil, admin.ErrNotFound
}

func (b *books) line(s *campaign.Snapshot, i campaign.LineIndex, active bool) admin.LineStatus {
	l := &s.Lines[i]
	t := b.lines[l.ID]
	st := admin.LineStatus{
		ID: hexID(uint64(l.ID)), Name: l.Name, Kind: l.Kind.String(), Pricing: l.Pricing.String(), Tier: int(l.Tier),
		Price: admin.Amount(l.Price), Active: active, Wins: t.Wins,
		Impressions: t.Events[0], Clicks: t.Events[1], Conversions: t.Events[2], Spent: admin.Amount(t.Billed),
		Budget: b.account(s, l.LineAccount),
	}
	if l.Pricing == campaign.CPM {
		st.Price = admin.Amount(l.Price * 1000) // shown per thousand, as it is written
	}
	return st
}

func (b *books) account(s *campaign.Snapshot, a campaign.AccountIndex) *admin.Budget {
	if a == campaign.NoAccount {
		return nil
	}
	x := b.balances[s.Accounts[a].ID]
	course := b.courses[s.Accounts[a].ID]
	return &admin.Budget{
		Pacing: s.Accounts[a].Pacing.String(), Participation: course.Share, Planned: admin.Amount(course.Planned),
		Daily: admin.Amount(s.Accounts[a].Daily), Total: admin.Amount(s.Accounts[a].Total),
		SpentToday: admin.Amount(x.PostedDay), SpentTotal: admin.Amount(x.PostedTotal), Reserved: admin.Amount(x.Reserved),
		Leased: admin.Amount(x.Pool + x.Available + x.Moving + x.Reserved + x.Locked),
	}
}

func hexID(id uint64) string {
	const width = 16
	text := strconv.FormatUint(id, 16)
	return "0000000000000000"[:width-len(text)] + text
}
