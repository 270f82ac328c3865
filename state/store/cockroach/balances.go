package cockroach

import (
	"context"

	"github.com/jackc/pgx/v5"

	"millrace/codec/unit"
	"millrace/state/store/joint"
)

// Balances see joint.Ledger.
func (g *Ledger) Balances(keys []joint.AccountDay, done func([]joint.Balance, error)) {
	balances := make([]joint.Balance, len(keys))
	for i, k := range keys {
		balances[i].AccountDay = k
	}
	g.put(laneRead, call{
		run: func(ctx context.Context, tx pgx.Tx) error { return readBalances(ctx, tx, balances) },
		done: func(err error) {
			if err != nil {
				done(nil, err)
				return
			}
			done(balances, nil)
		},
	})
}

func readBalances(ctx context.Context, tx pgx.Tx, balances []joint.Balance) error {
	totals, days := map[unit.AccountID]unit.Nanos{}, map[accountDay]unit.Nanos{}
	var accounts []int64
	var numbers []int32
	for i := range balances {
		accounts, numbers = append(accounts, int64(balances[i].Account)), append(numbers, int32(balances[i].Day))
	}
	var account, amount int64
	var day int32
	b := &pgx.Batch{}
	b.Queue(statement("committed_totals"), accounts).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&account, &amount}, func() error {
			totals[unit.AccountID(account)] = unit.Nanos(amount)
			return nil
		})
		return err
	})
	b.Queue(statement("committed_days"), accounts, numbers).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&account, &day, &amount}, func() error {
			days[accountDay{unit.AccountID(account), unit.Day(day)}] = unit.Nanos(amount)
			return nil
		})
		return err
	})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	for i := range balances {
		b := &balances[i]
		b.CommittedTotal, b.CommittedDay = totals[b.Account], days[accountDay{b.Account, b.Day}]
	}
	return nil
}

// Sums see joint.Summing. They come from the leases and the grants not yet
// confirmed, which are kept beside the entries in the same transactions: a node
// asks each minute, and reading its every posting for that would not end well.
// Books.Verify holds them against the entries.
func (g *Ledger) Sums(node unit.NodeID, done func(sums []joint.Sum, drained uint64, err error)) {
	var sums []joint.Sum
	var position int64
	g.put(laneRead, call{
		run: func(ctx context.Context, tx pgx.Tx) error {
			sums = nil
			if err := tx.QueryRow(ctx, statement("node_position"), int32(node)).Scan(&position); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, statement("node_sums"), int32(node))
			if err != nil {
				return err
			}
			var account, campaign, granted, returned, posted, refunded int64
			var day int32
			_, err = pgx.ForEachRow(rows, []any{&account, &campaign, &day, &granted, &returned, &posted, &refunded}, func() error {
				sums = append(sums, joint.Sum{
					AccountDay: joint.AccountDay{Account: unit.AccountID(account), Campaign: unit.CampaignID(campaign), Day: unit.Day(day)},
					Granted:    unit.Nanos(granted), Returned: unit.Nanos(returned), Posted: unit.Nanos(posted), Refunded: unit.Nanos(refunded),
				})
				return nil
			})
			return err
		},
		done: func(err error) {
			if err != nil {
				done(nil, 0, err)
				return
			}
			done(sums, uint64(position), nil)
		},
	})
}

// The ledger is what its callers need.
var (
	_ joint.Ledger  = (*Ledger)(nil)
	_ joint.Summing = (*Ledger)(nil)
)
