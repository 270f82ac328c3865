package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
	"millrace/state/store/kafka/kafkatest"
)

const testTopic = "millrace.spend"

func wall() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

func openJournal(t *testing.T, files outbox.FS, dir string) *outbox.Journal {
	t.Helper()
	c := outbox.Default()
	c.Dir, c.Node, c.FS, c.Wall, c.SegmentBytes, c.Retention = dir, 4, files, wall, 64<<10, 0
	j, err := outbox.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	// What the tests compare with is kept, whatever the drain lets go.
	if _, err := j.Cursor("keeps-all"); err != nil {
		t.Fatal(err)
	}
	return j
}

func testConfig(brokers ...string) Config {
	c := Default()
	c.Brokers, c.Partitions, c.Replication = brokers, 4, 1
	c.Linger, c.Advance = 2*time.Millisecond, 20*time.Millisecond
	return c
}

func start(t *testing.T, c Config, j *outbox.Journal) *Drain {
	t.Helper()
	d, err := Start(c, j, slog.New(slog.NewTextHandler(t.Output(), nil)), wall)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func stop(t *testing.T, d *Drain, patience time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func fake(t *testing.T, o ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestDrainDelivers(t *testing.T) {
	c, dir := fake(t), t.TempDir()
	total := uint64(0)
	for range 3 { // lives of the node
		j := openJournal(t, nil, dir)
		d := start(t, testConfig(c.ListenAddrs()...), j)
		a := j.NewAppender(nil)
		kafkatest.Post(t, j, a, total+1, 700)
		total += 700
		stop(t, d, 20*time.Second)
		if s := d.Status(); s.Acknowledged != 700 || s.Errors != 0 || s.MissedBytes != 0 {
			t.Fatalf("%+v", s)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	events, arrived := kafkatest.Consume(t, c.ListenAddrs(), testTopic, int(total))
	if arrived != int(total) {
		t.Fatalf("%d messages for %d events, without any fault", arrived, total)
	}
	kafkatest.Compare(t, events, kafkatest.Journal(t, nil, dir))
}

// TestDrainFaults has produce requests fail, connections cut and the topic
// missing, at random, and the drain killed without a goodbye.
func TestDrainFaults(t *testing.T) {
	c := fake(t)
	var mu sync.Mutex
	r, pauses := rand.New(rand.NewPCG(3, 3)), rand.New(rand.NewPCG(3, 4)) // the broker's, and ours
	faults := map[string]int{}
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if r.IntN(4) == 0 {
			faults["cut"]++
			return nil, errors.New("cut"), true
		}
		return nil, nil, false
	})
	files := faultfs.New(0, nil)
	total := uint64(0)
	for range 4 {
		j := openJournal(t, files, "/d")
		d := start(t, testConfig(c.ListenAddrs()...), j)
		kafkatest.Post(t, j, j.NewAppender(nil), total+1, 400)
		total += 400
		stop(t, d, time.Duration(pauses.IntN(200))*time.Millisecond)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		files = files.AfterCrash(total, nil)
	}
	j := openJournal(t, files, "/d")
	d := start(t, testConfig(c.ListenAddrs()...), j)
	stop(t, d, 30*time.Second)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	want := kafkatest.Journal(t, files, "/d")
	events, arrived := kafkatest.Consume(t, c.ListenAddrs(), testTopic, len(want))
	kafkatest.Compare(t, events, want)
	mu.Lock()
	defer mu.Unlock()
	if len(want) != int(total) || faults["cut"] == 0 {
		t.Fatalf("%d events of %d, faults %v", len(want), total, faults)
	}
	t.Logf("%d events, %d messages, faults %v", len(want), arrived, faults)
}

// TestRefusedEventIsRepeated: an answer that no retry can help ends the
// producer; the next begins at the last acknowledged event.
func TestRefusedEventIsRepeated(t *testing.T) {
	c := fake(t)
	refused := 0
	c.ControlKey(int16(kmsg.Produce), func(k kmsg.Request) (kmsg.Response, error, bool) {
		if refused++; refused > 2 {
			return nil, nil, false
		}
		c.KeepControl()
		q := k.(*kmsg.ProduceRequest)
		answer := q.ResponseKind().(*kmsg.ProduceResponse)
		for i := range q.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = q.Topics[i].Topic, q.Topics[i].TopicID
			for _, p := range q.Topics[i].Partitions {
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				topic.Partitions = append(topic.Partitions, part)
			}
			answer.Topics = append(answer.Topics, topic)
		}
		return answer, nil, true
	})
	dir := t.TempDir()
	j := openJournal(t, nil, dir)
	d := start(t, testConfig(c.ListenAddrs()...), j)
	kafkatest.Post(t, j, j.NewAppender(nil), 1, 100)
	stop(t, d, 20*time.Second)
	if s := d.Status(); s.Errors == 0 || s.LagBytes != 0 && s.Acknowledged < 100 {
		t.Fatalf("%+v", s)
	}
	_ = j.Close()
	events, _ := kafkatest.Consume(t, c.ListenAddrs(), testTopic, 100)
	if len(events) != 100 {
		t.Fatalf("%d events", len(events))
	}
}

// TestOutageCostsTheJournalOnly: no broker at all. Nothing waits, memory is
// bounded by the window, the lag is told, and later all arrives.
func TestOutageCostsTheJournalOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	dir := t.TempDir()
	j := openJournal(t, nil, dir)
	c := testConfig(address)
	c.BufferEvents = 64
	d := start(t, c, j)
	kafkatest.Post(t, j, j.NewAppender(nil), 1, 3000)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s := d.Status()
		if s.LagBytes > 300_000 && s.LagRecords > 1500 && s.LagRecords < 6000 && s.LagSeconds > 0 && s.Errors > 0 && s.Acknowledged == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", s)
		}
	}
	if n := len(d.window.entries); n > 64 {
		t.Fatalf("%d events are held in memory", n)
	}
	cluster := fake(t, kfake.Ports(port))
	stop(t, d, 30*time.Second)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	events, _ := kafkatest.Consume(t, cluster.ListenAddrs(), testTopic, 3000)
	kafkatest.Compare(t, events, kafkatest.Journal(t, nil, dir))
}

func TestTopicIsNamedWhenMissing(t *testing.T) {
	c := fake(t)
	j := openJournal(t, faultfs.New(0, nil), "/d")
	defer func() { _ = j.Close() }()
	cfg := testConfig(c.ListenAddrs()...)
	cfg.Partitions = 0
	var log strings.Builder
	var mu sync.Mutex
	d, err := Start(cfg, j, slog.New(slog.NewTextHandler(locked{&mu, &log}, nil)), wall)
	if err != nil {
		t.Fatal(err)
	}
	kafkatest.Post(t, j, j.NewAppender(nil), 1, 3)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		text := log.String()
		mu.Unlock()
		if strings.Contains(text, "there is no topic millrace.spend") && strings.Contains(text, "kafka.partitions") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log says: %s", text)
		}
	}
	stop(t, d, 0)
}

type locked struct {
	mu *sync.Mutex
	b  *strings.Builder
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestMessage(t *testing.T) {
	r := ledger.Record{
		Kind: ledger.Posted, Event: event.Click, Node: 4, Epoch: 1_800_000_001, Wall: 1_800_000_000_123_456_789, Stamp: 0xabcdef,
		Campaign: 0x8000000000000001, Line: 2, Creative: 3, User: 5, Amount: 1_250_000_000, Currency: unit.Currency{'E', 'U', 'R'},
		Issued: unit.WallFromUnix(1_799_999_999), Win: event.WinID{Node: 4, Epoch: 1_800_000_001, Shard: 2, Seq: 77},
		Parts: 2, From: [2]ledger.Part{{Account: 9, Day: 20_833, Epoch: 7}, {Account: 10, Day: 20_833, Epoch: 7}},
		Policy: event.Policy{Model: 1 << 60, Arm: 1, Click: event.NewProbability(0.5), Propensity: event.NewProbability(1)},
	}
	const want = `{"v":1,"node":4,"epoch":1800000001,"seq":"0000001000000045","kind":"posted","event":"click","win":"4-1800000001-2-77",` +
		`"time_ms":1800000000123,"hlc":"0000000000abcdef","issued":1799999999,"campaign":"8000000000000001","line":"0000000000000002",` +
		`"creative":"0000000000000003","user":"0000000000000005","currency":"EUR","amount":1250000000,` +
		`"from":[{"account":"0000000000000009","day":20833,"epoch":7},{"account":"000000000000000a","day":20833,"epoch":7}],` +
		`"policy":{"model":"1152921504606846976","epoch":0,"arm":1,"rung":0,"explored":false,"click":0.5,"conversion":0,"other":0,"propensity":1}}`
	if got := string(appendMessage(nil, &r, 1<<36|69)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.Kind, r.Reason, r.Parts, r.Policy, r.Currency = ledger.Recorded, ledger.Unfunded, 0, event.Policy{}, unit.Currency{}
	got := appendMessage(nil, &r, 1)
	if !json.Valid(got) || !strings.Contains(string(got), `"kind":"recorded","event":"click","reason":"unfunded"`) ||
		strings.Contains(string(got), "from") || strings.Contains(string(got), "policy") {
		t.Errorf("%s", got)
	}
	r.Reason, r.Name = ledger.Resold, []byte(`acme "eu"`)
	r.Sale = ledger.Sale{Bid: 7, Reported: 6, Currency: unit.USD, Told: true}
	got = appendMessage(nil, &r, 1)
	if !json.Valid(got) || !strings.HasSuffix(string(got), `"amount":1250000000,"sale":{"buyer":"acme \"eu\"","currency":"USD","bid":7,"reported":6}}`) {
		t.Errorf("%s", got)
	}
}

// TestWindow against a plain list.
func TestWindow(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWindow(1 + r.IntN(40))
		type item struct {
			ordinal, pos uint64
			done         bool
		}
		var all []item
		acked, pos := uint64(0), uint64(0)
		for range 500 {
			pos++
			switch r.IntN(5) {
			case 0:
				w.skip(pos)
				if len(all) > 0 {
					all[len(all)-1].pos = pos
				} else {
					acked = pos
				}
			case 1, 2:
				if n, full := w.add(pos, unit.WallTime(pos)); full != (len(all) == w.max) {
					t.Fatalf("seed %d: full is %v with %d of %d", seed, full, len(all), w.max)
				} else if !full {
					all = append(all, item{ordinal: n, pos: pos})
				}
			case 3:
				if len(all) > 0 {
					i := r.IntN(len(all))
					w.done(all[i].ordinal)
					all[i].done = true
				}
				for len(all) > 0 && all[0].done {
					acked, all = all[0].pos, all[1:]
				}
			case 4:
				if r.IntN(40) == 0 {
					old := all
					w.reset(acked)
					all = nil
					for _, o := range old {
						w.done(o.ordinal) // late news of the producer before
					}
				}
			}
			if a, n, _ := w.state(); a != acked || n != len(all) {
				t.Fatalf("seed %d: at %d with %d, want %d with %d", seed, a, n, acked, len(all))
			}
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	r := ledger.Record{Kind: ledger.Posted, Event: event.Impression, Node: 4, Epoch: 1, Campaign: 1, Currency: unit.Currency{'E', 'U', 'R'}, Parts: 1}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendMessage(buf[:0], &r, 1<<36)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}
