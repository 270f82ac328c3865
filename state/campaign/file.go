package campaign

import (
	"time"

	"millrace/codec/strict"
	"millrace/codec/unit"
)

// File is a catalog as written: YAML or JSON, one tree.
type File struct {
	Advertisers []AdvertiserSpec `yaml:"advertisers"`

	source *strict.Source
	// faults of the text; Compile lists no second fault for the same field.
	faults strict.Faults
	hash   uint64
}

// Hash is of the file's bytes.
func (f *File) Hash() uint64 { return f.hash }

// lines counts the line items.
func (f *File) lines() (n int) {
	for a := range f.Advertisers {
		for c := range f.Advertisers[a].Campaigns {
			n += len(f.Advertisers[a].Campaigns[c].LineItems)
		}
	}
	return n
}

// AdvertiserSpec is an advertiser as written.
type AdvertiserSpec struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"`
	// Domain is the default of its creatives' adomain.
	Domain string `yaml:"domain"`
	// Categories (IAB) are the default of its creatives' cat.
	Categories []string       `yaml:"cat"`
	Campaigns  []CampaignSpec `yaml:"campaigns"`
}

// CampaignSpec is a campaign as written.
type CampaignSpec struct {
	ID       string        `yaml:"id"`
	Name     string        `yaml:"name"`
	Status   string        `yaml:"status"` // active (default) or paused
	Currency unit.Currency `yaml:"currency"`
	// TimeZone (IANA) is of its dates, dayparts and budget days; UTC by default.
	TimeZone string `yaml:"time_zone"`
	// Start and End: "2026-03-01" is the whole day, the last one included;
	// "2026-03-01T18:00" is that minute; both on the clocks of TimeZone.
	Start     string     `yaml:"start"`
	End       string     `yaml:"end"`
	Dayparts  []string   `yaml:"dayparts"`
	Budget    BudgetSpec `yaml:"budget"`
	LineItems []LineSpec `yaml:"line_items"`
}

// BudgetSpec bounds spend, in whole units of the campaign's currency. What is
// not given is not bounded.
type BudgetSpec struct {
	Daily *unit.Nanos `yaml:"daily"`
	Total *unit.Nanos `yaml:"total"`
	// Pacing is even (default), front_loaded or asap.
	Pacing string `yaml:"pacing"`
}

// LineSpec is a line item as written.
type LineSpec struct {
	ID     string `yaml:"id"`
	Name   string `yaml:"name"`
	Status string `yaml:"status"`
	Kind   string `yaml:"kind"` // direct by default
	// Tier 0…15: see TierGuaranteed and its neighbours.
	Tier    *uint8 `yaml:"tier"`
	Pricing string `yaml:"pricing"` // cpm by default
	// Price in whole units: of a thousand impressions, of a click, of a
	// conversion.
	Price    *unit.Nanos `yaml:"price"`
	Start    string      `yaml:"start"`
	End      string      `yaml:"end"`
	Dayparts []string    `yaml:"dayparts"`
	// Budget of its own, besides the campaign's.
	Budget       *BudgetSpec       `yaml:"budget"`
	Deals        []string          `yaml:"deals"`
	FrequencyCap *FrequencyCapSpec `yaml:"frequency_cap"`
	Targeting    TargetingSpec     `yaml:"targeting"`
	Creatives    []CreativeSpec    `yaml:"creatives"`
}

// FrequencyCapSpec is at most so many impressions to a user in a time.
type FrequencyCapSpec struct {
	Impressions uint16        `yaml:"impressions"`
	Per         time.Duration `yaml:"per"`
}

// TargetingSpec says where a line item serves.
type TargetingSpec struct {
	Include DimensionsSpec `yaml:"include"`
	Exclude DimensionsSpec `yaml:"exclude"`
}

// DimensionsSpec is the values of each dimension, as written.
type DimensionsSpec struct {
	Country    []string `yaml:"country"`     // ISO 3166-1 alpha-3 or alpha-2
	Region     []string `yaml:"region"`      // ISO 3166-2 with its country: US-CA
	City       []string `yaml:"city"`        // name, in any case
	DeviceType []string `yaml:"device_type"` // name or OpenRTB number
	OS         []string `yaml:"os"`          // name or AdCOM number
	Size       []string `yaml:"size"`        // 300x250
	Format     []string `yaml:"format"`      // banner, video, audio, native
	Site       []string `yaml:"site"`        // domain (with its subdomains) or site.id
	App        []string `yaml:"app"`         // app.id
	Bundle     []string `yaml:"bundle"`      // app.bundle
	Category   []string `yaml:"category"`    // IAB1 (with its children) or IAB1-2
	Language   []string `yaml:"language"`    // ISO 639-1
	Hour       []string `yaml:"hour"`        // like dayparts
	Segment    []string `yaml:"segment"`     // segment id, or provider/segment
}
