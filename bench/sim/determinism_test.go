package sim

import (
	"slices"
	"testing"
	"time"

	"millrace/codec/unit"
)

const scriptRequests = 1500

func TestSameSeedSameBytes(t *testing.T) {
	for _, shards := range []int{1, 2, 7} {
		run := func() ([]string, uint64) {
			w := world(t, Config{Seed: 5, Shards: shards, Catalog: demo(t)})
			return script(t, w, 11, scriptRequests), w.Schedule()
		}
		a, scheduleA := run()
		b, scheduleB := run()
		if !slices.Equal(a, b) || scheduleA != scheduleB {
			t.Errorf("%d shards: two runs of one seed differ (schedules %x and %x)", shards, scheduleA, scheduleB)
		}
	}
}

// TestShardCountDoesNotDecide: which shard owns a user or a campaign must not
// change what is decided, while every account has money on every shard and no
// pacing holds one back. Only the identity of wins (and so of tokens) names the
// shard.
func TestShardCountDoesNotDecide(t *testing.T) {
	var want []string
	for _, shards := range []int{1, 2, 7} {
		w := world(t, Config{Seed: uint64(shards), Shards: shards, Catalog: unpaced(t)})
		got := canonical(script(t, w, 11, scriptRequests))
		if want == nil {
			want = got
			continue
		}
		if len(got) != len(want) {
			t.Fatalf("%d shards: %d answers, one shard gave %d", shards, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%d shards, answer %d:\n got %s\nwant %s", shards, i, got[i], want[i])
			}
		}
	}
}

// TestEveryBudgetHolds runs small budgets dry on several shards and recounts.
func TestEveryBudgetHolds(t *testing.T) {
	for _, shards := range []int{1, 3} {
		snap := compile(t, tightCatalog)
		w := world(t, Config{Seed: 3, Shards: shards, Catalog: snap})
		for round := range uint64(5) {
			script(t, w, round, 1000)
			w.Advance(6 * time.Minute) // what was not shown lapses, and can be spent again
		}
		posted, err := Recount(w.History, snap)
		if err != nil {
			t.Fatal(err)
		}
		for i := range snap.Accounts {
			a := &snap.Accounts[i]
			limit := max(a.Daily, a.Total)
			// A click may cost more than its line's last reservation, so the last
			// cents may be left; not more than one event's price.
			if rest := limit - posted[a.ID]; rest > unit.NanosPerUnit/50 {
				t.Errorf("%d shards: account %s: %v of %v was not spent", shards, a.Name, rest, limit)
			}
		}
	}
}

const tightCatalog = `
advertisers:
  - id: a
    name: A
    domain: a.example.com
    campaigns:
      - id: small
        currency: USD
        time_zone: UTC
        budget: {daily: 0.9, pacing: asap}
        line_items:
          - id: small-banner
            pricing: cpm
            price: 3.50
            creatives: [{id: small-300, size: 300x250, html: "<b>small</b>", landing: "https://a.example.com/"}]
          - id: small-click
            pricing: cpc
            price: 0.02
            creatives: [{id: small-click-300, size: 300x250, html: "<b>click</b>", landing: "https://a.example.com/c", ctr: 0.1}]
      - id: two-level
        currency: USD
        time_zone: America/New_York
        budget: {total: 2.5, pacing: asap}
        line_items:
          - id: own-budget
            pricing: cpm
            price: 2.25
            budget: {total: 0.7, pacing: asap}
            creatives: [{id: own-728, size: 728x90, html: "<b>own</b>", landing: "https://a.example.com/o"}]
          - id: shared
            pricing: cpm
            price: 2.20
            creatives: [{id: shared-320, size: 320x50, html: "<b>shared</b>", landing: "https://a.example.com/s"}]
  - id: h
    name: House
    domain: h.example.com
    campaigns:
      - id: house
        currency: USD
        time_zone: UTC
        line_items:
          - id: house-line
            kind: house
            creatives: [{id: house-300, size: 300x250, html: "<b>house</b>", landing: "https://h.example.com/"}]
`
