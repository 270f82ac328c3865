package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// writer is the state of the one goroutine that touches the files.
type writer struct {
	book    *ledger.Book
	file    File
	number  uint64 // of the segment
	offset  int64
	group   uint64 // number of the last group
	buf     []byte
	rec     ledger.Record
	covered []*Appender

	sinceCheckpoint int64
	checkpointBytes int64
	checkpointing   chan error // nil when none is under way
	checkpoint      func()     // writes it
	checkpointAt    uint64     // number of the segment it stands before
}

// checkpointLag is how many segments may be written while a checkpoint is under
// way; then the writer waits for it. Without an end to that, a disk that is slow
// with the large and quick with the small would let recovery grow without bound.
const checkpointLag = 8

func (j *Journal) run() {
	defer close(j.done)
	for {
		select {
		case <-j.wake:
			j.writeGroup()
		case f := <-j.inspect:
			f(j.writer.book)
		case err := <-j.writer.checkpointing:
			j.checkpointDone(err)
		case <-j.closing:
			j.writeGroup()
			j.stop()
			return
		}
	}
}

// Step is one turn of the writer of a stepped journal: a group, and the
// checkpoint if one is due.
func (j *Journal) Step() {
	j.writeGroup()
	if w := &j.writer; w.checkpointing != nil {
		w.checkpoint()
		j.checkpointDone(<-w.checkpointing)
	}
}

// writeGroup takes what all appenders handed over, writes it in one piece,
// syncs, and only then tells anybody.
func (j *Journal) writeGroup() {
	if j.failed.Load() {
		return
	}
	w := &j.writer
	w.buf, w.covered = appendGroup(w.buf[:0], w.group+1), w.covered[:0]
	head := len(w.buf)
	j.mu.Lock()
	appenders := j.appenders
	j.mu.Unlock()
	for _, a := range appenders {
		if frames := a.take(); len(frames) > 0 {
			w.buf = append(w.buf, frames...)
			w.covered = append(w.covered, a)
		}
	}
	if len(w.covered) == 0 {
		return
	}
	if err := j.persist(); err != nil {
		j.fail(err)
		return
	}
	for _, a := range w.covered {
		a.durable.Store(a.takenPos)
		if a.notify != nil {
			a.notify(a.takenPos)
		}
	}
	j.wakeTails()
	j.fold(w.buf[head:])
}

// persist writes buf as the next group, in a new segment if this one is full.
func (j *Journal) persist() error {
	w := &j.writer
	if w.offset+int64(len(w.buf)) > j.cfg.SegmentBytes {
		if err := j.roll(); err != nil {
			return err
		}
	}
	if _, err := w.file.WriteAt(w.buf, w.offset); err != nil {
		return fmt.Errorf("journal: writing segment %d at %d: %w", w.number, w.offset, err)
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("journal: syncing segment %d: %w", w.number, err)
	}
	w.offset += int64(len(w.buf))
	w.sinceCheckpoint += int64(len(w.buf))
	w.group++
	j.end.Store(position(w.number, w.offset))
	j.groups.Add(1)
	j.bytes.Add(uint64(len(w.buf)))
	return nil
}

// fold brings the book up to date. It reads the encoded form on purpose: what
// recovery will read is what was counted.
func (j *Journal) fold(frames []byte) {
	w := &j.writer
	for n := uint64(0); ; n++ {
		payload, rest, st := nextFrame(frames)
		if st != frameOK {
			j.records.Add(n)
			return
		}
		frames = rest
		err := w.rec.Decode(payload)
		if err == nil {
			err = w.book.Apply(&w.rec)
		}
		if err != nil {
			j.breaches.Add(1)
			if j.cfg.Alarm != nil {
				j.cfg.Alarm(err)
			}
		}
	}
}

// roll closes the segment, starts the next, and begins a checkpoint when
// enough was written since the last: at least a segment, and at least as much
// as the checkpoint itself weighs, so that checkpoints at most double the
// bytes written.
func (j *Journal) roll() error {
	w := &j.writer
	if err := errors.Join(w.file.Truncate(w.offset), w.file.Sync()); err != nil {
		return fmt.Errorf("journal: closing segment %d: %w", w.number, err)
	}
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("journal: closing segment %d: %w", w.number, err)
	}
	if err := j.createSegment(w.number + 1); err != nil {
		return err
	}
	if w.checkpointing != nil && !j.stepped && w.number-w.checkpointAt >= checkpointLag {
		j.checkpointDone(<-w.checkpointing)
	}
	if w.checkpointing == nil && w.sinceCheckpoint >= max(j.cfg.SegmentBytes/2, w.checkpointBytes) {
		w.book.Prune(j.cfg.Wall())
		data := w.book.AppendCheckpoint(make([]byte, 0, w.checkpointBytes+w.checkpointBytes/8))
		w.sinceCheckpoint, w.checkpointBytes = 0, int64(len(data))
		done := make(chan error, 1)
		w.checkpointing, w.checkpointAt = done, w.number
		number := w.number
		w.checkpoint = func() { done <- j.writeCheckpoint(number, data) }
		if !j.stepped {
			go w.checkpoint()
		}
	}
	return nil
}

// createSegment makes segment number the current one, durable with its header.
func (j *Journal) createSegment(number uint64) error {
	w := &j.writer
	f, err := j.fs.Create(j.path(number, segmentSuffix))
	if err != nil {
		return fmt.Errorf("journal: creating segment %d: %w", number, err)
	}
	head := segmentHead{number: number, node: j.cfg.Node, created: j.cfg.Wall()}.append(nil)
	err = f.Preallocate(j.cfg.SegmentBytes)
	if err == nil {
		_, err = f.WriteAt(head, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fs.SyncDir(j.cfg.Dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("journal: creating segment %d: %w", number, err), f.Close())
	}
	w.file, w.number, w.offset = f, number, int64(len(head))
	j.segments.Add(1)
	return nil
}

// writeCheckpoint makes the checkpoint durable under its final name; before
// that a crash leaves a temporary file, which recovery removes.
func (j *Journal) writeCheckpoint(number uint64, data []byte) error {
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	temporary := j.path(number, checkpointSuffix+temporarySuffix)
	f, err := j.fs.Create(temporary)
	if err != nil {
		return fmt.Errorf("journal: checkpoint %d: %w", number, err)
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = j.fs.Rename(temporary, j.path(number, checkpointSuffix))
	}
	if err == nil {
		err = j.fs.SyncDir(j.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("journal: checkpoint %d: %w", number, errors.Join(err, j.fs.Remove(temporary)))
	}
	return nil
}

// checkpointDone follows a checkpoint. A failed one is no loss: recovery reads
// more segments, none of which is removed before a newer checkpoint stands.
func (j *Journal) checkpointDone(err error) {
	j.writer.checkpointing = nil
	if err == nil {
		j.checkpoints.Add(1)
		err = j.removeOld()
	}
	if err != nil && j.cfg.Alarm != nil {
		j.cfg.Alarm(err)
	}
}

// removeOld keeps two checkpoints, the segments since the older one, and what
// Retention and cursors ask for.
func (j *Journal) removeOld() error {
	segments, checkpoints, err := j.list()
	if err != nil {
		return err
	}
	var faults []error
	for len(checkpoints) > 2 {
		faults = append(faults, j.fs.Remove(j.path(checkpoints[0], checkpointSuffix)))
		checkpoints = checkpoints[1:]
	}
	if len(checkpoints) == 0 {
		return errors.Join(faults...)
	}
	oldest := checkpoints[0]
	segments = slices.DeleteFunc(segments, func(n uint64) bool { return n >= oldest })
	cutoff, bytes, held := j.cfg.Wall().Add(-j.cfg.Retention), int64(0), j.held()
	for i := len(segments) - 1; i >= 0; i-- {
		// A segment's last record is not younger than its successor.
		ended, size := j.segmentAge(segments[i])
		bytes += size
		if ended > cutoff && bytes <= j.cfg.RetentionBytesMax || segments[i] >= held && bytes <= j.cfg.HoldBytesMax {
			continue
		}
		for _, n := range segments[:i+1] {
			if n >= held {
				j.missed(n, j.segmentSize(n))
			}
			faults = append(faults, j.fs.Remove(j.path(n, segmentSuffix)))
		}
		break
	}
	return errors.Join(append(faults, j.fs.SyncDir(j.cfg.Dir))...)
}

// segmentAge is when the successor of a segment was created, and its size. An
// unreadable one is kept as long as possible.
func (j *Journal) segmentAge(number uint64) (ended unit.WallTime, size int64) {
	ended = j.cfg.Wall()
	size = j.segmentSize(number)
	f, err := j.fs.Open(j.path(number+1, segmentSuffix))
	if err != nil {
		return ended, size
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(segmentHead{}.append(nil)))
	if _, err := f.ReadAt(head, 0); err != nil {
		return ended, size
	}
	if payload, _, st := nextFrame(head); st == frameOK {
		if h, err := parseSegmentHead(payload); err == nil {
			ended = h.created
		}
	}
	return ended, size
}

// stop ends the writer: the segment is cut to size, checkpoints are waited for.
func (j *Journal) stop() {
	w := &j.writer
	if w.checkpointing != nil {
		j.checkpointDone(<-w.checkpointing)
	}
	if !j.failed.Load() {
		if err := errors.Join(w.file.Truncate(w.offset), w.file.Sync()); err != nil {
			j.fail(fmt.Errorf("journal: closing segment %d: %w", w.number, err))
		}
	}
	err := errors.Join(w.file.Close(), j.unlock())
	if err != nil && !j.failed.Load() {
		j.fail(fmt.Errorf("journal: closing: %w", err))
	}
	j.fail(ErrClosed)
}
