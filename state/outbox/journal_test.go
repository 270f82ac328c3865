package outbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
)

const testNode = unit.NodeID(4)

func testConfig(fs outbox.FS, dir string) outbox.Config {
	var tick atomic.Int64
	cfg := outbox.Default()
	cfg.Dir, cfg.Node, cfg.Shards, cfg.FS = dir, testNode, 2, fs
	cfg.SegmentBytes = 4096
	cfg.Wall = func() unit.WallTime { return unit.WallFromUnix(1_800_000_000 + tick.Add(1)) }
	return cfg
}

// client appends to a journal and knows what it was promised.
type client struct {
	j       *outbox.Journal
	a       *outbox.Appender
	epoch   unit.Epoch
	seq     uint64
	changed chan struct{}
	sent    []event.WinID
}

func newClient(j *outbox.Journal, shard unit.ShardID) *client {
	c := &client{j: j, epoch: j.Epoch(), changed: make(chan struct{}, 1)}
	c.a = j.NewAppender(func(uint64) {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	})
	return c
}

// run grants and posts n times and returns the events reported durable.
func (c *client) run(n int) (acked []event.WinID) {
	day := unit.Day(20_833)
	for i := range n {
		var last uint64
		if i%4 == 0 {
			_, _ = c.a.Append(&ledger.Record{Kind: ledger.Granted, Node: testNode, Epoch: c.epoch, Account: 9, Campaign: 8, Day: day, Amount: 1000})
		}
		for range 3 {
			c.seq++
			w := event.WinID{Node: testNode, Epoch: c.epoch, Seq: c.seq}
			pos, err := c.a.Append(&ledger.Record{
				Kind: ledger.Posted, Event: event.Impression, Node: testNode, Epoch: c.epoch, Campaign: 8, Amount: 7, Win: w,
				Issued: unit.WallFromUnix(1_800_000_000), Parts: 1, From: [2]ledger.Part{{Account: 9, Day: day, Epoch: c.epoch}},
			})
			if err != nil {
				return acked
			}
			last = pos
			c.sent = append(c.sent, w)
		}
		c.a.Commit()
		for c.a.Durable() < last && c.j.Err() == nil {
			<-c.changed
		}
		acked = c.sent[:0:0]
		durable := c.a.Durable()
		granted := uint64(0)
		for k, w := range c.sent {
			if k%12 == 0 {
				granted++
			}
			if uint64(k)+1+granted <= durable {
				acked = append(acked, w)
			}
		}
	}
	return acked
}

// verify opens the disk and compares it with what was promised and sent.
func verify(t *testing.T, fs outbox.FS, acked, sent []event.WinID, what string) {
	t.Helper()
	j, err := outbox.Open(testConfig(fs, "/d"))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer func() { _ = j.Close() }()
	check(t, j, acked, sent, what)
}

func check(t *testing.T, j *outbox.Journal, acked, sent []event.WinID, what string) {
	t.Helper()
	rec := j.Recovered()
	for _, w := range acked {
		if !rec.Seen(w, event.Impression) {
			t.Fatalf("%s: %+v was durable and is lost; recovery %+v", what, w, j.Recovery())
		}
	}
	found := 0
	for _, w := range sent {
		if rec.Seen(w, event.Impression) {
			found++
		}
	}
	if b := rec.Account(9); b != nil && b.Posted != unit.Nanos(7*found) || b == nil && found > 0 {
		t.Fatalf("%s: %d events seen, balance %+v", what, found, b)
	}
	if n := j.Recovery().Breaches; n != 0 {
		t.Fatalf("%s: %d breaches", what, n)
	}
}

func TestCrashAtEveryOperation(t *testing.T) {
	crashAt := func(k int) faultfs.Fault {
		return func(n int, _, _ string) error {
			if n == k {
				return faultfs.ErrCrashed
			}
			return nil
		}
	}
	rounds := 0
	for k := 1; ; k++ {
		fs := faultfs.New(0, crashAt(k))
		var acked, sent []event.WinID
		j, err := outbox.Open(testConfig(fs, "/d"))
		if err == nil {
			c := newClient(j, 0)
			acked = c.run(40)
			sent = c.sent
			_ = j.Close()
		}
		if fs.Ops() < k {
			break
		}
		rounds++
		for seed := range uint64(3) {
			disk := fs.AfterCrash(seed, nil)
			// The recovery is killed too, somewhere, and then once more.
			for m := 1 + int(seed)*5; m < 40; m += 7 {
				again := disk.AfterCrash(seed, crashAt(m))
				if j, err := outbox.Open(testConfig(again, "/d")); err == nil {
					_ = j.Close()
				}
				disk = again
			}
			verify(t, disk.AfterCrash(seed, nil), acked, sent, fmt.Sprintf("crash at operation %d, seed %d", k, seed))
		}
	}
	if rounds < 60 {
		t.Fatalf("only %d operations were crashed at", rounds)
	}
}

func TestErrorAtEveryOperation(t *testing.T) {
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		for k := 1; ; k++ {
			fs := faultfs.New(0, func(n int, _, _ string) error {
				if n == k {
					return fault
				}
				return nil
			})
			var acked, sent []event.WinID
			j, err := outbox.Open(testConfig(fs, "/d"))
			if err == nil {
				c := newClient(j, 0)
				acked, sent = c.run(40), c.sent
				if err := j.Err(); err != nil && errors.Is(err, outbox.ErrDiskFull) != (fault == syscall.ENOSPC) {
					t.Fatalf("operation %d: %v", k, err)
				}
				if j.Err() != nil {
					if _, err := c.a.Append(&ledger.Record{Kind: ledger.EpochStarted}); err == nil {
						t.Fatal("a failed journal took a record")
					}
				}
				_ = j.Close()
			}
			if fs.Ops() < k {
				break
			}
			verify(t, fs.AfterCrash(uint64(k), nil), acked, sent, fmt.Sprintf("%v at operation %d", fault, k))
		}
	}
}

func TestDiskFullIsSticky(t *testing.T) {
	fs := faultfs.New(20_000, nil)
	j, err := outbox.Open(testConfig(fs, "/d"))
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(j, 0)
	acked := c.run(400)
	if !errors.Is(j.Err(), outbox.ErrDiskFull) {
		t.Fatalf("%v", j.Err())
	}
	if err := j.Close(); !errors.Is(err, outbox.ErrDiskFull) {
		t.Fatalf("close: %v", err)
	}
	if _, err := outbox.Open(testConfig(fs, "/d")); !errors.Is(err, outbox.ErrDiskFull) {
		t.Fatalf("opened on a full disk: %v", err)
	}
	fs.Extend(1 << 20)
	verify(t, fs.AfterCrash(1, nil), acked, c.sent, "full disk")
}

func TestDamageIsNotATornTail(t *testing.T) {
	fs := faultfs.New(0, nil)
	cfg := testConfig(fs, "/d")
	cfg.SegmentBytes = 1 << 20
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(j, 0)
	c.run(10)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	const segment = "/d/0000000000000001.seg"
	if err := fs.Corrupt(segment, 600); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.Open(cfg); !errors.Is(err, outbox.ErrDamaged) {
		t.Fatalf("a flipped bit before synced groups: %v", err)
	}
	if err := fs.Corrupt(segment, 600); err != nil { // flips it back
		t.Fatal(err)
	}
	if err := fs.Corrupt(segment, fs.Size(segment)-5); err != nil {
		t.Fatal(err)
	}
	if j, err = outbox.Open(cfg); err != nil || j.Recovery().TornBytes == 0 {
		t.Fatalf("a torn last record: %v", err)
	}
	check(t, j, c.sent[:len(c.sent)-1], c.sent, "torn last record")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	cfg := testConfig(nil, t.TempDir())
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.Open(cfg); err == nil || !strings.Contains(err.Error(), "another") {
		t.Fatalf("opened twice: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.Node++
	if _, err := outbox.Open(other); !errors.Is(err, outbox.ErrDamaged) {
		t.Fatalf("another node's journal: %v", err)
	}
}

func TestCheckpointBoundsRecoveryAndDisk(t *testing.T) {
	fs := faultfs.New(0, nil)
	cfg := testConfig(fs, "/d")
	cfg.Retention = 0
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(j, 0)
	acked := c.run(600)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if st := j.Stats(); st.Checkpoints < 5 || st.Segments < 10 || st.Records < 1800 {
		t.Fatalf("%+v", st)
	}
	names, _ := fs.List("/d")
	// Some 75 segments were written. The writer waits for a checkpoint that lags
	// eight behind, so that two of them and what follows are at most so many.
	if len(names) > 48 {
		t.Fatalf("old files stay: %v", names)
	}
	if j, err = outbox.Open(cfg); err != nil {
		t.Fatal(err)
	}
	check(t, j, acked, c.sent, "from a checkpoint")
	if r := j.Recovery(); r.Checkpoint == 0 || r.Segments > 24 {
		t.Fatalf("%+v", r)
	}
	newest := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".ckp") {
			newest = name
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Corrupt("/d/"+newest, 40); err != nil {
		t.Fatal(err)
	}
	if j, err = outbox.Open(cfg); err != nil || j.Recovery().CheckpointsBad != 1 {
		t.Fatalf("the older checkpoint must do: %v", err)
	}
	check(t, j, acked, c.sent, "from the older checkpoint")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBacklogIsRefused(t *testing.T) {
	cfg := testConfig(faultfs.New(0, nil), "/d")
	cfg.PendingBytesMax = 4096
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := j.NewAppender(nil)
	for {
		if _, err = a.Append(&ledger.Record{Kind: ledger.EpochStarted, Node: testNode, Epoch: 1}); err != nil {
			break
		}
	}
	if !errors.Is(err, outbox.ErrBacklog) || a.Position() < 10 {
		t.Fatalf("after %d records: %v", a.Position(), err)
	}
	_ = j.Close()
}

func FuzzRecovery(f *testing.F) {
	const segment = "/d/0000000000000001.seg"
	whole := faultfs.New(0, nil)
	j, err := outbox.Open(testConfig(whole, "/d"))
	if err != nil {
		f.Fatal(err)
	}
	newClient(j, 0).run(3)
	_ = j.Close()
	file, _ := whole.Open(segment)
	seed := make([]byte, whole.Size(segment))
	_, _ = file.ReadAt(seed, 0)
	f.Add(seed)
	f.Add(seed[:len(seed)-7])
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := faultfs.New(0, nil)
		file, _ := fs.Create(segment)
		_, _ = file.WriteAt(data, 0)
		records, fault := readAll(outbox.OpenTail(fs, "/d", 0))
		j, err := outbox.Open(testConfig(fs, "/d"))
		if err != nil {
			return
		}
		if uint64(len(records)) != j.Recovery().Records || fault != nil {
			t.Fatalf("a tail reads %d records (%v), recovery %d", len(records), fault, j.Recovery().Records)
		}
		first := *j.Recovered()
		_ = j.Close()
		if j, err = outbox.Open(testConfig(fs, "/d")); err != nil {
			t.Fatalf("opened once, but not twice: %v", err)
		}
		if again := j.Recovered(); len(again.Accounts) != len(first.Accounts) || len(again.Leases) != len(first.Leases) {
			t.Fatalf("recovery is not idempotent: %+v, %+v", first, again)
		}
		_ = j.Close()
	})
}

// TestChild is the process that TestKill kills.
func TestChild(t *testing.T) {
	dir := os.Getenv("MILLRACE_JOURNAL_CHILD")
	if dir == "" {
		t.Skip("runs as the child of TestKill only")
	}
	j, err := outbox.Open(testConfig(nil, dir))
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(j, 0)
	for range 100_000 {
		if c.run(1); j.Err() != nil {
			t.Fatal(j.Err())
		}
		fmt.Printf("durable %d %d\n", c.epoch, c.seq)
	}
}

func TestKill(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	promised := map[unit.Epoch]uint64{}
	r := rand.New(rand.NewPCG(1, 1))
	for range 12 {
		cmd := exec.Command(exe, "-test.run=^TestChild$", "-test.v")
		cmd.Env = append(os.Environ(), "MILLRACE_JOURNAL_CHILD="+dir)
		out := filepath.Join(t.TempDir(), "out")
		f, err := os.Create(out)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = f
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(30+r.IntN(100)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = f.Close()
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var epoch, seq uint64
			if n, _ := fmt.Sscanf(line, "durable %d %d\n", &epoch, &seq); n == 2 && strings.HasSuffix(line, "\n") {
				promised[unit.Epoch(epoch)] = max(promised[unit.Epoch(epoch)], seq)
			}
		}
	}
	j, err := outbox.Open(testConfig(nil, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	total := uint64(0)
	for epoch, last := range promised {
		for seq := uint64(1); seq <= last; seq++ {
			if !j.Recovered().Seen(event.WinID{Node: testNode, Epoch: epoch, Seq: seq}, event.Impression) {
				t.Fatalf("epoch %d: %d was durable and is lost", epoch, seq)
			}
		}
		total += last
	}
	if j.Recovery().Breaches != 0 || total == 0 {
		t.Fatalf("%d events, %d breaches", total, j.Recovery().Breaches)
	}
	t.Log("events durable before 12 kills: " + strconv.FormatUint(total, 10))
}

func TestAllocAppendCommit(t *testing.T) {
	cfg := testConfig(nil, t.TempDir())
	cfg.SegmentBytes = 64 << 20
	j, err := outbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	a := j.NewAppender(func(uint64) {})
	rec := ledger.Record{Kind: ledger.Posted, Event: event.Click, Node: testNode, Epoch: j.Epoch(), Win: event.WinID{Node: testNode, Epoch: j.Epoch()}}
	batch := func() {
		for range 64 {
			rec.Win.Seq++
			if _, err := a.Append(&rec); err != nil {
				t.Fatal(err)
			}
		}
		pos := a.Position()
		a.Commit()
		for a.Durable() < pos {
			time.Sleep(50 * time.Microsecond)
		}
	}
	for range 20 {
		batch()
	}
	if n := testing.AllocsPerRun(100, batch); n != 0 {
		t.Fatalf("%v allocations a batch of 64, writer included", n)
	}
}

func BenchmarkJournal(b *testing.B) {
	for _, batch := range []int{1, 64, 1024} {
		b.Run(strconv.Itoa(batch), func(b *testing.B) {
			cfg := testConfig(nil, b.TempDir())
			cfg.SegmentBytes = 64 << 20
			j, err := outbox.Open(cfg)
			if err != nil {
				b.Fatal(err)
			}
			notice := make(chan struct{}, 1)
			a := j.NewAppender(func(uint64) {
				select {
				case notice <- struct{}{}:
				default:
				}
			})
			rec := ledger.Record{
				Kind: ledger.Posted, Event: event.Impression, Node: testNode, Epoch: j.Epoch(),
				Win: event.WinID{Node: testNode, Epoch: j.Epoch()},
			}
			n := 0
			for b.Loop() {
				rec.Win.Seq++
				if _, err := a.Append(&rec); err != nil {
					b.Fatal(err)
				}
				if n++; n%batch == 0 {
					a.Commit()
					// At most two batches are under way, as with two shards.
					for a.Position()-a.Durable() > uint64(2*batch) {
						<-notice
					}
				}
			}
			a.Commit()
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
			st := j.Stats()
			b.ReportMetric(float64(st.Records)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(st.Records)/float64(st.Groups), "records/sync")
		})
	}
}

func BenchmarkRecovery(b *testing.B) {
	const records = 1_000_000
	dir := b.TempDir()
	cfg := testConfig(nil, dir)
	cfg.SegmentBytes = 512 << 20 // no checkpoint: all is replayed
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
	for b.Loop() {
		b.StopTimer()
		copyDir := b.TempDir()
		names, _ := outbox.OSFS().List(dir)
		for _, name := range names {
			data, _ := os.ReadFile(filepath.Join(dir, name))
			if err := os.WriteFile(filepath.Join(copyDir, name), data, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		again := cfg
		again.Dir = copyDir
		j, err := outbox.Open(again)
		if err != nil || j.Recovery().Records < records {
			b.Fatal(err, j.Recovery())
		}
		b.StopTimer()
		_ = j.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// TestEpochFloor: a life's epoch is above what others know of the node, in a
// folder that is new and in one restored from a copy.
func TestEpochFloor(t *testing.T) {
	fs := faultfs.New(0, nil)
	previous := unit.Epoch(0)
	for _, floor := range []unit.Epoch{1 << 31, 7, 1<<31 + 50} {
		cfg := testConfig(fs, "/j")
		cfg.EpochFloor = floor
		j, err := outbox.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if j.Epoch() <= floor || j.Epoch() <= previous || j.Previous() != previous {
			t.Errorf("epoch %d after %d, above %d; previous is %d", j.Epoch(), previous, floor, j.Previous())
		}
		previous = j.Epoch()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
