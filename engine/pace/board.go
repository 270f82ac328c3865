package pace

import (
	"time"

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
	opCommitted Op = iota + 1 // shard → home: Value nanos of Day so far, Ever of all days
	opRequests                // shard → all: Value more requests
	opShare                   // home → all: Value is the participation in 2^-32
)

// Message is what boards tell each other. A plain value without pointers.
type Message struct {
	Account unit.AccountID
	Value   uint64
	Ever    unit.Nanos
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

// Terms are what a catalog says of an account, beside the snapshot: what a won
// impression of it is expected to cost.
type Terms struct {
	Snapshot *campaign.Snapshot
	// Units, by account, in nanos.
	Units []unit.Nanos
	// LinesOf are the line items that pay from an account.
	LinesOf func(account campaign.AccountIndex) []campaign.LineIndex
}

// Board is one shard's part. Owned by the shard.
type Board struct {
	_      shards.Pad
	id     unit.ShardID
	shards int
	out    Sender
	spent  Spender

	terms    Terms
	throttle *pacing.Throttle
	accounts []account // by the catalog's index
	byID     map[unit.AccountID]int32
	plans    map[unit.AccountID]*plan // of the accounts whose home is here
	homes    []*plan                  // by index, nil: elsewhere
	forecast pacing.Forecast

	cursor   int
	at       unit.WallTime // of the last whole round
	own      uint64        // requests of this shard since the last round
	heard    uint64        // of the other shards since the last round
	requests uint64        // of the node, ever
	msg      Message
	_        shards.Pad
}

// account is what a shard knows of every account.
type account struct {
	share    float64
	reported unit.Nanos
	day      unit.Day
}

// plan is an account's course, kept by its home.
type plan struct {
	pacer    pacing.Pacer
	day      unit.Day
	laid     bool
	unsent   bool         // a mailbox refused the participation in force
	requests uint64       // Board.requests at the last step
	spent    []unit.Nanos // of day, by shard
	ever     []unit.Nanos // of all days, by shard
}

// New makes the board of shard id, of n. It has nothing to pace until Load.
func New(id unit.ShardID, n int, out Sender, spent Spender) *Board {
	return &Board{id: id, shards: n, out: out, spent: spent, plans: map[unit.AccountID]*plan{}}
}

// Load takes a catalog: the broker has its accounts already. Participations and
// plans go on for accounts that stay. Cold.
func (b *Board) Load(t Terms) {
	before, known := b.byID, b.accounts
	n := len(t.Snapshot.Accounts)
	b.terms, b.cursor = t, 0
	b.throttle = pacing.NewThrottle(len(t.Snapshot.Lines))
	b.accounts = shards.AlignedSlice[account](n)
	b.byID = make(map[unit.AccountID]int32, n)
	b.homes = make([]*plan, n)
	for i := range t.Snapshot.Accounts {
		a := &t.Snapshot.Accounts[i]
		b.byID[a.ID] = int32(i)
		b.accounts[i] = account{share: b.startShare(i)}
		if old, ok := before[a.ID]; ok {
			b.accounts[i] = known[old]
		}
		if budget.Home(a.Campaign, b.shards) == b.id {
			p := b.plans[a.ID]
			if p == nil {
				p = &plan{spent: make([]unit.Nanos, b.shards), ever: make([]unit.Nanos, b.shards)}
				b.plans[a.ID] = p
			}
			p.laid = false // budget, dates or pacing may be other ones
			b.homes[i] = p
		}
	}
	for i := range b.accounts {
		b.apply(i)
	}
}

// Throttle is what selection asks. It changes with Load.
func (b *Board) Throttle() *pacing.Throttle { return b.throttle }

// Request counts a bid request of this shard.
func (b *Board) Request() { b.own++ }

// Share is the participation of an account, by catalog index.
func (b *Board) Share(i campaign.AccountIndex) float64 { return b.accounts[i].share }

// startShare is the participation of an account of which nothing is known.
func (b *Board) startShare(i int) float64 {
	a := &b.terms.Snapshot.Accounts[i]
	if a.Pacing == pacing.ASAP || a.Daily == 0 && (a.Total == 0 || a.End == campaign.Never) {
		return 1
	}
	daily := a.Daily
	if daily == 0 {
		days := max(float64(a.End-max(a.Start, b.at))/float64(24*time.Hour), 1)
		daily = unit.Nanos(float64(a.Total) / days)
	}
	return pacing.StartShare(daily, b.terms.Units[i], 0)
}

// Tick visits a slice of the accounts. Call it Every so often.
func (b *Board) Tick(wall unit.WallTime) {
	if b.throttle == nil {
		return
	}
	n := len(b.accounts)
	until := min(b.cursor+(n+slices-1)/slices, n)
	for i := b.cursor; i < until; i++ {
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
	} else {
		a := &b.terms.Snapshot.Accounts[i]
		b.msg = Message{Account: a.ID, From: b.id, Op: opCommitted, Value: uint64(s.InDay), Ever: s.Ever, Day: s.Day}
		if !b.out.SendPace(budget.Home(a.Campaign, b.shards), &b.msg) {
			return // the next round says it
		}
	}
	x.day, x.reported = s.Day, s.InDay
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
		p.pacer.Step(wall, sum(p.spent), b.requests-p.requests)
	}
	p.requests = b.requests
	b.share(i, p, p.pacer.Share())
}

// lay makes the plan of the day.
func (b *Board) lay(i int, p *plan, wall unit.WallTime) {
	a := &b.terms.Snapshot.Accounts[i]
	p.laid = true
	start := p.day.Start(a.Zone)
	end := (p.day + 1).Start(a.Zone)
	course := pacing.Plan{
		Mode: a.Pacing, Budget: b.dayBudget(i, p, start, end),
		Start: max(start, min(a.Start, wall)), End: min(end, a.End), Unit: b.terms.Units[i],
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
func (b *Board) share(i int, p *plan, share float64) {
	x := &b.accounts[i]
	d := max(share-x.share, x.share-share)
	if !p.unsent && d <= tolerance*x.share && (share < 1 || x.share == 1) {
		return
	}
	x.share = share
	b.apply(i)
	b.msg = Message{Account: b.terms.Snapshot.Accounts[i].ID, From: b.id, Op: opShare, Value: uint64(share * (1 << 32))}
	p.unsent = !b.toOthers()
}

// apply sets the account's line items: a line that pays from two accounts takes
// part as the slower allows.
func (b *Board) apply(i int) {
	for _, l := range b.terms.LinesOf(campaign.AccountIndex(i)) {
		share := 1.0
		for _, a := range b.terms.Snapshot.Lines[l].Accounts() {
			if a >= 0 {
				share = min(share, b.accounts[a].share)
			}
		}
		b.throttle.Set(int(l), share)
	}
}

// Handle takes a message of another board.
func (b *Board) Handle(m *Message) {
	if m.Op == opRequests {
		b.heard += m.Value
		return
	}
	i, ok := b.byID[m.Account]
	if !ok {
		return // of a catalog that is gone, or not here yet: it comes again
	}
	switch m.Op {
	case opCommitted:
		if p := b.homes[i]; p != nil {
			p.committed(m.From, budget.Spent{Day: m.Day, InDay: unit.Nanos(m.Value), Ever: m.Ever})
		}
	case opShare:
		b.accounts[i].share = float64(m.Value) / (1 << 32)
		b.apply(int(i))
	}
}
