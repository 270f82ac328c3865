package serve

import (
	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/engine/budget"
	"millrace/engine/demand"
	"millrace/engine/selection"
	"millrace/models/coldstart"
	"millrace/models/ladder"
	"millrace/models/rollout"
	"millrace/netio/dsp"
	"millrace/shards"
)

// Metrics are the counters of all cores of a node.
type Metrics struct {
	requestsBid        shards.Counter
	requestsNoBid      shards.Counter
	impressionsOffered shards.Counter
	impressionsWon     shards.Counter
	candidates         shards.Counter
	lost               [selection.ReasonCount]shards.Counter
	refused            [budget.ReasonCount]shards.Counter
	events             [event.Kinds][budget.OutcomeCount]shards.Counter
	eventsDeferred     shards.Counter
	ratesLost          shards.Counter
	capsLost           shards.Counter
	rungs              [ladder.Rungs]shards.Counter
	rungChanges        [ladder.Rungs]shards.Counter
	arms               [2]shards.Counter
	tiers              [coldstart.Tiers]shards.Counter
	scored             shards.Counter
	predictionsFailed  shards.Counter

	asks, asksFull, asksNobody, asksUnsendable    shards.Counter
	callsSent                                     [dsp.Refusals]shards.Counter
	callsEnded                                    [demand.Outcomes]shards.Counter
	answers                                       [openrtb.Malformed + 1]shards.Counter
	answersMisnamed                               shards.Counter
	bids                                          [openrtb.RejectReasons]shards.Counter
	offersBelow, offersNoCurrency, offersWon      shards.Counter
	collected, collectedEarly                     shards.Counter
	notices                                       [3]shards.Counter
	noticesDropped, noticesRepeated, noticesWrong shards.Counter
}

// NewMetrics defines the counters. Calling it again for one registry gives the
// same counters.
func NewMetrics(r *shards.Registry) *Metrics {
	counter := func(name, help string, labels ...shards.Label) shards.Counter {
		return r.Counter(shards.Desc{Name: "millrace_" + name, Help: help, Labels: labels})
	}
	m := &Metrics{
		requestsBid:        counter("bid_requests", "Bid requests decided, by whether any impression got a bid.", shards.Label{Name: "result", Value: "bid"}),
		requestsNoBid:      counter("bid_requests", "Bid requests decided, by whether any impression got a bid.", shards.Label{Name: "result", Value: "no_bid"}),
		impressionsOffered: counter("impressions_offered", "Impressions in the bid requests."),
		impressionsWon:     counter("impressions_bid", "Impressions for which a bid was made."),
		candidates:         counter("candidates", "Line items that targeting let compete, over all impressions."),
		eventsDeferred:     counter("events_deferred", "Tracking events that waited for money before they were decided."),
		ratesLost:          counter("rates_lost", "Deltas of click counts that another shard's full mailbox refused."),
		capsLost:           counter("caps_lost", "Impressions that could not be remembered for a frequency cap."),
	}
	m.scored = counter("ads_scored", "Creatives that a model scored.")
	m.predictionsFailed = counter("predictions_failed", "Decisions in which a score was no rate.")
	m.defineDemand(counter)
	for i := range m.rungs {
		rung := shards.Label{Name: "rung", Value: ladder.Rung(i).String()}
		m.rungs[i] = counter("model_decisions", "Decisions with a model in force, by how they predicted.", rung)
		m.rungChanges[i] = counter("model_rung_changes", "Changes of how a shard predicts, by what it changed to.", rung)
	}
	for i := range m.arms {
		m.arms[i] = counter("model_arm_decisions", "Decisions with a model in force, by the arm of the rollout.",
			shards.Label{Name: "arm", Value: rollout.Arm(i).String()})
	}
	for i := range m.tiers {
		m.tiers[i] = counter("tier_decisions", "Impressions at which click rates were scaled by what is known without a model, by what spoke.",
			shards.Label{Name: "tier", Value: coldstart.Tier(i).String()})
	}
	for i := range m.lost {
		reason := selection.Reason(i)
		m.lost[i] = counter("candidates_lost", "Candidates that did not win, by reason.", shards.Label{Name: "reason", Value: reason.String()})
	}
	for i := range m.refused {
		m.refused[i] = counter("reservations_refused", "Reservations that the budget broker refused, by reason.", shards.Label{Name: "reason", Value: budget.Reason(i).String()})
	}
	for k := event.Impression; k.Valid(); k++ {
		for o := range m.events[0] {
			if budget.Outcome(o) == budget.Deferred {
				continue // not an end: the event is counted when it is decided
			}
			m.events[k.Index()][o] = counter("events", "Tracking events with a valid token, by kind and what became of them.",
				shards.Label{Name: "kind", Value: k.String()}, shards.Label{Name: "outcome", Value: budget.Outcome(o).String()})
		}
	}
	return m
}
