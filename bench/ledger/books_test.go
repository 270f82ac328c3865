package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store/cockroach"
	"millrace/state/store/joint"
)

var begun = joint.Life{Node: 1, Epoch: 10}

func books(t testing.TB, address string) *cockroach.Books {
	t.Helper()
	b, err := cockroach.OpenBooks(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// follow follows one account from its name to a refund, and back.
func follow(t *testing.T, p *server) {
	address := p.database(t)
	b := books(t, address)
	n := begin(t, open(t, address), 0, 10, 0) // 0 is a node too
	other := begin(t, open(t, address), 1, 10, 0)
	ask, more := n.request(1, 1000, 5000), n.request(1, 500, 5000)
	n.grant(ask, more)
	other.grant(other.request(2, 70, 0))
	name := ledger.Record{Kind: ledger.AccountOpened, Epoch: 10, Account: 1, Campaign: 1, Currency: unit.USD, Daily: 5000, Name: []byte("shoes"), Stamp: start + 1}
	paid := n.posted(10, 1, 30)
	refund := paid
	refund.Kind, refund.Reason, refund.Name, refund.Stamp = ledger.Refunded, ledger.Fraud, []byte("a bot"), start+1<<32
	records := []ledger.Record{name, n.granted(&ask, 1000), paid, n.posted(10, 1, 12), refund, n.returned(10, 1, 200)}
	n.post(records...)
	n.post(records...) // all of it again
	want := cockroach.DayBalance{
		Account: 1, Campaign: 1, Name: "shoes", Currency: unit.USD, Day: day, Daily: 5000,
		Granted: 1500, Leased: 1258, Spent: 12, Released: 200, Refunded: 30, Events: 2, Refunds: 1,
	}
	got, err := b.Balances(t.Context(), cockroach.Filter{Campaign: 1, From: day, To: day})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if want.Stamp = got[0].Stamp; got[0] != want || want.Stamp < refund.Stamp {
		t.Errorf("%+v, want %+v", got[0], want)
	}
	if all, _ := b.Balances(t.Context(), cockroach.Filter{}); len(all) != 2 {
		t.Errorf("%+v", all)
	}
	for _, f := range []cockroach.Filter{{From: day + 1}, {To: day - 1}, {Account: 9}, {Only: true, Node: 7}} {
		if none, err := b.Balances(t.Context(), f); err != nil || len(none) != 0 {
			t.Errorf("%+v: %+v, %v", f, none, err)
		}
	}
	var lines []string
	if err := b.Lines(t.Context(), cockroach.Filter{Only: true}, func(l cockroach.Line) error {
		lines = append(lines, fmt.Sprintf("%s %s>%s %d %s", l.Kind, l.Credit, l.Debit, l.Amount, l.Note))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(lines, "; "); text != "granted funding>leased 1000 ; granted funding>leased 500 ; returned leased>released 200 ; posted leased>spent 30 ; posted leased>spent 12 ; refunded spent>refunded 30 a bot" {
		t.Errorf("%s", text)
	}
	leases, err := b.Leases(t.Context(), cockroach.Filter{Only: true}, 0)
	if err != nil || len(leases) != 1 || leases[0].Outstanding() != 1258 || leases[0].Unconfirmed != 500 || leases[0].Currency != unit.USD {
		t.Errorf("%+v, %v", leases, err)
	}
	lives, err := b.Lives(t.Context(), cockroach.Filter{})
	if err != nil || len(lives) != 2 || lives[0].Position != 2000 || lives[0].Unconfirmed != 500 || lives[0].Moved.IsZero() || !lives[1].Moved.IsZero() {
		t.Errorf("%+v, %v", lives, err)
	}
	verify(t, address)
}

// sums: a reconciler is told one node's part, up to where its journal is posted,
// grants that are not yet confirmed too; a new journal has no place yet.
func sums(t *testing.T, p *server) {
	address := p.database(t)
	g := open(t, address)
	n := begin(t, g, 1, 10, 0)
	other := begin(t, g, 2, 10, 0)
	other.grant(other.request(1, 70, 0))
	ask, more := n.request(1, 1000, 5000), n.request(1, 500, 5000)
	n.grant(ask, more)
	n.post(n.granted(&ask, 1000), n.posted(10, 1, 30), n.returned(10, 1, 200))
	told := func() ([]joint.Sum, uint64) {
		type answer struct {
			list    []joint.Sum
			drained uint64
		}
		a := until(t, &n.failures, func(done func(answer, error)) {
			g.Sums(1, func(list []joint.Sum, drained uint64, err error) { done(answer{list, drained}, err) })
		})
		return a.list, a.drained
	}
	want := joint.Sum{AccountDay: joint.AccountDay{Account: 1, Campaign: 1, Day: day}, Granted: 1500, Returned: 200, Posted: 30}
	for _, life := range []struct {
		epoch, previous unit.Epoch
		drained         uint64
	}{{10, 0, 1000}, {11, 10, 1000}, {12, 0, 0}} {
		begin(t, g, 1, life.epoch, life.previous)
		if list, drained := told(); len(list) != 1 || list[0] != want || drained != life.drained {
			t.Errorf("life %d: %+v at %d, want %+v at %d", life.epoch, list, drained, want, life.drained)
		}
	}
}

// tampered: a sum that somebody tampered with is found.
func tampered(t *testing.T, p *server) {
	address := p.database(t)
	n := begin(t, open(t, address), 1, 10, 0)
	ask := n.request(1, 1000, 5000)
	n.grant(ask)
	n.post(n.granted(&ask, 1000), n.posted(10, 1, 30))
	verify(t, address)
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	b := books(t, address)
	for i, sql := range []string{
		"UPDATE account_days SET committed = committed - 1", "UPDATE account_totals SET committed = committed + 1", "UPDATE leases SET posted = posted + 1",
		"UPDATE postings SET amount = amount + 1 WHERE kind = 5", "DELETE FROM postings WHERE kind = 5", "INSERT INTO account_days VALUES (77, '2020-01-01', 5, 0)",
	} {
		before, err := b.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		after, err := b.Verify(t.Context())
		if err != nil || len(after) <= len(before) && fmt.Sprint(after) == fmt.Sprint(before) {
			t.Errorf("%d: %s is not found: %+v, %v", i, sql, after, err)
		}
	}
}

// writeOff gives up a life whose journal is lost, until it turns up.
func writeOff(t *testing.T, p *server) {
	address := p.database(t)
	b := books(t, address)
	g := open(t, address)
	lost := begin(t, g, 1, 10, 0)
	ask, unknown := lost.request(1, 1000, 2000), lost.request(1, 400, 2000)
	lost.grant(ask, unknown)
	lost.post(lost.granted(&ask, 1000), lost.posted(10, 1, 100))
	if _, err := b.WriteOff(t.Context(), 1, 10, false, false); !errors.Is(err, cockroach.ErrRunning) {
		t.Error(err)
	}
	if _, err := b.WriteOff(t.Context(), 1, 9, true, false); !errors.Is(err, cockroach.ErrNoLife) {
		t.Error(err)
	}
	fresh := begin(t, g, 1, 11, 0)
	dry, err := b.WriteOff(t.Context(), 1, 10, false, true)
	if err != nil || len(dry) != 1 || dry[0].Outstanding() != 1300 {
		t.Fatal(dry, err)
	}
	if done, err := b.WriteOff(t.Context(), 1, 10, false, false); err != nil || len(done) != 1 || done[0] != dry[0] {
		t.Fatal(done, err)
	}
	if again, err := b.WriteOff(t.Context(), 1, 10, false, false); err != nil || len(again) != 0 {
		t.Fatal(again, err)
	}
	verify(t, address)
	if g := fresh.grant(fresh.request(1, 5000, 2000))[0]; g.Amount != 600 {
		t.Errorf("what was written off was given out again: %+v", g)
	}
	orphans := make(chan int, 1)
	g.Orphans(fresh.life, func(o []joint.Orphan, err error) { orphans <- len(o) })
	if n := <-orphans; n != 0 {
		t.Errorf("%d orphans of a life that was written off", n)
	}
	// The disk is found: 250 more were spent, 150 returned, the rest is not known.
	lost.post(lost.granted(&unknown, 400), lost.posted(10, 1, 250), lost.returned(10, 1, 150))
	got, err := b.Balances(t.Context(), cockroach.Filter{})
	if err != nil || len(got) != 1 || got[0].Spent != 350 || got[0].Released != 150 || got[0].WrittenOff != 900 || got[0].Leased != 600 {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := g.Stats(); s.Breaches != 0 {
		t.Errorf("%+v", s)
	}
	verify(t, address)
	// A grant that the ledger never made stands in the journal, and is given up too.
	never := lost.request(1, 77, 0)
	lost.post(lost.granted(&never, 77))
	if done, err := b.WriteOff(t.Context(), 1, 10, false, false); err != nil || len(done) != 1 || done[0].Outstanding() != 77 {
		t.Fatal(done, err)
	}
	verify(t, address)
	// More than it ever had: told, and booked, for the journal says so.
	lost.post(lost.posted(10, 1, 5000))
	if s := g.Stats(); s.Breaches != 1 {
		t.Errorf("%+v", s)
	}
	verify(t, address)
}

// oldPartition: records of a month for which nobody made a partition make it.
func oldPartition(t *testing.T, p *server) {
	address := p.database(t)
	g := open(t, address)
	n := begin(t, g, 1, 10, 0)
	ask := n.request(1, 1000, 0)
	ask.Day = 400 // 1971
	if got := n.grant(ask)[0]; got.Amount != 1000 {
		t.Fatalf("%+v", got)
	}
	records := []ledger.Record{n.granted(&ask, 1000)}
	for i := range 14 {
		r := n.posted(10, 1, 1)
		r.Issued = unit.WallTime(int64(2000+31*i) * 86400e9)
		r.From[0].Day = 400
		records = append(records, r)
	}
	n.post(records...)
	got, err := books(t, address).Balances(t.Context(), cockroach.Filter{})
	if err != nil || len(got) != 1 || got[0].Spent != 14 {
		t.Fatalf("%+v, %v", got, err)
	}
	if made, err := g.KeepMonths(t.Context()); err != nil || len(made) != 0 {
		t.Error(made, err) // migrate has made them
	}
	verify(t, address)
}
