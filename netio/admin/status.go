package admin

import (
	"fmt"

	"millrace/codec/unit"
)

// Amount is money as the admin API shows it: a JSON string holding the exact
// plain decimal ("12.5"), so that no reader's float rounds it.
type Amount unit.Nanos

// MarshalText is the plain decimal.
func (a Amount) MarshalText() ([]byte, error) { return unit.Nanos(a).Append(nil), nil }

// UnmarshalText reads a plain decimal with at most nine decimals.
func (a *Amount) UnmarshalText(b []byte) error {
	v, err := unit.ParseNanos(string(b))
	if err != nil {
		return fmt.Errorf("admin: amount %q: %w", b, err)
	}
	*a = Amount(v)
	return nil
}

// Budget is one budget account: what it may spend and where the money is now.
// A limit of 0 is "no limit".
type Budget struct {
	Daily      Amount `json:"daily"`
	Total      Amount `json:"total"`
	SpentToday Amount `json:"spent_today"`
	SpentTotal Amount `json:"spent_total"`
	// Reserved is held for answers whose billable event has not come yet.
	Reserved Amount `json:"reserved"`
	// Leased is what this node holds of the account for today, spent or not.
	Leased Amount `json:"leased"`
	// Pacing is how the day's money is spread; Planned what should have been
	// spent of it by now, 0 where nothing is spread; Participation the share of
	// auctions that this lets it take part in.
	Pacing        string  `json:"pacing"`
	Planned       Amount  `json:"planned_today"`
	Participation float64 `json:"participation"`
}

// CampaignStatus is a campaign as GET /campaigns shows it. Counters count
// since this process started; Budget survives restarts.
type CampaignStatus struct {
	ID         string       `json:"id"` // 16 hex digits
	Name       string       `json:"name"`
	Advertiser string       `json:"advertiser,omitempty"`
	Currency   string       `json:"currency"`
	Zone       string       `json:"zone,omitempty"`
	Budget     Budget       `json:"budget"`
	Lines      []LineStatus `json:"lines"`
}

// LineStatus is one line item of a campaign.
type LineStatus struct {
	ID      string `json:"id"` // 16 hex digits
	Name    string `json:"name"`
	Kind    string `json:"kind"`    // direct, guaranteed, programmatic_guaranteed, house
	Pricing string `json:"pricing"` // cpm, cpc, cpa
	Tier    int    `json:"tier"`
	Price   Amount `json:"price"` // per billable event; CPM: per thousand
	// Active is false outside the line's dates, dayparts or budget.
	Active      bool    `json:"active"`
	Wins        uint64  `json:"wins"`
	Impressions uint64  `json:"impressions"`
	Clicks      uint64  `json:"clicks"`
	Conversions uint64  `json:"conversions"`
	Spent       Amount  `json:"spent"`
	Budget      *Budget `json:"budget,omitempty"` // the line's own, if it has one
}

// ShardStatus is one shard as GET /shards shows it.
type ShardStatus struct {
	ID int `json:"id"`
	// Pinned says to which CPU, or why not.
	Pinned     string `json:"pinned"`
	QueueDepth int    `json:"queue_depth"`
	QueueSlots int    `json:"queue_slots"`
	Messages   uint64 `json:"messages"`
	Stalls     uint64 `json:"stalls"`
}
