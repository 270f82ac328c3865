package pace

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/state/campaign"
)

const catalogText = `
advertisers:
  - id: shop
    domain: shop.example.com
    campaigns:
      - id: even
        time_zone: Europe/Berlin
        budget: {daily: 100}
        line_items: [{id: even, price: 2, creatives: [{id: c1, size: 300x250, image: "https://cdn.example.com/1.png", landing: "https://shop.example.com/"}]}]
      - id: flight
        start: 2026-03-01
        end: 2026-03-10
        budget: {total: 500}
        line_items: [{id: flight, price: 2, creatives: [{id: c2, size: 300x250, image: "https://cdn.example.com/1.png", landing: "https://shop.example.com/"}]}]
      - id: asap
        budget: {daily: 100, pacing: asap}
        line_items: [{id: asap, price: 2, creatives: [{id: c3, size: 300x250, image: "https://cdn.example.com/1.png", landing: "https://shop.example.com/"}]}]
      - id: open
        line_items:
          - {id: open, price: 2, creatives: [{id: c4, size: 300x250, image: "https://cdn.example.com/1.png", landing: "https://shop.example.com/"}]}
          - {id: bounded, price: 2, budget: {daily: 10, pacing: front_loaded}, creatives: [{id: c5, size: 300x250, image: "https://cdn.example.com/1.png", landing: "https://shop.example.com/"}]}
`

// node is the boards of a node, with brokers that only add up and mailboxes
// that deliver at once, or refuse.
type node struct {
	t      *testing.T
	snap   *campaign.Snapshot
	boards []*Board
	spent  [][]budget.Spent // by shard and account
	others []budget.Spent   // by account: what the store said of other nodes
	rng    *rand.Rand
	refuse float64
	wall   unit.WallTime
}

type port struct {
	n  *node
	id unit.ShardID
}

func (p port) SendPace(to unit.ShardID, m *Message) bool {
	if p.n.rng.Float64() < p.n.refuse {
		return false
	}
	p.n.boards[to].Handle(m)
	return true
}

func (p port) Spent(i int32) budget.Spent {
	s, o := p.n.spent[p.id][i], &p.n.others[i]
	if budget.Home(p.n.snap.Accounts[i].Campaign, len(p.n.boards)) == p.id {
		s.Ever += o.Ever
		if o.Day == s.Day {
			s.InDay += o.InDay
		}
	}
	return s
}

func newNode(t *testing.T, shards int) *node {
	t.Helper()
	file, faults := campaign.Parse("test.yaml", []byte(catalogText))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	snap, faults := campaign.Compile(file, campaign.Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	n := &node{
		t: t, snap: snap, rng: rand.New(rand.NewPCG(1, uint64(shards))),
		wall: unit.WallTime(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixNano()),
	}
	n.others = make([]budget.Spent, len(snap.Accounts))
	for id := range shards {
		n.spent = append(n.spent, make([]budget.Spent, len(snap.Accounts)))
		p := port{n, unit.ShardID(id)}
		n.boards = append(n.boards, New(p.id, shards, p, p))
	}
	n.load()
	return n
}

func (n *node) load() {
	lines := make([][]campaign.LineIndex, len(n.snap.Accounts))
	for i := range n.snap.Lines {
		for _, a := range n.snap.Lines[i].Accounts() {
			if a >= 0 {
				lines[a] = append(lines[a], campaign.LineIndex(i))
			}
		}
	}
	t := NewTerms(n.snap,
		func(c campaign.CreativeIndex) unit.Nanos { return n.snap.Lines[n.snap.Creatives[c].Line].Price },
		func(a campaign.AccountIndex) []campaign.LineIndex { return lines[a] })
	for _, b := range n.boards {
		b.Load(Prepare(t))
	}
}

// run passes time; each shard has its requests, and every line whose throttle
// lets it sells one impression in ten.
func (n *node) run(d time.Duration, perShard int) {
	for end := n.wall.Add(d); n.wall < end; n.wall = n.wall.Add(Every) {
		for id, b := range n.boards {
			n.roll(id)
			for range perShard {
				b.Request()
				n.auction(id, b)
			}
			b.Tick(n.wall)
		}
	}
}

func (n *node) roll(shard int) {
	for i := range n.snap.Accounts {
		if day := n.wall.DayIn(n.snap.Accounts[i].Zone); day != n.spent[shard][i].Day {
			n.spent[shard][i].Day, n.spent[shard][i].InDay = day, 0
		}
	}
}

func (n *node) auction(shard int, b *Board) {
	draw := n.rng.Uint64()
	mask := b.Throttle().Mask(draw)
	for i := range n.snap.Lines {
		if mask[i/64]>>(i%64)&1 == 0 || !b.Throttle().Passes(i, draw) || n.rng.IntN(10) > 0 {
			continue
		}
		l := &n.snap.Lines[i]
		for _, a := range l.Accounts() {
			if a >= 0 {
				n.spent[shard][a].InDay += l.Price
				n.spent[shard][a].Ever += l.Price
				b.Won(a, l.Price)
			}
		}
	}
}

func (n *node) account(name string) campaign.AccountIndex {
	for i := range n.snap.Accounts {
		if n.snap.Accounts[i].Name == name {
			return campaign.AccountIndex(i)
		}
	}
	n.t.Fatalf("no account %s", name)
	return 0
}

func (n *node) total(name string) (day, ever float64) {
	i := n.account(name)
	for shard := range n.spent {
		day += n.spent[shard][i].InDay.Float()
		ever += n.spent[shard][i].Ever.Float()
	}
	return day, ever
}

func TestBoardsKeepToThePlanTogether(t *testing.T) {
	for _, shards := range []int{1, 3} {
		for _, refuse := range []float64{0, 0.2} {
			t.Run(fmt.Sprintf("%d shards, %.0f %% of the messages refused", shards, 100*refuse), func(t *testing.T) {
				n := newNode(t, shards)
				n.refuse = refuse
				n.run(12*time.Hour, 42/shards)
				// Midnight was UTC's: 50 of 100 by noon, and for Berlin, where it is 13:00
				// and the node came an hour late, half of the budget from one to one.
				slack := 1 + 4*refuse
				if day, _ := n.total("campaign/flight"); day < 25/1.05/slack || day > 500.0/9/2*1.05*slack {
					t.Errorf("the flight spent %.2f by noon of its second of ten days", day)
				}
				if day, _ := n.total("line/bounded"); day < 10.0*2/3/1.06/slack || day > 10.0*2/3*1.06*slack {
					t.Errorf("front-loaded spent %.2f of 10 by noon", day)
				}
				if asap := n.boards[0].Share(n.account("campaign/asap")); asap != 1 {
					t.Errorf("asap takes part in %.3f", asap)
				}
				n.refuse = 0
				n.run(30*time.Second, 42/shards)
				for i := range n.snap.Accounts {
					for id, b := range n.boards {
						if a, c := n.boards[0].Share(campaign.AccountIndex(i)), b.Share(campaign.AccountIndex(i)); a > c*(1+2*tolerance) || c > a*(1+2*tolerance) {
							t.Errorf("%s: shard 0 takes part in %.4f, shard %d in %.4f", n.snap.Accounts[i].Name, a, id, c)
						}
					}
				}
			})
		}
	}
}

// TestNodesKeepToThePlanTogether: three nodes with traffic of two, two and three
// parts, which hear of each other with each lease they are granted, and count what
// the others hold as spent.
func TestNodesKeepToThePlanTogether(t *testing.T) {
	nodes := []*node{newNode(t, 1), newNode(t, 2), newNode(t, 2)}
	granted := make([][]budget.Spent, len(nodes))
	for k, n := range nodes {
		n.rng = rand.New(rand.NewPCG(7, uint64(k)))
		granted[k] = make([]budget.Spent, len(n.snap.Accounts))
	}
	for range 12 * time.Hour / Every {
		for k, n := range nodes {
			n.run(Every, []int{14, 7, 11}[k])
			lease(nodes, granted, k)
		}
	}
	var flight, bounded float64
	for _, n := range nodes {
		day, _ := n.total("campaign/flight")
		flight += day
		day, _ = n.total("line/bounded")
		bounded += day
	}
	if flight < 25/1.06 || flight > 500.0/9/2*1.06 {
		t.Errorf("the flight spent %.2f by noon of its second of ten days", flight)
	}
	if bounded < 10.0*2/3/1.06 || bounded > 10.0*2/3*1.06 {
		t.Errorf("front-loaded spent %.2f of 10 by noon", bounded)
	}
}

// lease grants node k a chunk of every account whose last one it has used up, and
// tells it what the others were granted.
func lease(nodes []*node, granted [][]budget.Spent, k int) {
	const chunk = unit.Nanos(20_000_000) // some seconds of the plan
	n := nodes[k]
	for i := range n.snap.Accounts {
		var day, ever unit.Nanos
		for shard := range n.spent {
			day, ever = day+n.spent[shard][i].InDay, ever+n.spent[shard][i].Ever
		}
		g := &granted[k][i]
		if today := n.spent[0][i].Day; g.Day != today {
			*g = budget.Spent{Day: today, Ever: ever}
		}
		if day <= g.InDay {
			continue
		}
		g.InDay, g.Ever = day+chunk, ever+chunk
		o := &n.others[i]
		*o = budget.Spent{Day: g.Day}
		for j := range nodes {
			if j == k {
				continue
			}
			o.Ever += granted[j][i].Ever
			if granted[j][i].Day == o.Day {
				o.InDay += granted[j][i].InDay
			}
		}
	}
}

func TestBoardFlightSpreadsOverItsDays(t *testing.T) {
	n := newNode(t, 2)
	for day := 2; day <= 10; day++ {
		n.run(24*time.Hour, 20)
		_, ever := n.total("campaign/flight")
		// The first of March was missed: the other nine days share 500.
		if want := 500.0 / 9 * float64(day-1); ever < 0.97*want || ever > 1.03*want {
			t.Errorf("after %d March %.2f are spent, %.2f were due", day, ever, want)
		}
	}
}

func TestBoardGoesOnWithANewCatalog(t *testing.T) {
	n := newNode(t, 2)
	n.run(time.Hour, 140)
	i := n.account("campaign/even")
	before := n.boards[1].Share(i)
	n.load()
	if after := n.boards[1].Share(i); after != before || before == 1 {
		t.Fatalf("participation was %.4f, after the reload %.4f", before, after)
	}
	mask, draw := 0, uint64(0)
	for ; draw < 64; draw++ {
		mask += int(n.boards[1].Throttle().Mask(draw)[0] & 1)
	}
	if mask == 0 || mask == 64 {
		t.Fatalf("the throttle of the new catalog is in %d of 64 masks", mask)
	}
}

func TestBoardAlloc(t *testing.T) {
	n := newNode(t, 2)
	n.run(time.Minute, 10)
	if a := testing.AllocsPerRun(200, func() { n.run(Every, 3) }); a != 0 {
		t.Fatalf("%v allocations a tick", a)
	}
}
