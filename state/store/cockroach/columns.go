package cockroach

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/store"
)

// Side is one of the accounts that a budget account has on each of its days.
type Side int16

// Sides. The numbers are in the database: never reuse one.
const (
	// Funding is where money comes from: what it lacks was granted.
	Funding Side = iota + 1
	// Leased is held by a life of a node.
	Leased
	// Spent is billed.
	Spent
	// Released was returned unspent.
	Released
	// Refunded was billed and taken back.
	Refunded
	// WrittenOff was held by a life whose journal is lost; it counts as spent.
	WrittenOff
)

var sideNames = [...]string{"", "funding", "leased", "spent", "released", "refunded", "written-off"}

// String is the side's name in statements and exports.
func (s Side) String() string {
	if s > 0 && int(s) < len(sideNames) {
		return sideNames[s]
	}
	return "unknown"
}

// Kinds of postings that no record makes. Those of records have the record's.
const (
	kindWrittenOff = 100 // leased → written off, by an operator
	kindRecovered  = 101 // written off → leased, when the journal turned up
)

// transfer is what a kind of record moves.
func transfer(k ledger.Kind) (credit, debit Side) {
	switch k {
	case ledger.Granted:
		return Funding, Leased
	case ledger.Returned:
		return Leased, Released
	case ledger.Posted:
		return Leased, Spent
	case ledger.Refunded:
		return Spent, Refunded
	}
	return 0, 0
}

// columns are postings, column by column, as unnest takes them.
type columns struct {
	shards, dated, days                                    []int32
	epochs, seqs, accounts, campaigns, leaseEpochs, amount []int64
	lines, creatives, stamps                               []int64
	kinds, events, parts, credits, debits, reasons         []int16
	currencies, notes                                      []string
}

func newColumns(n int) *columns {
	i64, i32, i16, text := make([]int64, 9*n), make([]int32, 3*n), make([]int16, 6*n), make([]string, 2*n)
	next64 := func() (s []int64) { s, i64 = i64[:0:n], i64[n:]; return s }
	next32 := func() (s []int32) { s, i32 = i32[:0:n], i32[n:]; return s }
	next16 := func() (s []int16) { s, i16 = i16[:0:n], i16[n:]; return s }
	return &columns{
		shards: next32(), dated: next32(), days: next32(),
		epochs: next64(), seqs: next64(), accounts: next64(), campaigns: next64(), leaseEpochs: next64(), amount: next64(),
		lines: next64(), creatives: next64(), stamps: next64(),
		kinds: next16(), events: next16(), parts: next16(), credits: next16(), debits: next16(), reasons: next16(),
		currencies: text[:0:n], notes: text[n:n],
	}
}

func (c *columns) len() int { return len(c.seqs) }

// posting is one row.
type posting struct {
	shard             unit.ShardID
	epoch             unit.Epoch
	seq               uint64
	kind, event, part int16
	dated, day        unit.Day
	account           unit.AccountID
	campaign          unit.CampaignID
	leaseEpoch        unit.Epoch
	credit, debit     Side
	amount            unit.Nanos
	currency          string
	line              unit.LineID
	creative          unit.CreativeID
	reason            int16
	note              string
	stamp             ledger.Stamp
}

func (c *columns) add(p *posting) {
	c.shards, c.dated, c.days = append(c.shards, int32(p.shard)), append(c.dated, int32(p.dated)), append(c.days, int32(p.day))
	c.epochs, c.seqs = append(c.epochs, int64(p.epoch)), append(c.seqs, int64(p.seq))
	c.accounts, c.campaigns = append(c.accounts, int64(p.account)), append(c.campaigns, int64(p.campaign))
	c.leaseEpochs, c.amount = append(c.leaseEpochs, int64(p.leaseEpoch)), append(c.amount, int64(p.amount))
	c.lines, c.creatives, c.stamps = append(c.lines, int64(p.line)), append(c.creatives, int64(p.creative)), append(c.stamps, int64(p.stamp))
	c.kinds, c.events, c.parts = append(c.kinds, p.kind), append(c.events, p.event), append(c.parts, p.part)
	c.credits, c.debits, c.reasons = append(c.credits, int16(p.credit)), append(c.debits, int16(p.debit)), append(c.reasons, p.reason)
	c.currencies, c.notes = append(c.currencies, p.currency), append(c.notes, p.note)
}

// grant adds what Ledger.Grant gave.
func (c *columns) grant(r *store.GrantRequest, amount unit.Nanos, stamp ledger.Stamp) {
	c.add(&posting{
		shard: r.ID.Shard, epoch: r.ID.Epoch, seq: r.ID.Seq, kind: int16(ledger.Granted), dated: r.Day, day: r.Day, account: r.Account, campaign: r.Campaign,
		leaseEpoch: r.ID.Epoch, credit: Funding, debit: Leased, amount: amount, currency: r.Currency.String(), stamp: stamp,
	})
}

// record adds the postings of a record that moves money.
func (c *columns) record(r *ledger.Record) {
	p := posting{
		shard: r.Shard, epoch: r.Epoch, seq: r.Seq, kind: int16(r.Kind), dated: r.Day, day: r.Day, account: r.Account, campaign: r.Campaign,
		leaseEpoch: r.Epoch, amount: r.Amount, currency: r.Currency.String(), stamp: r.Stamp,
	}
	p.credit, p.debit = transfer(r.Kind)
	switch r.Kind {
	case ledger.Granted:
		c.add(&p)
	case ledger.Returned:
		p.leaseEpoch = r.LeaseEpoch
		c.add(&p)
	case ledger.Posted, ledger.Refunded:
		p.shard, p.epoch, p.seq, p.event = r.Win.Shard, r.Win.Epoch, r.Win.Seq, int16(r.Event)
		p.dated, p.line, p.creative, p.reason = unit.Day(r.Issued.Unix()/86400), r.Line, r.Creative, int16(r.Reason)
		if r.Kind == ledger.Refunded {
			p.note = text(r.Name)
		}
		for i := range r.From[:min(int(r.Parts), len(r.From))] {
			from := &r.From[i]
			p.part, p.account, p.day, p.leaseEpoch = int16(i), from.Account, from.Day, from.Epoch
			c.add(&p)
		}
	}
}

// text is b as the database takes it: valid UTF-8 without a zero byte.
func text(b []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(b), "\uFFFD"), "\x00", "")
}

func (c *columns) arguments(node unit.NodeID) []any {
	return []any{
		int32(node), c.shards, c.epochs, c.seqs, c.kinds, c.events, c.parts, c.dated, c.accounts, c.campaigns, c.days, c.leaseEpochs,
		c.credits, c.debits, c.amount, c.currencies, c.lines, c.creatives, c.reasons, c.notes, c.stamps,
	}
}

// added is what insert_postings took as new, summed by kind, lease, account and day.
type added struct {
	kind       int16
	leaseEpoch int64
	account    int64
	campaign   int64
	currency   string
	day        int32
	count      int64
	amount     int64
}

func readAdded(rows pgx.Rows, take func(*added)) error {
	var a added
	_, err := pgx.ForEachRow(rows, []any{&a.kind, &a.leaseEpoch, &a.account, &a.campaign, &a.currency, &a.day, &a.count, &a.amount}, func() error {
		take(&a)
		return nil
	})
	return err
}
