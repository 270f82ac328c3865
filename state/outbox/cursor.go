package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	cursorSuffix = ".cur"
	cursorMagic  = "millrace-cursor-1\n"
	cursorSize   = frameHead + len(cursorMagic) + 8
)

// Cursor is how far a drain has carried the journal's records elsewhere. It is
// a small file in the journal's folder, and while it is there the segments from
// its position on are kept, up to Config.HoldBytesMax, whether its drain runs
// or not: what a drain that was switched off had not carried is there when it
// is switched on again. Removing the file, with the node stopped, lets them go.
type Cursor struct {
	journal *Journal
	name    string
	pos     atomic.Uint64 // as on disk
	missed  atomic.Uint64
	mu      sync.Mutex // one Advance at a time
}

// Cursor is the cursor called name (a word of a-z, 0-9 and -), made if there is
// none, then before the oldest record kept.
func (j *Journal) Cursor(name string) (*Cursor, error) {
	if name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, fmt.Errorf("journal: cursor %q: use up to 32 of a-z, 0-9 and -", name)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.cursors {
		if c.name == name {
			return c, nil
		}
	}
	oldest, err := j.oldest()
	if err != nil {
		return nil, err
	}
	c := &Cursor{journal: j, name: name}
	if err := c.write(oldest); err != nil {
		return nil, err
	}
	j.cursors = append(j.cursors[:len(j.cursors):len(j.cursors)], c)
	return c, nil
}

// Cursors names the cursors whose files were found or made.
func (j *Journal) Cursors() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	names := make([]string, len(j.cursors))
	for i, c := range j.cursors {
		names[i] = c.name
	}
	return names
}

// oldest is before the first record kept.
func (j *Journal) oldest() (uint64, error) {
	segments, _, err := j.list()
	if err != nil || len(segments) == 0 {
		return position(1, 0), err
	}
	return position(segments[0], 0), nil
}

// loadCursors finds the files of earlier lives. One that can't be read stands
// before the oldest record: what is carried twice is dropped by its receivers.
func (j *Journal) loadCursors() error {
	names, err := j.fs.List(j.cfg.Dir)
	if err != nil {
		return fmt.Errorf("journal.dir: %w", err)
	}
	for _, name := range names {
		short, ok := strings.CutSuffix(name, cursorSuffix)
		if !ok {
			continue
		}
		c := &Cursor{journal: j, name: short}
		pos, fault := j.readCursor(name)
		if fault != nil {
			if pos, err = j.oldest(); err != nil {
				return err
			}
			if j.cfg.Alarm != nil {
				j.cfg.Alarm(fmt.Errorf("journal: cursor %s starts again at the oldest record: %w", short, fault))
			}
		}
		c.pos.Store(pos)
		j.cursors = append(j.cursors, c)
	}
	return nil
}

func (j *Journal) readCursor(name string) (pos uint64, err error) {
	return readCursor(j.fs, j.cfg.Dir, name)
}

// ReadCursor is where the cursor called name stands in a journal's folder, which
// another process may be using.
func ReadCursor(files FS, dir, name string) (pos uint64, err error) {
	return readCursor(files, dir, name+cursorSuffix)
}

func readCursor(files FS, dir, name string) (pos uint64, err error) {
	data, err := ReadFile(files, filepath.Join(dir, name))
	if err != nil {
		return 0, err
	}
	payload, rest, st := nextFrame(data)
	if st != frameOK || len(rest) != 0 || len(data) != cursorSize || string(payload[:len(cursorMagic)]) != cursorMagic {
		return 0, fmt.Errorf("%w: %s is not a cursor of this version", ErrDamaged, name)
	}
	return binary.LittleEndian.Uint64(payload[len(cursorMagic):]), nil
}

// Name is the cursor's.
func (c *Cursor) Name() string { return c.name }

// Position is where the cursor stands on disk. Any goroutine.
func (c *Cursor) Position() uint64 { return c.pos.Load() }

// MissedBytes is how much of the journal was removed before the cursor passed
// it, since Open. Any goroutine.
func (c *Cursor) MissedBytes() uint64 { return c.missed.Load() }

// Tail reads from where the cursor stands.
func (c *Cursor) Tail() *Tail { return c.journal.Tail(c.Position()) }

// Advance makes pos durable as the cursor's position: everything before it is
// safe elsewhere. It never goes back. After an error the cursor stands where it
// stood. Any goroutine.
func (c *Cursor) Advance(pos uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pos <= c.pos.Load() {
		return nil
	}
	return c.write(pos)
}

// write replaces the file in one step, so that a crash leaves the old or the new.
func (c *Cursor) write(pos uint64) error {
	j := c.journal
	data := append(openFrame(make([]byte, 0, cursorSize)), cursorMagic...)
	data = binary.LittleEndian.AppendUint64(data, pos)
	closeFrame(data, 0)
	final := filepath.Join(j.cfg.Dir, c.name+cursorSuffix)
	temporary := final + temporarySuffix
	f, err := j.fs.Create(temporary)
	if errors.Is(err, fs.ErrExist) { // an earlier call failed half way
		if err = j.fs.Remove(temporary); err == nil {
			f, err = j.fs.Create(temporary)
		}
	}
	if err != nil {
		return fmt.Errorf("journal: cursor %s: %w", c.name, named(err))
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = j.fs.Rename(temporary, final)
	}
	if err == nil {
		err = j.fs.SyncDir(j.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("journal: cursor %s: %w", c.name, named(err))
	}
	c.pos.Store(pos)
	return nil
}

// held is the number of the oldest segment that a cursor wants.
func (j *Journal) held() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	oldest := ^uint64(0)
	for _, c := range j.cursors {
		segment, _ := SplitPosition(c.Position())
		oldest = min(oldest, segment)
	}
	return oldest
}

// missed tells of a segment that is removed though cursors had not passed it.
func (j *Journal) missed(number uint64, size int64) {
	j.mu.Lock()
	cursors := j.cursors
	j.mu.Unlock()
	for _, c := range cursors {
		segment, offset := SplitPosition(c.Position())
		if segment > number {
			continue
		}
		if segment < number {
			offset = 0
		}
		if offset >= size {
			continue
		}
		c.missed.Add(uint64(size - offset))
		if j.cfg.Alarm != nil {
			j.cfg.Alarm(fmt.Errorf("journal: segment %d is removed before %s has read it: more than %d bytes are held; %d bytes will not reach it",
				number, c.name, j.cfg.HoldBytesMax, size-offset))
		}
	}
}
