package budget

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
)

const testNode = unit.NodeID(2)

// world runs the brokers of one node under a virtual clock: bounded mailboxes
// that refuse at random, a store that answers late, twice or not at all, and
// oracles that count the money from the journal, record by record.
type world struct {
	t      *testing.T
	r      *rand.Rand
	cfg    Config
	epoch  unit.Epoch
	shards int
	now    unit.MonoTime
	wall   unit.WallTime
	specs  []AccountSpec

	brokers []*Broker
	boxes   [][]Message
	timers  [][]timer
	book    *ledger.Book
	journal []ledger.Record
	store   *modelStore
	wins    []event.Token
	// limits ever in force, and posted by the records alone.
	daily, total map[unit.AccountID]unit.Nanos
	postedDay    map[[2]int64]unit.Nanos
	posted       map[unit.AccountID]unit.Nanos
	events       map[eventID]bool
	refunded     map[eventID]bool
	outcomes     [OutcomeCount]int
	reasons      [ReasonCount]int
	boxMax       int
	refuse       int // one in so many messages, 0 none
	journalDown  bool
	sent         int // messages
}

type timer struct {
	at   unit.MonoTime
	kind uint8
	arg  uint64
}

type shardFx struct {
	w  *world
	id unit.ShardID
}

func (f *shardFx) SendBudget(to unit.ShardID, m *Message) bool {
	w := f.w
	if len(w.boxes[to]) >= w.boxMax || w.refuse > 0 && w.r.IntN(w.refuse) == 0 {
		return false
	}
	w.boxes[to] = append(w.boxes[to], *m)
	w.sent++
	return true
}
func (f *shardFx) Grant(r *store.GrantRequest)   { f.w.store.asked++; f.w.store.grant(r) }
func (f *shardFx) Return(r *store.ReturnRequest) { f.w.store.giveBack(r) }
func (f *shardFx) Journal(r *ledger.Record) (uint64, bool) {
	if f.w.journalDown {
		return 0, false
	}
	return f.w.write(r), true
}
func (f *shardFx) After(d time.Duration, kind uint8, arg uint64) {
	f.w.timers[f.id] = append(f.w.timers[f.id], timer{f.w.now.Add(d), kind, arg})
}

// write applies the oracles to one record: the Book's invariants, and the
// limits by sums of our own.
func (w *world) write(r *ledger.Record) uint64 {
	rec := *r
	rec.Name = slices.Clone(r.Name)
	w.journal = append(w.journal, rec)
	if err := w.book.Apply(&rec); err != nil {
		w.t.Fatalf("%v\n%+v", err, rec)
	}
	if rec.Kind == ledger.Posted {
		key := eventID{rec.Win, rec.Event}
		if w.events[key] {
			w.t.Fatalf("I3: posted twice: %+v", rec)
		}
		w.events[key] = true
		for _, p := range rec.From[:rec.Parts] {
			k := [2]int64{int64(p.Account), int64(p.Day)}
			w.postedDay[k] += rec.Amount
			w.posted[p.Account] += rec.Amount
			if d := w.daily[p.Account]; d > 0 && w.postedDay[k] > d {
				w.t.Fatalf("I2: account %d day %d: posted %v of %v", p.Account, p.Day, w.postedDay[k], d)
			}
			if d := w.total[p.Account]; d > 0 && w.posted[p.Account] > d {
				w.t.Fatalf("I2: account %d: posted %v of %v", p.Account, w.posted[p.Account], d)
			}
		}
	}
	return uint64(len(w.journal))
}

// modelStore is the simplest store that keeps the contract.
type modelStore struct {
	w       *world
	answers map[[2]uint64]store.Reply
	late    []store.Reply
	lossy   int // one answer in so many is lost, or doubled
	down    bool
	asked   int // grants
	lease   time.Duration
	fenced  bool
}

func (s *modelStore) answer(r store.Reply, keep bool) {
	r.Lease = s.lease
	if keep {
		s.answers[[2]uint64{uint64(r.Shard), r.Seq}] = r
	}
	if s.lossy > 0 && s.w.r.IntN(s.lossy) == 0 {
		return
	}
	s.late = append(s.late, r)
	if s.lossy > 0 && s.w.r.IntN(s.lossy) == 0 {
		s.late = append(s.late, r)
	}
}

func (s *modelStore) grant(q *store.GrantRequest) {
	if a, ok := s.answers[[2]uint64{uint64(q.ID.Shard), q.ID.Seq}]; ok {
		s.answer(a, false)
		return
	}
	if q.Amount == 0 || s.fenced {
		r := store.Reply{Op: store.OpGrant, Status: store.OK, Shard: q.ID.Shard, Epoch: q.ID.Epoch, Seq: q.ID.Seq}
		if s.fenced {
			r.Status = store.Fenced
		}
		s.answer(r, false)
		return
	}
	r := store.Reply{Op: store.OpGrant, Status: store.Exhausted, Shard: q.ID.Shard, Epoch: q.ID.Epoch, Seq: q.ID.Seq, Account: q.Account, Day: q.Day}
	if s.down {
		r.Status = store.Unavailable
		s.answer(r, false)
		return
	}
	if s.w.wall < q.Opens || s.w.wall >= q.Expires {
		r.Status = store.Closed
		s.answer(r, false)
		return
	}
	b, _ := s.w.book.Account(q.Account)
	day := b.Keep(q.Day)
	room := store.Headroom(q.Daily, q.Total, day.Committed, b.Committed)
	if r.Amount = store.Chunk(q.Amount, q.AtLeast, room, store.Limit(q.Daily, q.Total), 1); r.Amount > 0 {
		r.Status, r.Remaining = store.OK, room-r.Amount
		s.w.write(&ledger.Record{
			Kind: ledger.Granted, Node: testNode, Epoch: q.ID.Epoch, Seq: q.ID.Seq, Shard: q.ID.Shard, Account: q.Account, Campaign: q.Campaign,
			Day: q.Day, Amount: r.Amount, Daily: q.Daily, Total: q.Total, Wall: s.w.wall,
		})
	}
	s.answer(r, true)
}

func (s *modelStore) giveBack(q *store.ReturnRequest) {
	if a, ok := s.answers[[2]uint64{uint64(q.ID.Shard), q.ID.Seq}]; ok {
		s.answer(a, false)
		return
	}
	r := store.Reply{
		Op: store.OpReturn, Status: store.OK, Shard: q.ID.Shard, Epoch: q.ID.Epoch, Seq: q.ID.Seq, Account: q.Account, Day: q.Day, Amount: q.Amount,
	}
	if s.down {
		r.Status = store.Unavailable
		s.answer(r, false)
		return
	}
	s.w.write(&ledger.Record{
		Kind: ledger.Returned, Node: testNode, Epoch: q.ID.Epoch, Seq: q.ID.Seq, Shard: q.ID.Shard, Account: q.Account, Campaign: q.Campaign,
		Day: q.Day, LeaseEpoch: q.LeaseEpoch, Amount: q.Amount, Wall: s.w.wall,
	})
	s.answer(r, true)
}

func newWorld(t *testing.T, seed uint64, shards int, start time.Time) *world {
	w := &world{
		t: t, r: rand.New(rand.NewPCG(seed, 99)), cfg: Default(), boxMax: 64, wall: unit.WallTime(start.UnixNano()),
		book: ledger.NewBook(testNode, 24*time.Hour), daily: map[unit.AccountID]unit.Nanos{}, total: map[unit.AccountID]unit.Nanos{},
		postedDay: map[[2]int64]unit.Nanos{}, posted: map[unit.AccountID]unit.Nanos{}, events: map[eventID]bool{}, refunded: map[eventID]bool{},
	}
	w.cfg.LeaseMin = 100
	w.start(shards)
	return w
}

// start begins a life with so many shards; what was in memory before is gone.
func (w *world) start(shards int) {
	rec := w.book.Recovered()
	if n := len(rec.Epochs); n > 0 {
		rec.Epochs[n-1].Ended = w.wall
	}
	w.epoch++
	w.shards, w.now = shards, 0
	w.brokers, w.boxes, w.timers = nil, make([][]Message, shards), make([][]timer, shards)
	w.store = &modelStore{w: w, answers: map[[2]uint64]store.Reply{}}
	w.write(&ledger.Record{Kind: ledger.EpochStarted, Node: testNode, Epoch: w.epoch, Seq: uint64(shards), Wall: w.wall})
	for i := range shards {
		w.brokers = append(w.brokers, NewBroker(w.cfg, unit.ShardID(i), shards, testNode, w.epoch, &shardFx{w, unit.ShardID(i)}, rec))
	}
	if w.specs != nil {
		w.setAccounts(w.specs)
	}
}

func (w *world) setAccounts(specs []AccountSpec) {
	w.specs = specs
	for _, s := range specs {
		// A cut counts for what was not yet reserved, so the oracle's limit is
		// what was committed at the cut, if that is more.
		w.daily[s.ID], w.total[s.ID] = w.allowed(s)
	}
	for _, b := range w.brokers {
		b.SetAccounts(specs, w.now, w.wall)
	}
}

func (w *world) allowed(s AccountSpec) (daily, total unit.Nanos) {
	b, _ := w.book.Account(s.ID)
	if daily = s.Daily; daily > 0 {
		for _, d := range b.Days {
			daily = max(daily, d.Committed)
		}
	}
	if total = s.Total; total > 0 {
		total = max(total, b.Committed)
	}
	return daily, total
}

// step delivers one message, answer or batch somewhere, if there is any.
func (w *world) step() bool {
	if len(w.store.late) > 0 && w.r.IntN(2) == 0 {
		i := w.r.IntN(len(w.store.late))
		r := w.store.late[i]
		if len(w.boxes[r.Shard]) < w.boxMax {
			w.boxes[r.Shard] = append(w.boxes[r.Shard], ReplyMessage(&r))
		}
		w.store.late = slices.Delete(w.store.late, i, i+1)
		return true
	}
	from := w.r.IntN(w.shards)
	for k := range w.shards {
		s := (from + k) % w.shards
		if len(w.boxes[s]) > 0 {
			m := w.boxes[s][0]
			w.boxes[s] = w.boxes[s][1:]
			w.brokers[s].Handle(&m, w.now, w.wall)
			w.brokers[s].EndBatch()
			return true
		}
	}
	return len(w.store.late) > 0
}

func (w *world) drainMessages() {
	for range 1_000_000 {
		if !w.step() {
			return
		}
	}
	w.t.Fatal("messages never end")
}

// advance moves time, firing timers in order.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for {
		shard, best := -1, end+1
		for s := range w.timers {
			for _, t := range w.timers[s] {
				if t.at < best {
					shard, best = s, t.at
				}
			}
		}
		if shard < 0 {
			break
		}
		i := slices.IndexFunc(w.timers[shard], func(t timer) bool { return t.at == best })
		t := w.timers[shard][i]
		w.timers[shard] = slices.Delete(w.timers[shard], i, i+1)
		w.wall += unit.WallTime(max(best-w.now, 0))
		w.now = max(w.now, best)
		w.brokers[shard].Timer(t.kind, t.arg, w.now, w.wall)
		w.brokers[shard].EndBatch()
		for range 20 {
			if !w.step() {
				break
			}
		}
	}
	w.wall += unit.WallTime(end - w.now)
	w.now = end
}

// settle lets everything come to rest.
func (w *world) settle() {
	for range 6 {
		w.drainMessages()
		w.advance(3 * time.Millisecond)
	}
	w.drainMessages()
}

func (w *world) reserve(shard int, accounts [2]int32, price unit.Nanos, kind event.Kind, amount unit.Nanos) bool {
	b := w.brokers[shard]
	win, reason := b.Reserve(accounts, amount, PoolOf(kind), w.now, w.wall)
	b.EndBatch()
	w.reasons[reason]++
	if reason != Reserved {
		return false
	}
	t := event.Token{
		Kind: kind, Billable: true, Win: win.ID, Price: price, Reserved: amount, Issued: win.Issued, Day: win.Day, Currency: unit.USD,
	}
	for i, a := range accounts {
		if a < 0 {
			continue
		}
		t.Campaign = w.specs[a].Campaign
		if i == 0 {
			t.CampaignAccount = w.specs[a].ID
		} else {
			t.LineAccount = w.specs[a].ID
		}
	}
	w.wins = append(w.wins, t)
	return true
}

func (w *world) post(t *event.Token) Outcome {
	shard := Route(t, testNode, w.epoch, w.shards)
	o, _ := w.brokers[shard].Post(t, w.now, w.wall)
	w.brokers[shard].EndBatch()
	w.outcomes[o]++
	return o
}

func (w *world) postOrWait(t *event.Token) Outcome {
	b := w.brokers[Route(t, testNode, w.epoch, w.shards)]
	before := len(w.journal)
	o, _ := b.PostOrWait(t, w.now, w.wall)
	if o == Deferred && len(w.journal) != before && w.journal[len(w.journal)-1].Kind == ledger.Posted {
		w.t.Fatal("a deferred event left a record")
	}
	b.EndBatch()
	w.outcomes[o]++
	return o
}

// conserve checks I1 of every account against the brokers' memory: all that
// the store let out in this life is somewhere.
func (w *world) conserve() {
	w.t.Helper()
	held := map[unit.AccountID]unit.Nanos{}
	for _, b := range w.brokers {
		for _, x := range b.AppendBalances(nil) {
			held[x.Account] += x.Available + x.Reserved + x.Moving + x.Pool + x.Locked
			if x.Available < 0 || x.Reserved < 0 || x.Pool < 0 || x.Locked < 0 {
				w.t.Fatalf("negative: %+v", x)
			}
		}
		for _, op := range b.flight {
			a, answered := w.store.answers[[2]uint64{uint64(b.id), op.seq}]
			switch {
			case answered && op.grant:
				held[op.account] += a.Amount
			case answered && !op.grant:
				held[op.account] -= op.amount
			}
		}
		if b.defects > 0 {
			w.t.Fatalf("shard %d: %d defects", b.id, b.defects)
		}
	}
	for _, box := range w.boxes {
		for _, m := range box {
			for _, e := range m.Entries[:m.Count] {
				if e.Op == opGive || e.Op == opBack {
					held[e.Account] += e.Amount
				}
			}
		}
	}
	out := map[unit.AccountID]unit.Nanos{}
	for _, l := range w.book.Leases() {
		out[l.Account] += l.Outstanding()
	}
	for _, s := range w.specs {
		if held[s.ID] != out[s.ID] {
			w.t.Fatalf("I1: account %d: leases hold %v, the brokers %v (shards %d, epoch %d, wall %v)", s.ID, out[s.ID], held[s.ID], w.shards, w.epoch, w.wall.Time())
		}
	}
}

func (w *world) shutdown() {
	for _, b := range w.brokers {
		b.Drain(w.now, w.wall)
	}
	for range 200_000 {
		done := true
		for _, b := range w.brokers {
			done = done && b.Drained()
		}
		if done {
			return
		}
		w.drainMessages()
		w.advance(w.cfg.RetryEvery)
	}
	w.t.Fatal("never drained")
}

func testSpecs(r *rand.Rand, n int) []AccountSpec {
	var specs []AccountSpec
	zones := []*time.Location{time.UTC}
	for _, name := range []string{"America/New_York", "Asia/Kathmandu", "Pacific/Auckland"} {
		if l, err := time.LoadLocation(name); err == nil {
			zones = append(zones, l)
		}
	}
	for i := range n {
		c := unit.CampaignID(unit.HashID("campaign", fmt.Sprint(i/2)))
		specs = append(specs, AccountSpec{
			ID: unit.AccountID(unit.HashID("account", fmt.Sprint(i))), Campaign: c, Name: fmt.Sprint("account ", i),
			Daily: unit.Nanos(r.IntN(3)) * 40_000, Total: unit.Nanos(r.IntN(3)) * 70_000, Currency: unit.USD, Zone: zones[(i/2)%len(zones)],
			Unit: unit.Nanos(r.IntN(2)) * 500,
		})
	}
	return specs
}

type eventID struct {
	win  event.WinID
	kind event.Kind
}
