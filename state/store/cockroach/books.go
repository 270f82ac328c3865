package cockroach

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Books reads a ledger for people, scripts and checks, beside the nodes that
// write it. Calls wait. Any goroutine.
type Books struct{ pool *pgxpool.Pool }

// OpenBooks connects.
func OpenBooks(ctx context.Context, url string) (*Books, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("ledger.url: %w; write postgres://user:password@host:port/database", err)
	}
	c.MaxConns = 2
	c.ConnConfig.RuntimeParams["application_name"] = "millrace ledger"
	c.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("ledger.url: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return &Books{pool}, nil
}

// Close ends the connections.
func (b *Books) Close() { b.pool.Close() }

// Filter chooses; what is zero chooses all.
type Filter struct {
	Campaign unit.CampaignID
	Account  unit.AccountID
	// Node, if Only, is whose postings alone are meant: 0 is a node too.
	Only bool
	Node unit.NodeID
	// From and To are days of the account, To included.
	From, To unit.Day
}

func (f *Filter) arguments() []any {
	to := int32(f.To)
	if to == 0 {
		to = int32(lastDay)
	}
	return []any{int64(f.Campaign), int64(f.Account), f.node(), int32(f.From), to}
}

func (f *Filter) node() int32 {
	if f.Only {
		return int32(f.Node)
	}
	return -1
}

// lastDay is the end of the year 9999.
const lastDay = unit.Day(2_932_896)

// DayBalance is one day of an account, from its postings alone.
type DayBalance struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
	Name     string // as the account was last called, if it was
	Currency unit.Currency
	Day      unit.Day
	// Daily and Total are the limits last written down; 0 is unlimited.
	Daily, Total unit.Nanos
	// Granted is what left the funding side; Leased what is still held, Spent
	// what is billed and was not refunded, Released returned, Refunded billed and
	// taken back, WrittenOff given up with a lost journal.
	Granted, Leased, Spent, Released, Refunded, WrittenOff unit.Nanos
	// Events billed, and refunded of them.
	Events, Refunds int64
	// Stamp of the latest posting.
	Stamp ledger.Stamp
}

// Committed is what counts against the limits.
func (d *DayBalance) Committed() unit.Nanos { return d.Granted - d.Released - d.Refunded }

// Balances adds up postings by account and day, in that order.
func (b *Books) Balances(ctx context.Context, f Filter) ([]DayBalance, error) {
	var list []DayBalance
	var d DayBalance
	var account, campaign, stamp int64
	var currency string
	rows, err := b.pool.Query(ctx, statement("balances"), f.arguments()...)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{
			&account, &campaign, &d.Name, &currency, (*int32)(&d.Day), (*int64)(&d.Daily), (*int64)(&d.Total), (*int64)(&d.Granted), (*int64)(&d.Leased),
			(*int64)(&d.Spent), (*int64)(&d.Released), (*int64)(&d.Refunded), (*int64)(&d.WrittenOff), &d.Events, &d.Refunds, &stamp,
		}, func() error {
			d.Account, d.Campaign, d.Currency, d.Stamp = unit.AccountID(account), unit.CampaignID(campaign), currencyOf(currency), ledger.Stamp(stamp)
			list = append(list, d)
			return nil
		})
	}
	return list, read(err)
}

// Line is one posting.
type Line struct {
	Stamp ledger.Stamp
	// Kind is what moved the money: a record's kind, "written-off", "recovered".
	Kind     string
	Event    event.Kind // of postings and refunds
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
	Currency unit.Currency
	// Credit is where Amount came from, Debit where it went.
	Credit, Debit Side
	Amount        unit.Nanos
	// Node, Epoch, Shard and Seq identify the win, or the grant or return; Part
	// tells the accounts apart that one event is billed to.
	Node  unit.NodeID
	Epoch unit.Epoch
	Shard unit.ShardID
	Seq   uint64
	Part  int16
	// LeaseEpoch is the life whose lease it is about.
	LeaseEpoch unit.Epoch
	Line       unit.LineID
	Creative   unit.CreativeID
	Reason     ledger.Reason // of a refund
	Note       string
}

// Lines gives postings in order of their stamps, which is the order of causes and
// effects. take may keep the line; its error ends the reading.
func (b *Books) Lines(ctx context.Context, f Filter, take func(Line) error) error {
	var l Line
	var stamp, epoch, seq, account, campaign, leaseEpoch, line, creative int64
	var kind, what, credit, debit, reason int16
	var shard, node int32
	var currency string
	rows, err := b.pool.Query(ctx, statement("lines"), f.arguments()...)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{
			&stamp, &kind, &what, &account, &campaign, (*int32)(&l.Day), &currency, &credit, &debit, (*int64)(&l.Amount), &node, &epoch, &shard, &seq,
			&l.Part, &leaseEpoch, &line, &creative, &reason, &l.Note,
		}, func() error {
			l.Stamp, l.Kind, l.Event = ledger.Stamp(stamp), kindName(kind), event.Kind(what)
			l.Account, l.Campaign, l.Currency = unit.AccountID(account), unit.CampaignID(campaign), currencyOf(currency)
			l.Credit, l.Debit = Side(credit), Side(debit)
			l.Node, l.Epoch, l.Shard, l.Seq = unit.NodeID(node), unit.Epoch(epoch), unit.ShardID(shard), uint64(seq)
			l.LeaseEpoch, l.Line, l.Creative, l.Reason = unit.Epoch(leaseEpoch), unit.LineID(line), unit.CreativeID(creative), ledger.Reason(reason)
			return take(l)
		})
	}
	return read(err)
}

func kindName(k int16) string {
	switch k {
	case kindWrittenOff:
		return "written-off"
	case kindRecovered:
		return "recovered"
	}
	return ledger.Kind(k).String()
}

// Life is one life of a node.
type Life struct {
	Node     unit.NodeID
	Epoch    unit.Epoch
	Previous unit.Epoch // of the same journal; 0: it began with this one
	Began    time.Time
	// Fenced: a later life has begun, or it was written off.
	Fenced, WrittenOff bool
	// Position in its journal up to which it has posted, and when it last did;
	// 0 and the zero time if it never has.
	Position uint64
	Moved    time.Time
	// Unconfirmed is what it was granted and its journal has not confirmed yet.
	Unconfirmed unit.Nanos
}

// Lives lists the lives of the filter's node, or of all, by node and epoch.
func (b *Books) Lives(ctx context.Context, f Filter) ([]Life, error) {
	var list []Life
	var l Life
	var id int32
	var epoch, previous, position int64
	var moved *time.Time
	rows, err := b.pool.Query(ctx, statement("lives"), f.node())
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&id, &epoch, &previous, &l.Began, &l.Fenced, &l.WrittenOff, &position, &moved, (*int64)(&l.Unconfirmed)}, func() error {
			l.Node, l.Epoch, l.Previous, l.Position, l.Moved = unit.NodeID(id), unit.Epoch(epoch), unit.Epoch(previous), uint64(position), time.Time{}
			if moved != nil {
				l.Moved = moved.UTC()
			}
			l.Began = l.Began.UTC()
			list = append(list, l)
			return nil
		})
	}
	return list, read(err)
}

// Lease is what a life holds, or has used, of an account's day.
type Lease struct {
	Node     unit.NodeID
	Epoch    unit.Epoch
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
	Currency unit.Currency
	// Granted includes Unconfirmed: grants that the life's journal has not told of.
	Granted, Unconfirmed, Returned, Posted, WrittenOff unit.Nanos
}

// Outstanding is what is still held.
func (l *Lease) Outstanding() unit.Nanos { return l.Granted - l.Returned - l.Posted - l.WrittenOff }

// Leases lists those with something outstanding, by node, life, account and day;
// epoch 0 is every life.
func (b *Books) Leases(ctx context.Context, f Filter, epoch unit.Epoch) ([]Lease, error) {
	rows, err := b.pool.Query(ctx, statement("outstanding"), append(f.arguments(), int64(epoch))...)
	if err != nil {
		return nil, read(err)
	}
	list, err := scanLeases(rows)
	return list, read(err)
}

func scanLeases(rows pgx.Rows) (list []Lease, err error) {
	var l Lease
	var node int32
	var life, account, campaign int64
	var currency string
	_, err = pgx.ForEachRow(rows, []any{
		&node, &life, &account, &campaign, (*int32)(&l.Day), &currency, (*int64)(&l.Granted), (*int64)(&l.Unconfirmed), (*int64)(&l.Returned),
		(*int64)(&l.Posted), (*int64)(&l.WrittenOff),
	}, func() error {
		l.Node, l.Epoch, l.Account, l.Campaign = unit.NodeID(node), unit.Epoch(life), unit.AccountID(account), unit.CampaignID(campaign)
		l.Currency = currencyOf(currency)
		list = append(list, l)
		return nil
	})
	return list, err
}

// Difference is a sum kept beside the entries that is not what they add up to.
type Difference struct {
	// What is compared: "day" and "total" guard limits, the others are of a lease.
	What    string
	Node    unit.NodeID
	Epoch   unit.Epoch
	Account unit.AccountID
	Day     unit.Day
	Kept    unit.Nanos
	Entries unit.Nanos
}

// Verify derives every sum that is kept from the postings alone and lists what
// differs: nothing, or there is a defect. The reading is one snapshot.
func (b *Books) Verify(ctx context.Context) ([]Difference, error) {
	var list []Difference
	err := pgx.BeginTxFunc(ctx, b.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for _, name := range []string{"verify_guards", "verify_leases"} {
			rows, err := tx.Query(ctx, statement(name))
			if err != nil {
				return err
			}
			var d Difference
			var node, day int32
			var epoch, account int64
			if _, err = pgx.ForEachRow(rows, []any{&d.What, &node, &epoch, &account, &day, (*int64)(&d.Kept), (*int64)(&d.Entries)}, func() error {
				d.Node, d.Epoch, d.Account, d.Day = unit.NodeID(node), unit.Epoch(epoch), unit.AccountID(account), unit.Day(day)
				list = append(list, d)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return list, read(err)
}

func read(err error) error {
	if err != nil {
		return ended(err, false)
	}
	return nil
}

// ErrRunning: a life that is not fenced can't be written off by mistake.
var ErrRunning = errors.New("this life is its node's last and may be running; stop the node for good, then say so with force")

// ErrNoLife: the ledger knows no such life.
var ErrNoLife = errors.New("the ledger knows no such life")

// writeOffMax bounds the tries to write a life off.
const writeOffMax = 30 * time.Second

// WriteOff gives up what a life holds whose journal is lost: it counts as spent
// and is never given out again. The life is fenced. Should the journal turn up,
// posting it takes back as much of this as it proves spent or returned. It gives
// the leases that were written off, as they were; a second call finds nothing
// left. dry only tells.
func (b *Books) WriteOff(ctx context.Context, node unit.NodeID, epoch unit.Epoch, force, dry bool) ([]Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, writeOffMax)
	defer cancel()
	g := &Ledger{pool: b.pool}
	var leases []Lease
	err := g.transact(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		leases, err = writeOff(ctx, tx, node, epoch, force, dry)
		return err
	}, func(ctx context.Context) error {
		var days []unit.Day
		for i := range leases {
			days = append(days, leases[i].Day)
		}
		return g.makeMonths(ctx, days)
	})
	return leases, err
}
