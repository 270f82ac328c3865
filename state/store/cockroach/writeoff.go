package cockroach

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store/joint"
)

// writeOff moves what a life holds from leased to written off, in one
// transaction with its fence.
func writeOff(ctx context.Context, tx pgx.Tx, node unit.NodeID, epoch unit.Epoch, force, dry bool) ([]Lease, error) {
	l, err := lifeOf(ctx, tx, joint.Life{Node: node, Epoch: epoch})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, final{ErrNoLife}
	case err != nil:
		return nil, err
	case !l.fenced && !force:
		return nil, final{ErrRunning}
	}
	f := Filter{Only: true, Node: node}
	rows, err := tx.Query(ctx, statement("outstanding"), append(f.arguments(), int64(epoch))...)
	if err != nil {
		return nil, err
	}
	leases, err := scanLeases(rows)
	if err != nil || dry {
		return leases, err
	}
	var stamp int64
	if err := tx.QueryRow(ctx, statement("node_stamp"), int32(node)).Scan(&stamp); err != nil {
		return nil, err
	}
	c := newColumns(len(leases))
	b := &pgx.Batch{}
	// Grants that were never confirmed are these leases' too.
	b.Queue(statement("confirm_life"), int32(node), int64(epoch))
	for i := range leases {
		held := &leases[i]
		stamp++ // the life keeps it, so it is the posting's name as well
		c.add(&posting{
			epoch: epoch, seq: uint64(stamp), kind: kindWrittenOff, dated: held.Day, day: held.Day, account: held.Account, campaign: held.Campaign,
			leaseEpoch: epoch, credit: Leased, debit: WrittenOff, amount: held.Outstanding(), currency: held.Currency.String(), stamp: ledger.Stamp(stamp),
		})
		b.Queue(statement("write_off_lease"), int32(node), int64(epoch), int64(held.Account), int32(held.Day), int64(held.Outstanding()))
	}
	b.Queue(statement("write_off_life"), int32(node), int64(epoch), stamp)
	if c.len() > 0 {
		b.Queue(statement("insert_postings"), c.arguments(node)...)
	}
	return leases, tx.SendBatch(ctx, b).Close()
}
