package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/serve"
	"millrace/models/bundle"
	"millrace/models/bundle/bundletest"
	"millrace/models/calibration"
	"millrace/models/coldstart"
	"millrace/models/feature"
	"millrace/models/gbdt"
	"millrace/models/rollout"
)

// modelRequests is how many a script plays with models.
func modelRequests() int {
	if testing.Short() {
		return scriptRequests / 10
	}
	return scriptRequests / 2
}

func usual(version uint64) *bundle.Bundle {
	o := bundletest.Usual()
	o.Trees, o.Leaves, o.Version, o.Seed = 30, 16, version, 2
	o.Spread += float64(version) / 20
	return bundletest.Synthetic(o)
}

// TestModelSameSeedSameBytes: with a model, a challenger and exploration in
// force too, a run is replayed byte for byte.
func TestModelSameSeedSameBytes(t *testing.T) {
	for _, shards := range []int{1, 3} {
		run := func() ([]string, uint64) {
			w := world(t, Config{
				Seed: 5, Shards: shards, Catalog: demo(t), Explore: coldstart.Default(),
				Models: [2]*bundle.Bundle{usual(1), usual(2)}, Rollout: rollout.Assignment{Epoch: 1, Stable: 1, Challenger: 2, Permille: 500},
			})
			got := script(t, w, 11, modelRequests())
			if err := w.Refresh(); err != nil {
				t.Fatal(err)
			}
			return append(got, script(t, w, 12, modelRequests())...), w.Schedule()
		}
		a, scheduleA := run()
		b, scheduleB := run()
		if !slices.Equal(a, b) || scheduleA != scheduleB {
			t.Errorf("%d shards: two runs of one seed differ (schedules %x and %x)", shards, scheduleA, scheduleB)
		}
	}
}

// TestModelShardCountDoesNotDecide: as without a model, while nothing is drawn.
func TestModelShardCountDoesNotDecide(t *testing.T) {
	var want []string
	for _, shards := range []int{1, 2, 7} {
		w := world(t, Config{Seed: uint64(shards), Shards: shards, Catalog: unpaced(t), Models: [2]*bundle.Bundle{usual(1)}})
		got := canonical(script(t, w, 11, modelRequests()))
		if want == nil {
			want = got
			if plain := canonical(script(t, world(t, Config{Seed: 1, Shards: 1, Catalog: unpaced(t)}), 11, modelRequests())); slices.Equal(plain, got) {
				t.Fatal("the model changes nothing: the test shows nothing")
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d shards decide otherwise than one", shards)
		}
	}
}

// TestModelCanary: a user meets one version, a share of users the challenger,
// and the recorders count both.
func TestModelCanary(t *testing.T) {
	yaml, _, _ := truthCatalog(0)
	w := world(t, Config{
		Seed: 5, Shards: 2, Catalog: compile(t, yaml), Models: [2]*bundle.Bundle{usual(1), usual(2)},
		Rollout: rollout.Assignment{Epoch: 9, Stable: 1, Challenger: 2, Permille: 500},
	})
	r := rand.New(rand.NewPCG(1, 2))
	versions := map[string]uint64{} // by user
	arms := map[uint64]int{}
	for i := range 600 {
		user := fmt.Sprintf("u%d", i%60)
		body := fmt.Sprintf(`{"id":"r%d","imp":[{"id":"1","banner":{"w":300,"h":250}}],"site":{"cat":["IAB%d"]},"user":{"id":%q}}`, i, 1+r.IntN(8), user)
		for _, b := range bidsOf(t, w.Bid([]byte(body))) {
			for _, text := range tokens(b.Adm, event.Impression) {
				var tok event.Token
				if _, status := w.signer.Parse([]byte(text), w.Wall(), event.Impression, &tok, nil); status != event.OK {
					t.Fatal(status)
				}
				w.Event(event.Impression, []byte(text))
				p := tok.Policy
				if p.Epoch != 9 || p.Other == 0 || p.Click == 0 || p.Propensity != event.NewProbability(1) || p.Model != uint64(p.Arm)+1 {
					t.Fatalf("%+v", p)
				}
				if v, ok := versions[user]; ok && v != p.Model {
					t.Fatalf("user %s met version %d and then %d", user, v, p.Model)
				}
				versions[user] = p.Model
				arms[p.Model]++
			}
		}
	}
	w.Advance(time.Hour)
	var totals rollout.Totals
	totals.Epoch = 9
	for _, c := range w.cores {
		s := c.ModelStatus()
		totals.Add(&s.Totals)
	}
	t.Logf("wins by version %v; matured %d and %d impressions", arms, totals.Arms[0].Impressions, totals.Arms[1].Impressions)
	if arms[1] < 20 || arms[2] < 20 {
		t.Errorf("wins by version: %v", arms)
	}
	if got := int(totals.Arms[0].Impressions + totals.Arms[1].Impressions); got != arms[1]+arms[2] {
		t.Errorf("%d impressions matured, %d were predicted", got, arms[1]+arms[2])
	}
}

// TestAllocModelSwap: in the shard's turn a swap costs pointers; what is large was
// made beforehand.
func TestAllocModelSwap(t *testing.T) {
	w := world(t, Config{Seed: 5, Shards: 1, Catalog: demo(t), Models: [2]*bundle.Bundle{usual(1)}})
	var swaps [2][]*serve.ModelSwap
	for i := range swaps {
		w.cfg.Models[rollout.Stable] = usual(uint64(i + 1))
		var err error
		if swaps[i], err = w.prepare(w.cfg.Catalog); err != nil {
			t.Fatal(err)
		}
	}
	turn := 0
	if n := testing.AllocsPerRun(100, func() {
		w.cores[0].SetModels(swaps[turn%2][0])
		turn++
	}); n != 0 {
		t.Errorf("%v allocations in a swap", n)
	}
}

// slowClock is the time of a machine on which every batch takes long.
type slowClock struct {
	w    **World
	slow *bool
}

func (c slowClock) Mono() unit.MonoTime {
	now := (*c.w).sim.Clock().Mono()
	if *c.slow {
		now = now.Add(20 * time.Millisecond)
	}
	return now
}

func (c slowClock) Wall() unit.WallTime { return (*c.w).Wall() }

// TestModelLadder: decisions that take too long predict less and less, and more
// again when they no longer do; every request is answered all the while.
func TestModelLadder(t *testing.T) {
	var w *World
	slow := false
	w = world(t, Config{Seed: 5, Shards: 1, Catalog: demo(t), Models: [2]*bundle.Bundle{usual(1)}, Clock: slowClock{&w, &slow}})
	r := rand.New(rand.NewPCG(1, 2))
	met := map[string]bool{}
	run := func(until string) {
		for i := range 20_000 {
			rung := w.cores[0].ModelStatus().Rung.String()
			met[rung] = true
			if rung == until && i > 100 {
				return
			}
			if a := w.Bid([]byte(randomRequest(r, i))); a.Status != 200 && a.Status != 204 {
				t.Fatalf("status %d on rung %s", a.Status, rung)
			}
		}
		t.Fatalf("never came to %s; met %v", until, met)
	}
	run("full")
	slow = true
	run("prior")
	slow = false
	run("full")
	if len(met) != 4 {
		t.Errorf("rungs met: %v", met)
	}
}

// truth is a world whose click rate depends on what only a pair shows, whether
// the ad is about what the page is about, and on the position.
const (
	truthBase     = -4.5
	truthMatch    = 2.2
	truthPosition = 0.8
)

func truthRate(match bool, position int) float64 {
	x := truthBase
	if match {
		x += truthMatch
	}
	if position == 1 {
		x += truthPosition
	}
	return 1 / (1 + math.Exp(-x))
}

// truthBundle is a forest that has learnt that world: what a trainer finds in
// enough of its log.
func truthBundle(t *testing.T) *bundle.Bundle {
	t.Helper()
	schema := feature.Default()
	column := func(name string) int32 { return int32(slices.Index(schema.Names(), name)) }
	stump := func(name string, left, right float64, node gbdt.Node, categories []uint32) gbdt.Tree {
		node.Feature, node.Left, node.Right, node.Missing, node.DefaultLeft = column(name), ^0, ^1, gbdt.MissingNaN, true
		return gbdt.Tree{Nodes: []gbdt.Node{node}, Leaves: []float64{left, right}, Categories: categories, NodeCover: []float64{100}, LeafCover: []float64{60, 40}}
	}
	model := func(cal *calibration.Model, base float64, trees ...gbdt.Tree) bundle.Model {
		f := &gbdt.Forest{Trainer: "test", Objective: gbdt.Binary, Sigmoid: 1, Base: base, Columns: len(schema.Columns), FeatureNames: schema.Names(), Trees: trees}
		compiled, err := gbdt.Compile(f, schema.Split())
		if err != nil {
			t.Fatal(err)
		}
		return bundle.Model{Forest: f, Compiled: compiled, Calibration: cal, SegmentColumn: -1}
	}
	const same = `{"kind": "platt", "global": {"a": 1, "b": 0}}`
	set, err := calibration.Parse("same.json", []byte(`{"ctr": `+same+`, "cvr": `+same+`, "context": `+same+`}`))
	if err != nil {
		t.Fatal(err)
	}
	match := stump("cross.category_match", 0, truthMatch, gbdt.Node{Threshold: 0.5}, nil)
	position := stump("context.position", truthPosition, 0, gbdt.Node{Categorical: true, EndWord: 1}, []uint32{1 << 1})
	position.Nodes[0].DefaultLeft = false
	b := &bundle.Bundle{Manifest: &bundle.Manifest{Name: "truth", Version: 7}, Schema: schema}
	b.CTR = model(&set.CTR, truthBase, match, position)
	b.CVR = model(&set.CVR, -3, position)
	b.Context = model(&set.Context, truthBase+0.3, position)
	return b
}

const truthTopics = 8

// truthCatalog has ads on every topic at several prices a click, and some that
// pay by the impression.
func truthCatalog(cpm int) (yaml string, price map[string]float64, topic map[string]int) {
	var lines []line
	price, topic = map[string]float64{}, map[string]int{}
	for k := range truthTopics {
		for n := range 3 {
			id := fmt.Sprintf("t%d-%d", k, n)
			price[id+"-cr"], topic[id+"-cr"] = 0.20+0.05*float64(n)+0.01*float64(k), k
			lines = append(lines, line{id, fmt.Sprintf("pricing: cpc, price: %.2f", price[id+"-cr"]),
				fmt.Sprintf(`size: 300x250, cat: [IAB%d], html: '<a href="${MILLRACE_CLICK}">x</a>', landing: "https://adv.example.com/", ctr: 0.02`, k+1)})
		}
	}
	for n := range cpm {
		lines = append(lines, line{fmt.Sprintf("cpm%d", n), fmt.Sprintf("price: %d", 1+n), ""})
	}
	return strings.Replace(catalog(lines...), "daily: 100", "daily: 1000000", 1), price, topic
}

// TestModelEarnsMoreThanColdStart plays one stream of requests to two nodes, one
// with a model and one that counts and smooths, draws clicks from the truth, and
// measures both by the truth: what a thousand requests are really worth, and how
// often what was shown is really clicked.
func TestModelEarnsMoreThanColdStart(t *testing.T) {
	yaml, price, topic := truthCatalog(3)
	play := func(m *bundle.Bundle) (revenue, ctr float64) {
		w := world(t, Config{Seed: 3, Shards: 2, Catalog: compile(t, yaml), Models: [2]*bundle.Bundle{m}})
		r := rand.New(rand.NewPCG(8, 8))
		shown := 0.0
		const requests = 4000
		for i := range requests {
			page, position := r.IntN(truthTopics), 1+2*r.IntN(2)
			body := fmt.Sprintf(`{"id":"r%d","imp":[{"id":"1","banner":{"w":300,"h":250,"pos":%d}}],"site":{"domain":"s%d.example","cat":["IAB%d"]},"user":{"id":"u%d"}}`,
				i, position, page, page+1, r.IntN(300))
			lot := r.Float64()
			bids := bidsOf(t, w.Bid([]byte(body)))
			if len(bids) != 1 {
				t.Fatalf("%d bids", len(bids))
			}
			b := bids[0]
			w.Event(event.Impression, token(t, b.Adm, event.Impression))
			p, paysClick := price[b.CRID]
			if !paysClick {
				revenue += b.Price / 1000
				continue
			}
			rate := truthRate(topic[b.CRID] == page, position)
			shown++
			ctr += rate
			revenue += p * rate
			if lot < rate {
				w.Event(event.Click, token(t, b.Adm, event.Click))
			}
		}
		return revenue / requests * 1000, ctr / max(shown, 1)
	}
	coldRevenue, coldCTR := play(nil)
	revenue, ctr := play(truthBundle(t))
	t.Logf("revenue a thousand requests: %.2f counting, %.2f with the model (× %.2f); true click rate of what was shown: %.4f and %.4f",
		coldRevenue, revenue, revenue/coldRevenue, coldCTR, ctr)
	if revenue < 1.2*coldRevenue || ctr < 1.5*coldCTR {
		t.Errorf("the model's ranking does not pay: %.2f after %.2f, clicks %.4f after %.4f", revenue, coldRevenue, ctr, coldCTR)
	}
}

// TestModelExplains: the explanation says what the model predicts, how that is
// calibrated, and which features say so, for the winner and for the others.
func TestModelExplains(t *testing.T) {
	yaml, _, _ := truthCatalog(3)
	w := world(t, Config{Catalog: compile(t, yaml), Models: [2]*bundle.Bundle{truthBundle(t)}})
	a := w.Explain([]byte(`{"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250,"pos":1}}],"site":{"domain":"s.example","cat":["IAB3"]},"user":{"id":"u"}}`))
	var got struct {
		Ext struct {
			Millrace struct {
				Model uint64 `json:"model_version"`
				Rung  string `json:"predicted_by"`
				Imps  []struct {
					Candidates []struct {
						Creative string
						Result   string
						CTR      float64 `json:"predicted_ctr"`
						Quality  float64
						Policy   *struct{ Propensity float64 }
						Why      *struct {
							Version uint64  `json:"model_version"`
							Raw     float64 `json:"raw_score"`
							Base    float64 `json:"base_score"`
							Top     []struct {
								Column string
								Score  float64
							} `json:"top_contributions"`
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(a.Body, &got); err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
	m := got.Ext.Millrace
	if m.Model != 7 || m.Rung != "full" {
		t.Fatalf("%s", a.Body)
	}
	for _, c := range m.Imps[0].Candidates {
		if c.Result != "won" {
			continue
		}
		if !strings.HasPrefix(c.Creative, "t2-2") || math.Abs(c.CTR-truthRate(true, 1)) > 1e-6 || c.Quality != 7 || c.Policy == nil || c.Policy.Propensity != 1 {
			t.Fatalf("%+v", c)
		}
		sum := c.Why.Base
		for _, f := range c.Why.Top {
			sum += f.Score
		}
		if math.Abs(sum-c.Why.Raw) > 1e-9 || c.Why.Top[0].Column != "cross.category_match" || c.Why.Version != 7 {
			t.Errorf("%+v", c.Why)
		}
		return
	}
	t.Fatalf("nobody won: %s", a.Body)
}
