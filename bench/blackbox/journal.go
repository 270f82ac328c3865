package blackbox

import (
	"millrace/bench/recount"
	"millrace/codec/event"
	"millrace/codec/unit"
)

// Entry is one event as the journal on disk tells it.
type Entry struct {
	Win      event.WinID
	Kind     event.Kind
	Campaign unit.CampaignID
	Amount   unit.Nanos
	Reason   byte // why it was recorded unbilled; 0 for a posting
}

// Journal is a recount of what a server left under --data.
type Journal struct {
	Posted   []Entry
	Recorded []Entry
}

// ReadJournal recounts every segment under the folder. The server must be dead,
// or idle.
func ReadJournal(data string) (*Journal, error) {
	j := &Journal{}
	if err := recount.Folder(data, j.take); err != nil {
		return nil, err
	}
	return j, nil
}

func (j *Journal) take(r *recount.Entry) {
	e := Entry{Kind: r.Event, Reason: r.Reason, Campaign: r.Campaign, Amount: r.Amount, Win: r.Win}
	switch r.Kind {
	case recount.Posted:
		j.Posted = append(j.Posted, e)
	case recount.Recorded:
		j.Recorded = append(j.Recorded, e)
	}
}

// ByCampaign sums what was posted.
func (j *Journal) ByCampaign() map[unit.CampaignID]unit.Nanos {
	sums := map[unit.CampaignID]unit.Nanos{}
	for _, e := range j.Posted {
		sums[e.Campaign] += e.Amount
	}
	return sums
}
