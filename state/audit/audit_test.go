package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/outbox/faultfs"
)

const (
	testNode = unit.NodeID(3)
	chainDir = "/audit"
	bookDir  = "/journal"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func publicKey() ed25519.PublicKey { return testKey.Public().(ed25519.PublicKey) }

// still is a disk that can't be changed but by the test itself.
type still map[string][]byte

func (s still) MkdirAll(string) error { return fs.ErrPermission }
func (s still) List(dir string) (names []string, err error) {
	for name := range s {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}
func (s still) Create(string) (outbox.File, error) { return nil, fs.ErrPermission }
func (s still) Open(name string) (outbox.File, error) {
	data, ok := s[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return stillFile{bytes.NewReader(data)}, nil
}
func (s still) Remove(string) error               { return fs.ErrPermission }
func (s still) Rename(string, string) error       { return fs.ErrPermission }
func (s still) SyncDir(string) error              { return fs.ErrPermission }
func (s still) Lock(string) (func() error, error) { return nil, fs.ErrPermission }

type stillFile struct{ *bytes.Reader }

func (f stillFile) WriteAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }
func (f stillFile) Size() (int64, error)               { return f.Reader.Size(), nil }
func (f stillFile) Truncate(int64) error               { return fs.ErrPermission }
func (f stillFile) Preallocate(int64) error            { return fs.ErrPermission }
func (f stillFile) Sync() error                        { return nil }
func (f stillFile) Close() error                       { return nil }

// picture copies what a disk holds.
func picture(t *testing.T, disk outbox.FS) still {
	t.Helper()
	s := still{}
	for _, dir := range []string{chainDir, bookDir} {
		names, err := disk.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := outbox.ReadFile(disk, dir+"/"+name)
			if err != nil {
				t.Fatal(err)
			}
			s[dir+"/"+name] = data
		}
	}
	return s
}

func (s still) with(name string, data []byte) still {
	c := still{}
	for k, v := range s {
		c[k] = v
	}
	c[name] = data
	return c
}

// world is a node's journal and chain on one disk.
type world struct {
	disk    outbox.FS
	files   int64 // Config.FileBytes
	journal *outbox.Journal
	records *outbox.Appender
	drain   *Drain
	seq     uint64
}

func (w *world) open() error {
	c := outbox.Default()
	c.Dir, c.Node, c.FS, c.SegmentBytes = bookDir, testNode, w.disk, 4096
	c.Wall = func() unit.WallTime { return 1_800_000_000_000_000_000 }
	var err error
	if w.journal, err = outbox.OpenStepped(c); err != nil {
		return err
	}
	w.records = w.journal.NewAppender(nil)
	chain, err := Open(Config{Dir: chainDir, Node: testNode, Key: testKey, FileBytes: w.files, FS: w.disk})
	if err != nil {
		return err
	}
	w.drain, err = NewDrain(chain, w.journal)
	return err
}

// write journals n records and makes them durable.
func (w *world) write(n int) error {
	for range n {
		w.seq++
		r := ledger.Record{
			Kind: ledger.Posted, Event: event.Impression, Node: testNode, Epoch: w.journal.Epoch(), Stamp: ledger.Stamp(w.seq), Campaign: 5, Amount: 7,
			Win:   event.WinID{Node: testNode, Epoch: w.journal.Epoch(), Seq: w.seq},
			Parts: 1, From: [2]ledger.Part{{Account: 9, Day: 20_000, Epoch: w.journal.Epoch()}},
		}
		if _, err := w.records.Append(&r); err != nil {
			return err
		}
	}
	w.records.Commit()
	w.journal.Step()
	return w.journal.Err()
}

func (w *world) stop() error { return errors.Join(w.drain.Stop(), w.journal.Close()) }

// small is a chain of three files, with some seals, and its journal.
func small(t *testing.T) still {
	t.Helper()
	w := &world{disk: faultfs.New(0, nil), files: 4096}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.drain.chain.cfg.FileBytes = 700
	for range 4 {
		if err := errors.Join(w.write(3), w.drain.Step()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	return picture(t, w.disk)
}

func check(s still, o Options) (Report, error) {
	o.FS = s
	return Verify(chainDir, o)
}

func TestChainVerifies(t *testing.T) {
	s := small(t)
	r, err := check(s, Options{Key: publicKey(), Journal: bookDir})
	if err != nil {
		t.Fatal(err)
	}
	if r.Records != 13 || r.Compared != 13 || r.Files < 3 || r.Seals < 5 || !r.Trusted || len(r.Gaps) != 0 || r.Unsealed != 0 {
		t.Fatalf("%+v", r)
	}
	if _, err := check(s, Options{Key: bytes.Repeat([]byte{1}, 32)}); err == nil {
		t.Fatal("a chain signed by somebody else verifies")
	}
	head, err := ParseHead(r.Head)
	if err != nil || head.Records != 13 {
		t.Fatalf("%+v, %v", head, err)
	}
}

// chainFiles are the names of the chain's files, rising, and the head.
func (s still) chainFiles() (files []string, head string) {
	names, _ := s.List(chainDir)
	for _, n := range names {
		if strings.HasSuffix(n, fileSuffix) {
			files = append(files, chainDir+"/"+n)
		}
	}
	return files, chainDir + "/" + headName
}

// TestEveryFlippedByteIsFound (I7).
func TestEveryFlippedByteIsFound(t *testing.T) {
	s := small(t)
	files, head := s.chainFiles()
	n, step := 0, 1
	if testing.Short() {
		step = 23
	}
	for _, name := range append(files, head) {
		for at := 0; at < len(s[name]); at += step {
			for _, by := range []byte{1, 0x80} {
				bad := bytes.Clone(s[name])
				bad[at] ^= by
				n++
				_, err := check(s.with(name, bad), Options{Key: publicKey()})
				if fault := (*Fault)(nil); !errors.As(err, &fault) {
					t.Fatalf("%s, byte %d flipped by %#x: %v", name, at, by, err)
				} else if name != head && fault.File == filepath.Base(name) && fault.Byte > int64(at) {
					t.Fatalf("%s, byte %d flipped; the fault is behind it: %v", name, at, fault)
				}
				if _, err := check(s.with(name, bad), Options{}); err == nil {
					t.Fatalf("%s, byte %d flipped, no key given: not found", name, at)
				}
			}
		}
	}
	t.Logf("%d flips, all found", n)
}

// TestEveryCutIsFound: of any file, at any length.
func TestEveryCutIsFound(t *testing.T) {
	s := small(t)
	files, head := s.chainFiles()
	step := 1
	if testing.Short() {
		step = 23
	}
	for _, name := range append(files, head) {
		for n := 0; n < len(s[name]); n += step {
			if _, err := check(s.with(name, s[name][:n]), Options{}); err == nil {
				t.Fatalf("%s, cut to %d bytes: not found", name, n)
			}
		}
		missing := s.with(name, nil)
		delete(missing, name)
		if _, err := check(missing, Options{}); err == nil {
			t.Fatalf("%s removed: not found", name)
		}
	}
}

// entries are the offsets of a file's entries, the last is its end.
func entries(data []byte) []int {
	at := []int{0}
	for n := 0; n < len(data); {
		n += 4 + int(binary.LittleEndian.Uint32(data[n:])) + linkSize
		at = append(at, n)
	}
	return at
}

// TestMovedRecordsAreFound: entries removed, doubled and exchanged.
func TestMovedRecordsAreFound(t *testing.T) {
	s := small(t)
	files, _ := s.chainFiles()
	for _, name := range files {
		data, at := s[name], entries(s[name])
		for i := range len(at) - 1 {
			entry := data[at[i]:at[i+1]]
			cases := map[string][]byte{
				"removed": slices.Concat(data[:at[i]], data[at[i+1]:]),
				"doubled": slices.Concat(data[:at[i+1]], entry, data[at[i+1]:]),
			}
			if i+2 < len(at) {
				cases["exchanged"] = slices.Concat(data[:at[i]], data[at[i+1]:at[i+2]], entry, data[at[i+2]:])
			}
			for what, bad := range cases {
				// What stands behind the head's seal is not of the chain, and is reported.
				if r, err := check(s.with(name, bad), Options{}); err == nil && r.Unsealed == 0 {
					t.Fatalf("%s, entry %d %s: not found", name, i, what)
				}
			}
		}
	}
}

// TestForgedWithoutKey: somebody who computes all hashes anew, but can't sign.
func TestForgedWithoutKey(t *testing.T) {
	s := small(t)
	files, _ := s.chainFiles()
	data, at := s[files[0]], entries(s[files[0]])
	var h Hash
	var forged []byte
	for i := range len(at) - 1 {
		e := data[at[i]:at[i+1]]
		body := bytes.Clone(e[entryHead : len(e)-linkSize])
		if e[4] == kindRecord {
			body[len(body)-1] ^= 1
		}
		forged = appendEntry(forged, &h, e[4], func(b []byte) []byte { return append(b, body...) })
	}
	_, err := check(s.with(files[0], forged), Options{})
	if fault := (*Fault)(nil); !errors.As(err, &fault) || !strings.Contains(fault.Text, "signature") {
		t.Fatal(err)
	}
}

// TestRolledBack: a chain that was cut at a seal together with an older head is
// whole by itself. The journal's cursor and records know, and so does a head
// that was kept elsewhere.
func TestRolledBack(t *testing.T) {
	w := &world{disk: faultfs.New(0, nil), files: 1 << 20}
	if err := errors.Join(w.open(), w.write(3), w.drain.Step()); err != nil {
		t.Fatal(err)
	}
	old := picture(t, w.disk)
	if err := errors.Join(w.write(3), w.drain.Step()); err != nil {
		t.Fatal(err)
	}
	kept := w.drain.chain.Head()
	now := picture(t, w.disk)
	for name, data := range old {
		if strings.HasPrefix(name, chainDir) {
			now = now.with(name, data)
		}
	}
	if _, err := check(now, Options{Key: publicKey()}); err != nil {
		t.Fatalf("what is missing can't be seen from within: %v", err)
	}
	if _, err := check(now, Options{Journal: bookDir}); err == nil {
		t.Fatal("the journal does not tell")
	}
	if _, err := check(now, Options{Head: &kept}); err == nil {
		t.Fatal("the head kept elsewhere does not tell")
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := check(picture(t, w.disk), Options{Head: &kept, Journal: bookDir}); err != nil {
		t.Fatalf("a chain that went on from a head that was kept: %v", err)
	}
}

// TestJournalTells: who has the key can write another history, whole in itself;
// the journal knows better.
func TestJournalTells(t *testing.T) {
	s := small(t)
	w := &world{disk: faultfs.New(0, nil), files: 1 << 20}
	w.seq = 100 // other wins
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.write(12), w.stop()); err != nil {
		t.Fatal(err)
	}
	other := picture(t, w.disk)
	for name, data := range s {
		if strings.HasPrefix(name, bookDir) {
			other = other.with(name, data)
		}
	}
	if _, err := check(other, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := check(other, Options{Journal: bookDir}); err == nil {
		t.Fatal("the chain of another history passes beside this journal")
	}
}

// TestCrashAnywhere: after a crash at any disk operation the chain goes on, and
// has every record once.
func TestCrashAnywhere(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 9
	}
	for at := 1; ; at += step {
		crash := func(n int, _, _ string) error {
			if n == at {
				return faultfs.ErrCrashed
			}
			return nil
		}
		disk := faultfs.New(0, crash)
		w := &world{disk: disk, files: 4096}
		err := w.open()
		for range 12 {
			if err == nil {
				err = errors.Join(w.write(9), w.drain.Step())
			}
		}
		if err == nil {
			if at < 100 {
				t.Fatalf("only %d operations", at)
			}
			t.Logf("%d operations", at)
			return
		}
		if !errors.Is(err, faultfs.ErrCrashed) {
			t.Fatalf("operation %d: %v", at, err)
		}
		w.disk = disk.AfterCrash(uint64(at), nil)
		if err := errors.Join(w.open(), w.write(2), w.drain.Step(), w.stop()); err != nil {
			t.Fatalf("after a crash at operation %d: %v", at, err)
		}
		s := picture(t, w.disk)
		r, err := check(s, Options{Key: publicKey(), Journal: bookDir})
		if err != nil {
			t.Fatalf("after a crash at operation %d: %v", at, err)
		}
		tail, n := outbox.OpenTail(s, bookDir, 0), uint64(0)
		for err = nil; err == nil; n++ {
			_, _, err = tail.Next(t.Context())
		}
		if err != io.EOF || r.Records != n-1 || r.Compared != n-1 {
			t.Fatalf("after a crash at operation %d: %d records in the journal, %+v, %v", at, n-1, r, err)
		}
	}
}

// TestBrokenChainTakesNothing: a node does not write on over a damaged end.
func TestBrokenChainTakesNothing(t *testing.T) {
	disk := faultfs.New(0, nil)
	w := &world{disk: disk, files: 1 << 20}
	if err := errors.Join(w.open(), w.write(3), w.drain.Step()); err != nil {
		t.Fatal(err)
	}
	head := w.drain.chain.Head()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if err := disk.Corrupt(chainDir+"/"+fileName(1), head.Offset-20); err != nil {
		t.Fatal(err)
	}
	if err := w.open(); !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
}

// TestKeepBytes: old files go, and the rest verifies from where it begins.
func TestKeepBytes(t *testing.T) {
	w := &world{disk: faultfs.New(0, nil), files: 4096}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.drain.chain.cfg.KeepBytes = 10_000
	for range 40 {
		if err := errors.Join(w.write(10), w.drain.Step()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	s := picture(t, w.disk)
	files, _ := s.chainFiles()
	r, err := check(s, Options{Key: publicKey(), Journal: bookDir})
	if err != nil || r.RecordsBefore == 0 || r.Records+r.RecordsBefore != 401 || len(files) > 5 {
		t.Fatalf("%v, %d files, %+v", err, len(files), r)
	}
}

func TestHeadLine(t *testing.T) {
	h := Head{Node: 3, First: 1, Number: 4, Records: 5, Position: 1 << 40, File: 2, Offset: 77, Hash: Hash{1, 2}}
	got, err := ParseHead(h.String() + "\n")
	if err != nil || got != h {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", h.String() + " ", " " + h.String(), strings.Replace(h.String(), " 4 ", " 04 ", 1), strings.ToUpper(h.String())} {
		if _, err := ParseHead(bad); !errors.Is(err, ErrHead) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := fuzzChain(f)
	files, _ := s.chainFiles()
	whole := slices.Concat(s[files[0]], s[files[1]])
	f.Add(uint16(0), whole[:0], whole)
	f.Add(uint16(70), []byte{1}, []byte(nil))
	f.Fuzz(func(t *testing.T, at uint16, patch, whatever []byte) {
		o := Options{FS: still{"/f": whatever}, Exported: true, Key: publicKey()}
		_, _ = Verify("/f", o)
		bad := bytes.Clone(whole)
		copy(bad[min(int(at), len(bad)):], patch)
		o.FS = still{"/f": bad}
		if _, err := Verify("/f", o); (err == nil) != bytes.Equal(bad, whole) {
			t.Fatalf("%d bytes at %d: %v", len(patch), at, err)
		}
	})
}

func fuzzChain(f *testing.F) still {
	w := &world{disk: faultfs.New(0, nil), files: 4096}
	if err := w.open(); err != nil {
		f.Fatal(err)
	}
	w.drain.chain.cfg.FileBytes = 300
	for range 2 {
		if err := errors.Join(w.write(2), w.drain.Step()); err != nil {
			f.Fatal(err)
		}
	}
	s := still{}
	for _, n := range []uint64{1, 2} {
		name := fmt.Sprintf("%s/%s", chainDir, fileName(n))
		data, err := outbox.ReadFile(w.disk, name)
		if err != nil {
			f.Fatal(err)
		}
		s[name] = data
	}
	return s
}

func BenchmarkChain(b *testing.B) {
	c, err := Open(Config{Dir: b.TempDir(), Node: testNode, Key: testKey, FileBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	r := ledger.Record{Kind: ledger.Posted, Event: event.Click, Node: testNode, Parts: 2}
	b.ReportAllocs()
	for i := range b.N {
		if err := c.Append(&r, uint64(i+1)); err != nil {
			b.Fatal(err)
		}
		if i%blockRecords == 0 {
			if err := c.Seal(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.SetBytes(int64(len(r.Append(nil))))
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkVerify(b *testing.B) {
	const records = 200_000
	dir := b.TempDir()
	c, err := Open(Config{Dir: dir, Node: testNode, Key: testKey, FileBytes: 16 << 20})
	if err != nil {
		b.Fatal(err)
	}
	r := ledger.Record{Kind: ledger.Posted, Event: event.Click, Node: testNode, Parts: 2}
	for i := range records {
		err := c.Append(&r, uint64(i+1))
		if i%2000 == 0 { // as at 2,000 events a second
			err = errors.Join(err, c.Seal())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		report, err := Verify(dir, Options{Key: publicKey()})
		if err != nil || report.Records != records {
			b.Fatalf("%+v, %v", report, err)
		}
		b.SetBytes(report.Bytes)
	}
	b.ReportMetric(float64(b.N)*records/b.Elapsed().Seconds(), "records/s")
}
