// Package kafkatest judges a topic of spend events against the journal they
// came from, for tests with a broker in the process and with a real one. It
// knows the documented form of the messages and the journal's records, and
// shares no code with the drain between them.
package kafkatest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

// Event is what topic and journal must agree on.
type Event struct {
	Node     int64  `json:"node"`
	Epoch    int64  `json:"epoch"`
	Seq      string `json:"seq"`
	Kind     string `json:"kind"`
	Event    string `json:"event"`
	Reason   string `json:"reason"`
	Win      string `json:"win"`
	TimeMs   int64  `json:"time_ms"`
	HLC      string `json:"hlc"`
	Campaign string `json:"campaign"`
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
}

// Message is an event as it arrived.
type Message struct {
	Event
	Key       string
	Partition int32
}

// Campaigns of the records that Post writes.
const Campaigns = 7

// Post appends n events, from number from on, and between them records of
// other kinds, and waits until all are durable.
func Post(t testing.TB, j *outbox.Journal, a *outbox.Appender, from, n uint64) {
	t.Helper()
	for i := from; i < from+n; i++ {
		r := ledger.Record{
			Kind: ledger.Posted, Event: event.Impression, Node: j.Node(), Epoch: j.Epoch(), Wall: unit.WallTime(time.Now().UnixNano()),
			Stamp: ledger.Stamp(i), Campaign: unit.CampaignID(1 + i%Campaigns), Amount: unit.Nanos(i), Currency: unit.Currency{'E', 'U', 'R'},
			User: 1 << 63, Line: 2, Creative: 3, Issued: unit.WallFromUnix(1_800_000_000), Win: event.WinID{Node: j.Node(), Epoch: j.Epoch(), Seq: i},
			Parts: 1, From: [2]ledger.Part{{Account: 9, Day: 20_833, Epoch: j.Epoch()}},
		}
		if i%5 == 0 {
			r.Kind, r.Reason, r.Parts, r.From, r.Event = ledger.Recorded, ledger.Unfunded, 0, [2]ledger.Part{}, event.Click
		}
		if i%10 == 0 {
			_, _ = a.Append(&ledger.Record{Kind: ledger.Granted, Node: j.Node(), Epoch: j.Epoch(), Account: 9, Amount: 1 << 40, Day: 20_833})
		}
		if _, err := a.Append(&r); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			a.Commit()
		}
	}
	a.Commit()
	for a.Durable() < a.Position() {
		if err := j.Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// Journal lists the events in the folder of a closed journal.
func Journal(t testing.TB, files outbox.FS, dir string) (events []Event) {
	t.Helper()
	tail := outbox.OpenTail(files, dir, 0)
	defer func() { _ = tail.Close() }()
	for {
		r, pos, err := tail.Next(context.Background())
		if err == io.EOF {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind != ledger.Posted && r.Kind != ledger.Recorded {
			continue
		}
		e := Event{
			Node: int64(r.Node), Epoch: int64(r.Epoch), Seq: fmt.Sprintf("%016x", pos), Kind: r.Kind.String(), Event: r.Event.String(),
			Win:    fmt.Sprintf("%d-%d-%d-%d", r.Win.Node, r.Win.Epoch, r.Win.Shard, r.Win.Seq),
			TimeMs: int64(r.Wall) / 1e6, HLC: fmt.Sprintf("%016x", uint64(r.Stamp)), Campaign: fmt.Sprintf("%016x", uint64(r.Campaign)),
			Currency: r.Currency.String(), Amount: int64(r.Amount),
		}
		if r.Kind == ledger.Recorded {
			e.Reason = r.Reason.String()
		}
		events = append(events, e)
	}
}

// Consume reads until count different events are there and no more come, and
// gives each as it first arrived, and how many messages there were in all.
func Consume(t testing.TB, brokers []string, topic string, count int) (events []Message, total int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	type key struct {
		node, epoch int64
		seq         string
	}
	seen := map[key]bool{}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for quiet := 0; quiet < 2; {
		poll, done := context.WithTimeout(ctx, 300*time.Millisecond)
		fetched := client.PollFetches(poll)
		done()
		if ctx.Err() != nil {
			t.Fatalf("%d of %d events arrived", len(events), count)
		}
		for r := range fetched.RecordsAll() {
			total++
			m := Message{Key: string(r.Key), Partition: r.Partition}
			if err := json.Unmarshal(r.Value, &m); err != nil {
				t.Fatalf("%s: %v", r.Value, err)
			}
			if k := (key{m.Node, m.Epoch, m.Seq}); !seen[k] {
				seen[k] = true
				events = append(events, m)
			}
		}
		switch {
		case fetched.NumRecords() > 0:
			quiet = 0
		case len(events) >= count:
			quiet++
		}
	}
	return events, total
}

// Compare demands exactly the journal's events, each campaign's in one
// partition and in the journal's order.
func Compare(t testing.TB, events []Message, want []Event) {
	t.Helper()
	last, partition := map[string]string{}, map[string]int32{}
	got := make([]Event, len(events))
	for i, m := range events {
		if m.Key != m.Campaign || m.Seq <= last[m.Key] {
			t.Fatalf("campaign %s: %s after %s, key %s", m.Campaign, m.Seq, last[m.Key], m.Key)
		}
		if p, ok := partition[m.Key]; ok && p != m.Partition {
			t.Fatalf("campaign %s is in partitions %d and %d", m.Key, p, m.Partition)
		}
		last[m.Key], partition[m.Key], got[i] = m.Seq, m.Partition, m.Event
	}
	slices.SortFunc(got, func(a, b Event) int { return cmp.Compare(a.Seq, b.Seq) })
	if !slices.Equal(got, want) {
		t.Fatalf("%d events in the topic, %d in the journal, or not the same", len(got), len(want))
	}
}
