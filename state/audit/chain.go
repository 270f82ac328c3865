package audit

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

// Config of a chain.
type Config struct {
	// Dir holds the files; made if absent. One process at a time: the journal's
	// lock stands for both.
	Dir  string
	Node unit.NodeID
	// Key signs the seals.
	Key ed25519.PrivateKey
	// FileBytes is the size at which a file is closed, at the next seal.
	FileBytes int64
	// KeepBytes bounds the files kept: beyond it the oldest go. 0 keeps all.
	KeepBytes int64
	// FS are the files (nil: the operating system's).
	FS outbox.FS
}

// Default is a configuration without Dir, Node and Key.
func Default() Config { return Config{FileBytes: 64 << 20, KeepBytes: 64 << 30} }

// Validate lists every fault.
func (c *Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("audit.dir: not set; name a folder that survives restarts"))
	}
	if len(c.Key) != ed25519.PrivateKeySize {
		faults = append(faults, fmt.Errorf("audit.key: %d bytes; give an Ed25519 private key of %d", len(c.Key), ed25519.PrivateKeySize))
	}
	if c.FileBytes < 4096 {
		faults = append(faults, fmt.Errorf("audit.file_bytes: %d, want at least 4096", c.FileBytes))
	}
	if c.KeepBytes < 0 {
		faults = append(faults, fmt.Errorf("audit.keep_bytes: %d is negative", c.KeepBytes))
	}
	return errors.Join(faults...)
}

// ErrBroken: the chain on disk is not as it was left; a new record would only
// hide that.
var ErrBroken = errors.New("audit: the chain is broken")

// writeMax is how much is gathered before it is written, unsealed.
const writeMax = 1 << 20

// Chain is the writer. One goroutine's, but for Head.
type Chain struct {
	cfg Config
	fs  outbox.FS

	file   outbox.File
	number uint64 // of the file
	offset int64  // of the file's end on disk
	fresh  bool   // the file's name is not durable yet
	buf    []byte // behind offset
	hash   Hash
	now    Head // sums up to here; its hash, place and signature are the last seal's
	scrap  []byte
	err    error
	total  int64 // bytes of the files before this one

	mu   sync.Mutex
	head Head // sealed

	bytes, removed atomic.Uint64
}

// Open goes on where the head says, or begins a chain. What follows the head's
// seal was never reported sealed, and is cut off.
func Open(cfg Config) (*Chain, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.FS == nil {
		cfg.FS = outbox.OSFS()
	}
	c := &Chain{cfg: cfg, fs: cfg.FS}
	if err := c.fs.MkdirAll(cfg.Dir); err != nil {
		return nil, fmt.Errorf("audit.dir: %w", err)
	}
	err := c.resume()
	if err != nil && c.file != nil {
		err = errors.Join(err, c.file.Close())
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Chain) path(name string) string { return filepath.Join(c.cfg.Dir, name) }

func (c *Chain) broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s in %s; millrace audit verify says more. Keep the folder for those who ask, and move it away for a new chain", ErrBroken, fmt.Sprintf(format, args...), c.cfg.Dir)
}

func (c *Chain) resume() error {
	files, err := listFiles(c.fs, c.cfg.Dir)
	if err != nil {
		return err
	}
	text, err := outbox.ReadFile(c.fs, c.path(headName))
	if errors.Is(err, fs.ErrNotExist) {
		return c.begin(files)
	}
	if err != nil {
		return fmt.Errorf("audit: reading the head: %w", err)
	}
	head, err := ParseHead(string(text))
	if err != nil {
		return c.broken("the head can't be read (%v)", err)
	}
	if head.Node != c.cfg.Node {
		return fmt.Errorf("audit: the chain in %s is of node %d, this is node %d; point each node at its own data folder", c.cfg.Dir, head.Node, c.cfg.Node)
	}
	if !head.Signed(c.cfg.Key.Public().(ed25519.PublicKey)) {
		return c.broken("the head was not signed with this node's key")
	}
	return c.goOn(files, head)
}

// begin makes the first file and its seal. A crash on the way leaves a first
// file without a head, and without a record.
func (c *Chain) begin(files []uint64) error {
	for _, n := range files {
		data, err := outbox.ReadFile(c.fs, c.path(fileName(n)))
		if err != nil {
			return fmt.Errorf("audit: reading file %d: %w", n, err)
		}
		if n != 1 || len(data) > entryHead+fileBodySize+linkSize+sealSize {
			return c.broken("there are records and no head")
		}
		if err := c.fs.Remove(c.path(fileName(n))); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	c.now = Head{Node: c.cfg.Node, First: 1}
	if err := c.roll(); err != nil {
		return err
	}
	return c.Seal()
}

// goOn reads the head's seal and makes it the end.
func (c *Chain) goOn(files []uint64, head Head) error {
	var err error
	if c.file, err = c.fs.Open(c.path(fileName(head.File))); err != nil {
		return c.broken("file %d, which the head names, can't be opened (%v)", head.File, err)
	}
	seal := make([]byte, sealSize)
	if head.Offset < sealSize {
		return c.broken("the head names byte %d", head.Offset)
	}
	if n, err := c.file.ReadAt(seal, head.Offset-sealSize); n < len(seal) {
		return c.broken("file %d ends before the head's seal (%v)", head.File, err)
	}
	c.hash = head.Hash
	c.hash = c.hash.next(seal[:sealSize-linkSize])
	if read := (Head{}); string(seal[sealSize-linkSize:]) != string(c.hash[:linkSize]) || seal[4] != kindSeal {
		return c.broken("file %d has no seal of the head at byte %d", head.File, head.Offset-sealSize)
	} else if read.sealed(seal[entryHead:]); read.Number != head.Number || read.Sign != head.Sign {
		return c.broken("file %d has another seal than the head", head.File)
	}
	size, err := c.file.Size()
	if err == nil && size > head.Offset {
		err = errors.Join(c.file.Truncate(head.Offset), c.file.Sync())
	}
	if err != nil {
		return fmt.Errorf("audit: file %d: %w", head.File, err)
	}
	c.number, c.offset, c.now, c.head = head.File, head.Offset, head, head
	for _, n := range files {
		if n > head.File {
			if err := c.fs.Remove(c.path(fileName(n))); err != nil {
				return fmt.Errorf("audit: %w", err)
			}
		} else if n < head.File {
			c.total += c.sizeOf(n)
		}
	}
	return nil
}

// roll begins the next file; its beginning becomes durable with the next seal.
func (c *Chain) roll() error {
	if c.file != nil {
		err := c.file.Close()
		if c.file = nil; err != nil {
			return fmt.Errorf("audit: closing file %d: %w", c.number, err)
		}
	}
	c.total += c.offset
	c.number, c.offset, c.fresh = c.number+1, 0, true
	file, err := c.fs.Create(c.path(fileName(c.number)))
	if err != nil {
		return fmt.Errorf("audit: creating file %d: %w", c.number, err)
	}
	c.file = file
	f := fileHead{number: c.number, node: c.cfg.Node, seals: c.now.Number, records: c.now.Records, position: c.now.Position, before: c.hash}
	copy(f.key[:], c.cfg.Key.Public().(ed25519.PublicKey))
	c.buf = appendEntry(c.buf[:0], &c.hash, kindFile, f.append)
	return nil
}

// Head is the last seal. Any goroutine.
func (c *Chain) Head() Head {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head
}

// Position is up to where the chain has the journal, sealed or not.
func (c *Chain) Position() uint64 { return c.now.Position }

// Append adds the record that ends at pos. One that the chain has is passed over.
func (c *Chain) Append(r *ledger.Record, pos uint64) error {
	if c.err != nil || pos <= c.now.Position {
		return c.err
	}
	c.scrap = r.Append(binary.LittleEndian.AppendUint64(c.scrap[:0], pos))
	return c.add(kindRecord, c.scrap, pos, 1)
}

// Gap notes that the journal's records between two positions are gone.
func (c *Chain) Gap(from, to uint64) error {
	if c.err != nil || to <= c.now.Position {
		return c.err
	}
	c.scrap = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(c.scrap[:0], max(from, c.now.Position)), to)
	return c.add(kindGap, c.scrap, to, 0)
}

func (c *Chain) add(kind byte, body []byte, pos, records uint64) error {
	if c.offset >= c.cfg.FileBytes && c.offset == c.head.Offset && len(c.buf) == 0 { // only behind a seal
		if c.err = c.roll(); c.err != nil {
			return c.err
		}
	}
	c.buf = appendEntry(c.buf, &c.hash, kind, func(b []byte) []byte { return append(b, body...) })
	c.now.Position = pos
	c.now.Records += records
	if len(c.buf) >= writeMax {
		c.err = c.write()
	}
	return c.err
}

func (c *Chain) write() error {
	n, err := c.file.WriteAt(c.buf, c.offset)
	if err != nil {
		return fmt.Errorf("audit: writing file %d: %w", c.number, err)
	}
	c.offset += int64(n)
	c.bytes.Add(uint64(n))
	c.buf = c.buf[:0]
	return nil
}

// Seal signs what was added, and makes it and the head durable. An error is the
// chain's end: what is on disk behind the head is cut off by the next Open.
func (c *Chain) Seal() error {
	if c.err != nil || len(c.buf) == 0 && c.now.Position == c.head.Position {
		return c.err
	}
	c.err = c.seal()
	return c.err
}

func (c *Chain) seal() error {
	var old []uint64
	if c.fresh {
		var err error
		if old, err = c.outlived(); err != nil {
			return err
		}
		if len(old) > 0 {
			c.now.First = old[len(old)-1] + 1 // signed before they go
		}
	}
	h := c.now
	h.Number++
	h.File, h.Offset, h.Hash = c.number, c.offset+int64(len(c.buf))+sealSize, c.hash
	copy(h.Sign[:], ed25519.Sign(c.cfg.Key, h.message()))
	c.buf = appendEntry(c.buf, &c.hash, kindSeal, func(b []byte) []byte { return appendSeal(b, &h) })
	if err := c.write(); err != nil {
		return err
	}
	err := c.file.Sync()
	if err == nil && c.fresh {
		err = c.fs.SyncDir(c.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("audit: syncing file %d: %w", c.number, err)
	}
	if err := c.replaceHead(&h); err != nil {
		return fmt.Errorf("audit: the head: %w", err)
	}
	c.now = h
	c.mu.Lock()
	c.head = h
	c.mu.Unlock()
	c.fresh = false
	for _, n := range old {
		if err := c.fs.Remove(c.path(fileName(n))); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		c.removed.Add(1)
	}
	return nil
}

// replaceHead writes the head in one step: a crash leaves the old or the new.
func (c *Chain) replaceHead(h *Head) error {
	final := c.path(headName)
	temporary := final + ".tmp"
	f, err := c.fs.Create(temporary)
	if errors.Is(err, fs.ErrExist) { // a crash came half way
		if err = c.fs.Remove(temporary); err == nil {
			f, err = c.fs.Create(temporary)
		}
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(h.String()+"\n"), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = c.fs.Rename(temporary, final)
	}
	if err == nil {
		err = c.fs.SyncDir(c.cfg.Dir)
	}
	return err
}

// outlived are the oldest files beyond KeepBytes.
func (c *Chain) outlived() (old []uint64, err error) {
	if c.cfg.KeepBytes == 0 || c.total <= c.cfg.KeepBytes {
		return nil, nil
	}
	files, err := listFiles(c.fs, c.cfg.Dir)
	if err != nil {
		return nil, err
	}
	for _, n := range files {
		if n >= c.number || c.total <= c.cfg.KeepBytes {
			break
		}
		c.total -= c.sizeOf(n)
		old = append(old, n)
	}
	return old, nil
}

func (c *Chain) sizeOf(number uint64) int64 {
	f, err := c.fs.Open(c.path(fileName(number)))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	size, _ := f.Size()
	return size
}

// Close seals what was added.
func (c *Chain) Close() error {
	err := c.Seal()
	if c.err == nil {
		c.err = errors.New("audit: closed")
	}
	if c.file == nil {
		return err // the next file could not be made
	}
	return errors.Join(err, c.file.Close())
}

func listFiles(files outbox.FS, dir string) ([]uint64, error) {
	names, err := files.List(dir)
	if err != nil {
		return nil, fmt.Errorf("audit.dir: %w", err)
	}
	var numbers []uint64
	for _, name := range names { // sorted
		if n, ok := parseFileName(name); ok {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}
