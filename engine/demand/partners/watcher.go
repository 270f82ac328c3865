package partners

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/state/filewatch"
)

// WatcherConfig says what to watch and how.
type WatcherConfig struct {
	// Path of the demand file.
	Path string
	// Region of the node.
	Region string
	// Poll and Settle are filewatch's.
	Poll, Settle time.Duration
	// Log receives one line for each reload; default slog.Default().
	Log *slog.Logger
	// Now tells whether the currency table is still good; default the system's
	// clock.
	Now func() unit.WallTime
	// Swapped is called with each new book after the first, from the goroutine
	// that loaded it, one at a time. Every book must be given to every shard, in
	// order: see ID.
	Swapped func(*Book)
}

// Watcher holds the book of a demand file and replaces it when the file
// changes. A file with faults changes nothing: the book in use stays, and the
// faults are in Status.
type Watcher struct {
	config WatcherConfig
	file   *filewatch.File
	book   atomic.Pointer[Book]

	mu     sync.Mutex // one load at a time; guards what follows
	status WatcherStatus
}

// WatcherStatus is how the last load went.
type WatcherStatus struct {
	Path     string    `json:"path"`
	Version  uint64    `json:"version"`
	Hash     uint64    `json:"hash,string"`
	LoadedAt time.Time `json:"loaded_at"`
	// Swaps counts books put to use, Failures files that were refused.
	Swaps    uint64 `json:"swaps"`
	Failures uint64 `json:"failures"`
	// Faults of the file as it is now; none where it is in use.
	Faults strict.Faults `json:"faults,omitempty"`
}

// NewWatcher loads the file; its error is the strict.Faults of the file.
// Nothing is watched before Start.
func NewWatcher(config WatcherConfig) (*Watcher, error) {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Now == nil {
		config.Now = func() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }
	}
	w := &Watcher{config: config, file: filewatch.New(config.Path, config.Poll, config.Settle)}
	if err := w.Reload(); err != nil {
		return nil, err
	}
	return w, nil
}

// Book is the one in use. Any goroutine may ask.
func (w *Watcher) Book() *Book { return w.book.Load() }

// Status is how the last load went. Any goroutine may ask.
func (w *Watcher) Status() WatcherStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Reload loads the file now, changed or not. A file with faults changes nothing
// and its faults are the error. Equal bytes are not swapped in a second time.
func (w *Watcher) Reload() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.load()
}

// Start begins to watch the file, until the context ends or Stop.
func (w *Watcher) Start(ctx context.Context) {
	w.file.Start(ctx, func() { _ = w.Reload() }) // logged, and in Status
}

// Stop ends the watch that Start began and waits for it.
func (w *Watcher) Stop() { w.file.Stop() }

// load reads, compiles and swaps. The caller holds mu.
func (w *Watcher) load() error {
	began := time.Now()
	old := w.book.Load()
	options := Options{Version: 1, Region: w.config.Region, Now: w.config.Now(), Previous: old}
	if old != nil {
		options.Version = old.Version + 1
	}
	w.file.Looked()
	f, faults := Load(w.config.Path)
	if old != nil && len(faults) == 0 && f.hash == old.Hash {
		w.status.Faults = nil
		return nil
	}
	b, faults := f.check(faults, options)
	w.status.Path, w.status.Faults = w.config.Path, faults
	if len(faults) > 0 {
		w.status.Failures++
		w.config.Log.Error("demand file refused, the one in use stays", "path", w.config.Path, "faults", len(faults), "first", faults[0].Error())
		return faults
	}
	w.book.Store(b)
	w.status.Swaps++
	w.status.Version, w.status.Hash, w.status.LoadedAt = b.Version, b.Hash, began
	w.config.Log.Info("demand file in use", "path", w.config.Path, "version", b.Version, "partners", len(b.Order), "took", time.Since(began))
	if old != nil && w.config.Swapped != nil {
		w.config.Swapped(b)
	}
	return nil
}
