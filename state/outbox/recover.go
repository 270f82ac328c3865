package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// replayCheckpointBytes: replaying less than this at a start is cheaper than
// writing a checkpoint then.
const replayCheckpointBytes = 4 << 20

// epochGap is left to the lives of another folder of the node.
const epochGap = 1000

// Open recovers the journal in cfg.Dir, starts a new epoch in a new segment,
// and begins to take records.
func Open(cfg Config) (*Journal, error) {
	j, err := open(cfg)
	if err == nil {
		go j.run()
	}
	return j, err
}

// OpenStepped is Open without the writer's goroutine: nothing is written until
// the owner calls Step, from one goroutine with everything else. For
// simulations, in which the order of disk operations follows from a seed.
func OpenStepped(cfg Config) (*Journal, error) {
	j, err := open(cfg)
	if err == nil {
		j.stepped = true
	}
	return j, err
}

func open(cfg Config) (*Journal, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.FS == nil {
		cfg.FS = OSFS()
	}
	if err := cfg.FS.MkdirAll(cfg.Dir); err != nil {
		return nil, fmt.Errorf("journal.dir: %w", err)
	}
	unlock, err := cfg.FS.Lock(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("journal.dir: %w", err)
	}
	j := &Journal{
		cfg: cfg, fs: cfg.FS, unlock: unlock,
		wake: make(chan struct{}, 1), inspect: make(chan func(*ledger.Book)),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	if err := j.start(); err != nil {
		if j.writer.file != nil {
			err = errors.Join(err, j.writer.file.Close())
		}
		return nil, errors.Join(named(err), unlock())
	}
	return j, nil
}

func (j *Journal) start() error {
	begun := j.cfg.Wall()
	last, err := j.replay()
	if err != nil {
		return err
	}
	if err := j.loadCursors(); err != nil {
		return err
	}
	w := &j.writer
	j.breaches.Store(w.book.Breaches())
	w.book.Prune(begun)
	j.recovered = w.book.Recovered()
	// A node without a journal starts at the clock, so that a wiped folder
	// does not bring back an epoch whose tokens are still out there.
	j.previous = w.book.LastEpoch()
	j.epoch = j.previous + 1
	if j.previous == 0 {
		j.epoch = max(1, unit.Epoch(begun.Unix()))
	}
	if j.epoch <= j.cfg.EpochFloor {
		// Another folder was in use meanwhile, and may be the one of lives that
		// nobody has heard of yet.
		j.epoch = j.cfg.EpochFloor + epochGap
	}
	if n := len(j.recovered.Epochs); n > 0 {
		e := &j.recovered.Epochs[n-1]
		e.Ended = max(begun, e.Started)
	}
	var checkpoint []byte
	if j.recovery.Bytes > replayCheckpointBytes {
		checkpoint = w.book.AppendCheckpoint(nil)
		w.checkpointBytes = int64(len(checkpoint))
	}
	if err := j.createSegment(last + 1); err != nil {
		return err
	}
	started := ledger.Record{
		Kind: ledger.EpochStarted, Node: j.cfg.Node, Epoch: j.epoch, Seq: uint64(j.cfg.Shards),
		Wall: begun, Stamp: w.book.Stamp().Next(begun),
	}
	j.recovered.Stamp = started.Stamp
	w.buf = appendGroup(w.buf[:0], w.group+1)
	head := len(w.buf)
	w.buf = started.Append(openFrame(w.buf))
	closeFrame(w.buf, head)
	if err := j.persist(); err != nil {
		return err
	}
	j.fold(w.buf[head:])
	if checkpoint != nil {
		if err := j.writeCheckpoint(w.number, checkpoint); err != nil {
			return err
		}
		w.sinceCheckpoint = 0
		j.checkpoints.Add(1)
	}
	j.recovery.Breaches = j.breaches.Load()
	j.recovery.Duration = j.cfg.Wall().Sub(begun)
	return nil
}

// list gives the numbers of the segments and checkpoints, rising.
func (j *Journal) list() (segments, checkpoints []uint64, err error) {
	names, err := j.fs.List(j.cfg.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("journal.dir: %w", err)
	}
	for _, name := range names {
		if n, ok := parseFileName(name, segmentSuffix); ok {
			segments = append(segments, n)
		}
		if n, ok := parseFileName(name, checkpointSuffix); ok {
			checkpoints = append(checkpoints, n)
		}
	}
	return segments, checkpoints, nil
}

// replay rebuilds the book and gives the number of the last segment.
func (j *Journal) replay() (last uint64, err error) {
	if err := j.removeTemporary(); err != nil {
		return 0, err
	}
	segments, checkpoints, err := j.list()
	if err != nil {
		return 0, err
	}
	if err := j.loadCheckpoint(checkpoints); err != nil {
		return 0, err
	}
	next := max(j.recovery.Checkpoint, 1)
	var before []uint64
	for len(segments) > 0 && segments[0] < next {
		before, segments = append(before, segments[0]), segments[1:]
	}
	for i, n := range segments {
		if n != next {
			return 0, fmt.Errorf("%w: segment %d is missing in %s; restore it, nothing was changed", ErrDamaged, next, j.cfg.Dir)
		}
		if err := j.replaySegment(n, i == len(segments)-1); err != nil {
			return 0, err
		}
		next++
	}
	if j.recovery.Checkpoint > 0 && len(segments) == 0 {
		return 0, fmt.Errorf("%w: checkpoint %d stands without its segment in %s; restore it, nothing was changed",
			ErrDamaged, j.recovery.Checkpoint, j.cfg.Dir)
	}
	// The crash may have come between a checkpoint and the first group after
	// it. Groups are numbered on all the same: who reads the older segments too
	// takes a step back for damage.
	for i := len(before) - 1; i >= 0 && j.writer.group == 0; i-- {
		if j.writer.group, err = j.lastGroup(before[i]); err != nil {
			return 0, err
		}
	}
	return next - 1, nil
}

// lastGroup is the number of a segment's last group, 0 if it has none.
func (j *Journal) lastGroup(number uint64) (group uint64, err error) {
	rest, err := j.readFile(j.path(number, segmentSuffix))
	if err != nil {
		return 0, fmt.Errorf("journal: reading segment %d: %w", number, err)
	}
	for {
		payload, more, st := nextFrame(rest)
		if st != frameOK {
			return group, nil
		}
		if seq, ok := parseGroup(payload); ok {
			group = seq
		}
		rest = more
	}
}

func (j *Journal) removeTemporary() error {
	names, err := j.fs.List(j.cfg.Dir)
	if err != nil {
		return fmt.Errorf("journal.dir: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, temporarySuffix) {
			if err := j.fs.Remove(j.cfg.Dir + "/" + name); err != nil {
				return fmt.Errorf("journal.dir: %w", err)
			}
		}
	}
	return nil
}

// loadCheckpoint takes the newest checkpoint that is whole.
func (j *Journal) loadCheckpoint(numbers []uint64) error {
	var faults []error
	for i := len(numbers) - 1; i >= 0; i-- {
		data, err := j.readFile(j.path(numbers[i], checkpointSuffix))
		if err == nil {
			if n := len(data) - 4; n < 0 || crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
				err = fmt.Errorf("%w: checkpoint %d: checksum", ErrDamaged, numbers[i])
			} else {
				j.writer.book, err = ledger.DecodeCheckpoint(data[:n], j.cfg.Node, j.cfg.TokenTTL)
			}
		}
		if err == nil {
			j.recovery.Checkpoint = numbers[i]
			j.writer.checkpointBytes = int64(len(data))
			return nil
		}
		faults = append(faults, err)
		j.recovery.CheckpointsBad++
		if j.cfg.Alarm != nil {
			j.cfg.Alarm(err)
		}
	}
	// None is whole: only the whole history will do, and replay says so if it
	// is not there.
	j.writer.book = ledger.NewBook(j.cfg.Node, j.cfg.TokenTTL)
	if len(faults) == 0 {
		return nil
	}
	f, err := j.fs.Open(j.path(1, segmentSuffix))
	if err != nil {
		return fmt.Errorf("journal: no checkpoint can be read and segment 1 is gone: %w", errors.Join(faults...))
	}
	return f.Close()
}

func (j *Journal) readFile(path string) ([]byte, error) { return ReadFile(j.fs, path) }

// ReadFile is the whole content of a file.
func ReadFile(files FS, path string) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); err != nil && (err != io.EOF || n != len(data)) {
		return nil, err
	}
	return data, nil
}

// replaySegment folds one segment in; of the youngest it cuts a torn tail off.
func (j *Journal) replaySegment(number uint64, youngest bool) error {
	path := j.path(number, segmentSuffix)
	data, err := j.readFile(path)
	if err != nil {
		return fmt.Errorf("journal: reading segment %d: %w", number, err)
	}
	good, group, err := j.replayFrames(number, data)
	if err == nil {
		j.recovery.Segments++
		j.recovery.Bytes += good
		j.writer.group = group
		return j.cut(path, number, good, int64(len(data)), youngest)
	}
	if !youngest || !errors.Is(err, errTorn) {
		return fmt.Errorf("%w: segment %d (%s) at byte %d: %v; restore it, nothing was changed", ErrDamaged, number, path, good, err)
	}
	if later, ok := laterGroup(data[good:], group); ok {
		return fmt.Errorf("%w: segment %d (%s) at byte %d: a bad frame, though group %d, written after it was synced, is whole; restore it, nothing was changed",
			ErrDamaged, number, path, good, later)
	}
	j.recovery.Segments++
	j.recovery.Bytes += good
	j.recovery.TornBytes = int64(len(data)) - good
	j.writer.group = group
	return j.cut(path, number, good, int64(len(data)), true)
}

// cut gives the youngest segment its final size, and makes what was read
// durable before anything is built on it: its last group may never have been synced.
func (j *Journal) cut(path string, number uint64, good, size int64, youngest bool) error {
	if !youngest {
		return nil
	}
	f, err := j.fs.Open(path)
	if err != nil {
		return fmt.Errorf("journal: segment %d: %w", number, err)
	}
	if good < size {
		err = f.Truncate(good)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("journal: cutting the tail of segment %d: %w", number, err)
	}
	return nil
}

var errTorn = errors.New("a frame is cut or its checksum is wrong")

// replayFrames folds the frames of a segment in, up to the first fault, and
// gives the offset behind the last good one and the last group's number.
func (j *Journal) replayFrames(number uint64, data []byte) (good int64, group uint64, err error) {
	group = j.writer.group
	payload, rest, st := nextFrame(data)
	switch st {
	case frameEnd: // created, and the crash came before its header was synced
		return 0, group, nil
	case frameBad:
		return 0, group, errTorn
	}
	head, err := parseSegmentHead(payload)
	if err != nil {
		return 0, group, err
	}
	if head.node != j.cfg.Node || head.number != number {
		return 0, group, fmt.Errorf("it is segment %d of node %d; this is node %d", head.number, head.node, j.cfg.Node)
	}
	var rec ledger.Record
	for {
		good = int64(len(data) - len(rest))
		payload, rest, st = nextFrame(rest)
		switch st {
		case frameEnd:
			return good, group, nil
		case frameBad:
			return good, group, errTorn
		}
		if seq, ok := parseGroup(payload); ok {
			if group != 0 && seq != group+1 {
				return good, group, fmt.Errorf("group %d follows group %d", seq, group)
			}
			group = seq
			continue
		}
		if err := rec.Decode(payload); err != nil {
			return good, group, err
		}
		j.recovery.Records++
		if err := j.writer.book.Apply(&rec); err != nil && j.cfg.Alarm != nil {
			j.cfg.Alarm(err)
		}
	}
}
