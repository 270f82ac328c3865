package campaign

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/strict"
	"millrace/state/filewatch"
)

// WatcherConfig says what to watch and how. The zero values of its durations
// are replaced by the defaults.
type WatcherConfig struct {
	// Path of the catalog file. Empty: the bundled demo catalog, which never
	// changes.
	Path string
	// Poll and Settle are filewatch's.
	Poll, Settle time.Duration
	// Log receives one line for each reload; default slog.Default().
	Log *slog.Logger
	// Swapped is called with each new snapshot after the first, from the
	// goroutine that loaded it, one at a time.
	Swapped func(*Snapshot)
}

// ErrNoFile is the answer to Reload where the catalog is the bundled one.
var ErrNoFile = errors.New("the catalog is the bundled demo: there is no file to reload; start with a catalog file")

// Watcher holds the snapshot of a catalog file and replaces it when the file
// changes. A file with faults changes nothing: the old snapshot stays, and the
// faults are in Status.
type Watcher struct {
	config   WatcherConfig
	file     *filewatch.File
	snapshot atomic.Pointer[Snapshot]

	mu     sync.Mutex // one load at a time; guards what follows
	status WatcherStatus
}

// WatcherStatus is how the last load went.
type WatcherStatus struct {
	Path     string    `json:"path"`
	Version  uint64    `json:"version"`
	Hash     uint64    `json:"hash,string"`
	LoadedAt time.Time `json:"loaded_at"`
	// Swaps counts snapshots put to use, Failures files that were refused.
	Swaps    uint64 `json:"swaps"`
	Failures uint64 `json:"failures"`
	// Faults of the file as it is now; none where it is in use.
	Faults strict.Faults `json:"faults,omitempty"`
	// Took is how long the last load took.
	Took time.Duration `json:"took_nanos"`
}

// NewWatcher loads the catalog; its error is the strict.Faults of the file.
// Nothing is watched before Start.
func NewWatcher(config WatcherConfig) (*Watcher, error) {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	w := &Watcher{config: config, file: filewatch.New(config.Path, config.Poll, config.Settle)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.load(); err != nil {
		return nil, err
	}
	return w, nil
}

// Snapshot is the catalog in use. Any goroutine may ask.
func (w *Watcher) Snapshot() *Snapshot { return w.snapshot.Load() }

// Status is how the last load went. Any goroutine may ask.
func (w *Watcher) Status() WatcherStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Reload loads the file now, changed or not. A file with faults changes nothing
// and its faults are the error. Equal bytes are not swapped in a second time.
func (w *Watcher) Reload() error {
	if w.config.Path == "" {
		return ErrNoFile
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.load()
}

// Start begins to watch the file, until the context ends or Stop.
func (w *Watcher) Start(ctx context.Context) {
	if w.config.Path == "" {
		return
	}
	w.file.Start(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		_ = w.load() // logged, and in Status
	})
}

// Stop ends the watch that Start began and waits for it.
func (w *Watcher) Stop() { w.file.Stop() }

// load reads, compiles and swaps. The caller holds mu.
func (w *Watcher) load() error {
	began := time.Now()
	old := w.snapshot.Load()
	options := Options{Version: 1}
	if old != nil {
		options.Version = old.Version + 1
	}
	var s *Snapshot
	var faults strict.Faults
	if w.config.Path == "" {
		s, faults = Compile(Demo(), options)
	} else {
		w.file.Looked()
		f, found := Load(w.config.Path)
		if old != nil && len(found) == 0 && f.hash == old.Hash {
			w.status.Faults = nil
			return nil
		}
		s, faults = f.check(found, options)
	}
	w.status.Path, w.status.Faults, w.status.Took = w.config.Path, faults, time.Since(began)
	if len(faults) > 0 {
		w.status.Failures++
		w.config.Log.Error("catalog refused, the one in use stays", "path", w.config.Path, "faults", len(faults), "first", faults[0].Error())
		return faults
	}
	w.snapshot.Store(s)
	w.status.Swaps++
	w.status.Version, w.status.Hash, w.status.LoadedAt = s.Version, s.Hash, began
	w.config.Log.Info("catalog in use", "path", w.config.Path, "version", s.Version, "line_items", len(s.Lines), "took", w.status.Took)
	if old != nil && w.config.Swapped != nil {
		w.config.Swapped(s)
	}
	return nil
}
