package sim

import (
	"fmt"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/campaign"
	"millrace/state/ledger"
)

// Recount judges a history of records by itself: nothing posted twice (I3), no
// account above its limits (I2), no posting without a name. It returns what was
// posted by account.
func Recount(history []ledger.Record, s *campaign.Snapshot) (map[unit.AccountID]unit.Nanos, error) {
	type once struct {
		win  event.WinID
		kind event.Kind
	}
	seen := map[once]bool{}
	total := map[unit.AccountID]unit.Nanos{}
	daily := map[accountDay]unit.Nanos{}
	for i := range history {
		r := &history[i]
		if r.Kind != ledger.Posted && r.Kind != ledger.Recorded {
			continue
		}
		key := once{r.Win, r.Event}
		if seen[key] {
			return nil, fmt.Errorf("record %d: %v of win %+v stands twice", i, r.Event, r.Win)
		}
		seen[key] = true
		if r.Kind == ledger.Recorded {
			continue
		}
		if r.Parts == 0 || r.Amount <= 0 {
			return nil, fmt.Errorf("record %d: a posting of %v from %d accounts", i, r.Amount, r.Parts)
		}
		for _, p := range r.From[:r.Parts] {
			total[p.Account] += r.Amount
			daily[accountDay{p.Account, p.Day}] += r.Amount
		}
	}
	for i := range s.Accounts {
		a := &s.Accounts[i]
		if a.Total > 0 && total[a.ID] > a.Total {
			return nil, fmt.Errorf("account %s: posted %v of %v", a.Name, total[a.ID], a.Total)
		}
	}
	for key, posted := range daily {
		if a, ok := s.Account(key.account); ok && s.Accounts[a].Daily > 0 && posted > s.Accounts[a].Daily {
			return nil, fmt.Errorf("account %s: posted %v of %v on day %d", s.Accounts[a].Name, posted, s.Accounts[a].Daily, key.day)
		}
	}
	return total, nil
}
