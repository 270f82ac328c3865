package outbox_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

// TestReadWhileWriting: a folder is read, again and again, while its node writes,
// rolls segments, makes checkpoints and removes what is old. Readers see every
// record in order, or are told of a gap, and never take what is being written for
// damage.
func TestReadWhileWriting(t *testing.T) {
	c := outbox.Default()
	c.Dir, c.Node, c.SegmentBytes, c.Retention = t.TempDir(), testNode, 16<<10, 0
	c.Wall = func() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }
	c.Alarm = func(err error) { t.Errorf("alarm: %v", err) }
	j, err := outbox.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	const records = 6000
	written := make(chan struct{})
	go func() {
		defer close(written)
		a := j.NewAppender(nil)
		for i := range uint64(records) {
			r := ledger.Record{
				Kind: ledger.Posted, Event: event.Click, Node: testNode, Epoch: j.Epoch(), Seq: i, Amount: 1,
				Win: event.WinID{Node: testNode, Epoch: j.Epoch(), Seq: i},
			}
			if _, err := a.Append(&r); err != nil {
				t.Error(err)
				return
			}
			if a.Commit(); i%7 == 0 {
				for a.Durable() < a.Position() && !j.Failed() {
					time.Sleep(50 * time.Microsecond)
				}
			}
		}
	}()
	looks := 0
	for writing := true; writing; looks++ {
		select {
		case <-written:
			writing = false
		default:
		}
		readPostings(t, c.Dir)
		_, _, err := outbox.ReadBook(outbox.ReadFS(), c.Dir, time.Hour)
		if late := errors.As(err, new(*outbox.Gap)) || errors.Is(err, fs.ErrNotExist); err != nil && !late {
			t.Fatalf("look %d: %v", looks, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d looks", looks)
	if last := readPostings(t, c.Dir); last != records-1 {
		t.Fatalf("the last record read is %d", last)
	}
	book, pos, err := outbox.ReadBook(outbox.ReadFS(), c.Dir, time.Hour)
	if err != nil || pos == 0 || book.LastEpoch() != j.Epoch() || book.Breaches() != 0 || book.SeenPages() != 1 {
		t.Fatalf("%v, position %d", err, pos)
	}
}

// readPostings reads the folder to its end, and gives the last posting's number.
func readPostings(t *testing.T, dir string) (last uint64) {
	t.Helper()
	tail := outbox.OpenTail(outbox.ReadFS(), dir, 0)
	defer func() { _ = tail.Close() }()
	first := true
	for {
		r, _, err := tail.Next(context.Background())
		if gap := (*outbox.Gap)(nil); errors.As(err, &gap) {
			first = true
			continue
		}
		if err == io.EOF {
			return last
		}
		if err != nil {
			t.Fatalf("after record %d: %v", last, err)
		}
		if r.Kind != ledger.Posted {
			continue
		}
		if !first && r.Seq != last+1 {
			t.Fatalf("record %d follows %d", r.Seq, last)
		}
		first, last = false, r.Seq
	}
}

// TestReadFSChangesNothing: reading a folder can't write to it.
func TestReadFSChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/f", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := outbox.ReadFS()
	_, create := files.Create(dir + "/g")
	_, lock := files.Lock(dir)
	f, err := files.Open(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	_, write := f.WriteAt([]byte("y"), 0)
	for what, err := range map[string]error{
		"mkdir": files.MkdirAll(dir + "/d"), "create": create, "lock": lock, "write": write, "remove": files.Remove(dir + "/f"), "rename": files.Rename(dir+"/f", dir+"/g"),
		"sync": files.SyncDir(dir), "close": f.Close(),
	} {
		if (err == nil) != (what == "close") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b, err := outbox.ReadFile(files, dir+"/f"); err != nil || string(b) != "x" {
		t.Fatalf("%q, %v", b, err)
	}
}
