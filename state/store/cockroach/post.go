package cockroach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store/joint"
)

// posted is a batch of a journal's records as rows.
type posted struct {
	life    joint.Life
	to      uint64
	records int
	stamp   ledger.Stamp
	rows    *columns
	// Keys of Granted records, and their amounts: they confirm.
	epochs, seqs []int64
	shards       []int32
	granted      map[grantKey]unit.Nanos
	accounts     map[unit.AccountID]opened
}

// grantKey is a grant's identity within the node.
type grantKey struct {
	epoch int64
	shard int32
	seq   int64
}

// opened is an AccountOpened.
type opened struct {
	campaign     unit.CampaignID
	currency     string
	name         string
	daily, total unit.Nanos
	stamp        ledger.Stamp
}

// Post see joint.Ledger. Recorded events move no money and leave only the cursor
// behind: they are in the journal, and in the copies that are made of it.
func (g *Ledger) Post(l joint.Life, records []ledger.Record, _, to uint64, done func(error)) {
	p := &posted{life: l, to: to, records: len(records), rows: newColumns(len(records) + len(records)/4)}
	for i := range records {
		r := &records[i]
		if r.Node != l.Node || r.Epoch > l.Epoch {
			go done(fmt.Errorf("ledger: a record of node %d, epoch %d, posted by node %d, epoch %d; each node posts its own journal", r.Node, r.Epoch, l.Node, l.Epoch))
			return
		}
		p.take(r)
	}
	var made, again, breaches uint64
	g.put(lanePost, call{
		run: func(ctx context.Context, tx pgx.Tx) (err error) {
			made, breaches, err = g.post(ctx, tx, p)
			again = uint64(p.rows.len()) - made
			return err
		},
		prepare: func(ctx context.Context) error {
			days := make([]unit.Day, p.rows.len())
			for i, d := range p.rows.dated {
				days[i] = unit.Day(d)
			}
			return g.makeMonths(ctx, days)
		},
		done: func(err error) {
			if err == nil {
				g.stats.postings.Add(made)
				g.stats.repeats.Add(again)
				g.stats.breaches.Add(breaches)
			}
			done(err)
		},
	})
}

// take turns a record into rows. Nothing of it is kept.
func (p *posted) take(r *ledger.Record) {
	p.stamp = p.stamp.Merge(r.Stamp)
	switch r.Kind {
	case ledger.AccountOpened:
		if p.accounts == nil {
			p.accounts = map[unit.AccountID]opened{}
		}
		p.accounts[r.Account] = opened{r.Campaign, r.Currency.String(), text(r.Name), r.Daily, r.Total, r.Stamp}
	case ledger.Granted:
		if p.granted == nil {
			p.granted = map[grantKey]unit.Nanos{}
		}
		k := grantKey{int64(r.Epoch), int32(r.Shard), int64(r.Seq)}
		p.epochs, p.shards, p.seqs, p.granted[k] = append(p.epochs, k.epoch), append(p.shards, k.shard), append(p.seqs, k.seq), r.Amount
		p.rows.record(r)
	default:
		p.rows.record(r)
	}
}

// leaseKey is a lease of the node.
type leaseKey struct {
	epoch   int64
	account int64
	day     int32
}

// change is what a batch adds to a lease.
type change struct {
	campaign                            int64
	currency                            string
	granted, returned, posted, refunded int64
}

// changes are what a batch adds to the node's leases, and to the rows that guard
// limits.
type changes struct {
	leases map[leaseKey]*change
	totals map[unit.AccountID]*committed
	days   map[accountDay]*committed
}

func (c *changes) lease(k leaseKey, campaign int64, currency string) *change {
	l := c.leases[k]
	if l == nil {
		l = &change{campaign: campaign}
		c.leases[k] = l
	}
	l.currency = max(l.currency, currency) // records of returns name none
	return l
}

// commit moves the rows that guard an account's limits.
func (c *changes) commit(a *added, amount int64, stamp ledger.Stamp) {
	account, day := unit.AccountID(a.account), accountDay{unit.AccountID(a.account), unit.Day(a.day)}
	if c.totals[account] == nil {
		c.totals[account] = &committed{stamp: stamp}
	}
	if c.days[day] == nil {
		c.days[day] = &committed{stamp: stamp}
	}
	c.totals[account].add += unit.Nanos(amount)
	c.days[day].add += unit.Nanos(amount)
}

// post writes the batch: what is new among its postings, then what follows from
// that.
func (g *Ledger) post(ctx context.Context, tx pgx.Tx, p *posted) (made, breaches uint64, err error) {
	follows := changes{leases: map[leaseKey]*change{}, totals: map[unit.AccountID]*committed{}, days: map[accountDay]*committed{}}
	if err := g.knows(ctx, tx, p.life); err != nil {
		return 0, 0, err
	}
	b := &pgx.Batch{}
	b.Queue(statement("move_cursor"), int32(p.life.Node), int64(p.life.Epoch), int64(p.to), int64(p.records), int64(p.stamp))
	if p.rows.len() > 0 {
		b.Queue(statement("insert_postings"), p.rows.arguments(p.life.Node)...).Query(func(rows pgx.Rows) error {
			return readAdded(rows, func(a *added) {
				made += uint64(a.count)
				follows.take(a, p.stamp)
			})
		})
	}
	if len(p.seqs) > 0 {
		b.Queue(statement("confirm"), int32(p.life.Node), p.epochs, p.shards, p.seqs).Query(func(rows pgx.Rows) (err error) {
			breaches, err = g.confirmed(rows, p, &follows)
			return err
		})
	}
	if len(p.accounts) > 0 {
		b.Queue(statement("name_accounts"), p.names()...)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil || len(follows.leases) == 0 {
		return made, breaches, err
	}
	over, err := g.follow(ctx, tx, p, &follows)
	return made, breaches + over, err
}

// knows refuses a life that was never begun. Once it is known it is not read
// again: its row is written by each grant, and a transaction that reads what
// another writes is one of the two that a serializable database may end.
func (g *Ledger) knows(ctx context.Context, tx pgx.Tx, l joint.Life) error {
	if _, known := g.known.Load(l); known {
		return nil
	}
	_, err := lifeOf(ctx, tx, l)
	if errors.Is(err, pgx.ErrNoRows) {
		return final{fmt.Errorf("ledger: %w: life %d of node %d was never begun", joint.ErrFenced, l.Epoch, l.Node)}
	}
	if err == nil {
		g.known.Store(l, struct{}{})
	}
	return err
}

// take adds new postings.
func (c *changes) take(a *added, stamp ledger.Stamp) {
	l := c.lease(leaseKey{a.leaseEpoch, a.account, a.day}, a.campaign, a.currency)
	switch ledger.Kind(a.kind) {
	case ledger.Granted:
		// The ledger did not grant it: the node was alone before.
		l.granted += a.amount
		c.commit(a, a.amount, stamp)
	case ledger.Returned:
		l.returned += a.amount
		c.commit(a, -a.amount, stamp)
	case ledger.Posted:
		l.posted += a.amount
	case ledger.Refunded:
		l.refunded += a.amount
		c.commit(a, -a.amount, stamp)
	}
}

// confirmed adds the grants that the journal has come to know of.
func (g *Ledger) confirmed(rows pgx.Rows, p *posted, c *changes) (breaches uint64, err error) {
	var id grantKey
	var k leaseKey
	var campaign, amount int64
	var currency string
	_, err = pgx.ForEachRow(rows, []any{&id.epoch, &id.shard, &id.seq, &k.account, &campaign, &currency, &k.day, &amount}, func() error {
		k.epoch = id.epoch
		c.lease(k, campaign, currency).granted += amount
		if told := p.granted[id]; told != unit.Nanos(amount) {
			breaches++
			g.cfg.Log.Error("a grant is another in the journal than in the ledger", "node", p.life.Node, "epoch", id.epoch, "shard", id.shard, "seq", id.seq,
				"journal", told, "ledger", unit.Nanos(amount))
		}
		return nil
	})
	return breaches, err
}

// follow moves the leases, and the rows that guard limits.
func (g *Ledger) follow(ctx context.Context, tx pgx.Tx, p *posted, c *changes) (breaches uint64, err error) {
	var epochs, accounts, campaigns, granted, returned, spent, refunded []int64
	var days []int32
	var currencies []string
	for _, k := range slices.SortedFunc(maps.Keys(c.leases), func(x, y leaseKey) int {
		return cmp.Or(cmp.Compare(x.epoch, y.epoch), cmp.Compare(x.account, y.account), cmp.Compare(x.day, y.day))
	}) {
		l := c.leases[k]
		epochs, accounts, days = append(epochs, k.epoch), append(accounts, k.account), append(days, k.day)
		campaigns, currencies = append(campaigns, l.campaign), append(currencies, l.currency)
		granted, returned = append(granted, l.granted), append(returned, l.returned)
		spent, refunded = append(spent, l.posted), append(refunded, l.refunded)
	}
	var over []overdrawn
	b := &pgx.Batch{}
	b.Queue(statement("add_leases"), int32(p.life.Node), epochs, accounts, days, campaigns, currencies, granted, returned, spent, refunded).Query(func(rows pgx.Rows) error {
		var o overdrawn
		_, err := pgx.ForEachRow(rows, []any{&o.epoch, &o.account, &o.day, &o.campaign, &o.currency, &o.rest, &o.writtenOff}, func() error {
			if o.rest < 0 {
				over = append(over, o)
			}
			return nil
		})
		return err
	})
	if len(c.totals) > 0 {
		queueCommitted(b, c)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil || len(over) == 0 {
		return 0, err
	}
	return g.settleOverdrawn(ctx, tx, p, over)
}

func queueCommitted(b *pgx.Batch, c *changes) {
	accounts, amounts, stamps := accountsOf(c.totals), []int64(nil), []int64(nil)
	for _, a := range accounts {
		amounts, stamps = append(amounts, int64(c.totals[unit.AccountID(a)].add)), append(stamps, int64(c.totals[unit.AccountID(a)].stamp))
	}
	b.Queue(statement("add_totals"), accounts, amounts, stamps)
	dayAccounts, days := daysOf(c.days)
	dayAmounts, dayStamps := make([]int64, len(days)), make([]int64, len(days))
	for i := range days {
		d := c.days[accountDay{unit.AccountID(dayAccounts[i]), unit.Day(days[i])}]
		dayAmounts[i], dayStamps[i] = int64(d.add), int64(d.stamp)
	}
	b.Queue(statement("add_days"), dayAccounts, days, dayAmounts, dayStamps)
}

// overdrawn is a lease of which the journal spent more than it has: what was
// written off of it turned up, or the records contradict the books.
type overdrawn struct {
	leaseKey
	campaign         int64
	currency         string
	rest, writtenOff int64
}

// settleOverdrawn takes back what was written off, as much as the journal has
// proved to be spent or returned; the rest is a breach, counted and told, and
// stands in the books: the journal is the truth.
func (g *Ledger) settleOverdrawn(ctx context.Context, tx pgx.Tx, p *posted, over []overdrawn) (breaches uint64, err error) {
	c := newColumns(len(over))
	b := &pgx.Batch{}
	var first overdrawn
	for i, o := range over {
		if back := min(-o.rest, o.writtenOff); back > 0 {
			c.add(&posting{
				epoch: unit.Epoch(o.epoch), seq: p.to, kind: kindRecovered, part: int16(i), dated: unit.Day(o.day), day: unit.Day(o.day),
				account: unit.AccountID(o.account), campaign: unit.CampaignID(o.campaign), leaseEpoch: unit.Epoch(o.epoch),
				credit: WrittenOff, debit: Leased, amount: unit.Nanos(back), currency: o.currency, stamp: p.stamp,
			})
			b.Queue(statement("write_off_lease"), int32(p.life.Node), o.epoch, o.account, o.day, -back)
			o.rest += back
		}
		if o.rest < 0 {
			if breaches++; breaches == 1 {
				first = o
			}
		}
	}
	if breaches > 0 {
		g.cfg.Log.Error("the journal spent more of leases than they have; the ledger follows the journal", "leases", breaches, "first", fmt.Errorf(
			"%w: I1: node %d, epoch %d, account %016x, day %d: %v too much",
			ledger.ErrBreach, p.life.Node, first.epoch, uint64(first.account), first.day, unit.Nanos(-first.rest)))
	}
	if c.len() == 0 {
		return breaches, nil
	}
	b.Queue(statement("insert_postings"), c.arguments(p.life.Node)...)
	return breaches, tx.SendBatch(ctx, b).Close()
}

func (p *posted) names() []any {
	var accounts, campaigns, dailies, totals, stamps []int64
	var currencies, names []string
	for _, id := range slices.SortedFunc(maps.Keys(p.accounts), func(x, y unit.AccountID) int { return cmp.Compare(int64(x), int64(y)) }) {
		a := p.accounts[id]
		accounts, campaigns = append(accounts, int64(id)), append(campaigns, int64(a.campaign))
		currencies, names = append(currencies, a.currency), append(names, a.name)
		dailies, totals, stamps = append(dailies, int64(a.daily)), append(totals, int64(a.total)), append(stamps, int64(a.stamp))
	}
	return []any{accounts, campaigns, currencies, names, dailies, totals, stamps}
}
