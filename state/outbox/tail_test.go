package outbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
)

// given is one record as a tail gave it.
type given struct {
	encoded string
	pos     uint64
}

// readAll reads to the end. io.EOF and a closed journal are no fault.
func readAll(t *outbox.Tail) (list []given, err error) {
	defer func() { _ = t.Close() }()
	for {
		rec, pos, err := t.Next(context.Background())
		if err == io.EOF || errors.Is(err, outbox.ErrClosed) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, given{string(rec.Append(nil)), pos})
	}
}

// naive takes the segments apart by the words of the package's documentation,
// with none of its code: length u32, CRC32C, payload; the first frame and those
// of groups are skipped.
func naive(t *testing.T, fs outbox.FS, dir string) (list []given) {
	t.Helper()
	names, _ := fs.List(dir)
	for _, name := range names {
		var number uint64
		if n, _ := fmt.Sscanf(name, "%016d.seg", &number); n != 1 || !strings.HasSuffix(name, ".seg") {
			continue
		}
		f, err := fs.Open(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		data := make([]byte, size)
		_, _ = f.ReadAt(data, 0)
		_ = f.Close()
		for at := 0; at+8 <= len(data); {
			n := int(binary.LittleEndian.Uint32(data[at:]))
			if n == 0 {
				break
			}
			payload := data[at+8 : at+8+n]
			at += 8 + n
			if at != 8+n && !bytes.HasPrefix(payload, []byte("\xa7mrgroup")) {
				list = append(list, given{string(payload), number<<36 | uint64(at)})
			}
		}
	}
	return list
}

func TestTailAgainstNaive(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		fs := faultfs.New(0, nil)
		cfg := testConfig(fs, "/d")
		cfg.SegmentBytes = 4096 + r.Int64N(16<<10)
		var live [][]given
		for life := range 3 {
			j, err := outbox.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			var readers sync.WaitGroup
			for range 2 {
				from := uint64(0)
				var before []given
				if life > 0 && r.IntN(3) > 0 {
					before = live[0][:r.IntN(len(live[0]))]
					if n := len(before); n > 0 {
						from = before[n-1].pos
					}
				}
				tail := j.Tail(from)
				slot := len(live)
				live = append(live, nil)
				readers.Go(func() {
					list, err := readAll(tail)
					if err != nil {
						t.Error(err)
					}
					live[slot] = append(slices.Clone(before), list...)
				})
			}
			var writers sync.WaitGroup
			for shard := range 2 {
				c := newClient(j, unit.ShardID(shard))
				c.seq = uint64(shard) << 32
				n := 1 + r.IntN(40)
				writers.Go(func() { c.run(n) })
			}
			writers.Wait()
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			readers.Wait()
			want := naive(t, fs, "/d")
			for _, got := range live[min(life, 1):] {
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, life %d: a tail gave %d records, there are %d", seed, life, len(got), len(want))
				}
			}
			offline, err := readAll(outbox.OpenTail(fs, "/d", 0))
			if err != nil || !slices.Equal(offline, want) {
				t.Fatalf("seed %d, life %d: offline %d records, there are %d (%v)", seed, life, len(offline), len(want), err)
			}
			live = [][]given{want}
		}
	}
}

// drained is a drain: it gives on what it reads, and advances its cursor.
type drained struct {
	made     bool
	list     []given
	promised uint64 // Advance succeeded
	tried    uint64
}

func (d *drained) run(j *outbox.Journal, name string) {
	c, err := j.Cursor(name)
	if err != nil {
		return
	}
	d.made, d.tried = true, c.Position()
	tail := c.Tail()
	defer func() { _ = tail.Close() }()
	for {
		rec, pos, err := tail.Next(context.Background())
		if err != nil {
			return
		}
		if d.list = append(d.list, given{string(rec.Append(nil)), pos}); len(d.list)%10 == 0 {
			d.tried = pos
			if c.Advance(pos) == nil {
				d.promised = pos
			}
		}
	}
}

// TestDrainCrashAtEveryOperation: what a drain was given is in the journal after
// any crash, at the same place; its cursor stands where it was promised or where
// it was being moved to; and going on there leaves nothing out.
func TestDrainCrashAtEveryOperation(t *testing.T) {
	rounds := 0
	for k := 1; ; k++ {
		fs := faultfs.New(0, func(n int, _, _ string) error {
			if n == k {
				return faultfs.ErrCrashed
			}
			return nil
		})
		cfg := testConfig(fs, "/d")
		cfg.Retention = 0
		var d drained
		if j, err := outbox.Open(cfg); err == nil {
			var wait sync.WaitGroup
			wait.Go(func() { d.run(j, "copy") })
			newClient(j, 0).run(30)
			_ = j.Close()
			wait.Wait()
		}
		if fs.Ops() < k {
			break
		}
		rounds++
		for seed := range uint64(3) {
			cfg := testConfig(fs.AfterCrash(seed, nil), "/d")
			cfg.Retention = 0
			cfg.Alarm = func(err error) { t.Errorf("crash at %d: %v", k, err) }
			j, err := outbox.Open(cfg)
			if err != nil {
				t.Fatalf("crash at %d, seed %d: %v", k, seed, err)
			}
			c, err := j.Cursor("copy")
			if err != nil {
				t.Fatal(err)
			}
			at, tail := c.Position(), c.Tail()
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if at < d.promised || d.made && at > d.tried {
				t.Fatalf("crash at %d, seed %d: the cursor is at %x; promised %x, tried %x", k, seed, at, d.promised, d.tried)
			}
			more, err := readAll(tail)
			if err != nil {
				t.Fatalf("crash at %d, seed %d: %v", k, seed, err)
			}
			i := slices.IndexFunc(d.list, func(g given) bool { return g.pos > at })
			if i >= 0 && (len(more) < len(d.list)-i || !slices.Equal(more[:len(d.list)-i], d.list[i:])) {
				t.Fatalf("crash at %d, seed %d: what was given after %x is not given again", k, seed, at)
			}
		}
	}
	if rounds < 80 {
		t.Fatalf("only %d operations were crashed at", rounds)
	}
}

func TestCursorHoldsSegments(t *testing.T) {
	fs := faultfs.New(0, nil)
	cfg := testConfig(fs, "/d")
	cfg.Retention = 0
	var alarms atomic.Int64
	cfg.Alarm = func(err error) {
		if strings.Contains(err.Error(), "before slow has read it") {
			alarms.Add(1)
		}
	}
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cursor, err := j.Cursor("slow")
	if err != nil {
		t.Fatal(err)
	}
	newClient(j, 0).run(300)
	if lag, err := j.LagBytes(cursor.Position()); err != nil || lag < 100_000 {
		t.Fatalf("a lag of %d bytes (%v)", lag, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	held, err := readAll(outbox.OpenTail(fs, "/d", 0))
	if err != nil || len(held) < 900 || cursor.MissedBytes() != 0 {
		t.Fatalf("%d records are held (%v)", len(held), err)
	}

	// The next life may hold less: what goes is told, counted, and met by the tail.
	cfg.HoldBytesMax = 20_000
	if j, err = outbox.Open(cfg); err != nil {
		t.Fatal(err)
	}
	if got := j.Cursors(); !slices.Equal(got, []string{"slow"}) {
		t.Fatalf("cursors %v", got)
	}
	newClient(j, 0).run(300)
	if cursor, err = j.Cursor("slow"); err != nil {
		t.Fatal(err)
	}
	tail := cursor.Tail()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if alarms.Load() == 0 || cursor.MissedBytes() == 0 {
		t.Fatalf("%d alarms, %d bytes missed", alarms.Load(), cursor.MissedBytes())
	}
	_, _, err = tail.Next(context.Background())
	if gap := (*outbox.Gap)(nil); !errors.As(err, &gap) || gap.From != 1<<36 || gap.To <= gap.From {
		t.Fatalf("instead of a gap: %v", err)
	}
	if rest, err := readAll(tail); err != nil || len(rest) == 0 {
		t.Fatalf("behind the gap: %d records (%v)", len(rest), err)
	}
}

func TestCursorLetsGo(t *testing.T) {
	fs := faultfs.New(0, nil)
	cfg := testConfig(fs, "/d")
	cfg.Retention = 0
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var d drained
	var wait sync.WaitGroup
	wait.Go(func() { d.run(j, "quick") })
	newClient(j, 0).run(600)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	if names, _ := fs.List("/d"); len(names) > 60 || len(d.list) < 1800 {
		t.Fatalf("%d records drained, and still there are %v", len(d.list), names)
	}
}

func TestCursorDamaged(t *testing.T) {
	fs := faultfs.New(0, nil)
	cfg := testConfig(fs, "/d")
	var d drained
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() { d.run(j, "copy") })
	newClient(j, 0).run(10)
	_ = j.Close()
	wait.Wait()
	if err := fs.Corrupt("/d/copy.cur", 20); err != nil {
		t.Fatal(err)
	}
	var alarm error
	cfg.Alarm = func(err error) { alarm = err }
	if j, err = outbox.Open(cfg); err != nil {
		t.Fatal(err)
	}
	c, err := j.Cursor("copy")
	if err != nil || c.Position() != 1<<36 || !errors.Is(alarm, outbox.ErrDamaged) {
		t.Fatalf("at %x, alarm %v (%v)", c.Position(), alarm, err)
	}
	_ = j.Close()
	for _, name := range []string{"", "A", "a/b", "..", strings.Repeat("a", 33)} {
		if _, err := j.Cursor(name); err == nil {
			t.Errorf("cursor %q was made", name)
		}
	}
}

func TestTailFaults(t *testing.T) {
	fs := faultfs.New(0, nil)
	cfg := testConfig(fs, "/d")
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	newClient(j, 0).run(60)
	for _, from := range []uint64{j.End() + 1, j.End() + 1<<36} {
		tail := j.Tail(from)
		if _, _, err := tail.Next(context.Background()); !errors.Is(err, outbox.ErrDamaged) || !strings.Contains(err.Error(), "older copy") {
			t.Fatalf("from behind the end: %v", err)
		}
		_ = tail.Close()
	}
	tail := j.Tail(j.End())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := tail.Next(ctx); !errors.Is(err, context.Canceled) || tail.Ready() {
		t.Fatalf("at the end: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tail.Next(context.Background()); !errors.Is(err, outbox.ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
	if err := fs.Corrupt("/d/0000000000000002.seg", 900); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(outbox.OpenTail(fs, "/d", 0)); !errors.Is(err, outbox.ErrDamaged) {
		t.Fatalf("a flipped bit in an old segment: %v", err)
	}
}

func TestAllocTail(t *testing.T) {
	cfg := testConfig(nil, t.TempDir())
	cfg.SegmentBytes = 64 << 20
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	a, tail, ctx := j.NewAppender(nil), j.Tail(0), context.Background()
	rec := ledger.Record{Kind: ledger.Posted, Event: event.Click, Node: testNode, Epoch: j.Epoch(), Win: event.WinID{Node: testNode, Epoch: j.Epoch()}}
	if _, _, err := tail.Next(ctx); err != nil { // the epoch's record
		t.Fatal(err)
	}
	batch := func() {
		for range 64 {
			rec.Win.Seq++
			if _, err := a.Append(&rec); err != nil {
				t.Fatal(err)
			}
		}
		a.Commit()
		for range 64 {
			if _, _, err := tail.Next(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 20 {
		batch()
	}
	if n := testing.AllocsPerRun(100, batch); n != 0 {
		t.Fatalf("%v allocations for 64 records through the journal and its tail", n)
	}
}

func BenchmarkTail(b *testing.B) {
	const records = 500_000
	cfg := testConfig(nil, b.TempDir())
	cfg.SegmentBytes = 64 << 20
	j, err := outbox.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	a := j.NewAppender(nil)
	rec := ledger.Record{Kind: ledger.Posted, Event: event.Impression, Node: testNode, Epoch: j.Epoch(), Win: event.WinID{Node: testNode, Epoch: j.Epoch()}}
	for i := range records {
		rec.Win.Seq++
		if _, err := a.Append(&rec); err != nil {
			b.Fatal(err)
		}
		if i%4096 == 0 {
			a.Commit()
			for a.Position()-a.Durable() > 65536 {
				time.Sleep(time.Millisecond)
			}
		}
	}
	a.Commit()
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		tail := outbox.OpenTail(nil, cfg.Dir, 0)
		for {
			if _, _, err := tail.Next(context.Background()); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			n++
		}
		_ = tail.Close()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

// TestGroupsAreNumberedOn: a crash right behind a checkpoint leaves no group to
// count from; who reads the older segments too must find no step back.
func TestGroupsAreNumberedOn(t *testing.T) {
	const header = 45
	fs := faultfs.New(0, nil)
	cfg := testConfig(fs, "/d")
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	newClient(j, 0).run(200)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := fs.List("/d")
	newest := ""
	for _, name := range names {
		if number, ok := strings.CutSuffix(name, ".ckp"); ok {
			newest = number + ".seg"
		}
	}
	if newest == "" {
		t.Fatal("no checkpoint was written")
	}
	for _, name := range names {
		if name > newest && strings.HasSuffix(name, ".seg") {
			if err := fs.Remove("/d/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	f, err := fs.Open("/d/" + newest)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(header); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for range 2 { // the crash may come again
		if j, err = outbox.Open(cfg); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := readAll(outbox.OpenTail(fs, "/d", 0)); err != nil || !slices.Equal(list, naive(t, fs, "/d")) {
		t.Fatalf("%d records: %v", len(list), err)
	}
}
