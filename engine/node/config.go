package node

import (
	"time"

	"millrace/codec/gzip"
	"millrace/codec/strict"
	"millrace/models/coldstart"
)

// Config is everything an operator may set. The yaml tags are the names in the
// file; the same path with underscores is the environment variable
// (limits.body_bytes is MILLRACE_LIMITS_BODY_BYTES); the help tags are what
// `millrace config print` and docs show. A Config is immutable once a node has
// started with it.
type Config struct {
	Listen      string        `yaml:"listen" help:"address of the ad server: host:port; port 0 takes a free one"`
	Admin       string        `yaml:"admin" help:"address of the admin server; it has no authentication, keep it on loopback or behind one"`
	Data        string        `yaml:"data" help:"folder of the journal and the budgets; empty is a new temporary folder, removed on exit"`
	NodeID      int           `yaml:"node_id" help:"number of this node, unique in a deployment, 0 to 65535"`
	Shards      int           `yaml:"shards" help:"number of shards; 0 is one per usable core"`
	CPUs        []int         `yaml:"cpus" help:"CPUs to pin the shards to, in shard order; empty: hop takes the usable ones in order, inline does not pin"`
	Dispatch    Dispatch      `yaml:"dispatch" help:"how a request reaches its shard: inline (the poller takes the idle shard's turn) or hop (always the shard's own thread)"`
	Pollers     int           `yaml:"pollers" help:"number of network pollers; 0 is one fewer than shards, at least one"`
	Catalog     string        `yaml:"catalog" help:"catalog file, YAML or JSON; empty is the bundled demo catalog"`
	CatalogPoll time.Duration `yaml:"catalog_poll" help:"how often the catalog file is looked at for changes; 0 is only on SIGHUP or POST /reload"`
	PublicURL   string        `yaml:"public_url" help:"where browsers reach this node, the start of every tracking URL; empty is http:// and the listen address"`
	LogLevel    string        `yaml:"log_level" help:"debug, info, warn or error; can be changed at run time on the admin server"`
	DebugHeader bool          `yaml:"debug_header" help:"explain a decision to whoever sends X-Millrace-Debug: 1; shows prices and targeting, keep it off on the open internet"`
	Limits      LimitsConfig  `yaml:"limits" help:"bounds on what clients may ask for; what goes over is refused by name and counted"`
	Gzip        GzipConfig    `yaml:"gzip" help:"compression of answers; compressed requests are always taken"`
	Shard       ShardConfig   `yaml:"shard" help:"queues and tables of one shard"`
	Budget      BudgetConfig  `yaml:"budget" help:"leases, reservations and the journal of money"`
	Kafka       KafkaConfig   `yaml:"kafka" help:"a copy of every spend event to a topic, keyed by campaign, from the journal: at least once, whatever is down meanwhile; consumers drop repeats"`
	Ledger      LedgerConfig  `yaml:"ledger" help:"what several nodes share to keep one budget: the database in which every grant and posting is; without it budgets are this process's own"`
	Valkey      ValkeyConfig  `yaml:"valkey" help:"the count beside the ledger of what may still be granted; its loss costs time, never money; needed where ledger.url is set"`
	Audit       AuditConfig   `yaml:"audit" help:"proof that the records of money were not changed since"`
	Tokens      TokensConfig  `yaml:"tokens" help:"signing of the tracking URLs"`
	Ranking     RankingConfig `yaml:"ranking" help:"what weighs beside the price, in percent; none of it changes what is bid or billed, but for the click rates of positions"`
	Model       ModelConfig   `yaml:"model" help:"prediction of clicks and conversions"`
	Demand      DemandConfig  `yaml:"demand" help:"bidders of others, who are asked for bids beside our own campaigns"`
	Memory      MemoryConfig  `yaml:"memory" help:"Go's collector"`
}

// Dispatch is how a request gets from a poller to its shard.
type Dispatch string

// The two dispatch modes; see docs for their measured costs.
const (
	DispatchInline Dispatch = "inline"
	DispatchHop    Dispatch = "hop"
)

// LimitsConfig bounds what a client can cost.
type LimitsConfig struct {
	Connections  int           `yaml:"connections" help:"open connections; more are answered 503 and closed"`
	InFlight     int           `yaml:"in_flight" help:"requests being answered at once; more get 503 with Retry-After"`
	Pipeline     int           `yaml:"pipeline" help:"unanswered requests on one connection"`
	HeadBytes    strict.Bytes  `yaml:"head_bytes" help:"request line and headers; more is 431"`
	BodyBytes    strict.Bytes  `yaml:"body_bytes" help:"body, after decompression; more is 413"`
	HeadTimeout  time.Duration `yaml:"head_timeout" help:"from a request's first byte to the end of its headers"`
	BodyTimeout  time.Duration `yaml:"body_timeout" help:"from the end of the headers to the end of the body"`
	IdleTimeout  time.Duration `yaml:"idle_timeout" help:"between requests of a kept-alive connection"`
	WriteTimeout time.Duration `yaml:"write_timeout" help:"for a slow client to take the next 16 KiB of its answers, or the rest; else it is dropped"`
	Imps         int           `yaml:"imps" help:"impressions in one bid request; more is 400"`
	Depth        int           `yaml:"depth" help:"nesting of a request's JSON; more is 400"`
}

// GzipMode says whether answers are compressed.
type GzipMode string

// The modes of compression.
const (
	GzipOff  GzipMode = "off"
	GzipAuto GzipMode = "auto"
)

// GzipConfig is how answers are compressed.
type GzipConfig struct {
	Answers  GzipMode     `yaml:"answers" help:"auto: for clients whose Accept-Encoding asks for it; off: for none. It costs some 20 µs an answer"`
	BytesMin strict.Bytes `yaml:"bytes_min" help:"shorter answers are sent as they are"`
	Level    int          `yaml:"level" help:"1 (fastest) to 9 (smallest)"`
}

// ShardConfig sizes one shard.
type ShardConfig struct {
	MailboxSlots   int           `yaml:"mailbox_slots" help:"messages that may wait for a shard; a power of two; full is 503"`
	Batch          int           `yaml:"batch" help:"messages handled before timers and effects get their turn"`
	Stall          time.Duration `yaml:"stall" help:"a callback that takes longer is counted and its kind named"`
	FrequencySlots int           `yaml:"frequency_slots" help:"user and line pairs whose frequency caps a shard remembers"`
	UserSlots      int           `yaml:"user_slots" help:"users whose impressions and clicks a shard remembers for prediction, 260 bytes each; those not heard of for longest are forgotten for others"`
}

// BudgetConfig is money's part.
type BudgetConfig struct {
	ReservationTTL   time.Duration `yaml:"reservation_ttl" help:"how long a win may hold money before its billable event; later events bill only from what is left"`
	JournalSegment   strict.Bytes  `yaml:"journal_segment" help:"size of one journal file"`
	JournalRetention time.Duration `yaml:"journal_retention" help:"how long full journal files are kept after their checkpoint"`
	Reconcile        time.Duration `yaml:"reconcile" help:"how often journal, ledger and budget store are compared; 0 is never"`
	ReconcileAlarm   int           `yaml:"reconcile_alarm" help:"difference of an account's day, in millionths of its currency, above which it is an error in the log and counted as an alarm"`
	JournalHold      strict.Bytes  `yaml:"journal_hold" help:"full journal files kept for copies elsewhere that lag behind; beyond it the oldest go, with an alarm and a count"`
}

// KafkaConfig carries spend events to Kafka.
type KafkaConfig struct {
	Brokers      []string     `yaml:"brokers" help:"brokers to begin with, host:port; they name the others; empty: no Kafka. In the environment: host:port,host:port"`
	Topic        string       `yaml:"topic" help:"topic of the spend events"`
	Partitions   int          `yaml:"partitions" help:"a missing topic is made with so many partitions, and one that has others is told in the log; 0: its owner makes it"`
	Replication  int          `yaml:"replication" help:"copies of a topic that is made here; 0 is the brokers' default"`
	BufferEvents int          `yaml:"buffer_events" help:"events sent and not acknowledged; more are read from the journal only then"`
	BufferBytes  strict.Bytes `yaml:"buffer_bytes" help:"their size in memory"`
}

// LedgerConfig finds the shared ledger.
type LedgerConfig struct {
	URL          DatabaseURL   `yaml:"url" help:"postgres://user@host:port/database of a PostgreSQL or CockroachDB that millrace migrate has prepared; empty: no shared ledger"`
	Password     Secret        `yaml:"password" help:"password, where it is not in the URL"`
	PasswordFile string        `yaml:"password_file" help:"a file that holds the password, instead"`
	Lease        time.Duration `yaml:"lease" help:"how long a node may spend what it was granted after it last reached the ledger"`
	Timeout      time.Duration `yaml:"timeout" help:"how long one call may take, with its repeats; its outcome is then unknown, and it is repeated"`
	Connections  int           `yaml:"connections" help:"connections to the database"`
}

// ValkeyConfig finds the shared counter.
type ValkeyConfig struct {
	Addresses    []string      `yaml:"addresses" help:"host:port of one server, of some of a cluster, or of sentinels. In the environment: host:port,host:port"`
	Sentinel     string        `yaml:"sentinel" help:"name of the primary, where the addresses are those of sentinels"`
	Username     string        `yaml:"username" help:"user, where the server has users"`
	Password     Secret        `yaml:"password" help:"password, where the server has one"`
	PasswordFile string        `yaml:"password_file" help:"a file that holds the password, instead"`
	TLS          bool          `yaml:"tls" help:"connect with TLS, trusting the system's certificates"`
	Timeout      time.Duration `yaml:"timeout" help:"how long one call may take; its outcome is then unknown, and it is repeated"`
}

// TokensConfig signs tracking URLs.
type TokensConfig struct {
	TTL    time.Duration `yaml:"ttl" help:"how long a tracking URL is valid"`
	Active int           `yaml:"active" help:"id of the key that signs; the others only verify; 0 is the first of keys"`
	Keys   []TokenKey    `yaml:"keys" help:"signing keys; empty is one made at the first start and kept in the data folder. In the environment: id:secret,id:secret"`
}

// TokenKey is one signing key.
type TokenKey struct {
	ID     int    `yaml:"id" help:"1 to 255, written in clear in every token"`
	Secret Secret `yaml:"secret" help:"at least 32 characters, kept secret, the same on every node"`
}

// RankingConfig weighs formats and positions.
type RankingConfig struct {
	Banner    int `yaml:"banner" help:"weight of a banner's rank beside other formats"`
	Video     int `yaml:"video" help:"weight of a video's rank"`
	Audio     int `yaml:"audio" help:"weight of an audio ad's rank"`
	Native    int `yaml:"native" help:"weight of a native ad's rank"`
	AboveFold int `yaml:"above_fold" help:"click rate above the fold where no model predicts it: percent of the creative's rate"`
	BelowFold int `yaml:"below_fold" help:"click rate below the fold where no model predicts it: percent of the creative's rate"`
}

// ModelConfig says what predicts.
type ModelConfig struct {
	Bundle         string        `yaml:"bundle" help:"file of a signed model bundle; demo is one that comes with the binary, trained on a synthetic world; empty: no model, rates are counted and smoothed"`
	Keys           []string      `yaml:"keys" help:"public keys whose bundles are trusted, as millrace model keygen prints them. In the environment: key,key"`
	Poll           time.Duration `yaml:"poll" help:"how often the bundle's file is looked at for changes; 0 is only on SIGHUP or POST /reload"`
	Refresh        time.Duration `yaml:"refresh" help:"how often what a model knows of the ads' own results is renewed; 0 is only with a new catalog or model"`
	Rollout        bool          `yaml:"rollout" help:"a newer bundle is tried in shadow, then on a growing share of users, and rolled back when it does worse; false: it serves all at once"`
	AllowDowngrade bool          `yaml:"allow_downgrade" help:"an older bundle than the one in force is accepted"`
	Explore        string        `yaml:"explore" help:"how ads about which little is known get a chance: thompson, epsilon-greedy or off; at most a hundredth of what is expected to be earned is given up for it"`
	Candidates     int           `yaml:"candidates" help:"creatives of an impression that are scored at first; where more lines compete, those that look best by counts; 0 is all"`
	Latency        time.Duration `yaml:"latency" help:"what a decision may cost before less is predicted: first the last predictions known, then smoothed counts, then the catalog's priors"`
}

// MemoryConfig steers the collector.
type MemoryConfig struct {
	Limit strict.Bytes `yaml:"limit" help:"soft limit of the process (GOMEMLIMIT); 0 is nine tenths of the container's limit where there is one"`
	GC    int          `yaml:"gc" help:"GOGC percent"`
}

// DemandConfig says who else is asked for bids.
type DemandConfig struct {
	File        string        `yaml:"file" help:"demand file, YAML or JSON; empty: nobody is asked"`
	Poll        time.Duration `yaml:"poll" help:"how often the demand file is looked at for changes; 0 is only on SIGHUP or POST /reload"`
	Region      string        `yaml:"region" help:"this node's region: of a bidder's endpoints that of the same region is used"`
	Parked      int           `yaml:"parked" help:"auctions of one shard that may wait for bidders; beyond it requests are decided from our own campaigns alone"`
	LastAuction bool          `yaml:"last_auction" help:"nobody auctions our answers any further: a bidder that wins here has won, and is told at once"`
	Notices     NoticesConfig `yaml:"notices" help:"calls of bidders' win, billing and loss URLs"`
}

// NoticesConfig bounds what bidders are told.
type NoticesConfig struct {
	Queue   int           `yaml:"queue" help:"notices of one shard that may wait; more are dropped and counted"`
	Workers int           `yaml:"workers" help:"calls under way at once"`
	Tries   int           `yaml:"tries" help:"how often a billing notice is sent until it is answered 200 or 204; win notices are tried 4 times, loss notices once"`
	Age     time.Duration `yaml:"age" help:"after this long a notice is given up"`
	Private bool          `yaml:"private" help:"notices may lead to loopback and private addresses: for tests and closed networks only, the URLs are bidders'"`
}

// SecretLenMin is the shortest signing secret Validate accepts.
const SecretLenMin = 32

// Default is the configuration without a file: it serves the bundled demo
// catalog on loopback, one shard a core, keeping data in a temporary folder.
func Default() Config {
	return Config{
		Listen:      "127.0.0.1:8080",
		Admin:       "127.0.0.1:8081",
		NodeID:      1,
		Dispatch:    DispatchInline,
		CatalogPoll: 2 * time.Second,
		LogLevel:    "info",
		DebugHeader: true,
		Limits: LimitsConfig{
			Connections:  16_384,
			InFlight:     4096,
			Pipeline:     64,
			HeadBytes:    16 << 10,
			BodyBytes:    1 << 20,
			HeadTimeout:  10 * time.Second,
			BodyTimeout:  10 * time.Second,
			IdleTimeout:  75 * time.Second,
			WriteTimeout: 10 * time.Second,
			Imps:         100,
			Depth:        64,
		},
		Gzip: GzipConfig{Answers: GzipAuto, BytesMin: 2 << 10, Level: gzip.LevelFastest},
		Shard: ShardConfig{
			MailboxSlots:   8192,
			Batch:          128,
			Stall:          time.Millisecond,
			FrequencySlots: 1 << 20,
			UserSlots:      1 << 17,
		},
		Budget: BudgetConfig{
			ReservationTTL:   5 * time.Minute,
			JournalSegment:   64 << 20,
			JournalRetention: 72 * time.Hour,
			JournalHold:      16 << 30,
			Reconcile:        time.Minute,
		},
		Kafka:   KafkaConfig{Topic: "millrace.spend", BufferEvents: 1 << 15, BufferBytes: 32 << 20},
		Ledger:  LedgerConfig{Lease: 30 * time.Second, Timeout: 5 * time.Second, Connections: 4},
		Valkey:  ValkeyConfig{Timeout: 500 * time.Millisecond},
		Audit:   AuditConfig{Enabled: true, Keep: 64 << 30},
		Tokens:  TokensConfig{TTL: 24 * time.Hour},
		Ranking: RankingConfig{Banner: 100, Video: 100, Audio: 100, Native: 100, AboveFold: 100, BelowFold: 100},
		Model: ModelConfig{
			Poll: 2 * time.Second, Refresh: time.Minute, Rollout: true, Explore: coldstart.Thompson.String(), Candidates: 200, Latency: 2 * time.Millisecond,
		},
		Demand: DemandConfig{
			Poll: 2 * time.Second, Parked: 4096,
			Notices: NoticesConfig{Queue: 8192, Workers: 64, Tries: 6, Age: 10 * time.Minute},
		},
		Memory: MemoryConfig{GC: 100},
	}
}
