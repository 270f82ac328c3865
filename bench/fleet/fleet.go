package fleet

import (
	"context"
	"fmt"
	"testing"
	"time"

	"millrace/bench/blackbox"
	"millrace/bench/servers"
	"millrace/codec/unit"
	"millrace/state/store/cockroach"
)

// Lease is how long a node may spend after it last reached the ledger. Short, so
// that stopping a node for longer takes no time.
const Lease = 5 * time.Second

// Topic of the spend events, and its partitions.
const (
	Topic      = "millrace.spend"
	partitions = 8
)

// Config of a fleet.
type Config struct {
	Nodes     int
	Campaigns int
	// Countries divide them; requests come from each alike.
	Countries int
	Kafka     bool
	// Budget is what an average campaign has, in nanos.
	Budget unit.Nanos
}

// Node is one millrace process over its lives.
type Node struct {
	Server *blackbox.Server
	ID     int
	Data   string
	// before is what lives that ended had counted, by metric.
	before map[string]float64
}

// Fleet is the nodes and what they share.
type Fleet struct {
	t         testing.TB
	Nodes     []*Node
	Valkey    *servers.ValkeyServer
	Postgres  *servers.PostgresServer
	Kafka     *servers.KafkaBroker // nil without
	Campaigns []Campaign
	Log       *Log

	countries []string
}

// Start starts the servers, prepares the ledger and starts the nodes.
func Start(t testing.TB, c Config) *Fleet {
	t.Helper()
	f := &Fleet{t: t, Campaigns: campaigns(c), Log: newLog(), countries: countries[:c.Countries]}
	f.Valkey = servers.Valkey(t)
	f.Postgres = servers.Postgres(t)
	if c.Kafka {
		f.Kafka = servers.Kafka(t)
	}
	migrate(t, f.Postgres.URL)
	catalog := catalogFile(t, f.Campaigns)
	for i := range c.Nodes {
		n := &Node{ID: i + 1, Data: t.TempDir(), before: map[string]float64{}}
		n.Server = blackbox.Start(t, blackbox.Options{
			Listen: address(t), Admin: address(t), Data: n.Data,
			Config: blackbox.Settings(catalog, f.settings(n.ID)),
			Args:   []string{"--shards", fmt.Sprint(1 + i%2)},
		})
		f.Nodes = append(f.Nodes, n)
	}
	return f
}

func (f *Fleet) settings(node int) string {
	text := fmt.Sprintf(`node_id: %d
log_level: warn
budget: {reservation_ttl: 1h}
valkey: {addresses: [%q]}
ledger: {url: %q, lease: %v}
`, node, f.Valkey.Addr, f.Postgres.URL, Lease)
	if f.Kafka != nil {
		text += fmt.Sprintf("kafka: {brokers: [%q], topic: %s, partitions: %d, replication: 1}\n", f.Kafka.Addr, Topic, partitions)
	}
	return text
}

func address(t testing.TB) string { return fmt.Sprintf("127.0.0.1:%d", servers.FreePort(t)) }

// migrate prepares the ledger's tables.
func migrate(t testing.TB, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m, err := cockroach.NewMigrator(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(ctx) }()
	if _, _, err := m.Run(ctx, unit.WallTime(time.Now().UnixNano())); err != nil {
		t.Fatal(err)
	}
}

// Restart starts a node that ended.
func (n *Node) Restart() { n.Server = n.Server.Restart() }

// Kill is kill -9; what the life had counted is kept.
func (n *Node) Kill() {
	n.remember()
	n.Server.Kill()
}

// Stop ends the node in an orderly way.
func (n *Node) Stop() {
	n.remember()
	n.Server.Stop()
}

func (n *Node) remember() {
	for name, v := range n.Server.Metrics() {
		n.before[name] += v
	}
}

// Sum is a metric of all nodes over all their lives: those that ended, and the
// present ones.
func (f *Fleet) Sum(name string) (sum float64) {
	for _, n := range f.Nodes {
		sum += n.before[name]
		if n.Server.Running() {
			sum += n.Server.Metrics()[name]
		}
	}
	return sum
}

// Await polls until ok, within a time that only a hang exceeds, and tells how
// long it took.
func (f *Fleet) Await(what string, ok func() bool) time.Duration {
	f.t.Helper()
	began := time.Now()
	for deadline := began.Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, n := range f.Nodes {
				f.t.Log(n.Server.LogTail())
			}
			f.t.Fatalf("%s never came", what)
		}
	}
	return time.Since(began)
}

// Settle waits until ledger and topic have what the journals have.
func (f *Fleet) Settle() {
	f.t.Helper()
	f.Await("ledger and topic to have it all", func() bool {
		for _, n := range f.Nodes {
			if m := n.Server.Metrics(); m["millrace_ledger_lag_bytes"] > 0 || m["millrace_kafka_lag_records"] > 0 {
				return false
			}
		}
		return true
	})
}
