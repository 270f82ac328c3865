package refund

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
)

// ID names a posted event; Kind 0 is whatever was posted of the win.
type ID struct {
	Win  event.WinID
	Kind event.Kind
}

// ParseID reads what exports and messages call a win, node-epoch-shard-seq, with
// the kind of event behind a slash if it matters: 1-1800000000-0-17/click.
func ParseID(text string) (id ID, err error) {
	win, kind, named := strings.Cut(strings.TrimSpace(text), "/")
	fail := func() (ID, error) {
		return ID{}, fmt.Errorf("win %q: write node-epoch-shard-seq, as exports have it, and after a slash the kind of event if it matters", text)
	}
	if named {
		for k := event.Impression; k.Valid(); k++ {
			if k.String() == kind {
				id.Kind = k
			}
		}
		if id.Kind == 0 {
			return fail()
		}
	}
	parts := strings.Split(win, "-")
	if len(parts) != 4 {
		return fail()
	}
	var n [4]uint64
	for i, bits := range [...]int{16, 32, 16, 64} {
		if n[i], err = strconv.ParseUint(parts[i], 10, bits); err != nil {
			return fail()
		}
	}
	id.Win = event.WinID{Node: unit.NodeID(n[0]), Epoch: unit.Epoch(n[1]), Shard: unit.ShardID(n[2]), Seq: n[3]}
	return id, nil
}

// String is what ParseID reads.
func (id ID) String() string {
	s := fmt.Sprintf("%d-%d-%d-%d", id.Win.Node, id.Win.Epoch, id.Win.Shard, id.Win.Seq)
	if id.Kind != 0 {
		s += "/" + id.Kind.String()
	}
	return s
}

// Query says what is to be refunded: the events named, or all postings that
// match.
type Query struct {
	IDs []ID
	// Campaign, Line, Creative, User: 0 is any, but one of them must be set where
	// no ids are. Kind 0 is any.
	Campaign unit.CampaignID
	Line     unit.LineID
	Creative unit.CreativeID
	User     unit.UserID
	Kind     event.Kind
	// From and To bound when it was posted, From ≤ posting < To; 0 is no bound.
	From, To unit.WallTime
	// Least and Most bound the amount; Most 0 is no bound.
	Least, Most unit.Nanos

	Reason ledger.Reason
	// Note is the operator's, up to ledger.NameMax bytes.
	Note string
	// Dry finds, and refunds nothing.
	Dry bool
}

// ItemsMax bounds what one query refunds: what is found is held in memory.
const ItemsMax = 200_000

// Validate lists every fault.
func (q *Query) Validate() error {
	var faults []error
	fail := func(text string, args ...any) { faults = append(faults, fmt.Errorf(text, args...)) }
	named := q.Campaign != 0 || q.Line != 0 || q.Creative != 0 || q.User != 0
	switch {
	case len(q.IDs) == 0 && !named:
		fail("wins: none; name wins, or a campaign, line, creative or user whose events are to be refunded")
	case len(q.IDs) > 0 && (named || q.Kind != 0 || q.From != 0 || q.To != 0 || q.Least != 0 || q.Most != 0):
		fail("wins: name wins or say what events must be like, not both")
	case len(q.IDs) > ItemsMax:
		fail("wins: %d; name at most %d at once", len(q.IDs), ItemsMax)
	}
	if q.Reason < ledger.Fraud || q.Reason > ledger.Goodwill {
		fail("reason: use fraud, mistake or goodwill")
	}
	if len(q.Note) > ledger.NameMax {
		fail("note: %d bytes, at most %d are kept", len(q.Note), ledger.NameMax)
	}
	if q.Least < 0 || q.Most < 0 || q.Most > 0 && q.Most < q.Least {
		fail("amount: from %v to %v; write the smaller first, nothing below zero", q.Least, q.Most)
	}
	if q.From < 0 || q.To < 0 || q.To > 0 && q.To <= q.From {
		fail("time: from %v to %v; write the earlier first", q.From.Time(), q.To.Time())
	}
	return errors.Join(faults...)
}

// matches reports whether a posting is one that the query describes.
func (q *Query) matches(r *ledger.Record) bool {
	return (q.Campaign == 0 || q.Campaign == r.Campaign) && (q.Line == 0 || q.Line == r.Line) &&
		(q.Creative == 0 || q.Creative == r.Creative) && (q.User == 0 || q.User == r.User) && (q.Kind == 0 || q.Kind == r.Event) &&
		r.Wall >= q.From && (q.To == 0 || r.Wall < q.To) && r.Amount >= q.Least && (q.Most == 0 || r.Amount <= q.Most)
}

// Status is what became of one event.
type Status uint8

// Statuses.
const (
	// Done: the refund is in the journal (of a dry query: it would be).
	Done Status = iota + 1
	// Before: it was refunded before; nothing changed.
	Before
	// NotBilled: the event was seen and not billed.
	NotBilled
	// NotFound: no such event is in what is left of the node's history.
	NotFound
	// Foreign: another node made the win; ask that one.
	Foreign
)

var statusNames = [...]string{"", "refunded", "refunded-before", "not-billed", "not-found", "other-node"}

// String is the status's name in answers.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// MarshalText is the name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Item is one event of an answer.
type Item struct {
	ID       ID
	Status   Status
	Campaign unit.CampaignID
	Day      unit.Day
	Currency unit.Currency
	// Amount of the posting: given back if Done.
	Amount unit.Nanos
}

// Result is the answer to a query.
type Result struct {
	Items []Item
	// Position in the desk's appender of the last refund: durable there, durable all.
	Position uint64
	// Whole: no part of the node's history is missing, so that what was not found
	// never was.
	Whole bool
}

// Sum is what was refunded, by currency.
func (r *Result) Sum() map[unit.Currency]unit.Nanos {
	sums := map[unit.Currency]unit.Nanos{}
	for i := range r.Items {
		if it := &r.Items[i]; it.Status == Done {
			sums[it.Currency] += it.Amount
		}
	}
	return sums
}

// Count is how many items have the status.
func (r *Result) Count(s Status) (n int) {
	for i := range r.Items {
		if r.Items[i].Status == s {
			n++
		}
	}
	return n
}
