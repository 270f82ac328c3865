package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"millrace/state/ledger"
)

// A position is a place between two records of a journal: the segment's number
// above 36 bits of offset. Positions rise with the journal, fit a signed 64-bit
// column, and 0 is before everything.
const offsetBits = 36

func position(segment uint64, offset int64) uint64 { return segment<<offsetBits | uint64(offset) }

// SplitPosition gives the segment's number and the byte within it.
func SplitPosition(pos uint64) (segment uint64, offset int64) {
	return pos >> offsetBits, int64(pos & (1<<offsetBits - 1))
}

// Gap is the error of a Tail whose next segments are gone. The tail stands
// behind the gap: the next call goes on there, so it is the caller's to count
// and to tell what was missed.
type Gap struct{ From, To uint64 }

func (g *Gap) Error() string {
	from, at := SplitPosition(g.From)
	to, _ := SplitPosition(g.To)
	return fmt.Sprintf("journal: the records from segment %d, byte %d, to segment %d were removed before they were read; raise the bound on held segments, and take them from another copy", from, at, to)
}

// tailChunk is what a Tail reads at once.
const tailChunk = 256 << 10

// Tail reads a journal's durable records in order. One goroutine's.
type Tail struct {
	fs      FS
	dir     string
	journal *Journal // nil when the folder is read without one
	wake    chan struct{}

	file    File
	segment uint64 // 0: not yet placed
	offset  int64  // of the first byte not given out
	size    int64  // of a segment that grows no more, else -1
	// youngest: the folder is read without a journal, and no segment follows.
	youngest bool
	buf      []byte // read ahead, from offset
	chunk    []byte // what buf is a part of
	group    uint64
	rec      ledger.Record
	err      error
	// patience is how often the place patientAt was read again: a node that is
	// writing changes it under the reader.
	patience  int
	patientAt uint64
}

// Tail reads from a position that Next gave, or from 0: the oldest record kept.
// It holds no segments back; a Cursor does. Close it before the journal.
func (j *Journal) Tail(from uint64) *Tail {
	t := newTail(j.fs, j.cfg.Dir, from)
	t.journal, t.wake = j, make(chan struct{}, 1)
	j.mu.Lock()
	j.tails = append(j.tails[:len(j.tails):len(j.tails)], t)
	j.mu.Unlock()
	return t
}

// OpenTail reads the journal in dir without its node, and changes nothing. Its
// end is io.EOF: behind the last record that recovery would keep. A node may be
// writing; then the end is somewhere behind what was durable when it was opened.
func OpenTail(files FS, dir string, from uint64) *Tail {
	if files == nil {
		files = OSFS()
	}
	return newTail(files, dir, from)
}

func newTail(files FS, dir string, from uint64) *Tail {
	t := &Tail{fs: files, dir: dir, size: -1}
	t.segment, t.offset = SplitPosition(from)
	return t
}

// End is the position behind the last durable record. Any goroutine.
func (j *Journal) End() uint64 { return j.end.Load() }

// LagBytes is how much of the journal lies behind pos, read from the sizes of
// the segments. Any goroutine.
func (j *Journal) LagBytes(pos uint64) (int64, error) {
	segment, offset := SplitPosition(pos)
	last, bytes := SplitPosition(j.end.Load())
	segments, _, err := j.list()
	if err != nil {
		return 0, err
	}
	for _, n := range segments {
		if n >= segment && n < last {
			bytes += j.segmentSize(n)
		}
	}
	return max(0, bytes-offset), nil
}

func (j *Journal) segmentSize(number uint64) int64 {
	f, err := j.fs.Open(j.path(number, segmentSuffix))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	size, _ := f.Size()
	return size
}

// Position is behind the last record that Next gave.
func (t *Tail) Position() uint64 { return position(t.segment, t.offset) }

// Ready reports whether Next has something to say without waiting: for callers
// that gather batches.
func (t *Tail) Ready() bool {
	return t.journal == nil || t.err != nil || t.journal.Failed() || t.Position() < t.journal.end.Load()
}

// Woken gets a value after a sync, for callers that do not wait in Next. nil for
// a folder that is read without a journal.
func (t *Tail) Woken() <-chan struct{} { return t.wake }

// Close lets go of the files. The tail gives nothing more.
func (t *Tail) Close() error {
	if t.err == nil {
		t.err = ErrClosed
	}
	if j := t.journal; j != nil {
		j.mu.Lock()
		kept := make([]*Tail, 0, len(j.tails))
		for _, o := range j.tails {
			if o != t {
				kept = append(kept, o)
			}
		}
		j.tails = kept
		j.mu.Unlock()
	}
	return t.closeFile()
}

func (t *Tail) closeFile() error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file, t.buf = nil, nil
	return err
}

// Next waits for the next durable record and gives it with the position behind
// it: what a cursor stores once the record is safe elsewhere. The record is
// valid until the next call. A *Gap is told once and then passed. Other errors
// are final, but for ctx's; of a journal that failed or was closed it is the
// journal's, after its last durable record.
func (t *Tail) Next(ctx context.Context) (rec *ledger.Record, pos uint64, err error) {
	for t.err == nil {
		failed := t.journal != nil && t.journal.Failed() // before the end: then that is the last
		payload, more, err := t.frame()
		switch {
		case err != nil && t.lookAgain(err):
		case err != nil:
			if gap := (*Gap)(nil); !errors.As(err, &gap) {
				t.err = err
			}
			return nil, t.Position(), err
		case payload != nil:
			if record, err := t.take(payload); err != nil {
				t.err = t.damaged(err.Error())
			} else if record {
				return &t.rec, t.Position(), nil
			}
		case more:
		case t.journal == nil:
			t.err = io.EOF
		case failed:
			t.err = t.journal.Err()
		default:
			select {
			case <-t.wake:
			case <-ctx.Done():
				return nil, t.Position(), ctx.Err()
			}
		}
	}
	return nil, t.Position(), t.err
}

// lookAgain reads a place anew before it is called damaged, where a node may be
// writing: what was read in pieces may be of before and after a group.
func (t *Tail) lookAgain(err error) bool {
	if t.journal != nil || !errors.Is(err, ErrDamaged) || t.file == nil {
		return false
	}
	if pos := t.Position(); t.patientAt != pos {
		t.patientAt, t.patience = pos, 0
	}
	t.patience++
	if t.patience > 3 || t.closeFile() != nil {
		return false
	}
	t.size, t.youngest = -1, false
	return true
}

// take looks at a frame that was just passed; true: it is a record, now in rec.
func (t *Tail) take(payload []byte) (record bool, err error) {
	start := t.offset - int64(len(payload)) - frameHead
	if start == 0 {
		h, err := parseSegmentHead(payload)
		if err == nil && h.number != t.segment {
			err = fmt.Errorf("it says to be segment %d", h.number)
		}
		if err == nil && t.journal != nil && h.node != t.journal.cfg.Node {
			err = fmt.Errorf("it is of node %d", h.node)
		}
		return false, err
	}
	if seq, ok := parseGroup(payload); ok {
		if t.group != 0 && seq != t.group+1 {
			return false, fmt.Errorf("group %d follows group %d", seq, t.group)
		}
		t.group = seq
		return false, nil
	}
	return true, t.rec.Decode(payload)
}

// frame passes one frame. Without one, more says that another segment was
// begun, else all that is durable has been read.
func (t *Tail) frame() (payload []byte, more bool, err error) {
	if t.file == nil {
		if opened, err := t.open(); !opened || err != nil {
			return nil, false, err
		}
	}
	limit, complete, err := t.limit()
	if err != nil {
		return nil, false, err
	}
	if err := t.fill(limit); err != nil {
		return nil, false, err
	}
	payload, rest, st := nextFrame(t.buf)
	if st == frameOK {
		t.offset += int64(len(t.buf) - len(rest))
		t.buf = rest
		return payload, true, nil
	}
	if t.offset < limit {
		if t.journal != nil && !complete {
			return nil, false, t.damaged("a synced frame is bad")
		}
		if torn, err := t.ending(limit); err != nil {
			return nil, false, err
		} else if torn && complete {
			return nil, false, t.damaged("a frame is cut or its checksum is wrong")
		}
	}
	if !complete {
		return nil, false, nil
	}
	if err := t.closeFile(); err != nil {
		return nil, false, fmt.Errorf("journal: segment %d: %w", t.segment, err)
	}
	t.segment, t.offset, t.size = t.segment+1, 0, -1
	return nil, true, nil
}

func (t *Tail) damaged(text string) error {
	return fmt.Errorf("%w: segment %d in %s at byte %d: %s", ErrDamaged, t.segment, t.dir, t.offset, text)
}

// limit is how far the open segment may be read; complete: another follows.
func (t *Tail) limit() (limit int64, complete bool, err error) {
	if t.size >= 0 {
		return t.size, !t.youngest, nil
	}
	if t.journal != nil {
		last, offset := SplitPosition(t.journal.end.Load())
		if t.segment > last || t.segment == last && t.offset > offset {
			return 0, false, fmt.Errorf("%w: position %d:%d lies behind the journal's end, %d:%d; was %s restored from an older copy?",
				ErrDamaged, t.segment, t.offset, last, offset, t.dir)
		}
		if t.segment == last {
			return offset, false, nil
		}
		complete = true
	} else if next, _, err := t.following(t.segment + 1); err != nil {
		return 0, false, err
	} else {
		complete = next != 0
		t.youngest = !complete
	}
	size, err := t.file.Size()
	if err != nil {
		return 0, false, fmt.Errorf("journal: segment %d: %w", t.segment, err)
	}
	if t.offset > size {
		return 0, false, t.damaged("the segment ends before")
	}
	t.size = size
	return size, complete, nil
}

// following is the number of the first segment that is not below n, 0 if there
// is none, and whether it is n.
func (t *Tail) following(n uint64) (first uint64, exact bool, err error) {
	names, err := t.fs.List(t.dir)
	if err != nil {
		return 0, false, fmt.Errorf("journal.dir: %w", err)
	}
	for _, name := range names { // sorted, and all numbers are equally long
		if m, ok := parseFileName(name, segmentSuffix); ok && m >= n {
			return m, m == n, nil
		}
	}
	return 0, false, nil
}

// open opens the segment of the position; false: there is none yet. A missing
// one is a Gap, and the position moves behind it.
func (t *Tail) open() (bool, error) {
	first, exact, err := t.following(t.segment)
	if err != nil {
		return false, err
	}
	if !exact {
		from := t.Position()
		if first == 0 && (t.journal == nil && t.segment > 1 || t.journal != nil) {
			return false, fmt.Errorf("%w: position %d:%d lies behind the journal's end in %s; was it restored from an older copy?",
				ErrDamaged, t.segment, t.offset, t.dir)
		}
		if first == 0 {
			return false, nil
		}
		fresh := t.segment == 0
		t.segment, t.offset, t.group = first, 0, 0
		if !fresh {
			return false, &Gap{From: from, To: t.Position()}
		}
	}
	file, err := t.fs.Open(filepath.Join(t.dir, fileName(t.segment, segmentSuffix)))
	if errors.Is(err, fs.ErrNotExist) { // removed since it was listed
		return t.open()
	}
	if err != nil {
		return false, fmt.Errorf("journal: segment %d: %w", t.segment, err)
	}
	t.file, t.size = file, -1
	return true, nil
}

// fill reads ahead so that a whole frame is there, or all up to limit.
func (t *Tail) fill(limit int64) error {
	want := min(frameHead+frameMax, limit-t.offset)
	if int64(len(t.buf)) >= want {
		return nil
	}
	if t.chunk == nil {
		t.chunk = make([]byte, tailChunk)
	}
	have := copy(t.chunk, t.buf)
	n := min(int64(len(t.chunk)-have), limit-t.offset-int64(have))
	got, err := t.file.ReadAt(t.chunk[have:have+int(n)], t.offset+int64(have))
	t.buf = t.chunk[:have+got]
	if int64(got) == n {
		return nil
	}
	if err == nil || err == io.EOF {
		return t.damaged("the segment is shorter than it was")
	}
	return fmt.Errorf("journal: reading segment %d: %w", t.segment, err)
}

// ending judges what follows the last good frame, as recovery does: zeros, or
// the torn tail of a group that nobody was told about.
func (t *Tail) ending(limit int64) (torn bool, err error) {
	rest := make([]byte, limit-t.offset)
	if n, err := t.file.ReadAt(rest, t.offset); n < len(rest) {
		if err == nil || err == io.EOF {
			return false, t.damaged("the segment is shorter than it was")
		}
		return false, fmt.Errorf("journal: reading segment %d: %w", t.segment, err)
	}
	if _, _, st := nextFrame(rest); st == frameEnd {
		return false, nil
	}
	if later, ok := laterGroup(rest, t.group); ok {
		return false, t.damaged(fmt.Sprintf("a bad frame, though group %d, written after it was synced, is whole", later))
	}
	return true, nil
}
