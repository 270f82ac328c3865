package budget

import (
	"time"

	"millrace/codec/unit"
)

// Drain begins the return of everything that is not reserved, at shutdown.
// Reserved money stays in the lease: its events may come after the restart,
// and the next life returns what is left when they can't any more.
//
// It has two phases, so that no share can be on its way to a shard that has
// already given up: first every shard says that it gives nothing away any
// more; a shard that heard so from all others has everything it will ever get,
// sends it home, and says so. Drained is when all have.
func (b *Broker) Drain(now unit.MonoTime, wall unit.WallTime) {
	if b.draining {
		return
	}
	b.now, b.wall = now, wall
	b.draining = true
	b.tell(0)
	b.drainOn()
	b.flush()
}

func (b *Broker) tell(phase unit.Nanos) {
	for to := range b.shards {
		if unit.ShardID(to) != b.id {
			b.send(unit.ShardID(to), Entry{Amount: phase, Op: opDone})
		}
	}
}

// drainOn goes on to the second phase when all peers are in the first.
func (b *Broker) drainOn() {
	if !b.draining || b.phase != 0 || b.done[0] < b.shards-1 {
		return
	}
	b.phase = 1
	for s := range b.slots {
		b.giveUp(int32(s))
		b.setDry(&b.slots[s])
	}
	for i := range b.homes {
		b.closePool(int32(i))
	}
	b.tell(1)
	b.pump(b.now)
}

// Drained see Drain. A halted broker has nobody to return to and is drained as
// soon as the peers' messages are in.
func (b *Broker) Drained() bool {
	if !b.draining || b.phase == 0 || b.done[1] < b.shards-1 {
		return false
	}
	for i := range b.out {
		if !b.out[i].empty() {
			return false
		}
	}
	return b.halted || b.ops.empty() && len(b.flight) == 0
}

// Balance is what one shard knows of one account. Sum over the shards with
// Add: a field that only the home shard knows is zero elsewhere.
type Balance struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
	Name     string
	Currency unit.Currency
	Day      unit.Day
	Active   bool // in the catalog and not paused
	// Limits in force; 0 is unlimited.
	Daily, Total unit.Nanos
	// Available to reserve now.
	Available unit.Nanos
	// Reserved and not yet posted or voided.
	Reserved unit.Nanos
	// Moving: given up by a shard and not yet sent, or not yet taken by the store.
	Moving unit.Nanos
	// Pool is the undivided part of the lease (home shard).
	Pool unit.Nanos
	// Locked in leases of dead epochs (home shard).
	Locked unit.Nanos
	// PostedDay is spent on Day, PostedTotal ever; the home shard includes what
	// was spent before the last start.
	PostedDay   unit.Nanos
	PostedTotal unit.Nanos
	// Remaining is what the store could still grant, as last heard (home shard).
	Remaining unit.Nanos
	// Waiting shards have no money and an open request (home shard).
	Waiting int
}

// Add adds another shard's figures of the same account.
func (x *Balance) Add(y *Balance) {
	x.Available += y.Available
	x.Reserved += y.Reserved
	x.Moving += y.Moving
	x.Pool += y.Pool
	x.Locked += y.Locked
	x.PostedTotal += y.PostedTotal
	x.Remaining += y.Remaining
	x.Waiting += y.Waiting
	if y.Day > x.Day {
		x.Day, x.PostedDay = y.Day, y.PostedDay
	} else if y.Day == x.Day {
		x.PostedDay += y.PostedDay
	}
}

// AppendBalances appends one Balance per account known to this shard, in the
// order in which it met them. Cold.
func (b *Broker) AppendBalances(dst []Balance) []Balance {
	base := len(dst)
	for s := range b.slots {
		sl, tm := &b.slots[s], &b.terms[s]
		e := Balance{
			Account: sl.id, Campaign: tm.spec.Campaign, Name: tm.spec.Name, Currency: tm.spec.Currency, Day: sl.day, Active: sl.active,
			Daily: tm.spec.Daily, Total: tm.spec.Total, Available: sl.avail, PostedDay: tm.postedDay, PostedTotal: tm.posted,
			Reserved: b.reserved(int32(s)),
		}
		if sl.home != none {
			h := &b.homes[sl.home]
			e.Pool, e.Remaining, e.Waiting = h.pool, h.remaining, int(h.count)
			e.PostedTotal += h.postedBefore
			e.PostedDay += b.postedEarlier(sl)
		}
		dst = append(dst, e)
	}
	own := dst[base:]
	move := func(id unit.AccountID, amount unit.Nanos) {
		if s := b.ids.get(id); s != none {
			own[s].Moving += amount
		}
	}
	for i := range b.dead {
		if s := b.ids.get(b.dead[i].account); s != none {
			own[s].Locked += b.dead[i].left
		}
	}
	for i := range b.out {
		for _, e := range b.out[i].items[b.out[i].head:] {
			if e.Op == opBack || e.Op == opGive {
				move(e.Account, e.Amount)
			}
		}
	}
	for _, op := range b.ops.items[b.ops.head:] {
		if !op.grant {
			move(op.account, op.amount)
		}
	}
	for i := range b.flight {
		if op := &b.flight[i]; !op.grant {
			move(op.account, op.amount)
		}
	}
	return dst
}

// Counts are what happened to one broker since it was made.
type Counts struct {
	// Refused messages were sent again later.
	Refused uint64
	// Defects are contradictions that should not happen: each is a bug.
	Defects uint64
	// SeenPages of remembered wins, 24 KiB each.
	SeenPages int
	// DeadEvents remembered of earlier epochs.
	DeadEvents int
	// Behind is the most that the stamp of a message was ahead of the wall clock:
	// clocks that differ by more than the protocol allows show here.
	Behind time.Duration
	// Fenced: the store has given up on this life; it spends nothing any more and
	// wants a restart.
	Fenced bool
	// Accounts known, and accounts with shards that wait for money.
	Accounts, Hungry int
}

// Counts reads the counters.
func (b *Broker) Counts() Counts {
	return Counts{
		Refused: b.refused, Defects: b.defects, SeenPages: b.seen.Pages(), DeadEvents: len(b.overlay), Behind: b.behind, Fenced: b.fenced,
		Accounts: len(b.slots), Hungry: len(b.hungryFor),
	}
}
