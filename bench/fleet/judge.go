package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/bench/recount"
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/store/kafka/kafkatest"
)

// posting is one event billed to one account, as a journal or the ledger has it.
type posting struct {
	Key
	account unit.AccountID
	day     unit.Day
	amount  unit.Nanos
}

// accounts of the money that the judge draws up.
type accounts struct {
	f        *Fleet
	faults   []string
	posted   map[Key]recount.Entry // by the journals
	recorded map[Key]recount.Entry
	postings map[posting]bool
	byDay    map[unit.CampaignID]map[unit.Day]unit.Nanos
	spent    map[unit.CampaignID]unit.Nanos
}

// Verdict is what the judge found, beside the faults that failed the test.
type Verdict struct {
	Sent, Acknowledged, Posted, Recorded int
	Spent                                unit.Nanos
	RanOut, Campaigns                    int        // budgets of which next to nothing is left to grant, and all
	Locked                               unit.Nanos // held by lives that ended without returning it
	Messages                             int        // in the topic, with repeats
}

// String is a line for people.
func (v *Verdict) String() string {
	return fmt.Sprintf("%d billable events sent, %d acknowledged; journals: %d posted, %d recorded without being billed; %v spent, %v locked by lives that were killed; "+
		"%d of %d budgets were used up; %d messages in the topic", v.Sent, v.Acknowledged, v.Posted, v.Recorded, v.Spent, v.Locked, v.RanOut, v.Campaigns, v.Messages)
}

// Judge counts the money, and lists what is wrong with it. The nodes must have
// ended.
func (f *Fleet) Judge() (v *Verdict, faults []string) {
	f.t.Helper()
	a := f.readJournals()
	v = &Verdict{Posted: len(a.posted), Recorded: len(a.recorded), Campaigns: len(f.Campaigns)}
	a.judgeLimits(v)
	a.judgeClients(v)
	a.judgeLedger(v)
	if f.Kafka != nil {
		a.judgeTopic(v)
	}
	return v, a.faults
}

// faultsMax bounds the list: where one event is lost there may be thousands.
const faultsMax = 100

func (a *accounts) fault(format string, args ...any) {
	if len(a.faults) < faultsMax {
		a.faults = append(a.faults, fmt.Sprintf(format, args...))
	}
}

func (f *Fleet) readJournals() *accounts {
	f.t.Helper()
	a := &accounts{
		f: f, posted: map[Key]recount.Entry{}, recorded: map[Key]recount.Entry{}, postings: map[posting]bool{},
		byDay: map[unit.CampaignID]map[unit.Day]unit.Nanos{}, spent: map[unit.CampaignID]unit.Nanos{},
	}
	for _, n := range f.Nodes {
		if err := recount.Folder(n.Data, a.take); err != nil {
			f.t.Fatal(err)
		}
	}
	return a
}

func (a *accounts) take(e *recount.Entry) {
	k := Key{e.Win, e.Event}
	switch e.Kind {
	case recount.Recorded:
		a.recorded[k] = *e
	case recount.Posted:
		if _, twice := a.posted[k]; twice {
			a.fault("%v is posted twice", k)
		}
		a.posted[k] = *e
		a.spent[e.Campaign] += e.Amount
		for _, p := range e.Parts {
			a.postings[posting{k, p.Account, p.Day, e.Amount}] = true
			days := a.byDay[e.Campaign]
			if days == nil {
				days = map[unit.Day]unit.Nanos{}
				a.byDay[e.Campaign] = days
			}
			days[p.Day] += e.Amount
		}
	}
}

// judgeLimits: over-delivery is zero, on every day and in all.
func (a *accounts) judgeLimits(v *Verdict) {
	for i := range a.f.Campaigns {
		c := &a.f.Campaigns[i]
		v.Spent += a.spent[c.ID]
		if a.spent[c.ID] > c.Limit {
			a.fault("%s spent %v of %v", c.Name, a.spent[c.ID], c.Limit)
		}
		for day, spent := range a.byDay[c.ID] {
			if spent > c.Limit {
				a.fault("%s spent %v of %v on day %d", c.Name, spent, c.Limit, day)
			}
		}
	}
}

// judgeClients: acknowledged ⊆ posted ⊆ sent, each at its price. A click may have
// cost more than was there: then it is recorded. An impression has been paid for
// when it was won.
func (a *accounts) judgeClients(v *Verdict) {
	l := a.f.Log
	l.mu.Lock()
	defer l.mu.Unlock()
	v.Sent, v.Acknowledged = len(l.sent), len(l.acked)
	for k, e := range a.posted {
		switch t, sent := l.sent[k]; {
		case !sent:
			a.fault("%v is posted and was never sent", k)
		case t.Price != e.Amount || t.Campaign != e.Campaign:
			a.fault("%v is posted for %v to campaign %x, its token says %v to %x", k, e.Amount, e.Campaign, t.Price, t.Campaign)
		}
	}
	for k := range l.acked {
		_, posted := a.posted[k]
		e, recorded := a.recorded[k]
		if posted || recorded && k.Kind != event.Impression {
			continue
		}
		a.fault("%v was acknowledged and is not posted (recorded: %v, reason %d)", k, recorded, e.Reason)
	}
}

// judgeLedger: what the ledger has as spent is what the journals have as posted,
// row by row, and what it has granted is within the limits.
func (a *accounts) judgeLedger(v *Verdict) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	db, err := pgx.Connect(ctx, a.f.Postgres.URL)
	if err != nil {
		a.f.t.Fatal(err)
	}
	defer func() { _ = db.Close(ctx) }()
	rows, err := db.Query(ctx, `SELECT node, epoch, shard, seq, event, account, day - date '1970-01-01', amount FROM postings WHERE debit = 3`)
	if err != nil {
		a.f.t.Fatal(err)
	}
	seen := 0
	for rows.Next() {
		var node, epoch, shard, seq, kind, account, day, amount int64
		if err := rows.Scan(&node, &epoch, &shard, &seq, &kind, &account, &day, &amount); err != nil {
			a.f.t.Fatal(err)
		}
		seen++
		p := posting{account: unit.AccountID(account), day: unit.Day(day), amount: unit.Nanos(amount)}
		p.Win = event.WinID{Seq: uint64(seq), Epoch: unit.Epoch(epoch), Node: unit.NodeID(node), Shard: unit.ShardID(shard)}
		p.Kind = event.Kind(kind)
		if !a.postings[p] {
			a.fault("the ledger has %+v, and no journal", p)
		}
	}
	if err := rows.Err(); err != nil {
		a.f.t.Fatal(err)
	}
	if seen != len(a.postings) {
		a.fault("the ledger has %d postings, the journals %d", seen, len(a.postings))
	}
	a.judgeGrants(ctx, db, v)
}

// judgeGrants: granted − returned, of all lives, is within the limit, and covers
// what was spent.
func (a *accounts) judgeGrants(ctx context.Context, db *pgx.Conn, v *Verdict) {
	limits := map[unit.CampaignID]*Campaign{}
	for i := range a.f.Campaigns {
		limits[a.f.Campaigns[i].ID] = &a.f.Campaigns[i]
	}
	rows, err := db.Query(ctx, `SELECT campaign,
		sum(CASE WHEN credit = 1 THEN amount WHEN debit = 4 THEN -amount ELSE 0 END)::int8,
		sum(CASE WHEN debit = 3 THEN amount ELSE 0 END)::int8 FROM postings GROUP BY campaign`)
	if err != nil {
		a.f.t.Fatal(err)
	}
	for rows.Next() {
		var campaign, committed, spent int64
		if err := rows.Scan(&campaign, &committed, &spent); err != nil {
			a.f.t.Fatal(err)
		}
		c := limits[unit.CampaignID(campaign)]
		if c == nil {
			a.fault("the ledger has campaign %x, which is nobody's", uint64(campaign))
			continue
		}
		if unit.Nanos(spent) != a.spent[c.ID] || committed < spent || unit.Nanos(committed) > c.Limit {
			a.fault("%s: the ledger has %v granted and %v spent, of %v; the journals have %v spent", c.Name, unit.Nanos(committed), unit.Nanos(spent), c.Limit, a.spent[c.ID])
		}
		v.Locked += unit.Nanos(committed - spent)
		if unit.Nanos(committed)*100 > c.Limit*98 {
			v.RanOut++
		}
	}
	if err := rows.Err(); err != nil {
		a.f.t.Fatal(err)
	}
}

// judgeTopic: the topic has the journals' events, each once for who drops
// repeats.
func (a *accounts) judgeTopic(v *Verdict) {
	messages, total := kafkatest.Consume(a.f.t, []string{a.f.Kafka.Addr}, Topic, len(a.posted)+len(a.recorded))
	v.Messages = total
	if len(messages) != len(a.posted)+len(a.recorded) {
		a.fault("the topic has %d events, the journals %d", len(messages), len(a.posted)+len(a.recorded))
	}
	want := map[string]unit.Nanos{}
	name := func(e *recount.Entry) string {
		return fmt.Sprintf("%d-%d-%d-%d %v %016x", e.Win.Node, e.Win.Epoch, e.Win.Shard, e.Win.Seq, e.Event, uint64(e.Campaign))
	}
	for _, e := range a.posted {
		want[name(&e)] = e.Amount
	}
	for _, m := range messages {
		if m.Kind != "posted" {
			continue
		}
		n := fmt.Sprintf("%s %s %s", m.Win, m.Event.Event, m.Campaign)
		if amount, ok := want[n]; !ok || amount != unit.Nanos(m.Amount) {
			a.fault("the topic has %s for %d, the journals for %v", n, m.Amount, amount)
		}
		delete(want, n)
	}
	if len(want) > 0 {
		a.fault("%d events that were posted are not in the topic", len(want))
	}
}
