package cockroach

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store/joint"
)

// Errors of a ledger that is not asked.
var (
	ErrBusy   = errors.New("ledger: too many calls wait for the database")
	ErrClosed = errors.New("ledger: closed")
)

// lane is a kind of calls that are answered one after the other.
type lane uint8

const (
	laneGrant lane = iota
	lanePost
	laneRead
	lanes
)

// Ledger is joint.Ledger in a database. Any goroutine.
type Ledger struct {
	cfg   Config
	pool  *pgxpool.Pool
	stats stats

	mu      sync.Mutex // guards closed against calls under way
	closed  bool
	queues  [lanes]chan call
	stopped sync.WaitGroup

	months months
	known  sync.Map // joint.Life: begun at some time
}

type stats struct {
	transactions, retries, unknown, errors, refused, postings, repeats, breaches atomic.Uint64
}

// Stats are counters since Open.
type Stats struct {
	// Transactions begun; Retries of them for others in the way; Unknown are
	// commits without an answer; Errors of the server or the way to it; Refused
	// calls for a full queue.
	Transactions, Retries, Unknown, Errors, Refused uint64
	// Postings added; Repeats that were there already; Breaches are records that
	// contradict the books.
	Postings, Repeats, Breaches uint64
	// Conns open, and InUse of them.
	Conns, InUse int
}

// call is one transaction to be.
type call struct {
	ctx     context.Context
	cancel  context.CancelFunc
	run     func(context.Context, pgx.Tx) error
	prepare func(context.Context) error
	done    func(error)
}

// Open readies a ledger. It does not connect: a database that is not there is
// told by the calls.
func Open(c Config) (*Ledger, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p, err := c.pool()
	if err != nil {
		return nil, fmt.Errorf("ledger.url: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), p)
	if err != nil {
		return nil, fmt.Errorf("ledger.url: %w", err)
	}
	g := &Ledger{cfg: c, pool: pool}
	for i := range g.queues {
		queue := make(chan call, c.Queue)
		g.queues[i] = queue
		g.stopped.Go(func() {
			for c := range queue {
				err := g.transact(c.ctx, c.run, c.prepare)
				c.cancel()
				c.done(err)
			}
		})
	}
	return g, nil
}

// Close answers what waits, each within its time, and closes the connections.
func (g *Ledger) Close() {
	g.mu.Lock()
	closed := g.closed
	g.closed = true
	if !closed {
		for _, q := range g.queues {
			close(q)
		}
	}
	g.mu.Unlock()
	g.stopped.Wait()
	if !closed {
		g.pool.Close()
	}
}

// Stats are the counters. Any goroutine.
func (g *Ledger) Stats() Stats {
	s, p := &g.stats, g.pool.Stat()
	return Stats{
		Transactions: s.transactions.Load(), Retries: s.retries.Load(), Unknown: s.unknown.Load(), Errors: s.errors.Load(), Refused: s.refused.Load(),
		Postings: s.postings.Load(), Repeats: s.repeats.Load(), Breaches: s.breaches.Load(),
		Conns: int(p.TotalConns()), InUse: int(p.AcquiredConns()),
	}
}

// put hands a call to its lane. Its time begins now.
func (g *Ledger) put(l lane, c call) {
	c.ctx, c.cancel = context.WithTimeout(context.Background(), g.cfg.Call)
	g.mu.Lock()
	defer g.mu.Unlock()
	err := ErrClosed
	if !g.closed {
		select {
		case g.queues[l] <- c:
			return
		default:
			err = ErrBusy
			g.stats.refused.Add(1)
		}
	}
	c.cancel()
	go c.done(err)
}

// LastEpoch see joint.Ledger.
func (g *Ledger) LastEpoch(node unit.NodeID, done func(unit.Epoch, error)) {
	var epoch int64
	g.put(laneRead, call{
		run: func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, statement("last_epoch"), int32(node)).Scan(&epoch)
		},
		done: func(err error) { done(unit.Epoch(epoch), err) },
	})
}

// Begin see joint.Ledger.
func (g *Ledger) Begin(b joint.Beginning, done func(joint.Began, error)) {
	var began joint.Began
	g.put(laneGrant, call{
		run: func(ctx context.Context, tx pgx.Tx) (err error) {
			began, err = g.begin(ctx, tx, b)
			return err
		},
		done: func(err error) { done(began, err) },
	})
}

func (g *Ledger) begin(ctx context.Context, tx pgx.Tx, b joint.Beginning) (began joint.Began, err error) {
	node, epoch, previous := int32(b.Node), int64(b.Epoch), int64(b.Previous)
	repeat := false
	l, err := lifeOf(ctx, tx, b.Life)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return began, err
	case l.stamp != int64(b.Stamp) || l.previous != previous || l.fenced:
		return began, final{joint.ErrFenced}
	default:
		repeat = true
	}
	rows, err := tx.Query(ctx, statement("lives_in_the_way"), node, epoch, previous)
	if err != nil {
		return began, err
	}
	var other, from int64
	_, err = pgx.ForEachRow(rows, []any{&other, &from}, func() error {
		if other > epoch {
			return final{joint.ErrFenced}
		}
		return final{joint.ErrForked}
	})
	if err != nil {
		return began, err
	}
	if !repeat {
		if _, err := tx.Exec(ctx, statement("begin_life"), node, epoch, previous, int64(b.Stamp)); err != nil {
			return began, err
		}
		if _, err := tx.Exec(ctx, statement("fence_earlier"), node, epoch); err != nil {
			return began, err
		}
	}
	var position, stamp int64
	if err := tx.QueryRow(ctx, statement("drained"), node, epoch, previous).Scan(&position); err != nil {
		return began, err
	}
	if err := tx.QueryRow(ctx, statement("node_stamp"), node).Scan(&stamp); err != nil {
		return began, err
	}
	return joint.Began{Lease: g.cfg.Lease, Drained: uint64(position), Stamp: ledger.Stamp(stamp)}, nil
}

// life is a row of lives.
type life struct {
	previous, stamp, batch, granted int64
	fenced                          bool
}

func lifeOf(ctx context.Context, tx pgx.Tx, l joint.Life) (r life, err error) {
	err = tx.QueryRow(ctx, statement("life"), int32(l.Node), int64(l.Epoch)).Scan(&r.previous, &r.stamp, &r.batch, &r.granted, &r.fenced)
	return r, err
}

// Renew see joint.Ledger.
func (g *Ledger) Renew(l joint.Life, _ ledger.Stamp, done func(time.Duration, error)) {
	g.put(laneGrant, call{
		run: func(ctx context.Context, tx pgx.Tx) error {
			var fenced bool
			err := tx.QueryRow(ctx, statement("renew"), int32(l.Node), int64(l.Epoch)).Scan(&fenced)
			if errors.Is(err, pgx.ErrNoRows) || err == nil && fenced {
				return final{joint.ErrFenced}
			}
			return err
		},
		done: func(err error) {
			if err != nil {
				done(0, err)
				return
			}
			done(g.cfg.Lease, nil)
		},
	})
}

// Orphans see joint.Ledger.
func (g *Ledger) Orphans(l joint.Life, done func([]joint.Orphan, error)) {
	var orphans []joint.Orphan
	g.put(laneRead, call{
		run: func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, statement("orphans"), int32(l.Node), int64(l.Epoch))
			if err != nil {
				return err
			}
			orphans = nil
			var epoch, seq, account, campaign, amount, daily, total int64
			var shard, day int32
			var currency string
			_, err = pgx.ForEachRow(rows, []any{&epoch, &shard, &seq, &account, &campaign, &currency, &day, &amount, &daily, &total}, func() error {
				o := joint.Orphan{
					Account: unit.AccountID(account), Campaign: unit.CampaignID(campaign), Currency: currencyOf(currency), Day: unit.Day(day),
					Amount: unit.Nanos(amount), Daily: unit.Nanos(daily), Total: unit.Nanos(total),
				}
				o.ID.Node, o.ID.Epoch, o.ID.Shard, o.ID.Seq = l.Node, unit.Epoch(epoch), unit.ShardID(shard), uint64(seq)
				orphans = append(orphans, o)
				return nil
			})
			return err
		},
		done: func(err error) { done(orphans, err) },
	})
}

func currencyOf(text string) (c unit.Currency) {
	copy(c[:], text)
	return c
}
