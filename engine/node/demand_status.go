package node

import (
	"time"

	"millrace/codec/unit"
	"millrace/engine/demand"
	"millrace/engine/demand/breaker"
	"millrace/engine/demand/sketch"
	"millrace/netio/admin"
)

// DemandStatus is GET /demand.
type DemandStatus struct {
	// File in force; Version counts its reloads. LastRefusal is why the file as
	// it is now does not serve.
	File        string `json:"file"`
	Version     uint64 `json:"version"`
	LastRefusal string `json:"last_refusal,omitempty"`
	Shards      int    `json:"shards"`
	// Stage is how many shards ask whom: all, top, few, internal.
	Stage    map[string]int `json:"stage"`
	Requests uint64         `json:"requests"`
	// Waiting is how many auctions wait for answers just now.
	Waiting int `json:"waiting"`
	// Open is how many partners have a circuit that is not closed on some shard.
	Open     int             `json:"open_circuits"`
	Partners []PartnerStatus `json:"partners"` // in the order of the file
}

// PartnerStatus is how a partner stands. Rates and latencies are of late,
// decaying; counters count since the start.
type PartnerStatus struct {
	Name   string `json:"name"`
	Tier   int    `json:"tier"`
	Paused bool   `json:"paused,omitempty"`
	Near   bool   `json:"near"`
	// Circuit is the worst of the shards': closed, half-open, open. OpenOn is on
	// how many it is not closed, RetrySeconds when calls begin again.
	Circuit      string  `json:"circuit"`
	Cause        string  `json:"cause,omitempty"` // of its last opening
	OpenOn       int     `json:"open_on"`
	Opened       uint64  `json:"opened"`
	RetrySeconds float64 `json:"retry_seconds,omitempty"`

	Health HealthStatus `json:"health"`
	// Latencies in milliseconds; -1 where that many calls are never answered.
	P50     float64 `json:"p50_ms"`
	P95     float64 `json:"p95_ms"`
	P99     float64 `json:"p99_ms"`
	Timeout float64 `json:"timeout_ms"`
	BidRate float64 `json:"bid_rate"`
	WinRate float64 `json:"win_rate"`
	// CallValue is what a call is expected to bring, as a CPM.
	CallValue float64 `json:"call_value"`

	Asked    uint64            `json:"asked"`
	Outcomes map[string]uint64 `json:"outcomes"`
	Bids     uint64            `json:"answers_with_bid"`
	Offers   uint64            `json:"bids_accepted"`
	Lies     uint64            `json:"bids_against_rules"`
	Wins     uint64            `json:"wins"`
	Late     uint64            `json:"late"`
	Value    admin.Amount      `json:"value"` // of the wins
	Skipped  map[string]uint64 `json:"skipped"`
}

// HealthStatus is a partner's score with its parts, 0 to 1.
type HealthStatus struct {
	Score   float64 `json:"score"`
	Latency float64 `json:"latency"`
	BidRate float64 `json:"bid_rate"`
	WinRate float64 `json:"win_rate"`
	Value   float64 `json:"value"`
}

// demandStatus is what was gathered from the shards' desks at a time, for
// operators.
func demandStatus(s *demand.Status, now unit.MonoTime) DemandStatus {
	v := DemandStatus{Version: s.Version, Shards: s.Shards, Stage: map[string]int{}, Requests: s.Counts.Requests, Partners: []PartnerStatus{}}
	for r, n := range s.Rungs {
		if n > 0 {
			v.Stage[breaker.Rung(r).String()] = n
		}
	}
	for i := range s.Partners {
		p := partnerStatus(&s.Partners[i], now)
		if p.OpenOn > 0 {
			v.Open++
		}
		v.Partners = append(v.Partners, p)
	}
	return v
}

func partnerStatus(s *demand.PartnerStatus, now unit.MonoTime) PartnerStatus {
	n := &s.Counts
	p := PartnerStatus{
		Name: s.Name, Tier: int(s.Tier), Paused: s.Paused, Near: s.Near,
		Circuit: s.Circuit.String(), OpenOn: s.Open, Opened: s.Opened,
		Health: HealthStatus{float64(s.Health.Score), float64(s.Health.Latency), float64(s.Health.BidRate), float64(s.Health.Win), float64(s.Health.Income)},
		P50:    quantileMillis(s.P50), P95: quantileMillis(s.P95), P99: quantileMillis(s.P99), Timeout: millis(s.Timeout),
		BidRate: float64(s.BidRate), WinRate: float64(s.WinRate), CallValue: float64(s.CallValue) / float64(unit.MicrosPerUnit),
		Asked: n.Asked, Outcomes: map[string]uint64{}, Bids: n.Bids, Offers: n.Offers, Lies: n.Lies, Wins: n.Wins, Late: n.Late,
		Value: admin.Amount(n.Value.PerImpression()), Skipped: map[string]uint64{},
	}
	if s.Cause != breaker.None {
		p.Cause = s.Cause.String()
	}
	if s.Circuit == breaker.Open && s.Until > now {
		p.RetrySeconds = s.Until.Sub(now).Seconds()
	}
	for o, count := range n.Outcomes {
		if count > 0 {
			p.Outcomes[demand.Outcome(o).String()] = count
		}
	}
	for k, count := range n.Skipped {
		if count > 0 {
			p.Skipped[demand.Skip(k).String()] = count
		}
	}
	return p
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// quantileMillis is a quantile of latencies; -1 where that many never answered.
func quantileMillis(d time.Duration) float64 {
	if d >= sketch.Longest {
		return -1
	}
	return millis(d)
}
