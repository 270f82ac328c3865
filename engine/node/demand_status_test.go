package node

import (
	"testing"
	"time"

	"millrace/codec/unit"
	"millrace/engine/demand"
	"millrace/engine/demand/breaker"
	"millrace/engine/demand/sketch"
)

// TestDemandStatus: what operators are shown is what the desks said.
func TestDemandStatus(t *testing.T) {
	s := demand.Status{Version: 4, Shards: 2, Counts: demand.Counts{Requests: 70}}
	s.Rungs[breaker.All] = 2
	p := demand.PartnerStatus{
		Name: "p", Tier: 2, Near: true, Circuit: breaker.Open, Cause: breaker.Slow, Until: unit.MonoTime(5 * time.Second), Open: 1, Opened: 3,
		P50: 4 * time.Millisecond, P95: 90 * time.Millisecond, P99: sketch.Longest, BidRate: 0.25, WinRate: 0.5, CallValue: 1_500_000, Timeout: 110 * time.Millisecond,
	}
	p.Counts.Asked, p.Counts.Wins, p.Counts.Value = 60, 2, 5_000_000
	p.Counts.Outcomes[demand.Answered], p.Counts.Outcomes[demand.Timeout] = 50, 10
	p.Counts.Skipped[demand.Unhealthy] = 9
	s.Partners = []demand.PartnerStatus{p, {Name: "q", Circuit: breaker.Closed}}
	v := demandStatus(&s, unit.MonoTime(2*time.Second))
	if v.Version != 4 || v.Shards != 2 || v.Requests != 70 || v.Stage["all"] != 2 || len(v.Stage) != 1 || v.Open != 1 || len(v.Partners) != 2 {
		t.Errorf("%+v", v)
	}
	got := v.Partners[0]
	if got.Circuit != "open" || got.Cause != "slow" || got.RetrySeconds != 3 || got.P50 != 4 || got.P95 != 90 || got.P99 != -1 || got.Timeout != 110 ||
		got.BidRate != 0.25 || got.CallValue != 1.5 || got.Outcomes["timeout"] != 10 || len(got.Outcomes) != 2 || got.Skipped["unhealthy"] != 9 || unit.Nanos(got.Value).String() != "0.005" {
		t.Errorf("%+v", got)
	}
	if q := v.Partners[1]; q.Circuit != "closed" || q.Cause != "" || q.RetrySeconds != 0 || q.OpenOn != 0 {
		t.Errorf("%+v", q)
	}
}
