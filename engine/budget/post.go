package budget

import (
	"slices"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
)

// eventKey is an event of a dead epoch that was decided in this one.
type eventKey struct {
	epoch unit.Epoch
	shard unit.ShardID
	kind  event.Kind
	seq   uint64
}

// deadLease is what an earlier life left unspent of a lease. It pays for late
// events of that life and is returned when no reservation of it can be live.
type deadLease struct {
	account  unit.AccountID
	campaign unit.CampaignID
	day      unit.Day
	epoch    unit.Epoch
	left     unit.Nanos
	ends     unit.WallTime
}

// deadline is when the last reservation of a dead epoch is void.
func (b *Broker) deadline(e unit.Epoch) unit.WallTime {
	if info := b.recovered.Epoch(e); info != nil {
		return info.Ended + unit.WallFromUnix(b.ttl+b.width)
	}
	return 0
}

// releaseDead returns dead leases whose time is over, by the wall clock or, if
// that was set back, by our own.
func (b *Broker) releaseDead(now unit.MonoTime, wall unit.WallTime) {
	if !b.deadKnown {
		b.deadKnown, b.deadSince = true, now
	}
	late := int64(now.Sub(b.deadSince)) >= (b.ttl+b.width)*1e9
	for i := range b.dead {
		d := &b.dead[i]
		if d.left <= 0 || wall < d.ends && !late {
			continue
		}
		b.queueReturn(storeOp{account: d.account, campaign: d.campaign, day: d.day, lease: d.epoch, amount: d.left})
		d.left = 0
	}
}

// source is where the money for one account's part of a posting comes from.
type source struct {
	slot   int32
	entry  int8 // ring entry of the bucket, −1 for none
	dead   int32
	bucket unit.Nanos // from the bucket
	avail  unit.Nanos // from available
	lacks  unit.Nanos // that much is not there
	late   bool
}

// Post decides about the event of t. The answer may be given to the client
// when the journal position pos is durable (pos 0: nothing to wait for).
// Nothing changes unless the journal took the record.
func (b *Broker) Post(t *event.Token, now unit.MonoTime, wall unit.WallTime) (o Outcome, pos uint64) {
	return b.post(t, false, now, wall)
}

// PostOrWait is Post for an event that can wait a moment: where Post would say
// Unfunded, and the home shard, the store or another shard may have the money,
// that is asked for, and the outcome is Deferred. The caller posts it again
// when Funds has moved, and with Post when it can't wait any longer. A deferred
// event leaves no trace here, so whichever of its repeats comes first decides.
func (b *Broker) PostOrWait(t *event.Token, now unit.MonoTime, wall unit.WallTime) (o Outcome, pos uint64) {
	return b.post(t, true, now, wall)
}

// Funds moves whenever money comes to where this shard can spend it.
func (b *Broker) Funds() uint64 { return b.funds }

func (b *Broker) post(t *event.Token, patient bool, now unit.MonoTime, wall unit.WallTime) (o Outcome, pos uint64) {
	if !t.Kind.Valid() {
		return Unknown, 0
	}
	own := t.Win.Node == b.node && t.Win.Epoch == b.epoch
	switch {
	case own && t.Win.Shard != b.id, !own && Home(t.Campaign, b.shards) != b.id:
		return Misrouted, 0
	case own && (t.Win.Seq >= b.nextSeq || b.seen.Dropped(t.Win.Seq)):
		return Unknown, 0
	case own && b.seen.Has(t.Win.Seq, t.Kind), !own && b.decided(t):
		return Duplicate, b.lastPos
	}
	reason := b.unbillable(t, own)
	var from [2]source
	n := 0
	if reason == 0 {
		if from, n, reason = b.fund(t, own, now, wall); reason != 0 && patient && b.askFor(from[:n], t.Price, now, wall) {
			return Deferred, 0
		}
	}
	b.record(t, reason, from[:n], wall)
	pos, ok := b.fx.Journal(&b.rec)
	if !ok {
		return NotDurable, 0
	}
	b.lastPos = pos
	if own {
		b.seen.Add(t.Win.Seq, t.Kind, t.Issued)
	} else if t.Win.Node == b.node {
		b.overlay[keyOf(t)] = struct{}{}
	}
	if reason != 0 {
		switch reason {
		case ledger.Unfunded:
			return Unfunded, pos
		case ledger.Resold:
			return Resold, pos
		}
		return Recorded, pos
	}
	o = Posted
	for i := range from[:n] {
		if b.spend(&from[i], PoolOf(t.Kind), t.Price, now); from[i].late {
			o = PostedLate
		}
	}
	return o, pos
}

func keyOf(t *event.Token) eventKey {
	return eventKey{t.Win.Epoch, t.Win.Shard, t.Kind, t.Win.Seq}
}

// decided reports whether the event of a dead epoch was seen, then or since.
func (b *Broker) decided(t *event.Token) bool {
	if t.Win.Node != b.node {
		return false // recorded each time: another node's win is never billed here
	}
	_, now := b.overlay[keyOf(t)]
	return now || b.recovered.Seen(t.Win, t.Kind)
}

// unbillable gives the reason for which an event is never billed, 0 for none.
// That it is not ours comes first: whoever made the win records it under the
// other reasons, once; what is not ours is recorded each time.
func (b *Broker) unbillable(t *event.Token, own bool) ledger.Reason {
	switch {
	case t.Win.Node != b.node:
		return ledger.ForeignNode
	case !own && b.recovered.Epoch(t.Win.Epoch) == nil:
		return ledger.UnknownEpoch
	case t.Test:
		return ledger.TestTraffic
	case t.Sale.Notice == 0 && (!t.Billable || t.Price <= 0):
		return ledger.NotBillable
	case t.Sale.Notice != 0:
		return ledger.Resold // a bidder pays, not a campaign
	}
	return 0
}

// fund finds the money for both accounts, changing nothing.
func (b *Broker) fund(t *event.Token, own bool, now unit.MonoTime, wall unit.WallTime) (from [2]source, n int, reason ledger.Reason) {
	for _, id := range [2]unit.AccountID{t.CampaignAccount, t.LineAccount} {
		if id == 0 {
			continue
		}
		ok := false
		if own {
			from[n], ok = b.fundLive(id, t, now, wall)
		} else {
			from[n], ok = b.fundDead(id, t, now, wall)
		}
		n++
		if !ok {
			reason = ledger.Unfunded
		}
	}
	return from, n, reason
}

// fundLive looks into the bucket of the win, then at what is available today.
func (b *Broker) fundLive(id unit.AccountID, t *event.Token, now unit.MonoTime, wall unit.WallTime) (f source, ok bool) {
	f = source{slot: b.ids.get(id), entry: -1, dead: none}
	if f.slot == none {
		return f, false
	}
	sl := &b.slots[f.slot]
	number := t.Issued.Unix() / b.width
	entry := int(number & (ring - 1))
	if k := &b.buckets[entry]; k.used && k.number == number && sl.mask>>entry&1 != 0 {
		f.bucket = min(b.pending[f.slot][entry][PoolOf(t.Kind)], t.Price)
		if f.bucket < t.Price && b.zones[sl.zone].dayOf(number, b.width) != sl.day {
			f.bucket = 0 // one event is not paid from two days
		}
		if f.bucket > 0 {
			f.entry = int8(entry)
		}
	} else {
		f.late = true
	}
	if f.avail = t.Price - f.bucket; f.avail == 0 {
		return f, true
	}
	b.draw(f.slot, f.avail, now)
	f.lacks = f.avail - sl.avail
	return f, f.lacks <= 0 && b.open(sl, now, wall)
}

// askFor asks for what the sources lack; false if there is no hope: it is not
// only money that is missing.
func (b *Broker) askFor(from []source, price unit.Nanos, now unit.MonoTime, wall unit.WallTime) bool {
	for i := range from {
		f := &from[i]
		if f.avail == 0 {
			continue
		}
		if f.slot == none || b.draining || !b.open(&b.slots[f.slot], now, wall) {
			return false
		}
		spec := &b.terms[f.slot].spec
		if price > store.Limit(spec.Daily, spec.Total) {
			return false
		}
	}
	for i := range from {
		if f := &from[i]; f.lacks > 0 {
			b.ask(f.slot, price, f.lacks, true, now)
		}
	}
	return true
}

// draw moves money from the pool of an account that is at home here into the
// slot, when an event may cost more than the slot has. No message is needed.
func (b *Broker) draw(s int32, price unit.Nanos, now unit.MonoTime) {
	sl := &b.slots[s]
	if sl.avail >= price || sl.home == none || !sl.active || b.draining {
		return
	}
	h := &b.homes[sl.home]
	if missing := price - sl.avail; !h.initial && missing <= h.pool && h.day == sl.day {
		b.now = now
		h.pool -= missing
		h.served += missing
		sl.avail += missing
		b.topUp(sl.home)
	}
}

// fundDead looks at what the dead epoch left, then at what is available today.
func (b *Broker) fundDead(id unit.AccountID, t *event.Token, now unit.MonoTime, wall unit.WallTime) (f source, ok bool) {
	f = source{slot: b.ids.get(id), entry: -1, dead: none}
	i, found := slices.BinarySearchFunc(b.dead, deadLease{account: id, day: t.Day, epoch: t.Win.Epoch}, compareDead)
	if found && b.dead[i].left >= t.Price {
		f.dead = int32(i)
		return f, true
	}
	f.late, f.avail = true, t.Price
	if f.slot == none {
		return f, false
	}
	b.draw(f.slot, t.Price, now)
	sl := &b.slots[f.slot]
	f.lacks = t.Price - sl.avail
	return f, f.lacks <= 0 && b.open(sl, now, wall)
}

func compareDead(x, y deadLease) int {
	switch {
	case x.account != y.account:
		if x.account < y.account {
			return -1
		}
		return 1
	case x.day != y.day:
		return int(x.day) - int(y.day)
	case x.epoch < y.epoch:
		return -1
	case x.epoch > y.epoch:
		return 1
	}
	return 0
}

// open reports whether available money may be spent at this instant.
func (b *Broker) open(sl *slot, now unit.MonoTime, wall unit.WallTime) bool {
	z := &b.zones[sl.zone]
	return !b.halted && sl.active && sl.day == z.day && wall >= z.open && wall < z.stop && now < z.stopMono
}

// record fills in the journal record of the event.
func (b *Broker) record(t *event.Token, reason ledger.Reason, from []source, wall unit.WallTime) {
	b.stamp = b.stamp.Next(wall)
	r := &b.rec
	*r = ledger.Record{
		Kind: ledger.Posted, Event: t.Kind, Reason: reason, Node: b.node, Epoch: b.epoch, Shard: b.id, Wall: wall, Stamp: b.stamp,
		Campaign: t.Campaign, Amount: t.Price, Currency: t.Currency, Win: t.Win, Issued: t.Issued, User: t.User, Line: t.Line, Creative: t.Creative,
		Policy: t.Policy,
	}
	if reason != 0 {
		r.Kind = ledger.Recorded
	}
	if reason == ledger.Resold {
		s := &t.Sale
		r.Sale, r.Name = ledger.Sale{Bid: s.Bid, Reported: s.Reported, Currency: s.Currency, Told: s.Told}, s.Buyer
	}
	ids := [2]unit.AccountID{t.CampaignAccount, t.LineAccount}
	if ids[0] == 0 {
		ids[0] = ids[1]
	}
	for i := range from {
		r.From[i] = b.part(ids[i], &from[i], t)
	}
	r.Parts = uint8(len(from))
}

// part names the lease that a source belongs to.
func (b *Broker) part(id unit.AccountID, f *source, t *event.Token) ledger.Part {
	p := ledger.Part{Account: id, Epoch: b.epoch}
	switch {
	case f.dead != none:
		p.Day, p.Epoch = t.Day, t.Win.Epoch
	case f.slot == none:
		p.Day = t.Day
	case f.entry >= 0:
		p.Day = b.zones[b.slots[f.slot].zone].dayOf(b.buckets[f.entry].number, b.width)
	default:
		p.Day = b.slots[f.slot].day
	}
	return p
}

// spend moves the money of a source to posted.
func (b *Broker) spend(f *source, pool Pool, price unit.Nanos, now unit.MonoTime) {
	day := unit.Day(-1 << 31)
	if f.dead != none {
		b.dead[f.dead].left -= price
		day = b.dead[f.dead].day
	}
	if f.slot == none {
		return
	}
	sl, tm := &b.slots[f.slot], &b.terms[f.slot]
	if f.entry >= 0 {
		b.pending[f.slot][f.entry][pool] -= f.bucket
		day = b.zones[sl.zone].dayOf(b.buckets[f.entry].number, b.width)
	}
	if f.avail > 0 {
		sl.avail -= f.avail
		sl.used += f.avail
		sl.vain = 0
		day = sl.day
		b.refill(f.slot, f.avail, now)
	}
	tm.posted += price
	if day == sl.day {
		tm.postedDay += price
	}
}

// dropPages forgets the wins whose tokens have expired, and the oldest when
// there are more pages than allowed; it prepares the page after the current.
func (b *Broker) dropPages(wall unit.WallTime) {
	cutoff := wall.Add(-b.cfg.TokenTTL).Unix()
	n := 0
	for n < len(b.pages)-1 && (b.pages[n] < cutoff || len(b.pages)-n > b.cfg.SeenPagesMax) {
		n++
	}
	if n > 0 {
		b.first += uint64(n)
		b.pages = append(b.pages[:0], b.pages[n:]...)
		b.seen.DropBefore(b.first * ledger.PageWins)
	}
	if b.nextSeq%ledger.PageWins > ledger.PageWins/2 {
		b.seen.Prepare(b.nextSeq + ledger.PageWins)
	}
	b.seen.Prepare(b.nextSeq)
	if len(b.overlay) > 0 && b.deadKnown && b.now.Sub(b.deadSince) > b.cfg.TokenTTL {
		clear(b.overlay) // every token of a dead epoch has expired
	}
}
