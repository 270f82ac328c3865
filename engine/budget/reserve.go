package budget

import (
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
	sec := max(b.issued, wall.Unix())
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
		if sl.avail < amount || sl.avail <= 0 {
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
	b.issued = sec
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

// take moves amount from available to reserved.
func (b *Broker) take(s int32, amount unit.Nanos, pool Pool, now unit.MonoTime) {
	sl := &b.slots[s]
	sl.avail -= amount
	sl.used += amount
	b.pending[s][b.current][pool] += amount
	if bit := uint16(1) << b.current; sl.mask&bit == 0 {
		sl.mask |= bit
		b.buckets[b.current].slots = append(b.buckets[b.current].slots, s)
	}
	if sl.avail < sl.low || sl.avail == 0 {
		b.ask(s, max(amount, 1), now)
	}
}

// short: the slot can't pay need. What it has goes home, where the rests of
// all shards add up, and a share that is large enough is asked for.
func (b *Broker) short(s int32, need unit.Nanos, now unit.MonoTime) {
	sl := &b.slots[s]
	if !sl.active || sl.asked != 0 && sl.asked <= need {
		return
	}
	b.now = now
	b.giveUp(s)
	b.ask(s, need, now)
}

// ask requests a share that lasts ShareHorizon at the rate seen since the last
// one, several times need at least. One request is under way at a time, unless
// a smaller need comes up, which may be met where the larger was not.
func (b *Broker) ask(s int32, need unit.Nanos, now unit.MonoTime) {
	sl := &b.slots[s]
	if !sl.active || b.draining || sl.asked != 0 && sl.asked <= need {
		return
	}
	b.now = now
	elapsed := max(now.Sub(sl.usedSince), b.cfg.ShareHorizon/64)
	want := scale(sl.used, int64(b.cfg.ShareHorizon), int64(elapsed), 1<<60)
	// A click costs far more than was reserved for it: one has to fit in.
	want = max(want, scale(need, 16, 1, 1<<60), scale(b.terms[s].spec.Unit, 4, 1, 1<<60))
	sl.asked = need
	if sl.home != none {
		b.serve(sl.home, b.id, want, need, now)
	} else {
		b.send(sl.homeShard, Entry{Account: sl.id, Amount: want, Need: need, Day: sl.day, Gen: sl.gen, Op: opAsk})
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
