package node

import (
	"millrace/shards"
	"millrace/state/store/cockroach"
	"millrace/state/store/joint"
	"millrace/state/store/valkey"
)

// SharedStatus is what GET /store shows.
type SharedStatus struct {
	Kind string `json:"kind"` // embedded or shared

	Begun    bool   `json:"begun,omitempty"`   // the ledger knows this life
	Fenced   bool   `json:"fenced,omitempty"`  // it must not spend any more
	Trouble  bool   `json:"trouble,omitempty"` // ledger or counter did not answer the last call
	Breaker  string `json:"breaker,omitempty"`
	LagBytes uint64 `json:"lag_bytes,omitempty"` // of the journal, not yet in the ledger
	LastPost string `json:"last_post,omitempty"` // why the last batch was not taken

	Joint   *joint.Status    `json:"joint,omitempty"`
	Counter *valkey.Status   `json:"counter,omitempty"`
	Ledger  *cockroach.Stats `json:"ledger,omitempty"`
}

// Store tells how the budgets are kept.
func (n *Node) Store() SharedStatus {
	if n.shared == nil {
		return SharedStatus{Kind: "embedded"}
	}
	j, c, l := n.shared.store.Status(), n.shared.counter.Status(), n.shared.ledger.Stats()
	st := SharedStatus{
		Kind: "shared", Begun: j.Begun, Fenced: j.Fenced, Trouble: j.Trouble, Breaker: c.Breaker.String(), LagBytes: n.ledgerLag(),
		Joint: &j, Counter: &c, Ledger: &l,
	}
	if j.Drain.Last != nil {
		st.LastPost, j.Drain.Last = j.Drain.Last.Error(), nil
	}
	return st
}

// ledgerLag is how much of the journal the ledger has not got.
func (n *Node) ledgerLag() uint64 {
	end, at := n.journal.End(), n.shared.store.Status().Drain.Position
	return end - min(at, end)
}

func (n *Node) measureShared() {
	s := n.shared
	counter := func(name, help string, v func() uint64) {
		n.registry.CounterFunc(shards.Desc{Name: "millrace_" + name, Help: help}, func() float64 { return float64(v()) })
	}
	gauge := func(name, help string, v func() float64) {
		n.registry.GaugeFunc(shards.Desc{Name: "millrace_" + name, Help: help}, v)
	}
	yes := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	counter("valkey_round_trips", "Pipelines sent to Valkey.", func() uint64 { return s.counter.Status().RoundTrips })
	counter("valkey_commands", "Scripts in the pipelines sent to Valkey.", func() uint64 { return s.counter.Status().Commands })
	counter("valkey_reloads", "Pipelines sent again with the scripts' text, since the server had forgotten them.", func() uint64 { return s.counter.Status().Reloads })
	counter("valkey_errors", "Calls sent to Valkey that failed.", func() uint64 { return s.counter.Status().Errors })
	counter("valkey_unknown", "Calls sent to Valkey whose outcome is not known.", func() uint64 { return s.counter.Status().Unknown })
	counter("valkey_refused", "Calls not sent to Valkey: breaker open, queue full, too late.", func() uint64 { return s.counter.Status().Refused })
	gauge("valkey_breaker", "Breaker of the calls to Valkey: 0 closed, 1 half open, 2 open.", func() float64 { return float64(s.counter.Status().Breaker) })
	gauge("valkey_waiting", "Calls to Valkey that wait.", func() float64 { return float64(s.counter.Status().Waiting) })

	counter("ledger_transactions", "Transactions begun at the ledger.", func() uint64 { return s.ledger.Stats().Transactions })
	counter("ledger_retries", "Transactions at the ledger that had to be repeated for others in the way.", func() uint64 { return s.ledger.Stats().Retries })
	counter("ledger_errors", "Errors of the ledger or of the way to it.", func() uint64 { return s.ledger.Stats().Errors })
	counter("ledger_unknown", "Commits at the ledger without an answer.", func() uint64 { return s.ledger.Stats().Unknown })
	counter("ledger_postings", "Postings added to the ledger.", func() uint64 { return s.ledger.Stats().Postings })
	counter("ledger_repeats", "Postings that the ledger had already.", func() uint64 { return s.ledger.Stats().Repeats })
	counter("ledger_breaches", "Records that contradict the ledger's books: each is to be looked at.", func() uint64 { return s.ledger.Stats().Breaches })

	counter("shared_grants", "Leases granted by ledger and counter.", func() uint64 { return s.store.Status().Granted })
	counter("shared_refused", "Leases refused.", func() uint64 { return s.store.Status().Refused })
	counter("shared_corrected", "Grants of which the ledger gave less than the counter had.", func() uint64 { return s.store.Status().Corrected })
	counter("shared_renewals", "Times that the ledger was asked for more time.", func() uint64 { return s.store.Status().Renewals })
	gauge("shared_pending", "Requests that wait for counter or ledger.", func() float64 { return float64(s.store.Status().Pending) })
	gauge("shared_trouble", "1 while ledger or counter do not answer.", func() float64 { return yes(s.store.Status().Trouble) })
	gauge("shared_fenced", "1 when this life of the node must not spend any more.", func() float64 { return yes(s.store.Status().Fenced) })
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_ledger_lag", Help: "Journal not yet in the ledger.", Unit: shards.Bytes},
		func() float64 { return float64(n.ledgerLag()) })
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_shared_lost", Help: "Money in nanos that lives hold whose journal is not here: locked."},
		func() float64 { return float64(s.store.Status().Lost) })
}
