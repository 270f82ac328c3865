package node

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"millrace/codec/gzip"
	"millrace/codec/strict"
	"millrace/models/bundle"
	"millrace/models/coldstart"
)

// faultList gathers the faults of a configuration; places are added by Load.
type faultList struct{ faults strict.Faults }

func (l *faultList) add(field, problem, remedy string) {
	l.faults = append(l.faults, strict.Fault{Field: field, Problem: problem, Remedy: remedy})
}

// between reports a number outside low..high.
func (l *faultList) between(field string, v, low, high int64) {
	if v < low || v > high {
		l.add(field, fmt.Sprintf("%d is out of range", v), fmt.Sprintf("use %d to %d", low, high))
	}
}

func (l *faultList) lasting(field string, v, low, high time.Duration) {
	if v < low || v > high {
		l.add(field, fmt.Sprintf("%v is out of range", v), fmt.Sprintf("use %v to %v", low, high))
	}
}

func (l *faultList) sized(field string, v, low, high strict.Bytes) {
	if v < low || v > high {
		l.add(field, fmt.Sprintf("%v is out of range", v), fmt.Sprintf("use %v to %v", low, high))
	}
}

// addresses reports what is no host and port.
func (l *faultList) addresses(field string, list []string, example string) {
	for i, a := range list {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			l.add(fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("%q is not an address", a), "write host:port, e.g. "+example)
		}
	}
}

// Validate lists every fault of the values themselves, in the order of the
// fields. Whether ports are free and folders writable is the machine's affair:
// Start finds out, and `millrace doctor` tells beforehand.
func (c Config) Validate() strict.Faults {
	l := &faultList{}
	c.validateAddresses(l)
	c.validateShards(l)
	l.between("node_id", int64(c.NodeID), 0, 1<<16-1)
	if c.CatalogPoll != 0 {
		l.lasting("catalog_poll", c.CatalogPoll, 100*time.Millisecond, 24*time.Hour)
	}
	var level slog.Level
	if level.UnmarshalText([]byte(c.LogLevel)) != nil {
		l.add("log_level", fmt.Sprintf("%q is not a log level", c.LogLevel), "use debug, info, warn or error")
	}
	c.Limits.validate(l)
	c.Gzip.validate(l)
	c.Shard.validate(l)
	c.Budget.validate(l)
	c.Kafka.validate(l)
	c.validateShared(l)
	l.sized("audit.keep", c.Audit.Keep, 0, 1<<50)
	if c.Budget.Reconcile != 0 {
		l.lasting("budget.reconcile", c.Budget.Reconcile, time.Second, 24*time.Hour)
	}
	l.between("budget.reconcile_alarm", int64(c.Budget.ReconcileAlarm), 0, 1<<40)
	c.Tokens.validate(l)
	c.Ranking.validate(l)
	c.Model.validate(l)
	c.Demand.validate(l)
	if c.Memory.Limit != 0 {
		l.sized("memory.limit", c.Memory.Limit, 64<<20, 1<<50)
	}
	l.between("memory.gc", int64(c.Memory.GC), 10, 10_000)
	return l.faults
}

func (c Config) validateAddresses(l *faultList) {
	ports := map[string]string{} // address → field
	for _, a := range []struct{ field, v string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		_, port, err := net.SplitHostPort(a.v)
		if n, e := strconv.Atoi(port); err != nil || e != nil || n < 0 || n > 65535 {
			l.add(a.field, fmt.Sprintf("%q is not an address", a.v), "write host:port, e.g. 127.0.0.1:8080, with a port of 0 to 65535")
			continue
		}
		if other, taken := ports[a.v]; taken && port != "0" {
			l.add(a.field, a.v+" is the address of "+other+" too", "give each its own port")
		}
		ports[a.v] = a.field
	}
	if c.PublicURL == "" {
		return
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		l.add("public_url", fmt.Sprintf("%q is not an absolute web address", c.PublicURL), "write e.g. https://ads.example.com")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(u.Path, "/"):
		l.add("public_url", fmt.Sprintf("%q has more than scheme, host and path", c.PublicURL), "leave out user, query, fragment and the last slash: https://ads.example.com/rtb")
	}
	if strings.ContainsAny(c.PublicURL, "\"'<>\\ \t\r\n") {
		l.add("public_url", "it holds characters that do not belong into a URL", "percent-encode them")
	}
}

func (c Config) validateShards(l *faultList) {
	l.between("shards", int64(c.Shards), 0, 1024)
	l.between("pollers", int64(c.Pollers), 0, 256)
	seen := map[int]bool{}
	for i, cpu := range c.CPUs {
		field := fmt.Sprintf("cpus[%d]", i)
		if cpu < 0 || cpu > 4095 {
			l.add(field, fmt.Sprintf("%d is not a CPU", cpu), "use the numbers that lscpu shows, from 0")
		}
		if seen[cpu] {
			l.add(field, fmt.Sprintf("CPU %d is listed twice", cpu), "pin one shard to a CPU")
		}
		seen[cpu] = true
	}
	if len(c.CPUs) > 0 && c.Shards > len(c.CPUs) {
		l.add("cpus", fmt.Sprintf("%d CPUs for %d shards", len(c.CPUs), c.Shards), "list one CPU for each shard, or leave shards at 0")
	}
	if c.Dispatch != DispatchInline && c.Dispatch != DispatchHop {
		known := []string{string(DispatchInline), string(DispatchHop)}
		l.add("dispatch", fmt.Sprintf("%q is not a dispatch mode", c.Dispatch), strict.Remedy(string(c.Dispatch), known))
	}
}

func (c LimitsConfig) validate(l *faultList) {
	l.between("limits.connections", int64(c.Connections), 1, 1<<20)
	l.between("limits.in_flight", int64(c.InFlight), 1, 1<<20)
	l.between("limits.pipeline", int64(c.Pipeline), 1, 1024)
	l.sized("limits.head_bytes", c.HeadBytes, 1<<10, 1<<20)
	l.sized("limits.body_bytes", c.BodyBytes, 1<<10, 64<<20)
	for _, t := range []struct {
		field string
		v     time.Duration
	}{
		{"limits.head_timeout", c.HeadTimeout}, {"limits.body_timeout", c.BodyTimeout},
		{"limits.idle_timeout", c.IdleTimeout}, {"limits.write_timeout", c.WriteTimeout},
	} {
		l.lasting(t.field, t.v, 100*time.Millisecond, time.Hour)
	}
	l.between("limits.imps", int64(c.Imps), 1, 1000)
	l.between("limits.depth", int64(c.Depth), 8, 1000)
}

func (c GzipConfig) validate(l *faultList) {
	if c.Answers != GzipOff && c.Answers != GzipAuto {
		l.add("gzip.answers", fmt.Sprintf("%q is not a mode", c.Answers), strict.Remedy(string(c.Answers), []string{string(GzipOff), string(GzipAuto)}))
	}
	l.sized("gzip.bytes_min", c.BytesMin, 256, 1<<30)
	l.between("gzip.level", int64(c.Level), gzip.LevelFastest, gzip.LevelBest)
}

func (c ShardConfig) validate(l *faultList) {
	l.between("shard.mailbox_slots", int64(c.MailboxSlots), 64, 1<<20)
	if n := c.MailboxSlots; n > 0 && n&(n-1) != 0 {
		l.add("shard.mailbox_slots", fmt.Sprintf("%d is not a power of two", n), "use 4096, 8192, 16384, …")
	}
	l.between("shard.batch", int64(c.Batch), 1, 65_536)
	l.lasting("shard.stall", c.Stall, 10*time.Microsecond, 10*time.Second)
	l.between("shard.frequency_slots", int64(c.FrequencySlots), 1024, 1<<30)
	l.between("shard.user_slots", int64(c.UserSlots), 1024, 1<<28)
}

func (c BudgetConfig) validate(l *faultList) {
	l.lasting("budget.reservation_ttl", c.ReservationTTL, time.Second, 24*time.Hour)
	l.sized("budget.journal_segment", c.JournalSegment, 64<<10, 4<<30)
	l.lasting("budget.journal_retention", c.JournalRetention, 0, 10*365*24*time.Hour)
	l.sized("budget.journal_hold", c.JournalHold, 0, 1<<50)
}

func (c TokensConfig) validate(l *faultList) {
	l.lasting("tokens.ttl", c.TTL, time.Minute, 90*24*time.Hour)
	ids := map[int]bool{}
	for i, k := range c.Keys {
		field := fmt.Sprintf("tokens.keys[%d].", i)
		l.between(field+"id", int64(k.ID), 1, 255)
		if ids[k.ID] {
			l.add(field+"id", fmt.Sprintf("key %d is listed twice", k.ID), "give a new secret a new id")
		}
		ids[k.ID] = true
		// The problem never repeats the secret.
		switch text := k.Secret.Reveal(); {
		case text == hidden:
			l.add(field+"secret", "it is the mask that config print shows, not a secret", "write the secret itself")
		case len(text) < SecretLenMin:
			l.add(field+"secret", fmt.Sprintf("%d characters are too few", len(text)), fmt.Sprintf("use at least %d, e.g. of: openssl rand -hex 32", SecretLenMin))
		}
	}
	switch {
	case c.Active != 0 && len(c.Keys) == 0:
		l.add("tokens.active", "there are no keys", "list them in tokens.keys, or leave active at 0")
	case c.Active != 0 && !ids[c.Active]:
		l.add("tokens.active", fmt.Sprintf("there is no key %d", c.Active), "use the id of one of tokens.keys")
	}
}

func (c RankingConfig) validate(l *faultList) {
	for _, f := range []struct {
		field string
		v     int
	}{
		{"banner", c.Banner}, {"video", c.Video}, {"audio", c.Audio}, {"native", c.Native},
		{"above_fold", c.AboveFold}, {"below_fold", c.BelowFold},
	} {
		l.between("ranking."+f.field, int64(f.v), 1, 1000)
	}
}

func (c ModelConfig) validate(l *faultList) {
	l.between("model.candidates", int64(c.Candidates), 0, 1<<20)
	for i, k := range c.Keys {
		if _, err := bundle.ParsePublicKey(k); err != nil {
			l.add(fmt.Sprintf("model.keys[%d]", i), err.Error(), "write the line that millrace model keygen prints")
		}
	}
	if c.Bundle != "" && c.Bundle != demoBundle && len(c.Keys) == 0 {
		l.add("model.keys", "a bundle and no key that may have signed it", "list the public keys that you trust")
	}
	if c.Poll != 0 {
		l.lasting("model.poll", c.Poll, 100*time.Millisecond, 24*time.Hour)
	}
	if c.Refresh != 0 {
		l.lasting("model.refresh", c.Refresh, time.Second, 24*time.Hour)
	}
	if _, err := coldstart.ParseMethod(c.Explore); err != nil {
		l.add("model.explore", err.Error(), strict.Remedy(c.Explore, []string{"off", "epsilon-greedy", "thompson"}))
	}
	l.lasting("model.latency", c.Latency, 10*time.Microsecond, time.Second)
}

// ActiveKey is the index in Keys of the key that signs; -1 without keys.
func (c TokensConfig) ActiveKey() int {
	for i, k := range c.Keys {
		if c.Active == 0 || k.ID == c.Active {
			return i
		}
	}
	return -1
}
