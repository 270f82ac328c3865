package budget

import (
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Reserve takes amount from each account (−1 is none) and makes the win: all
// of it, or nothing and the reason. Without accounts it only makes the win, with
// a halted broker too: what costs nothing needs no journal.
func (b *Broker) Reserve(accounts [2]int32, amount unit.Nanos, pool Pool, now unit.MonoTime, wall unit.WallTime) (w Win, r Reason) {
	if b.draining || b.halted && (accounts[0] >= 0 || accounts[1] >= 0) {
		return w, Halted
	}
	sec := b.second(now, wall)
	var taken [2]int32
	n := 0
	for _, a := range accounts {
		if a < 0 {
			continue
		}
		if int(a) >= len(b.index) || amount < 0 {
			return w, NoAccount
		}
		s := b.index[a]
		sl := &b.slots[s]
		z := &b.zones[sl.zone]
		if sl.day != z.day || wall < z.open || wall >= z.stop || now >= z.stopMono || unit.WallFromUnix(sec) >= z.end {
			return w, DayClosed
		}
		if !b.covers(s, amount, now) {
			b.short(s, max(amount, 1), now)
			return w, NoFunds
		}
		w.Day = sl.day
		taken[n] = s
		n++
	}
	if sec >= b.bucketEnd {
		b.openBucket(sec)
	}
	if sec > b.issued {
		b.issued, b.issuedAt = sec, now
	}
	b.buckets[b.current].last = now
	for _, s := range taken[:n] {
		b.take(s, amount, pool, now)
	}
	w.ID = event.WinID{Node: b.node, Epoch: b.epoch, Shard: b.id, Seq: b.nextSeq}
	w.Issued = unit.WallFromUnix(sec)
	if b.nextSeq%ledger.PageWins == 0 && b.nextSeq > 0 {
		b.pages = append(b.pages, sec)
	}
	b.pages[len(b.pages)-1] = sec
	b.nextSeq++
	return w, Reserved
}

// second is what wins of this instant are issued at. It never runs back: after a
// step back of the wall clock it goes on by the monotonic one, so that buckets
// follow each other and reservations lapse in their time.
func (b *Broker) second(now unit.MonoTime, wall unit.WallTime) int64 {
	sec := wall.Unix()
	if sec < b.issued {
		sec = b.issued + int64(now.Sub(b.issuedAt)/time.Second)
	}
	return sec
}

// take moves amount from available to reserved.
func (b *Broker) take(s int32, amount unit.Nanos, pool Pool, now unit.MonoTime) {
	sl := &b.slots[s]
	sl.avail -= amount
	sl.used += amount
	sl.vain = 0
	b.pending[s][b.current][pool] += amount
	if bit := uint16(1) << b.current; sl.mask&bit == 0 {
		sl.mask |= bit
		b.buckets[b.current].slots = append(b.buckets[b.current].slots, s)
	}
	b.refill(s, amount, now)
}

// covers reports whether the slot has amount; at home what it lacks comes out
// of the pool, where no message is needed.
func (b *Broker) covers(s int32, amount unit.Nanos, now unit.MonoTime) bool {
	sl := &b.slots[s]
	if sl.avail >= amount && sl.avail > 0 {
		return true
	}
	b.draw(s, max(amount, 1), now)
	return sl.avail >= amount && sl.avail > 0
}

// refill asks for more while there is still some, so that the answer comes
// before the slot is dry. spent is what an event costs, as far as is known.
func (b *Broker) refill(s int32, spent unit.Nanos, now unit.MonoTime) {
	sl := &b.slots[s]
	switch spent = max(spent, 1); {
	case sl.avail < spent:
		b.short(s, spent, now)
	case sl.avail < sl.low:
		b.ask(s, spent, spent, false, now)
	}
}

// short: the slot can't pay price, or the next like it. It asks for what it
// lacks and keeps what it has, on which cheaper lines may live; the rests of
// other shards are recalled when the store has no more.
func (b *Broker) short(s int32, price unit.Nanos, now unit.MonoTime) {
	if lacks := price - b.slots[s].avail; lacks > 0 {
		b.ask(s, price, lacks, true, now)
	}
}

// ask requests a share that lasts ShareHorizon at the rate seen since the last
// one, several times price at least. One request is under way at a time, unless
// a smaller need comes up, which may be met where the larger was not, or an
// urgent one: without it something is refused.
func (b *Broker) ask(s int32, price, need unit.Nanos, urgent bool, now unit.MonoTime) {
	sl := &b.slots[s]
	if !sl.active || b.draining || sl.asked != 0 && sl.asked <= need && (sl.urgent || !urgent) {
		return
	}
	b.now = now
	elapsed := max(now.Sub(sl.usedSince), b.cfg.ShareHorizon/64)
	want := scale(sl.used, int64(b.cfg.ShareHorizon), int64(elapsed), 1<<60)
	// A click costs far more than was reserved for it: one has to fit in.
	want = max(want, scale(price, 16, 1, 1<<60), scale(b.terms[s].spec.Unit, 4, 1, 1<<60))
	sl.asked, sl.urgent = need, urgent
	if sl.home != none {
		b.serve(sl.home, b.id, want, need, urgent, now)
	} else {
		op := opAsk
		if urgent {
			op = opNeed
		}
		b.send(sl.homeShard, Entry{Account: sl.id, Amount: want, Need: need, Day: sl.day, Gen: sl.gen, Op: op})
	}
	if sl := &b.slots[s]; sl.avail <= 0 && sl.asked != 0 {
		b.setDry(sl)
	}
}

// Cancel undoes a reservation whose tokens were never handed out. The win's
// number stays used.
func (b *Broker) Cancel(w *Win, accounts [2]int32, amount unit.Nanos, pool Pool) {
	number := w.Issued.Unix() / b.width
	entry := int(number & (ring - 1))
	if k := &b.buckets[entry]; !k.used || k.number != number {
		return // voided: available again already
	}
	for _, a := range accounts {
		if a < 0 || int(a) >= len(b.index) {
			continue
		}
		s := b.index[a]
		row := &b.pending[s][entry]
		back := min(amount, row[pool])
		if back <= 0 {
			continue
		}
		row[pool] -= back
		sl := &b.slots[s]
		if day := b.zones[sl.zone].dayOf(number, b.width); day != sl.day || !sl.active {
			b.sendBack(s, back, day)
			continue
		}
		sl.avail += back
		b.setWet(sl)
	}
}
