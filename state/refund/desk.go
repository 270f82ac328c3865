package refund

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/audit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

// Config of a Desk.
type Config struct {
	Journal *outbox.Journal
	// Archive is the folder of the audit chain, for what the journal no longer
	// keeps; empty for none. FS reads it (nil: the operating system's, read only).
	Archive string
	FS      outbox.FS
	Wall    func() unit.WallTime
	// Settled is told of every refund when it is durable, once a life, in the order
	// of the journal, from the journal's writer: it must not block. The record is
	// valid for the call. A refund that a crash keeps from being told is in the
	// Book of the next life.
	Settled func(r *ledger.Record)
}

// Desk refunds the postings of one node. Its methods may be called from any
// goroutine.
type Desk struct {
	cfg Config

	turn  sync.Mutex // one query at a time
	stamp ledger.Stamp
	rec   ledger.Record

	appender *outbox.Appender // the turn's

	mu     sync.Mutex
	flight []ledger.Record // journalled and not durable; Seq is the position
	news   chan struct{}   // closed, and replaced, when the disk has answered
}

// New makes the desk of a journal.
func New(cfg Config) *Desk {
	if cfg.FS == nil {
		cfg.FS = outbox.ReadFS()
	}
	d := &Desk{cfg: cfg, stamp: cfg.Journal.Recovered().Stamp, news: make(chan struct{})}
	d.appender = cfg.Journal.NewAppender(d.durable)
	return d
}

// durable runs on the journal's writer.
func (d *Desk) durable(pos uint64) {
	d.mu.Lock()
	n := 0
	for n < len(d.flight) && d.flight[n].Seq <= pos {
		n++
	}
	told := d.flight[:n:n]
	d.flight = append([]ledger.Record(nil), d.flight[n:]...)
	news := d.news
	d.news = make(chan struct{})
	d.mu.Unlock()
	for i := range told {
		told[i].Seq = 0
		d.cfg.Settled(&told[i])
	}
	close(news)
}

// Refund journals the refunds of a query, without waiting for the disk: nothing
// of it counts before Durable covers Result.Position. What was not refunded is
// told by the items. When the journal takes no more, the refunds before stand,
// and the error says so.
func (d *Desk) Refund(q *Query) (Result, error) {
	return d.refund(q, func(uint64) error { return outbox.ErrBacklog })
}

func (d *Desk) refund(q *Query, wait func(pos uint64) error) (Result, error) {
	if err := q.Validate(); err != nil {
		return Result{}, err
	}
	d.turn.Lock()
	defer d.turn.Unlock()
	found, whole, err := d.find(q)
	if err != nil {
		return Result{}, err
	}
	res := Result{Whole: whole}
	for i := range found {
		f := &found[i]
		if f.Status == Done && !q.Dry {
			err = d.journal(q, f)
			if errors.Is(err, outbox.ErrBacklog) {
				d.appender.Commit()
				if err = wait(d.appender.Position()); err == nil {
					err = d.journal(q, f)
				}
			}
			if err != nil {
				err = fmt.Errorf("%d refunds are written, then: %w; ask again, nothing is refunded twice", res.Count(Done), err)
				break
			}
		}
		res.Items = append(res.Items, f.Item)
	}
	d.appender.Commit()
	res.Position = d.appender.Position()
	return res, err
}

// Durable is how far the desk's refunds are on disk.
func (d *Desk) Durable() uint64 { return d.appender.Durable() }

// Run is Refund, and waits until it counts.
func (d *Desk) Run(ctx context.Context, q *Query) (Result, error) {
	wait := func(pos uint64) error { return d.await(ctx, pos) }
	res, err := d.refund(q, wait)
	if err == nil {
		err = wait(res.Position)
	}
	return res, err
}

func (d *Desk) await(ctx context.Context, pos uint64) error {
	for {
		d.mu.Lock()
		news := d.news
		d.mu.Unlock()
		switch {
		case d.Durable() >= pos:
			return nil
		case d.cfg.Journal.Failed():
			return fmt.Errorf("the journal failed, and what was refunded may or may not count; ask again after a restart: %w", d.cfg.Journal.Err())
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("the disk has not answered yet, and the refunds count when it does: %w", ctx.Err())
		}
	}
}

// found is an item with what its refund is made from.
type found struct {
	Item
	post ledger.Record
}

// find reads the node's history: postings that the query means, less what was
// refunded since.
func (d *Desk) find(q *Query) (items []found, whole bool, err error) {
	f := finder{query: q, node: d.cfg.Journal.Node(), wanted: map[ID]int{}, index: map[ID]int{}}
	for _, id := range q.IDs {
		f.want(id)
	}
	tail := d.cfg.Journal.Tail(0)
	whole, err = audit.History(d.cfg.FS, d.cfg.Archive, tail, f.take)
	if err = errors.Join(err, tail.Close()); err != nil {
		return nil, false, err
	}
	d.mu.Lock()
	for i := range d.flight {
		_ = f.take(&d.flight[i], 0)
	}
	d.mu.Unlock()
	return f.items, whole, nil
}

type finder struct {
	query  *Query
	node   unit.NodeID
	wanted map[ID]int // ids without a kind, and their placeholder
	index  map[ID]int // into items, by id with kind
	items  []found
}

// want makes the item of an id that was asked for: not found until it is.
func (f *finder) want(id ID) {
	if _, double := f.index[id]; double {
		return
	}
	if _, double := f.wanted[id]; double {
		return
	}
	status := NotFound
	if id.Win.Node != f.node {
		status = Foreign
	}
	if id.Kind == 0 {
		f.wanted[id] = len(f.items)
	} else {
		f.index[id] = len(f.items)
	}
	f.items = append(f.items, found{Item: Item{ID: id, Status: status}})
}

func (f *finder) take(r *ledger.Record, _ uint64) error {
	switch r.Kind {
	case ledger.Posted, ledger.Recorded, ledger.Refunded:
	default:
		return nil
	}
	id := ID{r.Win, r.Event}
	i, known := f.index[id]
	if r.Kind == ledger.Refunded {
		if known && f.items[i].Status == Done {
			f.items[i].Status = Before
		}
		return nil
	}
	if r.Win.Node != f.node {
		return nil
	}
	if !known {
		var ok bool
		if i, ok = f.place(r, id); !ok {
			return nil
		}
	}
	it := &f.items[i]
	if it.post.Kind == ledger.Posted && r.Kind == ledger.Recorded {
		return nil // the same event again, told to a later life: it is billed all the same
	}
	it.ID, it.Campaign, it.Currency, it.Amount = id, r.Campaign, r.Currency, r.Amount
	if it.Status = NotBilled; r.Kind == ledger.Posted {
		it.Status, it.post = Done, *r
		it.post.Name = nil
	}
	if r.Parts > 0 {
		it.Day = r.From[0].Day
	}
	if len(f.items) > ItemsMax {
		return fmt.Errorf("more than %d events match; narrow the query", ItemsMax)
	}
	return nil
}

// place finds room for an event that was not named with its kind.
func (f *finder) place(r *ledger.Record, id ID) (i int, ok bool) {
	if len(f.query.IDs) == 0 {
		if r.Kind != ledger.Posted || !f.query.matches(r) {
			return 0, false
		}
		i = len(f.items)
		f.items = append(f.items, found{})
	} else if at, asked := f.wanted[ID{Win: r.Win}]; !asked {
		return 0, false
	} else if it := &f.items[at]; it.ID.Kind == 0 {
		i = at // the placeholder
	} else if r.Kind == ledger.Posted {
		if it.Status == NotBilled {
			delete(f.index, it.ID)
			i = at // what was not billed gives way
		} else {
			i = len(f.items)
			f.items = append(f.items, found{})
		}
	} else {
		return 0, false
	}
	f.index[id] = i
	return i, true
}

// journal writes the refund of a posting.
func (d *Desk) journal(q *Query, f *found) error {
	wall, j := d.cfg.Wall(), d.cfg.Journal
	d.stamp = d.stamp.Merge(f.post.Stamp).Next(wall)
	r := &d.rec
	*r = f.post
	r.Kind, r.Reason, r.Name, r.Policy = ledger.Refunded, q.Reason, []byte(q.Note), event.Policy{}
	r.Node, r.Epoch, r.Shard, r.Seq, r.Wall, r.Stamp = j.Node(), j.Epoch(), f.post.Win.Shard, 0, wall, d.stamp
	pos, err := d.appender.Append(r)
	if err != nil {
		return err
	}
	kept := *r
	kept.Seq = pos
	d.mu.Lock()
	d.flight = append(d.flight, kept)
	d.mu.Unlock()
	return nil
}
