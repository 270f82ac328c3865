package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/serve"
	"millrace/netio/admin"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/refund"
	"millrace/state/store"
)

// openRefunds makes the desk. files are the journal's.
func (n *Node) openRefunds(files outbox.FS) {
	n.refunds = refund.New(refund.Config{
		Journal: n.journal, Archive: n.dataFolder + "/audit", FS: files, Wall: n.clock.Wall, Settled: n.refunded,
	})
}

// refunded passes a durable refund on to who counts what is spent. It runs on
// the journal's writer.
func (n *Node) refunded(r *ledger.Record) {
	if s, ok := any(n.budgets).(store.Refunding); ok {
		s.Refunded(r)
	}
	m := serve.Message{Type: serve.Budget, Budget: budget.RefundMessage(r)}
	home := budget.Home(r.Campaign, n.group.Len())
	if !n.group.Submit(home, &m) {
		go n.insist(home, m)
	}
}

// insist submits to a mailbox that was full, until the shards end; then the next
// life reads it from the journal.
func (n *Node) insist(to unit.ShardID, m serve.Message) {
	for wait := time.Millisecond; wait < 4*time.Second; wait *= 2 {
		time.Sleep(wait)
		if n.group.Submit(to, &m) {
			return
		}
	}
}

// Refund takes postings back, and waits until that is durable.
func (n *Node) Refund(ctx context.Context, r *admin.Refund) (*admin.RefundAnswer, error) {
	q, err := RefundQuery(r)
	if err != nil {
		return nil, err
	}
	res, err := n.refunds.Run(ctx, q)
	if err != nil && res.Count(refund.Done) == 0 {
		return nil, err
	}
	a := RefundAnswer(&res, q)
	if err != nil {
		a.Error = err.Error()
	}
	if !q.Dry {
		n.log.Warn("postings were refunded", "refunded", a.Refunded, "reason", r.Reason, "note", r.Note, "sums", fmt.Sprint(a.Sums), "error", err)
	}
	return a, nil
}

// itemsShown bounds the items of an answer whose events were not named.
const itemsShown = 1000

// RefundQuery reads a request.
func RefundQuery(r *admin.Refund) (*refund.Query, error) {
	var faults []error
	fail := func(field string, err error) { faults = append(faults, fmt.Errorf("%s: %w", field, err)) }
	q := &refund.Query{Note: r.Note, Dry: r.DryRun}
	for _, w := range r.Wins {
		id, err := refund.ParseID(w)
		if err != nil {
			fail("wins", err)
		}
		q.IDs = append(q.IDs, id)
	}
	for _, x := range []struct {
		field, text string
		to          *uint64
	}{
		{"campaign", r.Campaign, (*uint64)(&q.Campaign)}, {"line", r.Line, (*uint64)(&q.Line)},
		{"creative", r.Creative, (*uint64)(&q.Creative)}, {"user", r.User, (*uint64)(&q.User)},
	} {
		if x.text == "" {
			continue
		}
		v, err := strconv.ParseUint(x.text, 16, 64)
		if err != nil || v == 0 {
			fail(x.field, fmt.Errorf("%q is no id; write its hexadecimal digits", x.text))
		}
		*x.to = v
	}
	for _, x := range []struct {
		field, text string
		to          *unit.WallTime
	}{{"from", r.From, &q.From}, {"to", r.To, &q.To}} {
		if x.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, x.text)
		if err != nil {
			fail(x.field, fmt.Errorf("%q is no time; write it as 2026-03-07T12:00:00Z", x.text))
		}
		*x.to = unit.WallTime(at.UnixNano())
	}
	for k := event.Impression; k.Valid(); k++ {
		if k.String() == r.Event {
			q.Kind = k
		}
	}
	if r.Event != "" && q.Kind == 0 {
		fail("event", fmt.Errorf("%q: use impression, click or conversion", r.Event))
	}
	if r.Least != nil {
		q.Least = unit.Nanos(*r.Least)
	}
	if r.Most != nil {
		q.Most = unit.Nanos(*r.Most)
	}
	var err error
	if q.Reason, err = ledger.ParseRefundReason(r.Reason); err != nil {
		faults = append(faults, err)
	} else if len(faults) == 0 {
		faults = append(faults, q.Validate())
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	return q, nil
}

// RefundAnswer shows a result.
func RefundAnswer(res *refund.Result, q *refund.Query) *admin.RefundAnswer {
	a := &admin.RefundAnswer{
		DryRun: q.Dry, Whole: res.Whole, Sums: map[string]admin.Amount{}, Items: []admin.RefundItem{},
		Refunded: res.Count(refund.Done), Before: res.Count(refund.Before), NotBilled: res.Count(refund.NotBilled),
		NotFound: res.Count(refund.NotFound), OtherNode: res.Count(refund.Foreign),
	}
	for c, sum := range res.Sum() {
		a.Sums[c.String()] = admin.Amount(sum)
	}
	for i := range res.Items {
		it := &res.Items[i]
		if len(q.IDs) == 0 && i == itemsShown {
			break
		}
		item := admin.RefundItem{Win: it.ID.String(), Status: it.Status.String(), Amount: admin.Amount(it.Amount)}
		if it.Campaign != 0 {
			item.Campaign, item.Currency = hexID(uint64(it.Campaign)), it.Currency.String()
		}
		a.Items = append(a.Items, item)
	}
	return a
}
