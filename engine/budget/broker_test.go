package budget

import (
	"math/rand/v2"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
)

var noon = time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC)

// TestRandomLives is the property test: whatever happens, money is conserved,
// no limit is passed, and no event is billed twice.
func TestRandomLives(t *testing.T) {
	seeds := uint64(16)
	if testing.Short() {
		seeds = 4
	}
	var outcomes [OutcomeCount]int
	var reasons [ReasonCount]int
	for seed := range seeds {
		// Shortly before midnight in one of the zones.
		eve := []time.Duration{11*time.Hour + 50*time.Minute, 16*time.Hour + 50*time.Minute, 6*time.Hour + 5*time.Minute, 22*time.Hour + 50*time.Minute}[seed/2%4]
		w := newWorld(t, seed, 1+int(seed%4), noon.Add(eve))
		w.boxMax = 2 + w.r.IntN(30)
		w.refuse = []int{0, 2, 10}[seed%3]
		w.setAccounts(testSpecs(w.r, 10))
		for range 2500 {
			w.randomStep()
			if w.r.IntN(20) == 0 {
				w.conserve()
			}
			if w.r.IntN(25) == 0 {
				w.randomRefund()
			}
		}
		w.refuse, w.store.lossy, w.store.down = 0, 0, false
		w.shutdown()
		w.conserve()
		for _, s := range w.specs {
			if b, _ := w.book.Account(s.ID); w.balance(s.ID).PostedTotal != b.Posted {
				t.Fatalf("account %d: the shards say %v was spent, the book %v", s.ID, w.balance(s.ID).PostedTotal, b.Posted)
			}
		}
		if len(w.refunded) == 0 {
			t.Error("nothing was refunded")
		}
		if err := w.book.Check(); err != nil {
			t.Fatal(err)
		}
		for i, n := range w.outcomes {
			outcomes[i] += n
		}
		for i, n := range w.reasons {
			reasons[i] += n
		}
	}
	t.Logf("outcomes %v, reasons %v", outcomes, reasons)
	for o, n := range outcomes {
		if n == 0 && Outcome(o) != Misrouted && Outcome(o) != NotDurable && !testing.Short() {
			t.Errorf("%s never happened", Outcome(o))
		}
	}
	if reasons[DayClosed] == 0 && !testing.Short() {
		t.Error("no reservation met a closed day")
	}
}

func (w *world) randomStep() {
	switch k := w.r.IntN(100); {
	case k < 45:
		c := int32(w.r.IntN(len(w.specs)/2) * 2)
		accounts := [2]int32{c, c + 1}
		if w.r.IntN(2) == 0 {
			accounts[1] = -1
		}
		price, kind := unit.Nanos(1+w.r.IntN(700)), event.Impression
		amount := price
		if w.r.IntN(3) == 0 {
			kind, amount = event.Click, 1+price/20
		}
		w.reserve(w.r.IntN(w.shards), accounts, price, kind, amount)
	case k < 75:
		w.randomPost()
	case k < 90:
		for range w.r.IntN(20) {
			w.step()
		}
	case k == 90:
		// Into the margin before somebody's midnight, if that is near.
		b := w.brokers[0]
		if left := b.zones[w.r.IntN(len(b.zones))].stop.Sub(w.wall); left > 0 && left < 30*time.Minute {
			w.advance(left + time.Duration(w.r.IntN(400))*time.Millisecond)
			for i := range w.specs {
				w.reserve(w.r.IntN(w.shards), [2]int32{int32(i), -1}, 1, event.Impression, 1)
			}
		}
	case k < 96:
		w.advance(time.Duration(w.r.Int64N(int64(3 * time.Second))))
	case k == 96:
		w.advance(time.Duration(w.r.Int64N(int64(40 * time.Minute))))
	case k == 97:
		w.store.lossy, w.store.down = []int{0, 2, 4}[w.r.IntN(3)], w.r.IntN(5) == 0
	case k == 98:
		specs := append([]AccountSpec(nil), w.specs...)
		s := &specs[w.r.IntN(len(specs))]
		switch w.r.IntN(4) {
		case 0:
			s.Daily = unit.Nanos(w.r.IntN(3)) * 30_000
		case 1:
			s.Total = unit.Nanos(w.r.IntN(3)) * 50_000
		case 2:
			s.Paused = !s.Paused
		case 3:
			s.Zone = w.specs[w.r.IntN(len(specs))].Zone
		}
		w.setAccounts(specs)
	case w.r.IntN(6) == 0:
		w.start(1 + w.r.IntN(5)) // a crash: everything in memory is gone
	}
}

func (w *world) randomPost() {
	if len(w.wins) == 0 {
		return
	}
	i := w.r.IntN(len(w.wins))
	if w.r.IntN(3) > 0 {
		i = max(0, len(w.wins)-1-w.r.IntN(20))
	}
	tok := w.wins[i]
	if w.wall >= tok.Issued.Add(w.cfg.TokenTTL) {
		return // refused before it comes here
	}
	if w.r.IntN(30) == 0 {
		tok.Win.Epoch += 100
	}
	if w.r.IntN(30) == 0 {
		tok.Billable = false
	}
	if w.r.IntN(30) == 0 {
		tok.Sale.Notice = event.Billed // a bidder's
	}
	if w.r.IntN(30) == 0 {
		tok.Win.Seq += 1 << 20
	}
	if w.r.IntN(2) == 0 {
		w.postOrWait(&tok)
	} else {
		w.post(&tok)
	}
}

func oneAccount(daily, total unit.Nanos) []AccountSpec {
	return []AccountSpec{{ID: 77, Campaign: 5, Name: "one", Daily: daily, Total: total, Currency: unit.USD, Zone: time.UTC}}
}

// TestWholeBudgetIsSpent: a single busy shard gets every last nano, wherever
// the shares were, and not one more.
func TestWholeBudgetIsSpent(t *testing.T) {
	for _, shards := range []int{1, 2, 5} {
		for busy := range shards {
			w := newWorld(t, 1, shards, noon)
			w.setAccounts(oneAccount(100_003, 0))
			w.settle()
			for range 20_000 {
				if !w.reserve(busy, [2]int32{0, -1}, 7, event.Impression, 7) {
					w.settle()
					if !w.brokers[busy].Available(0) {
						w.advance(500 * time.Millisecond)
					}
				}
				if len(w.wins) == 100_003/7 {
					break
				}
			}
			w.conserve()
			if got := len(w.wins); got != 100_003/7 {
				t.Fatalf("%d shards, %d busy: %d wins of %d", shards, busy, got, 100_003/7)
			}
			for i := range w.wins {
				if o := w.post(&w.wins[i]); o != Posted {
					t.Fatalf("win %d: %s", i, o)
				}
				if o := w.post(&w.wins[i]); o != Duplicate {
					t.Fatalf("win %d again: %s", i, o)
				}
			}
			if w.posted[77] != 7*(100_003/7) {
				t.Fatalf("posted %v", w.posted[77])
			}
			// The last 3 nanos buy a cheaper impression somewhere.
			for range 200 {
				if w.reserve(busy, [2]int32{0, -1}, 1, event.Impression, 1) {
					break
				}
				w.settle()
				w.advance(500 * time.Millisecond)
			}
			if len(w.wins) == 100_003/7 {
				t.Fatalf("%d shards, %d busy: the crumbs are stranded", shards, busy)
			}
		}
	}
}

func TestFirstRequestIsNotRefused(t *testing.T) {
	for _, shards := range []int{1, 2, 7} {
		w := newWorld(t, 3, shards, noon)
		w.boxMax = 8
		specs := testSpecs(w.r, 600)
		for i := range specs {
			specs[i].Daily, specs[i].Total, specs[i].Unit = 1_000_000, 0, 500
		}
		w.setAccounts(specs)
		for n := 0; ; n++ {
			ready := true
			for _, b := range w.brokers {
				ready = ready && b.Ready()
			}
			if ready {
				break
			}
			if n > 10_000 {
				t.Fatal("never ready")
			}
			w.drainMessages()
			w.advance(time.Millisecond)
		}
		for i := range specs {
			for s := range shards {
				if !w.reserve(s, [2]int32{int32(i), -1}, 500, event.Impression, 500) {
					t.Fatalf("account %d on shard %d of %d: refused", i, s, shards)
				}
			}
		}
		w.conserve()
	}
}

func TestVoidAndLateEvents(t *testing.T) {
	w := newWorld(t, 4, 2, noon)
	w.setAccounts(oneAccount(1000, 0))
	w.settle()
	w.reserve(0, [2]int32{0, -1}, 10, event.Impression, 10)
	w.reserve(0, [2]int32{0, -1}, 10, event.Impression, 10)
	w.advance(4 * time.Minute)
	if o := w.post(&w.wins[0]); o != Posted {
		t.Fatalf("in time: %s", o)
	}
	w.advance(3 * time.Minute)
	w.conserve()
	if x := w.balance(77); x.Reserved != 0 {
		t.Fatalf("not void after the TTL: %+v", x)
	}
	if o := w.post(&w.wins[1]); o != PostedLate {
		t.Fatalf("late: %s", o)
	}
	w.conserve()
	w.specs[0].Paused = true
	w.reserve(1, [2]int32{0, -1}, 10, event.Impression, 10)
	w.setAccounts([]AccountSpec{w.specs[0]})
	w.settle()
	w.advance(10 * time.Minute)
	if o := w.post(&w.wins[2]); o != Unfunded {
		t.Fatalf("late and paused: %s", o)
	}
	if x := w.balance(77); x.Available+x.Pool+x.Moving+x.Reserved != 0 {
		t.Fatalf("a paused account holds money: %+v", x)
	}
	w.conserve()
}

func (w *world) balance(id unit.AccountID) Balance {
	x := Balance{Account: id}
	for _, b := range w.brokers {
		for _, y := range b.AppendBalances(nil) {
			if y.Account == id {
				x.Add(&y)
			}
		}
	}
	return x
}

// TestClickCostsMoreThanItsReservation: the rest comes from available money,
// never from impressions already won.
func TestClickCostsMoreThanItsReservation(t *testing.T) {
	w := newWorld(t, 5, 1, noon)
	specs := oneAccount(1000, 0)
	specs[0].Unit = 600
	w.setAccounts(specs)
	w.settle()
	w.reserve(0, [2]int32{0, -1}, 500, event.Click, 5)
	w.reserve(0, [2]int32{0, -1}, 600, event.Click, 5)
	for w.reserve(0, [2]int32{0, -1}, 10, event.Impression, 10) && len(w.wins) < 42 {
		w.settle()
	}
	w.settle()
	for i := range w.wins[2:] {
		if o := w.post(&w.wins[2+i]); o != Posted {
			t.Fatalf("impression %d: %s", i, o)
		}
	}
	if o := w.post(&w.wins[0]); o != Posted {
		t.Fatalf("first click: %s, %+v", o, w.balance(77))
	}
	if o := w.post(&w.wins[1]); o != Unfunded {
		t.Fatalf("a click beyond the budget: %s", o)
	}
	w.conserve()
}

func TestLocalMidnightAndDST(t *testing.T) {
	ny, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skipf("no time zone database: %v", err)
	}
	// The nights around both clock changes, and the one in which they happen.
	for _, eve := range []time.Time{
		time.Date(2026, 3, 7, 23, 59, 50, 0, ny), time.Date(2026, 3, 8, 23, 59, 50, 0, ny),
		time.Date(2026, 10, 31, 23, 59, 50, 0, ny), time.Date(2026, 11, 1, 23, 59, 50, 0, ny),
	} {
		w := newWorld(t, 6, 2, eve)
		specs := oneAccount(1000, 0)
		specs[0].Zone = ny
		w.setAccounts(specs)
		w.settle()
		day := w.wall.DayIn(ny)
		spend := func() {
			for range 300 {
				if !w.reserve(w.r.IntN(2), [2]int32{0, -1}, 10, event.Impression, 10) {
					w.settle()
				}
			}
		}
		spend()
		midnight := (day + 1).Start(ny)
		w.advance(midnight.Sub(w.wall) - 150*time.Millisecond)
		before := len(w.wins)
		if w.reserve(0, [2]int32{0, -1}, 1, event.Impression, 1) || w.reserve(1, [2]int32{0, -1}, 1, event.Impression, 1) {
			t.Fatal("spent within the margin before midnight")
		}
		w.advance(midnight.Sub(w.wall) + 150*time.Millisecond)
		if w.reserve(0, [2]int32{0, -1}, 1, event.Impression, 1) || w.reserve(1, [2]int32{0, -1}, 1, event.Impression, 1) {
			t.Fatal("spent within the margin after midnight")
		}
		w.advance(100 * time.Millisecond)
		w.settle()
		spend()
		if len(w.wins) == before {
			t.Fatalf("%v: no spending on the new day", w.wall.Time().In(ny))
		}
		for i := range w.wins {
			if o := w.post(&w.wins[i]); o != Posted {
				t.Fatalf("win %d of day %d: %s", i, w.wins[i].Day, o)
			}
		}
		w.advance(10 * time.Minute)
		w.conserve()
		for d, n := range map[unit.Day]unit.Nanos{day: w.postedDay[[2]int64{77, int64(day)}], day + 1: w.postedDay[[2]int64{77, int64(day) + 1}]} {
			if n < 900 || n > 1000 {
				t.Fatalf("day %d: %v of 1000", d, n)
			}
		}
		if b, _ := w.book.Account(77); b.On(day).Committed != b.On(day).Posted {
			t.Fatalf("the old day still holds money: %+v", b)
		}
	}
}

func TestUnlimitedIsNeverShort(t *testing.T) {
	w := newWorld(t, 8, 2, noon)
	w.setAccounts(oneAccount(0, 0))
	w.settle()
	for i := range 5000 {
		if !w.reserve(i%2, [2]int32{0, -1}, 1_000_000, event.Impression, 1_000_000) {
			t.Fatalf("refused at %d: %+v", i, w.balance(77))
		}
	}
	w.conserve()
}

func TestJournalDown(t *testing.T) {
	w := newWorld(t, 11, 1, noon)
	w.setAccounts(oneAccount(1000, 0))
	w.settle()
	w.reserve(0, [2]int32{0, -1}, 10, event.Impression, 10)
	w.journalDown = true
	if o := w.post(&w.wins[0]); o != NotDurable {
		t.Fatalf("%s", o)
	}
	w.conserve()
	w.journalDown = false
	if o := w.post(&w.wins[0]); o != Posted {
		t.Fatalf("tried again: %s", o)
	}
	w.brokers[0].Halt()
	if _, r := w.brokers[0].Reserve([2]int32{0, -1}, 1, Exact, w.now, w.wall); r != Halted {
		t.Fatalf("%s", r)
	}
	if _, r := w.brokers[0].Reserve([2]int32{-1, -1}, 0, Exact, w.now, w.wall); r != Reserved {
		t.Fatalf("a house ad: %s", r)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, 12, 2, noon)
	w.setAccounts(oneAccount(1000, 0))
	w.settle()
	before := w.balance(77).Available
	win, _ := w.brokers[1].Reserve([2]int32{0, -1}, 1, Exact, w.now, w.wall)
	w.brokers[1].Cancel(&win, [2]int32{0, -1}, 1, Exact)
	if x := w.balance(77); x.Reserved != 0 || x.Available != before {
		t.Fatalf("%+v", x)
	}
	w.conserve()
}

func TestDeterministic(t *testing.T) {
	run := func() []ledger.Record {
		w := newWorld(t, 42, 3, noon)
		w.refuse = 5
		w.setAccounts(testSpecs(w.r, 20))
		for range 600 {
			w.randomStep()
		}
		return w.journal
	}
	a, b := run(), run()
	if len(a) != len(b) {
		t.Fatalf("%d and %d records", len(a), len(b))
	}
	for i := range a {
		if string(a[i].Append(nil)) != string(b[i].Append(nil)) {
			t.Fatalf("record %d differs:\n%+v\n%+v", i, a[i], b[i])
		}
	}
}

func TestBucketsNeverStraddleMidnight(t *testing.T) {
	for ttl := int64(1); ttl <= 3*3600; ttl += 7 {
		w := bucketWidth(ttl)
		if 900%w != 0 || w*(ring-3) < ttl && w != 900 || (ttl+w-1)/w+3 > ring {
			t.Fatalf("ttl %d s: width %d s", ttl, w)
		}
	}
}

func TestValidateListsEveryFault(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	zero := Config{}
	if err := zero.Validate(); err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) < 10 {
		t.Fatalf("%v", err)
	}
}

func TestIDTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var tab idTable
	want := map[unit.AccountID]int32{}
	for i := range int32(5000) {
		id := unit.AccountID(r.Uint64N(1<<14) + 1)
		if _, ok := want[id]; !ok {
			want[id] = i
			tab.put(id, i)
		}
		probe := unit.AccountID(r.Uint64N(1 << 14))
		if w, ok := want[probe]; tab.get(probe) != w && (ok || tab.get(probe) != none) {
			t.Fatalf("get %d", probe)
		}
	}
}

func TestRouting(t *testing.T) {
	w := newWorld(t, 13, 3, noon)
	w.setAccounts(oneAccount(100_000, 0))
	w.settle()
	for s := range 3 {
		for !w.reserve(s, [2]int32{0, -1}, 10, event.Impression, 10) {
			w.settle()
		}
	}
	for i := range w.wins {
		tok := &w.wins[i]
		if got := Route(tok, testNode, w.epoch, 3); got != tok.Win.Shard {
			t.Fatalf("win of shard %d goes to %d", tok.Win.Shard, got)
		}
		for s, b := range w.brokers {
			if unit.ShardID(s) != tok.Win.Shard {
				if o, _ := b.Post(tok, w.now, w.wall); o != Misrouted {
					t.Fatalf("shard %d decided about a win of shard %d: %s", s, tok.Win.Shard, o)
				}
			}
		}
		for _, shards := range []int{1, 2, 7} {
			if got := Route(tok, testNode, w.epoch+1, shards); got != Home(5, shards) {
				t.Fatalf("a dead win goes to %d of %d", got, shards)
			}
		}
		if o := w.post(tok); o != Posted {
			t.Fatal(o)
		}
	}
}

func TestRememberedWinsAreBounded(t *testing.T) {
	w := newWorld(t, 14, 1, noon)
	w.cfg.SeenPagesMax = 2
	w.start(1)
	w.setAccounts(oneAccount(0, 0))
	w.settle()
	b := w.brokers[0]
	tok := event.Token{Kind: event.Impression}
	for i := range 4 * ledger.PageWins {
		win, r := b.Reserve([2]int32{-1, -1}, 0, Exact, w.now, w.wall)
		if r != Reserved {
			t.Fatal(r)
		}
		if i%ledger.PageWins == 5 {
			tok.Win, tok.Issued = win.ID, win.Issued
			if o, _ := b.Post(&tok, w.now, w.wall); o != Recorded {
				t.Fatal(o)
			}
		}
	}
	w.advance(time.Second)
	if n := b.Counts().SeenPages; n > 3 {
		t.Fatalf("%d pages", n)
	}
	if o, _ := b.Post(&tok, w.now, w.wall); o != Duplicate {
		t.Fatalf("a win of a young page: %s", o)
	}
	tok.Win.Seq = 6
	if o, _ := b.Post(&tok, w.now, w.wall); o != Unknown {
		t.Fatalf("a win of a dropped page: %s", o)
	}
}
