package budget

import (
	"time"

	"millrace/codec/unit"
	"millrace/state/store"
)

// home is what the home shard keeps of an account: the undivided part of the
// node's lease, and who waits for a share of it.
type home struct {
	slot int32
	day  unit.Day

	pool      unit.Nanos
	granted   unit.Nanos // by the last grant: its half is the low water of pool
	remaining unit.Nanos // what the store said was left after it

	need  unit.Nanos // the smallest need among the hungry
	want  unit.Nanos // the largest share asked for lately
	count int32      // hungry shards
	next  int32      // where the next round of sharing begins

	served      unit.Nanos // given away since servedSince, for the rate
	servedSince unit.MonoTime
	ticks       uint32 // looked at in hunger without new money

	asking    bool // a grant is queued or under way
	exhausted bool // the store said no; it is asked again when something changed
	initial   bool // the first money of the day is shared with all
	listed    bool // in hungryFor
	crumbs    bool // money came back that was not offered to the hungry yet
	opened    bool // the journal knows its name and limits

	postedBefore unit.Nanos      // before this life
	elsewhere    store.Elsewhere // at other nodes, when the store last granted
}

// newHome starts an account on its home shard with what was spent before.
func (b *Broker) newHome(s int32, now unit.MonoTime) int32 {
	sl := &b.slots[s]
	h := home{slot: s, day: sl.day, servedSince: now}
	if a := b.recovered.Account(sl.id); a != nil {
		h.postedBefore = a.Posted
		spec := &b.terms[s].spec
		h.opened = a.Name == spec.Name && a.Daily == spec.Daily && a.Total == spec.Total && a.Currency == spec.Currency
	}
	b.homes = append(b.homes, h)
	for range b.words {
		b.hungry = append(b.hungry, 0)
	}
	for range b.shards {
		b.needs = append(b.needs, 0)
	}
	return int32(len(b.homes) - 1)
}

// limit is what the account has at most: the smaller limit that is set.
func (b *Broker) limit(h *home) unit.Nanos {
	spec := &b.terms[h.slot].spec
	return store.Limit(spec.Daily, spec.Total)
}

// takes reports whether money of (day, gen) belongs into the pool.
func (b *Broker) takes(h *home, day unit.Day, gen uint32) bool {
	sl := &b.slots[h.slot]
	return sl.active && !b.draining && day == h.day && gen == sl.gen
}

// tookBack receives money of the lease of day: into the pool if it may still
// be spent, else to the store.
func (b *Broker) tookBack(i int32, amount unit.Nanos, day unit.Day, gen uint32) {
	h := &b.homes[i]
	if !b.takes(h, day, gen) {
		sl := &b.slots[h.slot]
		b.queueReturn(storeOp{
			account: sl.id, campaign: b.terms[h.slot].spec.Campaign, day: day, lease: b.epoch, amount: amount,
		})
		return
	}
	h.pool += amount
	h.crumbs = true
	b.funds++
	b.feed(i)
}

// closePool returns the pool to the store and forgets who was hungry.
func (b *Broker) closePool(i int32) {
	h := &b.homes[i]
	if amount := h.pool; amount > 0 {
		sl := &b.slots[h.slot]
		h.pool = 0
		b.queueReturn(storeOp{
			account: sl.id, campaign: b.terms[h.slot].spec.Campaign, day: h.day, lease: b.epoch, amount: amount,
		})
	}
	b.forget(i)
	h.granted, h.remaining, h.want = 0, 0, 0
}

// forget clears the hungry shards.
func (b *Broker) forget(i int32) {
	h := &b.homes[i]
	clear(b.hungry[int(i)*b.words : (int(i)+1)*b.words])
	h.count, h.need, h.ticks = 0, 0, 0
}

// serve answers a shard's request, now or when there is money.
func (b *Broker) serve(i int32, to unit.ShardID, want, need unit.Nanos, urgent bool, now unit.MonoTime) {
	h := &b.homes[i]
	if !b.slots[h.slot].active || b.draining {
		return
	}
	h.want = max(want, need, 1)
	give := b.share(h, want, need)
	if give < need && h.exhausted && !urgent && !h.initial {
		b.give(i, to, b.share(h, want, 0), now) // it can do without: nobody else has to give
		return
	}
	if h.initial || give < need || give <= 0 {
		fresh := b.hunger(i, to, max(need, 1))
		if b.requestGrant(i); h.exhausted && (fresh || h.ticks == 0) {
			b.recall(i, unit.ShardID(b.hungryFrom(i, h.next)))
		}
		return
	}
	b.give(i, to, give, now)
	b.topUp(i)
}

// firstShare answers a shard that has not got its first share, though others may
// have: with what can be spared, which may be nothing.
func (b *Broker) firstShare(i int32, to unit.ShardID, want unit.Nanos, now unit.MonoTime) {
	if h := &b.homes[i]; !h.initial && !b.draining {
		b.give(i, to, b.share(h, want, 0), now)
		b.topUp(i)
	}
}

// askFirst repeats, for the slots that still wait for a first share, the
// question: a share of nothing under older terms than the slot's went by
// unheard.
func (b *Broker) askFirst() {
	if b.waitingFor == 0 {
		return
	}
	for range min(len(b.slots), sliceMax) {
		b.waitCursor = (b.waitCursor + 1) % len(b.slots)
		sl := &b.slots[b.waitCursor]
		if sl.waiting && sl.home == none && sl.asked == 0 {
			want := max(b.terms[b.waitCursor].spec.Unit, 1)
			b.send(sl.homeShard, Entry{Account: sl.id, Amount: want, Day: sl.day, Gen: sl.gen, Op: opAsk})
		}
	}
}

// share is what a shard gets of the pool: what it wants, not more than half of
// what is there, and near the end of the budget not more than a tenth of a
// shard's part, so that the last money is not spread over shards that do not
// need it. At least need, if the pool has it: less would buy nothing.
func (b *Broker) share(h *home, want, need unit.Nanos) unit.Nanos {
	top := h.pool / 2
	if rest := h.pool + h.remaining; rest <= b.limit(h)/10 {
		top = min(top, rest/unit.Nanos(10*b.shards))
	}
	if give := max(min(want, top), need); give <= h.pool {
		return give
	}
	return 0
}

// give hands a share to a shard.
func (b *Broker) give(i int32, to unit.ShardID, amount unit.Nanos, now unit.MonoTime) {
	h := &b.homes[i]
	h.pool -= amount
	h.served += amount
	word, bit := int(i)*b.words+int(to)/64, uint64(1)<<(to%64)
	if b.hungry[word]&bit != 0 {
		b.hungry[word] &^= bit
		if h.count--; h.count == 0 {
			h.need, h.ticks = 0, 0
		}
	}
	if to == b.id {
		b.gain(h.slot, amount, now)
		return
	}
	sl := &b.slots[h.slot]
	b.send(to, Entry{Account: sl.id, Amount: amount, Day: h.day, Gen: sl.gen, Op: opGive})
}

// hunger notes that a shard waits; fresh if it did not.
func (b *Broker) hunger(i int32, to unit.ShardID, need unit.Nanos) (fresh bool) {
	h := &b.homes[i]
	word, bit := int(i)*b.words+int(to)/64, uint64(1)<<(to%64)
	if fresh = b.hungry[word]&bit == 0; fresh {
		b.hungry[word] |= bit
		h.count++
	}
	b.needs[int(i)*b.shards+int(to)] = need
	if h.need == 0 || need < h.need {
		h.need = need
	}
	if !h.listed {
		h.listed = true
		b.hungryFor = append(b.hungryFor, i)
	}
	return fresh
}

// hungryFrom is the first hungry shard at or after from, in a ring.
func (b *Broker) hungryFrom(i, from int32) int32 {
	for k := range int32(b.shards) {
		s := (from + k) % int32(b.shards)
		if b.hungry[int(i)*b.words+int(s)/64]>>(s%64)&1 != 0 {
			return s
		}
	}
	return none
}

// feed shares the pool among all (the first money) or among the hungry.
func (b *Broker) feed(i int32) {
	h := &b.homes[i]
	if h.initial {
		b.firstShares(i)
		return
	}
	for h.count > 0 && b.feedOne(i) {
	}
	if h.count > 0 {
		b.requestGrant(i)
	}
}

// feedOne gives to the first of the hungry in turn whose need can be met: less
// would only spread the last money.
func (b *Broker) feedOne(i int32) bool {
	h, n := &b.homes[i], int32(b.shards)
	for k := range n {
		to := (h.next + k) % n
		if b.hungry[int(i)*b.words+int(to)/64]>>(to%64)&1 == 0 {
			continue
		}
		need := b.needs[i*n+to]
		if give := b.share(h, max(h.want, need), need); give > 0 {
			h.next = (to + 1) % n
			b.give(i, unit.ShardID(to), give, b.now)
			return true
		}
	}
	return false
}

// lacksMore: a hungry shard gave back some of what it had.
func (b *Broker) lacksMore(i int32, from unit.ShardID, amount unit.Nanos) {
	if b.hungry[int(i)*b.words+int(from)/64]>>(from%64)&1 != 0 {
		b.needs[int(i)*b.shards+int(from)] += amount
	}
}

// firstShares gives every shard the same small part of the first money, so
// that no shard's first request is refused for want of a lease. A share of
// nothing is an answer too.
func (b *Broker) firstShares(i int32) {
	h := &b.homes[i]
	h.initial = false
	b.forget(i)
	spec := &b.terms[h.slot].spec
	n := unit.Nanos(b.shards)
	share := max(h.pool/(2*n), min(spec.Unit, h.pool/n))
	for k := range b.shards {
		to := (int(b.id) + k) % b.shards
		b.give(i, unit.ShardID(to), share, b.now)
	}
	b.topUp(i)
}

// topUp asks for more before the pool is empty.
func (b *Broker) topUp(i int32) {
	if h := &b.homes[i]; h.pool < h.granted/2 {
		b.requestGrant(i)
	}
}

// recall asks the other shards for what they do not need.
func (b *Broker) recall(i int32, except unit.ShardID) {
	h := &b.homes[i]
	sl := &b.slots[h.slot]
	for to := range b.shards {
		switch shard := unit.ShardID(to); {
		case shard == except:
		case shard == b.id:
			b.recalled(h.slot)
		default:
			b.send(shard, Entry{Account: sl.id, Day: h.day, Gen: sl.gen, Op: opRecall})
		}
	}
}

// hungryTick looks after accounts whose shards wait without new money: at
// growing intervals it asks the store again, recalls idle money, and gives
// crumbs, too small for the smallest need, to one shard after the other, where
// a cheaper line may use them.
func (b *Broker) hungryTick() {
	const looked = 2048
	for n := 0; n < looked && len(b.hungryFor) > 0; n++ {
		if b.cursor >= len(b.hungryFor) {
			b.cursor = 0
			return
		}
		i := b.hungryFor[b.cursor]
		h := &b.homes[i]
		if h.count == 0 {
			h.listed = false
			last := len(b.hungryFor) - 1
			b.hungryFor[b.cursor] = b.hungryFor[last]
			b.hungryFor = b.hungryFor[:last]
			continue
		}
		b.cursor++
		h.ticks++
		if !b.due(h.ticks) && !h.crumbs {
			continue
		}
		if b.due(h.ticks) && h.exhausted {
			h.exhausted = false
			b.requestGrant(i)
			b.recall(i, unit.ShardID(b.hungryFrom(i, h.next)))
		}
		if h.pool > 0 && h.count > 0 && !h.initial {
			to := b.hungryFrom(i, h.next)
			h.next = (to + 1) % int32(b.shards)
			ticks := h.ticks
			b.give(i, unit.ShardID(to), h.pool, b.now)
			h.ticks = ticks
		}
		h.crumbs = false
	}
}

// due reports whether the store is to be asked at this tick of hunger: soon at
// first, every ExhaustedRetry in the end.
func (b *Broker) due(ticks uint32) bool {
	if ticks < b.probeEvery {
		return ticks&(ticks-1) == 0
	}
	return ticks%b.probeEvery == 0
}

// requestGrant queues a request to the store, one at a time for an account.
func (b *Broker) requestGrant(i int32) {
	h := &b.homes[i]
	if h.asking || h.exhausted || b.draining || !b.slots[h.slot].active {
		return
	}
	h.asking = true
	b.ops.push(storeOp{grant: true, home: i})
	b.pumpLater()
}

// leaseWant is how much to ask for: what was given away lately, over the
// horizon; a 128th of the budget at least, so that a crash locks little and a
// budget takes a few hundred grants; enough for every shard to buy something.
func (b *Broker) leaseWant(h *home) (want, atLeast unit.Nanos) {
	const unlimited = 1_000_000 * unit.NanosPerUnit
	limit, spec := b.limit(h), &b.terms[h.slot].spec
	elapsed := max(b.now.Sub(h.servedSince), b.cfg.LeaseHorizon/10)
	want = scale(h.served, int64(b.cfg.LeaseHorizon), int64(elapsed), limit/10)
	h.served, h.servedSince = 0, b.now
	atLeast = max(h.need, spec.Unit, 1)
	want = max(want, min(limit/128, unlimited), unit.Nanos(b.cfg.LeaseMin))
	if atLeast < limit/1024 {
		want = max(want, atLeast*unit.Nanos(16*b.shards))
	}
	if h.initial {
		// A first share of a whole event for every shard, and as much in the pool.
		want = max(want, min(scale(spec.Unit, int64(2*b.shards), 1, unlimited), limit/8))
	}
	return max(want, atLeast), atLeast
}

// probeTicks is ExhaustedRetry in ticks.
func probeTicks(retry, tick time.Duration) uint32 { return uint32(max(1, retry/max(tick, 1))) }
