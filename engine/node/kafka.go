package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"millrace/shards"
	"millrace/state/store/kafka"
)

// kafkaStopTimeout bounds the delivery of the last events on the way out: what
// is not out by then goes at the next start.
const kafkaStopTimeout = 3 * time.Second

// startKafka begins to carry the journal's events to the topic. Its brokers
// need not be there; neither the start nor readiness waits for them.
func (n *Node) startKafka() error {
	name := kafka.Default().Cursor
	if len(n.cfg.Kafka.Brokers) == 0 {
		if slices.Contains(n.journal.Cursors(), name) {
			n.log.Warn("the journal's files are held for Kafka, which is off; set kafka.brokers, or remove the cursor with the node stopped",
				"cursor", n.dataFolder+"/journal/"+name+".cur", "up_to", n.cfg.Budget.JournalHold)
		}
		return nil
	}
	c := kafka.Default()
	c.Brokers, c.Topic = n.cfg.Kafka.Brokers, n.cfg.Kafka.Topic
	c.Partitions, c.Replication = n.cfg.Kafka.Partitions, n.cfg.Kafka.Replication
	c.BufferEvents, c.BufferBytes = n.cfg.Kafka.BufferEvents, int(n.cfg.Kafka.BufferBytes)
	drain, err := kafka.Start(c, n.journal, n.log, n.clock.Wall)
	if err != nil {
		return err
	}
	n.kafka = drain
	counter := func(name, help string, u shards.Unit, v func(s kafka.Status) float64) {
		n.registry.CounterFunc(shards.Desc{Name: "millrace_kafka_" + name, Help: help, Unit: u}, func() float64 { return v(drain.Status()) })
	}
	gauge := func(help string, u shards.Unit, v func(s kafka.Status) float64) {
		n.registry.GaugeFunc(shards.Desc{Name: "millrace_kafka_lag", Help: help, Unit: u}, func() float64 { return v(drain.Status()) })
	}
	counter("events", "Spend events acknowledged by Kafka.", shards.None, func(s kafka.Status) float64 { return float64(s.Acknowledged) })
	counter("sent", "Bytes of the spend events acknowledged by Kafka, before compression.", shards.Bytes, func(s kafka.Status) float64 { return float64(s.Bytes) })
	counter("errors", "Brokers not reached, and producers that had to begin again.", shards.None, func(s kafka.Status) float64 { return float64(s.Errors) })
	counter("missed", "Journal removed before it was delivered, for budget.journal_hold.", shards.Bytes, func(s kafka.Status) float64 { return float64(s.MissedBytes) })
	gauge("Journal not yet acknowledged by Kafka.", shards.Bytes, func(s kafka.Status) float64 { return float64(s.LagBytes) })
	gauge("Age of the oldest event not yet acknowledged by Kafka.", shards.Seconds, func(s kafka.Status) float64 { return s.LagSeconds })
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_kafka_lag_records", Help: "Journal records not yet acknowledged by Kafka, estimated where they were not yet read."},
		func() float64 { return float64(drain.Status().LagRecords) })
	return nil
}

func (n *Node) stopKafka(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaStopTimeout)
	defer cancel()
	return n.kafka.Stop(ctx)
}

func (c KafkaConfig) validate(l *faultList) {
	l.addresses("kafka.brokers", c.Brokers, "kafka-1.example.com:9092")
	if !topicName(c.Topic) {
		l.add("kafka.topic", fmt.Sprintf("%q is not a topic's name", c.Topic), "use 1 to 249 letters, digits, dots, - and _")
	}
	l.between("kafka.partitions", int64(c.Partitions), 0, 10_000)
	l.between("kafka.replication", int64(c.Replication), 0, 32)
	l.between("kafka.buffer_events", int64(c.BufferEvents), 16, 1<<22)
	l.sized("kafka.buffer_bytes", c.BufferBytes, 1<<20, 4<<30)
}

// topicName is Kafka's own rule.
func topicName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && s != "." && s != ".." && len(s) <= 249
}
