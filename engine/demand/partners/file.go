package partners

import (
	"time"

	"millrace/codec/strict"
	"millrace/codec/unit"
)

// File is a demand file as written. The zero File is not the default: see
// defaults.
type File struct {
	// Currency of the auction: floors, gains and adjusted prices are in it.
	Currency   unit.Currency    `yaml:"currency"`
	Rates      *RatesSpec       `yaml:"rates"`
	Deadlines  DeadlinesSpec    `yaml:"deadlines"`
	Budget     BudgetSpec       `yaml:"budget"`
	Health     HealthSpec       `yaml:"health"`
	Premium    PremiumSpec      `yaml:"premium"`
	Breaker    BreakerSpec      `yaml:"breaker"`
	Stage      StageSpec        `yaml:"stage"`
	Explore    ExploreSpec      `yaml:"explore"`
	Floors     []FloorSpec      `yaml:"floors"`
	Publishers []PublisherSpec  `yaml:"publishers"`
	Partners   []PartnerSpec    `yaml:"partners"`
	SChain     *SupplyChainSpec `yaml:"schain"`

	source *strict.Source
	faults strict.Faults
	hash   uint64
}

// RatesSpec is a dated table of currencies.
type RatesSpec struct {
	Base unit.Currency `yaml:"base"`
	// Date is the day the rates are of; MaxAge how long after the end of that
	// day they may be used.
	Date   string        `yaml:"date"`
	MaxAge time.Duration `yaml:"max_age"`
	// PerBase is what one unit of the base is in each currency.
	PerBase map[string]unit.Nanos `yaml:"per_base"`
}

// DeadlinesSpec says how long answers are waited for.
type DeadlinesSpec struct {
	// Hard is when the answer is out, after the request's first byte.
	Hard time.Duration `yaml:"hard"`
	// Answer is kept of the request's own tmax for deciding and answering.
	Answer time.Duration `yaml:"answer"`
	// Least: a partner that would have less is not asked.
	Least time.Duration `yaml:"least"`
	// TMax stands for the tmax of requests without one.
	TMax time.Duration `yaml:"tmax"`
	// Margin times a partner's p95 is how long it is given.
	Margin float64         `yaml:"margin"`
	Soft   []SoftCutSpec   `yaml:"soft"`
	Gain   *unit.CPMMicros `yaml:"gain_min"`
}

// SoftCutSpec is a time at which waiting ends if it can't pay.
type SoftCutSpec struct {
	At time.Duration `yaml:"at"`
	// Gain is the share of what is in hand that the missing bids have to be
	// expected to bring.
	Gain float64 `yaml:"gain"`
}

// BudgetSpec bounds the whole stage on a node.
type BudgetSpec struct {
	// Egress is bytes a second to all partners; 0 = no bound.
	Egress strict.Bytes `yaml:"egress"`
	// Fanout is at most how many partners one request goes to.
	Fanout int `yaml:"fanout"`
}

// HealthSpec says what a healthy partner is.
type HealthSpec struct {
	Healthy float64 `yaml:"healthy"`
	// Fast and Slow are how long an answer takes that scores fully, and not at all.
	Fast time.Duration `yaml:"fast"`
	Slow time.Duration `yaml:"slow"`
}

// PremiumSpec is the inventory that partners of tier 3 are asked for: whatever
// one of its lines names.
type PremiumSpec struct {
	InventorySpec `yaml:",inline"`
	Formats       []string        `yaml:"formats"`
	Deals         bool            `yaml:"deals"`
	Floor         *unit.CPMMicros `yaml:"floor"`
}

// InventorySpec names places: publisher.id, a site's or app's domain (with its
// subdomains), a bundle.
type InventorySpec struct {
	Publisher []string `yaml:"publisher"`
	Domain    []string `yaml:"domain"`
	Bundle    []string `yaml:"bundle"`
}

// BreakerSpec says when a partner's circuit opens and closes.
type BreakerSpec struct {
	// Errors and Invalid are shares of calls and of bids, P95 a latency: at or
	// above one of them the circuit opens.
	Errors  float64       `yaml:"errors"`
	Invalid float64       `yaml:"invalid"`
	P95     time.Duration `yaml:"p95"`
	// Window is how far back calls are looked at, Calls how many there must be.
	Window time.Duration `yaml:"window"`
	Calls  uint32        `yaml:"calls"`
	// Row is how many failures in a row do where there are fewer calls.
	Row uint32 `yaml:"row"`
	// OpenMin and OpenMax bound how long it stays open.
	OpenMin time.Duration `yaml:"open_min"`
	OpenMax time.Duration `yaml:"open_max"`
	// Probes is how many calls decide whether it closes.
	Probes uint32 `yaml:"probes"`
}

// StageSpec is the ladder of the whole stage: all, Top[0], Top[1], none.
type StageSpec struct {
	Down    time.Duration `yaml:"down"`
	DownFor time.Duration `yaml:"down_for"`
	Up      time.Duration `yaml:"up"`
	UpFor   time.Duration `yaml:"up_for"`
	Top     []int         `yaml:"top"`
}

// ExploreSpec bounds the calls that are made to learn.
type ExploreSpec struct {
	// Share of requests in which one partner is asked that the choice left out.
	Share float64 `yaml:"share"`
}

// FloorSpec is a floor and where it holds.
type FloorSpec struct {
	Floor    *unit.CPMMicros `yaml:"floor"`
	Currency unit.Currency   `yaml:"currency"`

	InventorySpec `yaml:",inline"`
	Segment       []string `yaml:"segment"`
	Format        []string `yaml:"format"`
	Country       []string `yaml:"country"`
	Device        []string `yaml:"device"`
	Hour          []string `yaml:"hour"` // UTC
}

// PublisherSpec is what a publisher does not want.
type PublisherSpec struct {
	ID string `yaml:"id"`
	// Block are partners that are not asked.
	Block    []string `yaml:"block_partners"`
	ListSpec `yaml:",inline"`
}

// ListSpec are block lists.
type ListSpec struct {
	BAdv  []string `yaml:"badv"`
	BCat  []string `yaml:"bcat"`
	BApp  []string `yaml:"bapp"`
	BSeat []string `yaml:"bseat"`
}

// PartnerSpec is a DSP.
type PartnerSpec struct {
	ID     string `yaml:"id"`
	Name   string `yaml:"name"`
	Status string `yaml:"status"` // active (default) or paused
	Tier   int    `yaml:"tier"`
	// Endpoints, one a region at most; a node takes that of its own region, or
	// the first.
	Endpoints []EndpointSpec `yaml:"endpoints"`

	Version  string        `yaml:"openrtb"`
	Currency unit.Currency `yaml:"currency"`
	Formats  []string      `yaml:"formats"`
	Sizes    []string      `yaml:"sizes"`
	Devices  []string      `yaml:"devices"`
	Country  AllowSpec     `yaml:"country"`
	// Inventory that it is not asked for.
	Except InventorySpec `yaml:"except"`

	QPS    float64      `yaml:"qps"`
	Egress strict.Bytes `yaml:"egress"`
	Seats  []string     `yaml:"seats"`
	// Deals that it may bid on; absent: as offered.
	Deals *[]string `yaml:"deals"`
	// Adjust times its price is what a bid is worth: 0.85 keeps 15 %.
	Adjust *unit.CPMMicros `yaml:"adjust"`
	// User is full (default), anonymous or none.
	User string `yaml:"user"`
	// Ext and ImpExt are members set in ext and in every imp.ext: JSON text.
	Ext     map[string]string `yaml:"ext"`
	ImpExt  map[string]string `yaml:"imp_ext"`
	Timeout TimeoutSpec       `yaml:"timeout"`
	// LossNotices: it wants lurl called. WinNotices: nurl.
	LossNotices bool  `yaml:"loss_notices"`
	WinNotices  *bool `yaml:"win_notices"`

	Block ListSpec `yaml:"block"`
}

// AllowSpec are values that are wanted, or not.
type AllowSpec struct {
	Include []string `yaml:"include"`
	Exclude []string `yaml:"exclude"`
}

// TimeoutSpec bounds a partner's time, whatever its p95 is.
type TimeoutSpec struct {
	Min time.Duration `yaml:"min"`
	Max time.Duration `yaml:"max"`
}

// EndpointSpec is where requests are sent.
type EndpointSpec struct {
	Region   string `yaml:"region"`
	URL      string `yaml:"url"`
	Protocol string `yaml:"protocol"` // auto (default), http1, http2
	Gzip     bool   `yaml:"gzip"`
	// Network is the way there and back.
	Network time.Duration     `yaml:"network"`
	Conns   ConnsSpec         `yaml:"conns"`
	Headers map[string]string `yaml:"headers"`
	TLS     TLSSpec           `yaml:"tls"`
}

// ConnsSpec bounds the connections of a shard.
type ConnsSpec struct {
	Min int `yaml:"min"`
	Max int `yaml:"max"`
}

// TLSSpec is how the endpoint is known, and we to it.
type TLSSpec struct {
	ServerName string `yaml:"server_name"`
	CA         string `yaml:"ca"`   // file of PEM certificates, instead of the system's
	Cert       string `yaml:"cert"` // files of our own certificate and key
	Key        string `yaml:"key"`
}

// SupplyChainSpec is our node of the supply chain.
type SupplyChainSpec struct {
	ASI string `yaml:"asi"`
	SID string `yaml:"sid"`
	HP  *int   `yaml:"hp"`
	// Name and Domain are optional.
	Name   string `yaml:"name"`
	Domain string `yaml:"domain"`
}
