package budget

import (
	"time"

	"millrace/codec/unit"
	"millrace/shards"
	"millrace/state/ledger"
	"millrace/state/store"
)

const (
	none = int32(-1)
	// ring is how many time buckets an account has; a power of two.
	ring = 16
)

// slot is one account on one shard.
type slot struct {
	id    unit.AccountID
	avail unit.Nanos
	low   unit.Nanos // ask for more below this
	asked unit.Nanos // need of the request under way, 0: none
	used  unit.Nanos // reserved since usedSince, for the rate

	usedSince unit.MonoTime
	day       unit.Day
	gen       uint32
	home      int32 // in homes, none when another shard is home
	index     int32 // in the catalog, none when it left
	zone      uint16
	mask      uint16 // ring entries in which it is listed
	vain      uint8  // shares given back in a row of which nothing was used
	homeShard unit.ShardID

	active   bool // in the catalog and not paused
	waiting  bool // for its first share
	answered bool // the first share was nothing, and came before the catalog
	urgent   bool // the request under way is: something was refused without it
	fetched  bool // what it has came for an event that was refused without it
	recalled bool // others go hungry: what is voided goes home
}

// terms is the part of a slot that the hot path does not touch.
type terms struct {
	spec       AccountSpec
	generation uint32 // of the SetAccounts that last named it
	postedDay  unit.Nanos
	posted     unit.Nanos
}

// bucketRow is what an account has reserved, by ring entry and pool.
type bucketRow [ring][pools]unit.Nanos

// bucket is one span of time in which reservations were made.
type bucket struct {
	number int64
	used   bool
	last   unit.MonoTime // of its reservations
	slots  []int32       // with money in it, each once
	swept  int
}

// Broker is one shard's part of the money. All methods are for the shard's
// goroutine; now and wall are the shard's clock, read once a batch.
type Broker struct {
	cfg    Config
	id     unit.ShardID
	shards int
	node   unit.NodeID
	epoch  unit.Epoch
	fx     Effects

	halted   bool
	draining bool
	started  bool // the first SetAccounts came
	ready    bool
	ticking  bool
	flushing bool
	working  bool
	unsent   bool

	slots   []slot
	pending []bucketRow
	terms   []terms
	ids     idTable
	index   []int32  // catalog index → slot
	dry     []uint64 // by catalog index

	zones      []zone
	generation uint32
	waitingFor int // slots without their first share
	waitCursor int

	buckets   [ring]bucket
	width     int64 // seconds of a bucket
	ttl       int64 // seconds of a reservation
	bucketEnd int64 // of the current bucket, Unix seconds
	current   int   // ring entry of the current bucket
	issued    int64 // latest Issued, Unix seconds
	issuedAt  unit.MonoTime

	nextSeq uint64
	lastPos uint64 // in the journal
	seen    ledger.Seen
	pages   []int64 // last Issued of each page from firstPage
	first   uint64
	stamp   ledger.Stamp
	behind  time.Duration // the most that a stamp was ahead of our wall clock
	rec     ledger.Record

	homes     []home
	hungry    []uint64     // words per home
	needs     []unit.Nanos // of the hungry, shards per home
	words     int
	hungryFor []int32 // homes with hungry shards
	cursor    int

	until    unit.MonoTime // the node's leases last to here, 0: without end
	lease    time.Duration // as the store last said, 0: not yet
	renewed  unit.MonoTime // when that was asked for
	renewing bool
	fenced   bool

	opSeq  uint64
	ops    fifo[storeOp]
	flight []storeOp

	dead      []deadLease
	deadSince unit.MonoTime
	deadKnown bool // deadSince is set
	recovered *ledger.Recovered
	overlay   map[eventKey]struct{}

	funds      uint64        // times that money came to somewhere it can be spent from
	now        unit.MonoTime // of the call under way
	wall       unit.WallTime
	probeEvery uint32
	granting   store.GrantRequest
	returning  store.ReturnRequest

	out     []fifo[Entry]
	msg     Message
	done    [2]int // peers that finished each phase of the drain
	phase   int
	refused uint64
	defects uint64
}

// NewBroker makes the broker of shard id, of n. recovered is what the journal proved
// about earlier epochs (shared by the brokers, read only), nil for none. cfg
// is valid.
func NewBroker(cfg Config, id unit.ShardID, n int, node unit.NodeID, epoch unit.Epoch, fx Effects, recovered *ledger.Recovered) *Broker {
	if recovered == nil {
		recovered = &ledger.Recovered{Node: node}
	}
	b := &Broker{
		cfg: cfg, id: id, shards: n, node: node, epoch: epoch, fx: fx, recovered: recovered,
		words: (n + 63) / 64, out: make([]fifo[Entry], n), overlay: map[eventKey]struct{}{},
		ttl:   int64((cfg.ReservationTTL + time.Second - 1) / time.Second),
		pages: make([]int64, 1, 64), stamp: recovered.Stamp,
	}
	b.width = bucketWidth(b.ttl)
	for i := range b.buckets {
		// Small lists of two shards would lie on one cache line.
		b.buckets[i].slots = shards.AlignedSlice[int32](64)[:0]
	}
	b.probeEvery = probeTicks(cfg.ExhaustedRetry, cfg.TickEvery)
	b.seen.Prepare(0)
	for i := range recovered.Leases {
		l := &recovered.Leases[i]
		if Home(l.Campaign, n) == id {
			b.dead = append(b.dead, deadLease{
				account: l.Account, campaign: l.Campaign, day: l.Day, epoch: l.Epoch,
				left: l.Outstanding(), ends: b.deadline(l.Epoch),
			})
		}
	}
	return b
}

// bucketWidth is the smallest number of seconds that divides 15 minutes and
// covers ttl with three entries of the ring to spare: one is being filled, and
// two give the sweep time.
func bucketWidth(ttl int64) int64 {
	for w := max(1, (ttl+ring-4)/(ring-3)); w < 900; w++ {
		if 900%w == 0 {
			return w
		}
	}
	return 900
}

// SetAccounts makes specs the current accounts: index i of Reserve is specs[i].
// Every shard must get every call, in the same order. Cold: it visits all.
func (b *Broker) SetAccounts(specs []AccountSpec, now unit.MonoTime, wall unit.WallTime) {
	b.now, b.wall = now, wall
	b.generation++
	b.index = b.index[:0]
	for i := range specs {
		s := b.ids.get(specs[i].ID)
		if s == none {
			s = b.newSlot(&specs[i], now, wall)
		}
		b.slots[s].index = int32(i)
		b.terms[s].generation = b.generation
		b.index = append(b.index, s)
		b.setTerms(s, specs[i], now, wall)
	}
	for s := range b.slots {
		if b.terms[s].generation != b.generation {
			b.slots[s].index = none
			if b.slots[s].active {
				b.deactivate(int32(s))
			}
		}
	}
	b.dry = append(b.dry[:0], make([]uint64, (len(specs)+63)/64)...)
	for i, s := range b.index {
		if b.slots[s].avail <= 0 && b.slots[s].asked != 0 || !b.slots[s].active {
			b.dry[i/64] |= 1 << (i % 64)
		}
	}
	b.started = true
	b.pump(now)
	if !b.ticking {
		b.ticking = true
		b.tick(now, wall)
	}
	b.flush()
}

// newSlot makes an account known to this shard, without money.
func (b *Broker) newSlot(spec *AccountSpec, now unit.MonoTime, wall unit.WallTime) int32 {
	s := int32(len(b.slots))
	z := b.zoneOf(spec.Zone, now, wall)
	b.slots = append(b.slots, slot{
		id: spec.ID, home: none, index: none, zone: z, day: b.zones[z].day, usedSince: now,
		homeShard: Home(spec.Campaign, b.shards),
	})
	b.pending = append(b.pending, bucketRow{})
	b.terms = append(b.terms, terms{spec: *spec})
	b.terms[s].spec.Paused = true // until setTerms says otherwise
	b.ids.put(spec.ID, s)
	if b.slots[s].homeShard == b.id {
		b.slots[s].home = b.newHome(s, now)
	}
	return s
}

// setTerms applies what the catalog now says of an account. Anything that
// takes money away (a lower limit, a pause, another zone) is done by giving
// everything unreserved back to the store and asking anew: the store alone
// knows what is still to be had under the new terms.
func (b *Broker) setTerms(s int32, spec AccountSpec, now unit.MonoTime, wall unit.WallTime) {
	sl, old := &b.slots[s], b.terms[s].spec
	if old.Campaign != 0 {
		spec.Campaign = old.Campaign // an account's home never moves
	}
	lower := func(was, is unit.Nanos) bool { return is > 0 && (was == 0 || is < was) }
	zone := b.zoneOf(spec.Zone, now, wall)
	moved := zone != sl.zone
	was := sl.active
	b.terms[s].spec = spec
	switch active := !spec.Paused; {
	case was && (!active || moved || lower(old.Daily, spec.Daily) || lower(old.Total, spec.Total)):
		if moved {
			b.voidAll(s)
		}
		b.deactivate(s)
		if !active {
			break
		}
		fallthrough
	case active && !was:
		if moved && !was {
			b.voidAll(s)
		}
		sl.zone = zone
		if sl.avail == 0 {
			b.setDay(s, b.zones[zone].day)
		} else {
			b.rollSlot(s, b.zones[zone].day)
		}
		b.activate(s, now)
	case active && (old.Daily != spec.Daily || old.Total != spec.Total):
		if sl.home != none {
			b.homes[sl.home].exhausted = false
			b.requestGrant(sl.home)
		}
	}
}

// activate lets the account spend: its home asks for a lease and gives every
// shard a share of it.
func (b *Broker) activate(s int32, now unit.MonoTime) {
	sl := &b.slots[s]
	sl.active = true
	sl.used, sl.usedSince = 0, now
	if sl.avail == 0 && !sl.waiting && !sl.answered {
		sl.waiting = true
		b.waitingFor++
	}
	sl.answered = false
	if sl.home != none {
		h := &b.homes[sl.home]
		h.initial, h.exhausted = true, false
		b.requestGrant(sl.home)
	}
}

// deactivate gives back everything of the account that is not reserved.
func (b *Broker) deactivate(s int32) {
	sl := &b.slots[s]
	b.settled(sl)
	sl.active, sl.asked = false, 0
	b.giveUp(s)
	sl.gen++
	if sl.home != none {
		b.closePool(sl.home)
	}
	b.setDry(sl)
}

// giveUp sends the slot's available money home, or to the store from there.
func (b *Broker) giveUp(s int32) {
	sl := &b.slots[s]
	if sl.avail == 0 {
		return
	}
	amount := sl.avail
	sl.avail = 0
	b.sendBack(s, amount, sl.day)
}

// sendBack moves amount, which is no longer in the slot, to the account's home.
func (b *Broker) sendBack(s int32, amount unit.Nanos, day unit.Day) {
	sl := &b.slots[s]
	if sl.home != none {
		b.tookBack(sl.home, amount, day, sl.gen)
		return
	}
	b.send(sl.homeShard, Entry{Account: sl.id, Amount: amount, Day: day, Gen: sl.gen, Op: opBack})
}

// settled marks that the slot has its first answer.
func (b *Broker) settled(sl *slot) {
	if sl.waiting {
		sl.waiting = false
		b.waitingFor--
	}
}

// Ready reports whether this shard has an answer for every account of the
// first SetAccounts: a share of a lease, or the certainty that there is none.
// Once true it stays true.
func (b *Broker) Ready() bool {
	b.ready = b.ready || b.started && b.waitingFor == 0
	return b.ready
}

func (b *Broker) setDry(sl *slot) {
	if sl.index >= 0 && int(sl.index/64) < len(b.dry) {
		b.dry[sl.index/64] |= 1 << (sl.index % 64)
	}
}

func (b *Broker) setWet(sl *slot) {
	if sl.active && sl.index >= 0 && int(sl.index/64) < len(b.dry) {
		b.dry[sl.index/64] &^= 1 << (sl.index % 64)
	}
}

// Dry is the bitmap of accounts without money, by index, kept current by the
// broker: bit i is set when account i can't pay for anything now and an answer
// is awaited. Valid until the next SetAccounts.
func (b *Broker) Dry() []uint64 { return b.dry }

// Available reports whether it is worth trying to reserve from the account.
func (b *Broker) Available(account int32) bool {
	return account < 0 || int(account) < len(b.index) && b.dry[account/64]>>(account%64)&1 == 0
}

// EndBatch sends what the calls of a batch left in the queues. Call it at the
// end of every batch in which the broker was called.
func (b *Broker) EndBatch() {
	if b.unsent && !b.flushing {
		b.flush()
	}
}

// Halt stops spending for good: the journal is down. Serving goes on unpaid.
func (b *Broker) Halt() { b.halted = true }

// Handle takes a message of another broker or of the store.
func (b *Broker) Handle(m *Message, now unit.MonoTime, wall unit.WallTime) {
	b.now, b.wall = now, wall
	b.hear(m.Stamp)
	b.extend(m.Until)
	if op := m.Entries[0].Op; op == opGranted || op == opTaken {
		b.replied(m, now)
		b.flush()
		return
	}
	for i := range m.Entries[:min(int(m.Count), len(m.Entries))] {
		b.entry(m.From, &m.Entries[i], now, wall)
	}
	b.flush()
}

// hear continues from the clock of whoever sent a message, and watches how far
// that is ahead: a wall clock behind others, or one of theirs that ran away.
func (b *Broker) hear(s ledger.Stamp) {
	b.behind = max(b.behind, s.Wall().Sub(b.wall))
	b.stamp = b.stamp.Merge(s)
}

func (b *Broker) entry(from unit.ShardID, e *Entry, now unit.MonoTime, wall unit.WallTime) {
	if e.Op == opDone {
		b.done[e.Amount&1]++
		b.drainOn()
		return
	}
	s := b.ids.get(e.Account)
	if s == none {
		b.stranger(from, e, now, wall)
		return
	}
	switch sl := &b.slots[s]; e.Op {
	case opGive:
		b.given(s, e, now)
	case opRecall:
		b.recalled(s)
	case opAsk, opNeed:
		if sl.home == none || !sl.active || e.Gen != sl.gen || e.Day != b.homes[sl.home].day {
			return
		}
		if e.Need == 0 {
			b.firstShare(sl.home, from, e.Amount, now)
		} else {
			b.serve(sl.home, from, e.Amount, e.Need, e.Op == opNeed, now)
		}
	case opBack:
		if sl.home == none {
			b.defects++
			return
		}
		b.lacksMore(sl.home, from, e.Amount)
		b.tookBack(sl.home, e.Amount, e.Day, e.Gen)
	case opRefunded:
		b.refunded(s, e)
	}
}

// stranger handles an account this shard has not heard of: the catalog swap
// is on its way. A share is kept in a slot that is not active yet, even one of
// nothing: it is the answer for which the slot would wait.
func (b *Broker) stranger(from unit.ShardID, e *Entry, now unit.MonoTime, wall unit.WallTime) {
	switch e.Op {
	case opAsk, opNeed, opRecall, opRefunded:
		return // the home's first share comes after its own SetAccounts
	case opBack:
		b.queueReturn(storeOp{account: e.Account, day: e.Day, lease: b.epoch, amount: e.Amount})
		return
	}
	s := b.newSlot(&AccountSpec{ID: e.Account, Zone: time.UTC}, now, wall)
	sl := &b.slots[s]
	sl.homeShard, sl.home = from, none
	b.terms[s].generation = b.generation
	sl.day, sl.gen, sl.avail, sl.answered = e.Day, e.Gen, e.Amount, e.Amount == 0
}

// given takes a share from the home shard.
func (b *Broker) given(s int32, e *Entry, now unit.MonoTime) {
	sl := &b.slots[s]
	if e.Gen != sl.gen || !sl.active || b.draining || e.Day < sl.day {
		if e.Amount > 0 {
			// With the sender's generation: money of other terms goes to the store.
			amount, gen := e.Amount, e.Gen
			b.send(sl.homeShard, Entry{Account: sl.id, Amount: amount, Day: e.Day, Gen: gen, Op: opBack})
		}
		return
	}
	if e.Day > sl.day {
		b.rollSlot(s, e.Day)
	}
	b.gain(s, e.Amount, now)
}

// gain puts a share into the slot and measures the rate anew. Nothing gained
// is an answer too: the next attempt asks again.
func (b *Broker) gain(s int32, amount unit.Nanos, now unit.MonoTime) {
	sl := &b.slots[s]
	b.settled(sl)
	sl.fetched = sl.asked != 0 && sl.urgent
	sl.asked = 0
	sl.avail += amount
	// Nobody has more: ask again when it is used up, not each time until then.
	sl.low = 0
	if amount > 0 {
		b.funds++
		sl.low = max(sl.avail/2, b.terms[s].spec.Unit)
		sl.recalled = false
	}
	b.setWet(sl)
	sl.used, sl.usedSince = 0, now
}

// vainMax bounds how long a shard holds on to a share: 2^7 half ticks, 16 s.
const vainMax = 7

// recalled gives back what lies idle: all of it when nothing was reserved
// since the last look, half otherwise. A shard that just got what it asked for
// keeps it until its next request had time to come, longer each time that was
// not long enough; else the last money would run after the requests for ever,
// always on the shard of the one before.
func (b *Broker) recalled(s int32) {
	sl := &b.slots[s]
	sl.recalled = true
	amount := sl.avail
	if amount == 0 || sl.fetched && sl.asked == 0 && b.now.Sub(sl.usedSince) < b.cfg.TickEvery/2<<sl.vain {
		return
	}
	switch {
	case sl.used == 0:
		sl.vain = min(sl.vain+1, vainMax)
	case sl.asked == 0:
		amount = (amount + 1) / 2
	}
	sl.used = 0
	sl.avail -= amount
	if sl.home != none {
		b.lacksMore(sl.home, b.id, amount)
	}
	b.sendBack(s, amount, sl.day)
}
