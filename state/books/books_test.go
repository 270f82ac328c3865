package books

import (
	"crypto/ed25519"
	"math/big"
	"math/rand/v2"
	"testing"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/audit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
)

const (
	node = unit.NodeID(3)
	now  = unit.WallTime(1_800_000_000_000_000_000)
)

// spender writes a history that keeps the invariants.
type spender struct {
	r      *rand.Rand
	epoch  unit.Epoch
	seq    uint64
	stamp  ledger.Stamp
	posted []ledger.Record
	left   map[ledger.Part]unit.Nanos
	parts  []ledger.Part
}

func (s *spender) next() *ledger.Record {
	s.seq++
	s.stamp++
	rec := &ledger.Record{Node: node, Epoch: s.epoch, Wall: now, Stamp: s.stamp, Seq: s.seq, Campaign: 5, Currency: unit.USD}
	switch k := s.r.IntN(10); {
	case k < 3 || len(s.parts) == 0:
		p := ledger.Part{Account: unit.AccountID(1 + s.r.IntN(3)), Day: unit.Day(20_000 + s.r.IntN(3)), Epoch: s.epoch}
		rec.Kind, rec.Account, rec.Day, rec.Amount, rec.Total = ledger.Granted, p.Account, p.Day, unit.Nanos(1+s.r.IntN(900)), 1e9
		if _, ok := s.left[p]; !ok {
			s.parts = append(s.parts, p)
		}
		s.left[p] += rec.Amount
	case k < 4:
		p := s.parts[s.r.IntN(len(s.parts))]
		rec.Kind, rec.Account, rec.Day, rec.LeaseEpoch, rec.Amount = ledger.Returned, p.Account, p.Day, p.Epoch, s.left[p]/3
		s.left[p] -= rec.Amount
	case k < 5 && len(s.posted) > 0:
		i := s.r.IntN(len(s.posted))
		stamp := rec.Stamp
		*rec = s.posted[i]
		rec.Kind, rec.Reason, rec.Stamp, rec.Epoch = ledger.Refunded, ledger.Fraud, stamp, s.epoch
		s.posted[i] = s.posted[len(s.posted)-1]
		s.posted = s.posted[:len(s.posted)-1]
	default:
		p := s.parts[s.r.IntN(len(s.parts))]
		rec.Kind, rec.Event, rec.Amount = ledger.Posted, event.Click, s.left[p]/4
		rec.Win = event.WinID{Node: node, Epoch: s.epoch, Seq: s.seq}
		rec.Parts, rec.From[0] = 1, p
		s.left[p] -= rec.Amount
		s.posted = append(s.posted, *rec)
	}
	return rec
}

// TestDaysAddUp: every day is whole, and the fold and the node's own Book agree.
func TestDaysAddUp(t *testing.T) {
	for seed := range uint64(10) {
		s := &spender{r: rand.New(rand.NewPCG(seed, 1)), epoch: 1, left: map[ledger.Part]unit.Nanos{}}
		f, book := NewFold(), ledger.NewBook(node, 1e15)
		for range 3000 {
			rec := s.next()
			f.Take(rec)
			if err := book.Apply(rec); err != nil {
				t.Fatal(err)
			}
		}
		days := f.Days()
		for i := range days {
			if !days[i].Whole() || days[i].Leased < 0 || days[i].Spent < 0 {
				t.Fatalf("%+v", days[i])
			}
		}
		for _, a := range Accounts(days) {
			b, _ := book.Account(a.Account)
			if a.Spent != b.Posted || a.Committed() != b.Committed || a.Refunded != b.Refunded || b.Refunded == 0 {
				t.Fatalf("%+v\n%+v", a, b)
			}
		}
		var last Entry
		var spent unit.Nanos
		for _, l := range Statement(days, Period{}, nil) {
			if l.Account == last.Account && l.Opening != last.Closing || l.Account != last.Account && l.Opening != 1e9 {
				t.Fatalf("%+v follows %+v", l, last)
			}
			if l.Closing != l.Opening-l.Billed+l.Refunded-l.Leased-l.WrittenOff {
				t.Fatalf("%+v", l)
			}
			last = l
			spent += l.Spent
		}
		some := Statement(days, Period{From: 20_001, To: 20_001}, nil)
		if len(some) != 3 || some[0].Opening == 1e9 {
			t.Fatalf("%+v", some)
		}
		if c := Charges(Statement(days, Period{}, nil)); len(c) != 1 || c[0].Exact != spent {
			t.Fatalf("%+v, spent %v", c, spent)
		}
	}
}

// TestInvoice holds the rounding against rationals.
func TestInvoice(t *testing.T) {
	for _, c := range []struct {
		n    unit.Nanos
		cur  string
		want unit.Nanos
	}{
		{5_000_000, "USD", 0}, {15_000_000, "USD", 20_000_000}, {25_000_000, "USD", 20_000_000}, {25_000_001, "USD", 30_000_000},
		{-15_000_000, "EUR", -20_000_000}, {-25_000_000, "EUR", -20_000_000}, {500_000_000, "JPY", 0}, {1_500_000_000, "JPY", 2_000_000_000},
		{1_500_000, "KWD", 2_000_000}, {2_500_000, "KWD", 2_000_000},
	} {
		cur, _ := unit.ParseCurrency(c.cur)
		if got := Invoice(c.n, cur); got != c.want {
			t.Errorf("%v %s: %v, want %v", c.n, c.cur, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		n := unit.Nanos(r.Int64N(1e12) - 5e11)
		if r.IntN(3) == 0 {
			n = n / 5_000_000 * 5_000_000
		}
		x := new(big.Rat).SetFrac64(int64(n), 10_000_000)
		floor := new(big.Int).Div(x.Num(), x.Denom()) // Euclidean: the denominator is positive
		rest := new(big.Rat).Sub(x, new(big.Rat).SetInt(floor))
		if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && floor.Bit(0) == 1 {
			floor.Add(floor, big.NewInt(1))
		}
		if got, want := Invoice(n, unit.USD), unit.Nanos(floor.Int64())*10_000_000; got != want {
			t.Fatalf("%v: %v, want %v", n, got, want)
		}
	}
}

// TestLineItemsAreParts: what a line item's account was charged is in its
// campaign's already.
func TestLineItemsAreParts(t *testing.T) {
	days := []Day{
		{Campaign: 1, Account: 2, Name: "campaign/a", Currency: unit.USD, Spent: 15_000_000, Events: 3, Refunds: 1},
		{Campaign: 1, Account: 3, Name: "line/x", Currency: unit.USD, Spent: 7_000_000, Events: 1},
	}
	c := Charges(Statement(days, Period{}, nil))
	if len(c) != 1 || c[0].Exact != 15_000_000 || c[0].Amount != 20_000_000 || c[0].Events != 2 {
		t.Fatalf("%+v", c)
	}
}

// TestOpenWithoutTheBeginning: with old segments gone a folder's statement still
// opens with what is left; with the audit chain nothing is missing.
func TestOpenWithoutTheBeginning(t *testing.T) {
	for _, chained := range []bool{false, true} {
		disk := faultfs.New(0, nil)
		c := outbox.Default()
		c.Dir, c.Node, c.FS, c.SegmentBytes, c.Retention = "/data/journal", node, disk, 4096, 0
		c.Wall = func() unit.WallTime { return now }
		j, err := outbox.OpenStepped(c)
		if err != nil {
			t.Fatal(err)
		}
		a := j.NewAppender(nil)
		var drain *audit.Drain
		if chained {
			ac := audit.Default()
			ac.Dir, ac.Node, ac.FS, ac.Key = "/data/audit", node, disk, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
			chain, err := audit.Open(ac)
			if err != nil {
				t.Fatal(err)
			}
			if drain, err = audit.NewDrain(chain, j); err != nil {
				t.Fatal(err)
			}
		}
		s := &spender{r: rand.New(rand.NewPCG(5, 1)), epoch: j.Epoch(), left: map[ledger.Part]unit.Nanos{}}
		all := NewFold()
		for range 800 {
			rec := s.next()
			all.Take(rec)
			if _, err := a.Append(rec); err != nil {
				t.Fatal(err)
			}
			a.Commit()
			j.Step()
			if chained {
				if err := drain.Step(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if names, _ := disk.List("/data/journal"); len(names) == 0 || names[0] == "0000000000000001.seg" {
			t.Fatalf("nothing is gone: %v", names)
		}
		n, err := Open(disk, "/data") // while the journal is open
		if err != nil {
			t.Fatal(err)
		}
		if n.Whole != chained || n.Node != node {
			t.Fatalf("whole %v with chain %v", n.Whole, chained)
		}
		got, want := Statement(n.Days, Period{}, n.Before), Statement(all.Days(), Period{}, nil)
		closing := map[unit.AccountID]unit.Nanos{}
		for _, l := range want {
			closing[l.Account] = l.Closing
		}
		left := map[unit.AccountID]unit.Nanos{}
		for _, l := range got {
			left[l.Account] = l.Closing
		}
		for id, v := range closing {
			if left[id] != v {
				t.Errorf("account %d closes with %v, want %v", id, left[id], v)
			}
		}
		if chained && len(got) != len(want) {
			t.Errorf("%d lines, want %d", len(got), len(want))
		}
	}
}
