package pace

import (
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/shards"
	"millrace/state/campaign"
	"millrace/state/pacing"
)

const (
	// slices is in how many timer calls a period's accounts are visited.
	slices = 16
	// Every is the time between two calls of Tick.
	Every = pacing.Period / slices
	// tolerance is the change of a participation that is worth a message.
	tolerance = 0.01
)

// Op is what a Message says.
type Op uint8

// Operations.
const (
	opCommitted Op = iota + 1 // shard → home: Value nanos of Day so far, Ever of all days, Missed requests
	opRequests                // shard → all: Value more requests
	opShare                   // home → all: Value is the participation in 2^-32, Ever the allowance
)

// Message is what boards tell each other. A plain value without pointers.
type Message struct {
	Account unit.AccountID
	Value   uint64
	Ever    unit.Nanos
	Missed  float32
	Day     unit.Day
	From    unit.ShardID
	Op      Op
}

// Sender puts a copy of m into another shard's mailbox; false if it is full.
type Sender interface {
	SendPace(to unit.ShardID, m *Message) bool
}

// Spender says what this shard committed: budget.Broker.
type Spender interface {
	Spent(account int32) budget.Spent
}

// Board is one shard's part. Owned by the shard.
type Board struct {
	_      shards.Pad
	id     unit.ShardID
	shards int
	out    Sender
	spent  Spender

	*Catalog
	plans    map[unit.AccountID]*plan // of the accounts whose home is here
	forecast pacing.Forecast

	cursor   int
	at       unit.WallTime // of the last whole round
	own      uint64        // requests of this shard since the last round
	ownEver  uint64        // and ever
	heard    uint64        // of the other shards since the last round
	requests uint64        // of the node, ever
	msg      Message
	_        shards.Pad
}

// account is what a shard knows of every account.
type account struct {
	share     float64
	allowance unit.Nanos // for a period
	left      unit.Nanos // of it
	cutAt     uint64     // Board.ownEver when the allowance was spent
	missed    float64    // requests that this kept it out of, not yet reported
	reported  unit.Nanos
	day       unit.Day
	cut       bool
}

// inForce is the participation after the allowance.
func (x *account) inForce() float64 {
	if x.cut {
		return 0
	}
	return x.share
}

// allow sets the allowance, of this period too.
func (x *account) allow(n unit.Nanos) {
	x.left += n - x.allowance
	x.allowance = n
}

// plan is an account's course, kept by its home.
type plan struct {
	pacer    pacing.Pacer
	day      unit.Day
	laid     bool
	unsent   bool         // a mailbox refused the participation in force
	requests uint64       // Board.requests at the last step
	missed   float64      // by allowance, since the last step
	spent    []unit.Nanos // of day, by shard
	ever     []unit.Nanos // of all days, by shard
}

// New makes the board of shard id, of n. It has nothing to pace until Load.
func New(id unit.ShardID, n int, out Sender, spent Spender) *Board {
	return &Board{id: id, shards: n, out: out, spent: spent, plans: map[unit.AccountID]*plan{}}
}

// Load takes a catalog that was prepared for this shard; the broker has its
// accounts already. Participations and plans go on for accounts that stay.
// Cold.
func (b *Board) Load(c *Catalog) {
	before := b.Catalog
	b.Catalog, b.cursor = c, 0
	for i := range c.terms.Snapshot.Accounts {
		a := &c.terms.Snapshot.Accounts[i]
		if before != nil {
			if old, ok := before.terms.byID[a.ID]; ok && before.accounts[old] != c.accounts[i] {
				c.accounts[i] = before.accounts[old]
				c.apply(i)
			}
		}
		if budget.Home(a.Campaign, b.shards) == b.id {
			p := b.plans[a.ID]
			if p == nil {
				p = b.newPlan()
				b.plans[a.ID] = p
			}
			p.laid = false // budget, dates or pacing may be other ones
			c.homes[i] = p
		}
	}
}

// Throttle is what selection asks. It changes with Load.
func (c *Catalog) Throttle() *pacing.Throttle { return c.throttle }

// newPlan makes a plan on cache lines of its own.
func (b *Board) newPlan() *plan {
	p := &shards.AlignedSlice[plan](1)[0]
	sums := shards.AlignedSlice[unit.Nanos](2 * b.shards)
	p.spent, p.ever = sums[:b.shards:b.shards], sums[b.shards:]
	return p
}

// Request counts a bid request of this shard.
func (b *Board) Request() { b.own++; b.ownEver++ }

// Won counts what a won impression is expected to cost an account (by catalog
// index, −1 is none). Whoever has spent the period's allowance sits out the rest
// of it.
func (b *Board) Won(i int32, amount unit.Nanos) {
	if i < 0 {
		return
	}
	x := &b.accounts[i]
	if x.left -= amount; x.left <= 0 && !x.cut {
		x.cut, x.cutAt = true, b.ownEver
		b.apply(int(i))
	}
}

// Course is where an account stands, by the shard that is its home.
type Course struct {
	Account unit.AccountID
	// Share is its participation, 0 to 1.
	Share float64
	// Planned is what should have been spent of the day's budget by now; 0 where
	// nothing is spread.
	Planned unit.Nanos
}

// AppendCourses appends the courses of the accounts whose home is here. Cold.
func (b *Board) AppendCourses(dst []Course, wall unit.WallTime) []Course {
	if b.Catalog == nil {
		return dst
	}
	for i, p := range b.homes {
		if p == nil {
			continue
		}
		c := Course{Account: b.terms.Snapshot.Accounts[i].ID, Share: b.accounts[i].share}
		if plan := p.pacer.Plan(); p.laid && plan.Mode != pacing.ASAP {
			c.Planned = plan.Target(wall)
		}
		dst = append(dst, c)
	}
	return dst
}

// renew begins a period of an account.
func (b *Board) renew(i int) {
	x := &b.accounts[i]
	x.left = x.allowance
	if x.cut {
		x.cut = false
		x.missed += x.share * float64(b.ownEver-x.cutAt)
		b.apply(i)
	}
}

// Share is the participation of an account, by catalog index.
func (c *Catalog) Share(i campaign.AccountIndex) float64 { return c.accounts[i].share }

// Tick visits a slice of the accounts. Call it Every so often.
func (b *Board) Tick(wall unit.WallTime) {
	if b.Catalog == nil {
		return
	}
	n := len(b.accounts)
	until := min(b.cursor+(n+slices-1)/slices, n)
	for i := b.cursor; i < until; i++ {
		b.renew(i)
		b.report(i)
		if p := b.homes[i]; p != nil {
			b.step(i, p, wall)
		}
	}
	if b.cursor = until; until == n && wall.Sub(b.at) >= pacing.Period {
		b.cursor = 0
		b.round(wall)
	}
}

// round ends a period: what the shard was asked goes to the others, and what
// all were asked into the forecast.
func (b *Board) round(wall unit.WallTime) {
	// A round's requests that a full mailbox refused are missing from the others'
	// sums: their rates are a little low for one period.
	all := b.own + b.heard
	b.requests += all
	if b.at != 0 {
		b.forecast.Observe(wall, wall.Sub(b.at), all)
	}
	b.at = wall
	b.msg = Message{From: b.id, Op: opRequests, Value: b.own}
	b.toOthers()
	b.own, b.heard = 0, 0
}

// toOthers sends msg to every other shard; false if a mailbox was full.
func (b *Board) toOthers() bool {
	all := true
	for to := range b.shards {
		if to := unit.ShardID(to); to != b.id && !b.out.SendPace(to, &b.msg) {
			all = false
		}
	}
	return all
}

// report tells the account's home what this shard has committed.
func (b *Board) report(i int) {
	x := &b.accounts[i]
	s := b.spent.Spent(int32(i))
	if s.Day == x.day && s.InDay == x.reported {
		return
	}
	if p := b.homes[i]; p != nil {
		p.committed(b.id, s)
		p.missed += x.missed
	} else {
		a := &b.terms.Snapshot.Accounts[i]
		b.msg = Message{Account: a.ID, From: b.id, Op: opCommitted, Value: uint64(s.InDay), Ever: s.Ever, Missed: float32(x.missed), Day: s.Day}
		if !b.out.SendPace(budget.Home(a.Campaign, b.shards), &b.msg) {
			return // the next round says it
		}
	}
	x.day, x.reported, x.missed = s.Day, s.InDay, 0
}

func (p *plan) committed(from unit.ShardID, s budget.Spent) {
	if s.Day > p.day {
		clear(p.spent)
		p.day, p.laid = s.Day, false
	}
	if s.Day == p.day {
		p.spent[from] = s.InDay
	}
	p.ever[from] = s.Ever
}

func sum(by []unit.Nanos) (n unit.Nanos) {
	for _, s := range by {
		n += s
	}
	return n
}

// step lets the home's pacer look at the account.
func (b *Board) step(i int, p *plan, wall unit.WallTime) {
	a := &b.terms.Snapshot.Accounts[i]
	if day := wall.DayIn(a.Zone); day != p.day || !p.laid {
		if day > p.day {
			p.committed(b.id, budget.Spent{Day: day, Ever: p.ever[b.id]})
		}
		b.lay(i, p, wall)
	} else {
		p.pacer.Step(wall, sum(p.spent), b.requests-p.requests, p.missed)
	}
	p.requests, p.missed = b.requests, 0
	b.share(i, p, p.pacer.Share(), p.pacer.Allowance())
}

// lay makes the plan of the day.
func (b *Board) lay(i int, p *plan, wall unit.WallTime) {
	a := &b.terms.Snapshot.Accounts[i]
	p.laid = true
	start := p.day.Start(a.Zone)
	end := (p.day + 1).Start(a.Zone)
	course := pacing.Plan{
		Mode: a.Pacing, Budget: b.dayBudget(i, p, start, end),
		Start: max(start, min(a.Start, wall)), End: min(end, a.End), Unit: b.terms.units[i],
	}
	if course.Budget == 0 || course.End <= wall {
		course.Mode = pacing.ASAP // nothing to spread: whoever may serve, may
	}
	course.Hours = a.OpenHours(course.Start, course.End)
	course.Lay(&b.forecast)
	p.pacer.Begin(course, wall, sum(p.spent), b.accounts[i].share)
}

// dayBudget is what the account should spend on the day: its daily budget, its
// part of what is left of the total, or the lower of the two; 0 is no bound.
func (b *Board) dayBudget(i int, p *plan, start, end unit.WallTime) unit.Nanos {
	a := &b.terms.Snapshot.Accounts[i]
	if a.Total == 0 || a.End == campaign.Never {
		return a.Daily // a total without an end can't be spread
	}
	left := max(a.Total-(sum(p.ever)-sum(p.spent)), 0) // when the day began
	share := pacing.DayShare(&b.forecast, left, max(start, a.Start), end, a.End)
	if a.Daily == 0 {
		return share
	}
	return min(a.Daily, share)
}

// share puts a participation in force, here and on the other shards.
func (b *Board) share(i int, p *plan, share float64, allowance unit.Nanos) {
	x := &b.accounts[i]
	if !p.unsent && near(share, x.share) && near(float64(allowance), float64(x.allowance)) && (share < 1 || x.share == 1) {
		return
	}
	x.share = share
	x.allow(allowance)
	b.apply(i)
	b.msg = Message{Account: b.terms.Snapshot.Accounts[i].ID, From: b.id, Op: opShare, Value: uint64(share * (1 << 32)), Ever: allowance}
	p.unsent = !b.toOthers()
}

// near reports whether a change is not worth a message.
func near(is, was float64) bool { return max(is-was, was-is) <= tolerance*was }

// Handle takes a message of another board.
func (b *Board) Handle(m *Message) {
	if m.Op == opRequests {
		b.heard += m.Value
		return
	}
	if b.Catalog == nil {
		return
	}
	i, ok := b.terms.byID[m.Account]
	if !ok {
		return // of a catalog that is gone, or not here yet: it comes again
	}
	switch m.Op {
	case opCommitted:
		if p := b.homes[i]; p != nil {
			p.missed += float64(m.Missed)
			p.committed(m.From, budget.Spent{Day: m.Day, InDay: unit.Nanos(m.Value), Ever: m.Ever})
		}
	case opShare:
		b.accounts[i].share = float64(m.Value) / (1 << 32)
		b.accounts[i].allow(m.Ever)
		b.apply(int(i))
	}
}
