package cockroach

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/state/store/joint"
)

const (
	retryMin = 2 * time.Millisecond
	retryMax = 250 * time.Millisecond
)

// final is an answer of the books, not a fault of the way there: no repeat
// changes it.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// errMoved: a row that was read and locked is not as it was. A database that
// keeps its promises never gives it.
var errMoved = errors.New("a budget moved under a serializable transaction")

// verdict is what follows from an error of a transaction.
type verdict uint8

const (
	refused   verdict = iota // the server says no, and will again
	conflict                 // another transaction was in the way
	unreached                // nothing was sent, or the server can't now
	partition                // PostgreSQL has no partition for a row
)

// judge reads an error that came before the commit, or with it.
func judge(err error) verdict {
	if errors.Is(err, errMoved) || errors.Is(err, errAgain) {
		return conflict
	}
	server := (*pgconn.PgError)(nil)
	if !errors.As(err, &server) {
		return unreached
	}
	switch server.Code {
	case "40001", "40P01", // serialization failure, deadlock
		"23505", // unique: the other one of two that insert the same key first
		"55P03": // lock timeout
		return conflict
	case "23514":
		if server.ConstraintName == "" { // of a table's own checks it is their name
			return partition
		}
	case "57P01", "57P02", "57P03", "53300", "53400", "25006", "57014", "40003", "58000", "58030", "53100", "53200", "XX000":
		return unreached
	}
	return refused
}

// transact runs f in one serializable transaction, the whole of it again while
// others are in the way or the server can't be reached, until ctx ends. Nothing
// of a failed try is left. prepare makes what a row has no place for.
func (g *Ledger) transact(ctx context.Context, f func(context.Context, pgx.Tx) error, prepare func(context.Context) error) error {
	unknown := false
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		err, committing := g.try(ctx, f)
		if err == nil {
			return nil
		}
		if answer := (final{}); errors.As(err, &answer) {
			return answer.error
		}
		switch v := judge(err); {
		case committing && v == unreached:
			unknown = true
			g.stats.unknown.Add(1)
		case v == partition && prepare != nil:
			if again := prepare(ctx); again != nil {
				return ended(again, unknown)
			}
			prepare = nil
			continue
		case v == refused || v == partition:
			g.stats.errors.Add(1)
			return ended(err, unknown)
		case v == conflict:
			g.stats.retries.Add(1)
		default:
			g.stats.errors.Add(1)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
			return ended(err, unknown)
		}
	}
}

func ended(err error, unknown bool) error {
	if server := (*pgconn.PgError)(nil); errors.As(err, &server) && (server.Code == "42P01" || server.Code == "42703") {
		err = fmt.Errorf("%w; the database has not this version's tables: run millrace migrate", err)
	}
	if unknown {
		return fmt.Errorf("ledger: %w: %w", joint.ErrUnknown, err)
	}
	return fmt.Errorf("ledger: %w", err)
}

// try is one transaction; committing tells whether its commit was sent.
func (g *Ledger) try(ctx context.Context, f func(context.Context, pgx.Tx) error) (err error, committing bool) {
	conn, err := g.pool.Acquire(ctx)
	if err != nil {
		return err, false
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	if err != nil {
		return err, false
	}
	g.stats.transactions.Add(1)
	if err := f(ctx, tx); err != nil {
		// One that can't roll back closes its connection, and the server does it.
		_ = tx.Rollback(ctx)
		return err, false
	}
	// From here on only an answer tells: of a connection that breaks while the
	// driver waits for one, it says that nothing was sent (pgconn.SafeToRetry).
	return tx.Commit(ctx), true
}
