package budget

import (
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
)

// storeOp is one request to the store: queued, or under way.
type storeOp struct {
	grant    bool
	renew    bool  // for time alone
	home     int32 // of a grant
	account  unit.AccountID
	campaign unit.CampaignID
	day      unit.Day
	lease    unit.Epoch // of a return
	gen      uint32     // of a grant: the terms it was asked under
	amount   unit.Nanos
	atLeast  unit.Nanos
	seq      uint64
	first    unit.MonoTime // when it was sent, and at last repeated
	sent     unit.MonoTime
}

// queueReturn hands money of a lease back to the store. Two returns of one
// lease in a row become one.
func (b *Broker) queueReturn(op storeOp) {
	if op.amount <= 0 {
		return
	}
	if !b.ops.empty() {
		if last := &b.ops.items[len(b.ops.items)-1]; !last.grant && last.account == op.account && last.day == op.day && last.lease == op.lease {
			last.amount += op.amount
			return
		}
	}
	b.ops.push(op)
	b.pumpLater()
}

func (b *Broker) pumpLater() {
	if !b.working {
		b.working = true
		b.fx.After(0, TimerWork, 0)
	}
}

// pump sends requests to the store while the window is open.
func (b *Broker) pump(now unit.MonoTime) {
	b.now = now
	for !b.ops.empty() && len(b.flight) < b.cfg.StoreWindow {
		op := b.ops.items[b.ops.head]
		b.ops.head++
		if op.grant && !b.prepareGrant(&op) {
			continue
		}
		b.opSeq++
		op.seq, op.first, op.sent = b.opSeq, now, now
		b.flight = append(b.flight, op)
		b.submit(&b.flight[len(b.flight)-1])
	}
}

// prepareGrant fills in a grant when its turn has come; false if it is no
// longer wanted.
func (b *Broker) prepareGrant(op *storeOp) bool {
	h := &b.homes[op.home]
	sl, spec := &b.slots[h.slot], &b.terms[h.slot].spec
	if !sl.active || b.draining {
		h.asking = false
		return false
	}
	op.account, op.campaign, op.day, op.gen = sl.id, spec.Campaign, h.day, sl.gen
	op.amount, op.atLeast = b.leaseWant(h)
	if !h.opened {
		b.stamp = b.stamp.Next(b.wall)
		b.rec = ledger.Record{
			Kind: ledger.AccountOpened, Node: b.node, Epoch: b.epoch, Shard: b.id, Wall: b.wall, Stamp: b.stamp,
			Account: sl.id, Campaign: spec.Campaign, Currency: spec.Currency, Daily: spec.Daily, Total: spec.Total, Name: []byte(spec.Name),
		}
		_, h.opened = b.fx.Journal(&b.rec)
	}
	return true
}

// submit sends one request; a repeat carries the same identity and content.
func (b *Broker) submit(op *storeOp) {
	id := store.OpID{Node: b.node, Shard: b.id, Epoch: b.epoch, Seq: op.seq}
	if op.renew {
		b.granting = store.GrantRequest{ID: id, Stamp: b.stamp}
		b.fx.Grant(&b.granting)
		return
	}
	if !op.grant {
		b.returning = store.ReturnRequest{
			ID: id, Account: op.account, Campaign: op.campaign, Day: op.day, LeaseEpoch: op.lease, Amount: op.amount,
			Stamp: b.stamp,
		}
		b.fx.Return(&b.returning)
		return
	}
	h := &b.homes[op.home]
	spec, z := &b.terms[h.slot].spec, &b.zones[b.slots[h.slot].zone]
	b.granting = store.GrantRequest{
		ID: id, Account: op.account, Campaign: op.campaign, Currency: spec.Currency, Day: op.day,
		Amount: op.amount, AtLeast: op.atLeast, Daily: spec.Daily, Total: spec.Total, Opens: z.open, Expires: z.stop,
		Stamp: b.stamp,
	}
	if op.day != z.day {
		// The day is over: only an answer given earlier may still come.
		b.granting.Opens, b.granting.Expires = 0, 0
	}
	b.fx.Grant(&b.granting)
}

// retry repeats requests whose answers are overdue.
func (b *Broker) retry(now unit.MonoTime) {
	for i := range b.flight {
		if op := &b.flight[i]; now.Sub(op.sent) >= b.cfg.StoreTimeout {
			op.sent = now
			if op.renew {
				// Anew, since time counts from the moment of the request.
				b.opSeq++
				op.seq, op.first = b.opSeq, now
			}
			b.submit(op)
		}
	}
}

// replied takes the store's answer. An answer to nothing under way is the
// second one to a repeated request.
func (b *Broker) replied(m *Message, now unit.MonoTime) {
	e := &m.Entries[0]
	if unit.Epoch(m.Entries[1].Need) != b.epoch {
		return
	}
	for i := range b.flight {
		if b.flight[i].seq != uint64(e.Need) {
			continue
		}
		op := b.flight[i]
		if e.Status == store.Unavailable {
			// It stays under way and is repeated; nobody waits for it to start.
			if op.grant {
				b.unanswered(op.home)
			}
			return
		}
		last := len(b.flight) - 1
		b.flight[i] = b.flight[last]
		b.flight = b.flight[:last]
		b.timed(&op, e.Status, time.Duration(m.Entries[1].Gen)*time.Millisecond)
		if op.renew {
			b.renewing = false
		} else if op.grant {
			b.grantReplied(&op, e, m)
		} else {
			b.returnReplied(&op, e)
		}
		b.pump(now)
		return
	}
}

// unanswered lets the start go on without money.
func (b *Broker) unanswered(i int32) {
	if h := &b.homes[i]; h.initial {
		b.firstShares(i)
		h.initial = true // the first money is still to be shared
	}
}

func (b *Broker) grantReplied(op *storeOp, e *Entry, m *Message) {
	h := &b.homes[op.home]
	h.asking = false
	current := b.takes(h, op.day, op.gen)
	if e.Status == store.Fenced {
		return
	}
	if e.Status != store.OK {
		if e.Status == store.Refused {
			b.defects++
		}
		if !current {
			if h.initial {
				b.requestGrant(op.home)
			}
			return
		}
		h.exhausted, h.remaining = true, 0
		if h.initial {
			b.firstShares(op.home)
		}
		if h.count > 0 && h.ticks == 0 {
			b.recall(op.home, unit.ShardID(b.hungryFrom(op.home, h.next)))
		}
		return
	}
	if !current {
		b.queueReturn(storeOp{account: op.account, campaign: op.campaign, day: op.day, lease: b.epoch, amount: e.Amount})
		if h.initial {
			b.requestGrant(op.home)
		}
		return
	}
	h.pool += e.Amount
	h.granted, h.remaining, h.ticks = e.Amount, m.Entries[1].Amount, 0
	h.elsewhere = m.Elsewhere
	b.funds++
	b.feed(op.home)
}

// returnReplied: money is back in the account, so the store may have some again.
func (b *Broker) returnReplied(op *storeOp, e *Entry) {
	if e.Status == store.Refused {
		b.defects++
	}
	if s := b.ids.get(op.account); s != none && b.slots[s].home != none {
		b.replenished(b.slots[s].home)
	}
}

// replenished: the store may have money of an account that was exhausted.
func (b *Broker) replenished(i int32) {
	if h := &b.homes[i]; h.exhausted {
		h.exhausted = false
		if h.count > 0 || h.initial {
			b.requestGrant(i)
		}
	}
}

// refunded: a posting was taken back. Its money is in the store, not in a lease.
func (b *Broker) refunded(s int32, e *Entry) {
	sl := &b.slots[s]
	if sl.home == none {
		b.defects++
		return
	}
	b.homes[sl.home].postedBefore -= e.Amount
	if e.Day == sl.day {
		b.terms[s].postedDay -= e.Amount
	}
	b.replenished(sl.home)
}

// renew asks for more time when a third of it is over, so that two attempts may
// fail. A shard that only heard of an end, from another, asks at once.
func (b *Broker) renew(now unit.MonoTime) {
	if b.until == 0 || b.renewing || b.draining || b.fenced || now.Sub(b.renewed) < b.lease/3 {
		return
	}
	b.renewing = true
	b.ops.push(storeOp{renew: true})
	b.pump(now)
}

// timed notes how long the node's leases last after an answer to op. The store
// counts from when it got the request, we from when we first sent it, and by a
// clock that may be slower: so we are over first.
func (b *Broker) timed(op *storeOp, status store.Status, lease time.Duration) {
	if status == store.Fenced {
		b.fenced, b.halted = true, true
		return
	}
	if status != store.OK || lease <= 0 {
		return
	}
	b.lease, b.renewed = lease, max(b.renewed, op.first)
	b.extend(op.first.Add(lease - lease*time.Duration(b.cfg.DriftMax)/1000))
}

// extend moves the end of the node's leases, never to the front.
func (b *Broker) extend(until unit.MonoTime) {
	if until <= b.until {
		return
	}
	b.until = until
	b.funds++ // what waits for money may find that it can be spent again
	for i := range b.zones {
		b.zones[i].stopMono = b.lasts(b.zones[i].dayMono)
	}
}

// lasts is the end of a day or of the leases, whichever is first.
func (b *Broker) lasts(day unit.MonoTime) unit.MonoTime {
	if b.until == 0 {
		return day
	}
	return min(day, b.until)
}
