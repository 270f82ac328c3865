package servers_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"millrace/bench/servers"
	"millrace/codec/unit"
	"millrace/state/outbox"
	"millrace/state/store/kafka"
	"millrace/state/store/kafka/kafkatest"
)

func wall() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

// TestKafkaOutage drains a journal to Apache Kafka, which is killed twice while
// events come in, once with the node's life ending too: everything arrives,
// repeats apart exactly what the journal holds, each campaign in order.
func TestKafkaOutage(t *testing.T) {
	began := time.Now()
	broker := servers.Kafka(t)
	t.Logf("broker started after %v", time.Since(began).Round(time.Millisecond))
	dir := t.TempDir()
	open := func() (*outbox.Journal, *kafka.Drain) {
		c := outbox.Default()
		c.Dir, c.Node, c.Wall, c.SegmentBytes = dir, 4, wall, 1<<20
		j, err := outbox.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		k := kafka.Default()
		k.Brokers, k.Partitions, k.Replication, k.Advance = []string{broker.Addr}, 4, 1, 50*time.Millisecond
		d, err := kafka.Start(k, j, slog.New(slog.NewTextHandler(t.Output(), nil)), wall)
		if err != nil {
			t.Fatal(err)
		}
		return j, d
	}
	acknowledged := func(d *kafka.Drain, n uint64) {
		for deadline := time.Now().Add(30 * time.Second); d.Status().Acknowledged < n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d acknowledged, want %d: %+v", d.Status().Acknowledged, n, d.Status())
			}
		}
	}
	const part = 10_000
	j, d := open()
	a := j.NewAppender(nil)
	kafkatest.Post(t, j, a, 1, part)
	acknowledged(d, 1000)
	kafkatest.Post(t, j, a, 1+part, part)
	broker.Kill() // with events under way
	kafkatest.Post(t, j, a, 1+2*part, part)
	down := time.Now()
	broker.Start()
	acknowledged(d, 3*part)
	t.Logf("all acknowledged %v after the start of a killed broker", time.Since(down).Round(time.Millisecond))

	kafkatest.Post(t, j, a, 1+3*part, part)
	broker.Kill()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Stop(ctx); err != nil { // the node does not wait for Kafka
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	broker.Start()
	j, d = open()
	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	want := kafkatest.Journal(t, nil, dir)
	events, arrived := kafkatest.Consume(t, []string{broker.Addr}, "millrace.spend", len(want))
	kafkatest.Compare(t, events, want)
	if len(want) != 4*part {
		t.Fatalf("%d events in the journal", len(want))
	}
	t.Logf("%d events, %d messages, %v in all", len(want), arrived, time.Since(began).Round(time.Millisecond))
}
