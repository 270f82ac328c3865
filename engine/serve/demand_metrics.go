package serve

import (
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/engine/demand"
	"millrace/netio/dsp"
	"millrace/shards"
)

// defineDemand defines the counters of the demand side.
func (m *Metrics) defineDemand(counter func(name, help string, labels ...shards.Label) shards.Counter) {
	const asked = "Bid requests at which bidders might have been asked, by what became of it."
	by := func(v string) shards.Label { return shards.Label{Name: "result", Value: v} }
	m.asks = counter("demand_requests", asked, by("asked"))
	m.asksNobody = counter("demand_requests", asked, by("nobody"))
	m.asksFull = counter("demand_requests", asked, by("full"))
	m.asksUnsendable = counter("demand_requests", asked, by("unsendable"))
	for i := range m.callsSent {
		m.callsSent[i] = counter("demand_calls", "Calls to bidders, by whether they could be sent.", by(dsp.Refused(i).String()))
	}
	for i := range m.callsEnded {
		m.callsEnded[i] = counter("demand_calls_ended", "Calls to bidders, by how they ended.", by(demand.Outcome(i).String()))
	}
	for i := range m.answers {
		m.answers[i] = counter("demand_answers", "Answers of bidders, by what they were.", by(openrtb.Answer(i).String()))
	}
	m.answersMisnamed = counter("demand_answers_misnamed", "Answers of bidders whose id is not their request's; their bids stand.")
	for i := range m.bids {
		m.bids[i] = counter("demand_bids", "Bids of bidders, by the first rule they break.", shards.Label{Name: "reason", Value: openrtb.RejectReason(i).String()})
	}
	m.offersBelow = counter("demand_offers_below", "Bids that stood, and whose worth to us is below a floor.")
	m.offersNoCurrency = counter("demand_offers_no_currency", "Bids that stood, and that no currency of the request could express.")
	m.offersWon = counter("demand_offers_won", "Impressions that a bidder's bid has won.")
	m.collected = counter("demand_collections", "Collections of bids, by how they ended.", by("complete"))
	m.collectedEarly = counter("demand_collections", "Collections of bids, by how they ended.", by("cut_off"))
	for n := event.Billed; n.Valid(); n++ {
		m.notices[n-1] = counter("demand_notices", "Notices to be given to bidders, by kind.", shards.Label{Name: "kind", Value: n.String()})
	}
	m.noticesDropped = counter("demand_notices_dropped", "Notices that were too long, or found their queue full.")
	m.noticesRepeated = counter("demand_notices_repeated", "Notices of exchanges that had come before.")
	m.noticesWrong = counter("demand_notices_wrong", "Notices of exchanges for wins of another life or node.")
}
