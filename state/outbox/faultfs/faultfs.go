// Package faultfs is a file system in memory that fails on demand: it implements
// outbox.FS for tests and for the simulator.
//
// It keeps apart what a program sees and what a crash leaves. Data is certain
// after File.Sync, names after SyncDir; of what was not synced, a crash keeps
// a seeded subset: any of the written sectors (so writes are torn and
// reordered), and a prefix of the directory's changes. A sync that fails
// loses what it was to make durable, for ever, as a kernel may.
package faultfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"syscall"

	"millrace/state/outbox"
)

const sector = 512

// ErrCrashed is every operation's answer after the crash.
var ErrCrashed = errors.New("faultfs: crashed")

// Fault decides about operation number n (from 1): nil lets it pass. An error
// is returned to the caller; ErrCrashed stops the file system, and what the
// operation was to do counts as not synced. op is the name of the method.
type Fault func(n int, op, name string) error

// FS is one disk. Its methods may be called from any goroutine.
type FS struct {
	mu      sync.Mutex
	fault   Fault
	ops     int
	crashed bool
	free    int64
	files   map[string]*inode
	synced  map[string]*inode
	pending []func(map[string]*inode) // directory changes since SyncDir
	locked  bool
}

type inode struct {
	data    []byte
	durable []byte
	pending []func(disk []byte, r *rand.Rand) []byte
	written int64 // allocated bytes
}

var _ outbox.FS = (*FS)(nil)

// New is an empty disk of size bytes (0: no limit). fault may be nil.
func New(size int64, fault Fault) *FS {
	if size == 0 {
		size = 1 << 60
	}
	return &FS{fault: fault, free: size, files: map[string]*inode{}, synced: map[string]*inode{}}
}

// Ops is the number of operations so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// Extend gives the disk n more bytes.
func (f *FS) Extend(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free += n
}

// Stop makes every further operation ErrCrashed, as a crash does.
func (f *FS) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
}

// AfterCrash is the disk as the next life finds it: what was synced, and of the
// rest a subset chosen by seed. fault applies to the new life.
func (f *FS) AfterCrash(seed uint64, fault Fault) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
	r := rand.New(rand.NewPCG(seed, 0x6d696c6c))
	dir := f.synced
	for _, change := range f.pending[:r.IntN(len(f.pending)+1)] {
		change(dir)
	}
	n := New(0, fault)
	n.free = f.free
	names := make([]string, 0, len(dir))
	for name := range dir {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		old := dir[name]
		data := slices.Clone(old.durable)
		for _, change := range old.pending {
			data = change(data, r)
		}
		i := &inode{data: data, durable: slices.Clone(data), written: int64(len(data))}
		n.files[name], n.synced[name] = i, i
	}
	return n
}

// Corrupt flips one bit of a file on disk and in memory.
func (f *FS) Corrupt(name string, at int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.files[name]
	if i == nil || at >= int64(len(i.data)) || at >= int64(len(i.durable)) {
		return fmt.Errorf("faultfs: %s has no byte %d", name, at)
	}
	i.data[at] ^= 1
	i.durable[at] ^= 1
	return nil
}

// Size is the size of a file as seen, −1 if there is none.
func (f *FS) Size(name string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.files[name]; i != nil {
		return int64(len(i.data))
	}
	return -1
}

// step counts an operation and asks the fault.
func (f *FS) step(op, name string) error {
	if f.crashed {
		return ErrCrashed
	}
	f.ops++
	if f.fault == nil {
		return nil
	}
	err := f.fault(f.ops, op, name)
	if errors.Is(err, ErrCrashed) {
		f.crashed = true
	}
	return err
}

// MkdirAll does nothing: the disk has one directory level of its own.
func (f *FS) MkdirAll(string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step("MkdirAll", "")
}

// List names the files in dir.
func (f *FS) List(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("List", dir); err != nil {
		return nil, err
	}
	var names []string
	for name := range f.files {
		if path.Dir(name) == path.Clean(dir) {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Create makes an empty file.
func (f *FS) Create(name string) (outbox.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = path.Clean(name)
	err := f.step("Create", name)
	if err != nil && !errors.Is(err, ErrCrashed) {
		return nil, err
	}
	if f.files[name] != nil {
		return nil, fs.ErrExist
	}
	i := &inode{}
	f.files[name] = i
	f.pending = append(f.pending, func(d map[string]*inode) { d[name] = i })
	return &file{f, i, name}, err
}

// Open opens an existing file.
func (f *FS) Open(name string) (outbox.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = path.Clean(name)
	if err := f.step("Open", name); err != nil {
		return nil, err
	}
	i := f.files[name]
	if i == nil {
		return nil, fs.ErrNotExist
	}
	return &file{f, i, name}, nil
}

// Remove removes a file.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = path.Clean(name)
	err := f.step("Remove", name)
	if err != nil && !errors.Is(err, ErrCrashed) {
		return err
	}
	i := f.files[name]
	if i == nil {
		return fs.ErrNotExist
	}
	delete(f.files, name)
	f.free += i.written
	f.pending = append(f.pending, func(d map[string]*inode) { delete(d, name) })
	return err
}

// Rename renames a file, over an existing one.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, to = path.Clean(from), path.Clean(to)
	err := f.step("Rename", from)
	if err != nil && !errors.Is(err, ErrCrashed) {
		return err
	}
	i := f.files[from]
	if i == nil {
		return fs.ErrNotExist
	}
	delete(f.files, from)
	f.files[to] = i
	f.pending = append(f.pending, func(d map[string]*inode) {
		if d[from] == i {
			delete(d, from)
		}
		d[to] = i
	})
	return err
}

// SyncDir makes the names durable.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("SyncDir", dir); err != nil {
		return err
	}
	for _, change := range f.pending {
		change(f.synced)
	}
	f.pending = nil
	return nil
}

// Lock allows one holder.
func (f *FS) Lock(dir string) (func() error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("Lock", dir); err != nil {
		return nil, err
	}
	if f.locked {
		return nil, fmt.Errorf("%s is in use", dir)
	}
	f.locked = true
	return func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.locked = false
		return nil
	}, nil
}

type file struct {
	fs   *FS
	node *inode
	name string
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.step("ReadAt", f.name); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// grow allocates up to size, and fails like a full disk.
func (f *file) grow(size int64) error {
	if more := size - f.node.written; more > 0 {
		if more > f.fs.free {
			return syscall.ENOSPC
		}
		f.fs.free -= more
		f.node.written = size
	}
	return nil
}

func writeAt(data, p []byte, off int64) []byte {
	if need := int(off) + len(p); need > len(data) {
		data = append(data, make([]byte, need-len(data))...)
	}
	copy(data[off:], p)
	return data
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := f.fs.step("WriteAt", f.name)
	if err != nil && !errors.Is(err, ErrCrashed) {
		return 0, err
	}
	if full := f.grow(off + int64(len(p))); full != nil {
		return 0, full
	}
	f.node.data = writeAt(f.node.data, p, off)
	kept := slices.Clone(p)
	f.node.pending = append(f.node.pending, func(disk []byte, r *rand.Rand) []byte {
		for at := 0; at < len(kept); {
			end := min(len(kept), at+sector-int(off+int64(at))%sector)
			if r.IntN(2) == 0 {
				disk = writeAt(disk, kept[at:end], off+int64(at))
			}
			at = end
		}
		return disk
	})
	return len(p), err
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.step("Size", f.name); err != nil {
		return 0, err
	}
	return int64(len(f.node.data)), nil
}

func resize(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size]
	}
	return append(data, make([]byte, size-int64(len(data)))...)
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := f.fs.step("Truncate", f.name)
	if err != nil && !errors.Is(err, ErrCrashed) {
		return err
	}
	f.change(func(d []byte) []byte { return resize(slices.Clone(d), size) })
	if size < f.node.written {
		f.fs.free += f.node.written - size
		f.node.written = size
	}
	return err
}

// change applies a change of size now, and after a crash or not.
func (f *file) change(c func([]byte) []byte) {
	f.node.data = c(f.node.data)
	f.node.pending = append(f.node.pending, func(disk []byte, r *rand.Rand) []byte {
		if r.IntN(2) == 0 {
			return c(disk)
		}
		return disk
	})
}

func (f *file) Preallocate(n int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := f.fs.step("Preallocate", f.name)
	if err != nil && !errors.Is(err, ErrCrashed) {
		return err
	}
	if full := f.grow(n); full != nil {
		return full
	}
	f.change(func(d []byte) []byte { return resize(slices.Clone(d), max(n, int64(len(d)))) })
	return err
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.step("Sync", f.name); err != nil {
		if !errors.Is(err, ErrCrashed) {
			f.node.pending = nil
		}
		return err
	}
	f.node.durable, f.node.pending = append(f.node.durable[:0], f.node.data...), f.node.pending[:0]
	return nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.fs.step("Close", f.name)
}
