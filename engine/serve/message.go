package serve

import (
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/budget"
	"millrace/engine/demand"
	"millrace/engine/pace"
	"millrace/engine/selection"
)

// Kind is what a message asks of a shard.
type Kind uint8

// Kinds of messages.
const (
	BidRequest Kind = iota
	Event
	Budget
	Rates
	Seen
	Wake
	Pace
	Groups
	Socket
	Demand
	Notice

	kindCount
)

// KindNames names the kinds in metrics.
var KindNames = []string{"bid", "event", "budget", "rates", "seen", "wake", "pace", "groups", "socket", "demand", "notice"}

// Message is what a shard's mailbox carries. Which fields count depends on
// the kind.
type Message struct {
	Type    Kind
	Context *Context         // BidRequest, Event, Notice
	Budget  budget.Message   // Budget
	Counts  selection.Counts // Rates, Groups
	ID      unit.CreativeID  // Rates, Seen
	User    unit.UserID      // Seen
	Line    unit.LineID      // Seen
	Event   event.Kind       // Seen
	Pace    pace.Message     // Pace
	Group   event.Group      // Groups
	Demand  demand.Message   // Demand
}

// Kind is the message's kind, for the shard's metrics.
func (m *Message) Kind() uint8 { return uint8(m.Type) }

// Timers of a shard: the broker's kinds come first.
const (
	timerRates = budget.TimerKinds + iota
	timerSweep
	timerFunds
	timerPace
	timerTiers
	timerCutoff
	timerBidders
	timerDemand

	timerCount
)

// TimerNames names the timers in metrics.
var TimerNames = []string{"budget-tick", "budget-flush", "budget-work", "rates", "sweep", "funds", "pace", "tiers", "cutoff", "bidders", "demand"}

func init() {
	// Names are indexed by kind: a kind without a name would be counted under
	// another's.
	if len(KindNames) != int(kindCount) || len(TimerNames) != int(timerCount) {
		panic("serve: a message or timer kind has no name")
	}
}
