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
	"millrace/state/store"
	"millrace/state/store/joint"
)

// Grant see joint.Ledger.
func (g *Ledger) Grant(l joint.Life, number uint64, batch []store.GrantRequest, done func([]joint.Granted, error)) {
	requests := slices.Clone(batch)
	var granted []joint.Granted
	seen := false
	g.put(laneGrant, call{
		run: func(ctx context.Context, tx pgx.Tx) (err error) {
			granted, err = g.grant(ctx, tx, l, number, requests, seen)
			seen = seen || errors.Is(err, errAgain)
			return err
		},
		prepare: func(ctx context.Context) error {
			var days []unit.Day
			for i := range requests {
				days = append(days, requests[i].Day)
			}
			return g.makeMonths(ctx, days)
		},
		done: func(err error) {
			if err != nil {
				done(nil, err)
				return
			}
			done(granted, nil)
		},
	})
}

// accountDay is the key of a row that guards a daily limit.
type accountDay struct {
	account unit.AccountID
	day     unit.Day
}

func compareDays(x, y accountDay) int {
	return cmp.Or(cmp.Compare(int64(x.account), int64(y.account)), cmp.Compare(x.day, y.day))
}

// committed is a row that guards a limit: as it is, and what is added to it.
type committed struct {
	is, add unit.Nanos
	stamp   ledger.Stamp
}

// budgets are the rows that guard the limits of a batch, locked.
type budgets struct {
	totals map[unit.AccountID]*committed
	days   map[accountDay]*committed
}

// errAgain: some of a batch was granted under an earlier number. Then it is
// decided anew, with those outcomes read. They are not read before they are known
// to be there: a transaction that reads among the postings is in the way of the
// drain that adds to them.
var errAgain = errors.New("a grant is a repeat")

// grant decides a batch. Its reads go in one round trip, its writes in another;
// seen: some of it may have been granted before.
func (g *Ledger) grant(ctx context.Context, tx pgx.Tx, l joint.Life, number uint64, batch []store.GrantRequest, seen bool) ([]joint.Granted, error) {
	held := budgets{totals: map[unit.AccountID]*committed{}, days: map[accountDay]*committed{}}
	for i := range batch {
		r := &batch[i]
		held.totals[r.Account] = &committed{}
		held.days[accountDay{r.Account, r.Day}] = &committed{}
	}
	row, err := readBudgets(ctx, tx, l, &held)
	if err != nil {
		return nil, err
	}
	out := make([]joint.Granted, len(batch))
	repeat := number <= uint64(row.batch)
	var prior map[int32]committed
	if repeat || seen {
		if prior, err = priorGrants(ctx, tx, l, batch); err != nil {
			return nil, err
		}
	}
	var fresh []int
	last := ledger.Stamp(row.granted)
	for i := range batch {
		r, o := &batch[i], &out[i]
		total, day := held.totals[r.Account], held.days[accountDay{r.Account, r.Day}]
		o.Status, o.Stamp = store.Exhausted, r.Stamp.Merge(total.stamp).Merge(day.stamp)
		if was, granted := prior[int32(i)]; granted {
			o.Status, o.Amount, o.Stamp = store.OK, was.is, o.Stamp.Merge(was.stamp)
		} else if amount := min(r.Amount, store.Headroom(r.Daily, r.Total, day.is+day.add, total.is+total.add)); amount > 0 && !repeat {
			last = last.Merge(o.Stamp).Next(g.cfg.Wall())
			o.Status, o.Amount, o.Stamp = store.OK, amount, last
			total.add, day.add = total.add+amount, day.add+amount
			total.stamp, day.stamp = last, last
			fresh = append(fresh, i)
		}
		o.CommittedDay, o.CommittedTotal = day.is+day.add, total.is+total.add
	}
	if repeat {
		return out, nil
	}
	return out, g.writeGrants(ctx, tx, l, number, batch, out, fresh, &held, seen)
}

// priorGrants finds what was granted under the same identities, by their place in
// the batch.
func priorGrants(ctx context.Context, tx pgx.Tx, l joint.Life, batch []store.GrantRequest) (map[int32]committed, error) {
	var epochs, seqs []int64
	var shards, days, places []int32
	for i := range batch {
		r := &batch[i]
		epochs, seqs = append(epochs, int64(r.ID.Epoch)), append(seqs, int64(r.ID.Seq))
		shards, days, places = append(shards, int32(r.ID.Shard)), append(days, int32(r.Day)), append(places, int32(i))
	}
	rows, err := tx.Query(ctx, statement("prior_grants"), int32(l.Node), epochs, shards, seqs, days, places)
	if err != nil {
		return nil, err
	}
	prior := map[int32]committed{}
	var place int32
	var amount, stamp int64
	_, err = pgx.ForEachRow(rows, []any{&place, &amount, &stamp}, func() error {
		prior[place] = committed{is: unit.Nanos(amount), stamp: ledger.Stamp(stamp)}
		return nil
	})
	return prior, err
}

// readBudgets locks the life and the rows that guard the limits.
func readBudgets(ctx context.Context, tx pgx.Tx, l joint.Life, held *budgets) (row life, err error) {
	b := &pgx.Batch{}
	b.Queue(statement("life"), int32(l.Node), int64(l.Epoch)).QueryRow(func(r pgx.Row) error {
		err := r.Scan(&row.previous, &row.stamp, &row.batch, &row.granted, &row.fenced)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && row.fenced {
			return final{joint.ErrFenced}
		}
		return err
	})
	var day int32
	var account, amount, stamp int64
	b.Queue(statement("lock_totals"), accountsOf(held.totals)).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&account, &amount, &stamp}, func() error {
			*held.totals[unit.AccountID(account)] = committed{is: unit.Nanos(amount), stamp: ledger.Stamp(stamp)}
			return nil
		})
		return err
	})
	dayAccounts, dayNumbers := daysOf(held.days)
	b.Queue(statement("lock_days"), dayAccounts, dayNumbers).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&account, &day, &amount, &stamp}, func() error {
			*held.days[accountDay{unit.AccountID(account), unit.Day(day)}] = committed{is: unit.Nanos(amount), stamp: ledger.Stamp(stamp)}
			return nil
		})
		return err
	})
	return row, tx.SendBatch(ctx, b).Close()
}

// writeGrants writes what was granted, and that this batch was.
func (g *Ledger) writeGrants(ctx context.Context, tx pgx.Tx, l joint.Life, number uint64, batch []store.GrantRequest, out []joint.Granted, fresh []int, held *budgets, seen bool) error {
	b := &pgx.Batch{}
	var last ledger.Stamp
	c := newColumns(len(fresh))
	var p pendingColumns
	for _, i := range fresh {
		r := &batch[i]
		last = last.Merge(out[i].Stamp)
		c.grant(r, out[i].Amount, out[i].Stamp)
		p.add(r, out[i].Amount)
	}
	b.Queue(statement("move_life"), int32(l.Node), int64(l.Epoch), int64(number), int64(last))
	if len(fresh) > 0 {
		made := int64(0)
		b.Queue(statement("insert_postings"), c.arguments(l.Node)...).Query(func(rows pgx.Rows) error {
			return readAdded(rows, func(a *added) { made += a.count })
		})
		b.Queue(statement("insert_pending"), p.arguments(l.Node)...)
		held.queue(b)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if made != int64(len(fresh)) {
			if !seen {
				return errAgain
			}
			// Two requests under one name. To grant both would be to trust neither.
			return final{fmt.Errorf("ledger: %d grants, %d of them under new identities; an identity must not be used twice", len(fresh), made)}
		}
		g.stats.postings.Add(uint64(made))
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}

// queue adds what is committed to the rows that guard the limits, in order of
// their keys, and looks that nobody has moved them since they were read: what
// locks and the isolation level promise is not left to them alone.
func (h *budgets) queue(b *pgx.Batch) {
	var accounts, amounts, stamps []int64
	for _, account := range accountsOf(h.totals) {
		if c := h.totals[unit.AccountID(account)]; c.add != 0 {
			accounts, amounts, stamps = append(accounts, account), append(amounts, int64(c.add)), append(stamps, int64(c.stamp))
		}
	}
	var account, now int64
	var day int32
	b.Queue(statement("add_totals"), accounts, amounts, stamps).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&account, &now}, func() error {
			return h.totals[unit.AccountID(account)].unmoved(now)
		})
		return err
	})
	var dayAccounts, dayAmounts, dayStamps []int64
	var days []int32
	for _, k := range slices.SortedFunc(maps.Keys(h.days), compareDays) {
		if c := h.days[k]; c.add != 0 {
			dayAccounts, days = append(dayAccounts, int64(k.account)), append(days, int32(k.day))
			dayAmounts, dayStamps = append(dayAmounts, int64(c.add)), append(dayStamps, int64(c.stamp))
		}
	}
	b.Queue(statement("add_days"), dayAccounts, days, dayAmounts, dayStamps).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&account, &day, &now}, func() error {
			return h.days[accountDay{unit.AccountID(account), unit.Day(day)}].unmoved(now)
		})
		return err
	})
}

func (c *committed) unmoved(now int64) error {
	if unit.Nanos(now) != c.is+c.add {
		return errMoved
	}
	return nil
}

func accountsOf(m map[unit.AccountID]*committed) []int64 {
	accounts := make([]int64, 0, len(m))
	for a := range m {
		accounts = append(accounts, int64(a))
	}
	slices.Sort(accounts)
	return accounts
}

func daysOf(m map[accountDay]*committed) (accounts []int64, days []int32) {
	for _, k := range slices.SortedFunc(maps.Keys(m), compareDays) {
		accounts, days = append(accounts, int64(k.account)), append(days, int32(k.day))
	}
	return accounts, days
}

// pendingColumns are rows of pending, column by column.
type pendingColumns struct {
	epochs, seqs, accounts, campaigns, amounts, dailies, totals []int64
	shards, days                                                []int32
	currencies                                                  []string
}

func (p *pendingColumns) add(r *store.GrantRequest, amount unit.Nanos) {
	p.epochs, p.seqs = append(p.epochs, int64(r.ID.Epoch)), append(p.seqs, int64(r.ID.Seq))
	p.accounts, p.campaigns = append(p.accounts, int64(r.Account)), append(p.campaigns, int64(r.Campaign))
	p.amounts = append(p.amounts, int64(amount))
	p.dailies, p.totals = append(p.dailies, int64(r.Daily)), append(p.totals, int64(r.Total))
	p.shards, p.days = append(p.shards, int32(r.ID.Shard)), append(p.days, int32(r.Day))
	p.currencies = append(p.currencies, r.Currency.String())
}

func (p *pendingColumns) arguments(node unit.NodeID) []any {
	return []any{int32(node), p.epochs, p.shards, p.seqs, p.accounts, p.campaigns, p.currencies, p.days, p.amounts, p.dailies, p.totals}
}
