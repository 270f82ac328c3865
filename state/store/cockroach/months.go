package cockroach

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/codec/unit"
)

// MonthsAhead is how many partitions of postings are made before they are needed.
const MonthsAhead = 3

// PostgreSQL keeps the postings of each month in a table of its own, so that an
// old month can be archived and detached in a moment. CockroachDB splits and
// moves its ranges by itself and needs none.
//
// A partition is made beside the table and then attached: that locks out nobody,
// while CREATE TABLE … PARTITION OF waits for every reader and writer.

// months guards one making of partitions in a process at a time.
type months struct{ sync.Mutex }

// month is a calendar month: its first day.
type month struct{ time.Time }

func monthOf(d unit.Day) month {
	t := time.Unix(int64(d)*86400, 0).UTC()
	return month{time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)}
}

func (m month) next() month { return month{m.AddDate(0, 1, 0)} }

func (m month) table() string { return m.Format("postings_2006_01") }

// makeMonths makes what partitions the days lack. Any other of the node's
// processes may do the same at the same time.
func (g *Ledger) makeMonths(ctx context.Context, days []unit.Day) error {
	g.months.Lock()
	defer g.months.Unlock()
	wanted := map[month]bool{}
	for _, d := range days {
		wanted[monthOf(d)] = true
	}
	conn, err := g.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	for m := range wanted {
		if _, err := makeMonth(ctx, conn.Conn(), m); err != nil {
			return err
		}
	}
	return nil
}

// KeepMonths makes the partitions of this month and the next ones, where the
// database has partitions; a running node calls it each day. It tells what it
// made.
func (g *Ledger) KeepMonths(ctx context.Context) (made []string, err error) {
	g.months.Lock()
	defer g.months.Unlock()
	conn, err := g.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	d, err := dialectOf(ctx, conn.Conn())
	if err != nil || d != Postgres {
		return nil, err
	}
	return keepMonths(ctx, conn.Conn(), g.cfg.Wall())
}

func keepMonths(ctx context.Context, conn *pgx.Conn, now unit.WallTime) (made []string, err error) {
	m := monthOf(now.DayIn(time.UTC))
	for range 1 + MonthsAhead {
		fresh, err := makeMonth(ctx, conn, m)
		if err != nil {
			return made, err
		}
		if fresh {
			made = append(made, m.table())
		}
		m = m.next()
	}
	return made, nil
}

func makeMonth(ctx context.Context, conn *pgx.Conn, m month) (made bool, err error) {
	var attached bool
	if err := conn.QueryRow(ctx, statement("has_month"), m.table()).Scan(&attached); err != nil || attached {
		return false, err
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf(statement("make_month"), m.table())); err != nil && !duplicate(err) {
		return false, fmt.Errorf("partition %s: %w", m.table(), err)
	}
	_, err = conn.Exec(ctx, fmt.Sprintf(statement("attach_month"), m.table(), m.Format(time.DateOnly), m.next().Format(time.DateOnly)))
	if err != nil {
		// Another may have been quicker.
		if again := conn.QueryRow(ctx, statement("has_month"), m.table()).Scan(&attached); again == nil && attached {
			return false, nil
		}
		return false, fmt.Errorf("partition %s: %w; give the role the right to create tables, or run millrace migrate with one that has it", m.table(), err)
	}
	return true, nil
}

// duplicate: the table is there; of two that make it at one moment one is told so
// by the catalog: by its unique index, or by the table's row type.
func duplicate(err error) bool {
	server := (*pgconn.PgError)(nil)
	return errors.As(err, &server) && (server.Code == "42P07" || server.Code == "42710" || server.Code == "23505")
}
