package catalogtest

import (
	"millrace/codec/unit"
	"millrace/state/campaign"
)

// Compete makes a compiled catalog one in which worth decides: all but house
// ads stand in one tier, without deals of higher rank, and two of three pay by
// click or conversion, at prices near to what the others pay an impression. The
// snapshot must not be in use yet.
func Compete(s *campaign.Snapshot) *campaign.Snapshot {
	for i := range s.Lines {
		l := &s.Lines[i]
		if l.Kind == campaign.House {
			continue
		}
		l.Kind, l.Tier, l.Pricing = campaign.Direct, campaign.TierDirect, campaign.Pricing(i%3)
		spread := unit.Nanos(i*7919%1000 + 500) // 0.5 to 1.5
		switch l.Pricing {
		case campaign.CPM:
			l.Price = 2_000 * spread // 1 to 3 a thousand
		case campaign.CPC:
			l.Price = 200_000 * spread
		case campaign.CPA:
			l.Price = 5_000_000 * spread
		}
	}
	return s
}
