package ledger

import (
	"millrace/codec/event"
	"millrace/codec/unit"
)

// Recovered is what a journal proves about the lives before this one. It is
// made once at start and shared, read only.
type Recovered struct {
	// Leases of dead epochs with money left, ordered by account, day, epoch.
	Leases []Lease
	// Accounts ordered by id.
	Accounts []Balance
	// Epochs known, in order.
	Epochs []EpochInfo
}

// Lease is what was granted to one life of a node for one account and day.
type Lease struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
	Day      unit.Day
	Epoch    unit.Epoch
	Granted  unit.Nanos
	Returned unit.Nanos
	Posted   unit.Nanos
}

// Outstanding is what the lease's holder may still spend or return.
func (l *Lease) Outstanding() unit.Nanos { return l.Granted - l.Returned - l.Posted }

// Balance is what was spent from one account.
type Balance struct {
	Account  unit.AccountID
	Campaign unit.CampaignID
}

// EpochInfo is one life of the node.
type EpochInfo struct {
	Epoch   unit.Epoch
	Shards  int
	Started unit.WallTime
	// Ended is the start of the next life: after it the epoch reserved nothing.
	Ended unit.WallTime
}

// Seen reports whether the event was posted or recorded.
func (r *Recovered) Seen(w event.WinID, k event.Kind) bool { panic("wip") }
