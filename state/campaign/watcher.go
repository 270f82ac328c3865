package campaign

import (
	"errors"
	"log/slog"
	"time"

	"millrace/codec/strict"
	"millrace/state/filewatch"
)

// WatcherConfig says what to watch and how.
type WatcherConfig struct {
	// Path of the catalog file. Empty: the bundled demo catalog, which never
	// changes.
	Path string
	// Poll, Settle, Log and Swapped are filewatch.Source's.
	Poll, Settle time.Duration
	Log          *slog.Logger
	Swapped      func(*Snapshot)
}

// ErrNoFile is the answer to Reload where the catalog is the bundled one.
var ErrNoFile = errors.New("the catalog is the bundled demo: there is no file to reload; start with a catalog file")

// Watcher holds the snapshot of a catalog file and follows its changes.
type Watcher struct {
	*filewatch.Holder[Snapshot]
	bundled bool
}

// NewWatcher loads the catalog; its error is the strict.Faults of the file.
// Nothing is watched before Start.
func NewWatcher(c WatcherConfig) (*Watcher, error) {
	held, err := filewatch.Hold(filewatch.Source[Snapshot]{
		What: "catalog", Path: c.Path, Poll: c.Poll, Settle: c.Settle, Log: c.Log, Swapped: c.Swapped,
		Hash: func(s *Snapshot) uint64 { return s.Hash },
		Size: func(s *Snapshot) (string, int) { return "line_items", len(s.Lines) },
		Load: func(version uint64, old *Snapshot) (*Snapshot, strict.Faults) { return load(c.Path, version, old) },
	})
	if err != nil {
		return nil, err
	}
	return &Watcher{held, c.Path == ""}, nil
}

func load(path string, version uint64, old *Snapshot) (*Snapshot, strict.Faults) {
	options := Options{Version: version}
	if path == "" {
		return Compile(Demo(), options)
	}
	f, faults := Load(path)
	if old != nil && len(faults) == 0 && f.hash == old.Hash {
		return old, nil
	}
	return f.check(faults, options)
}

// Snapshot is the catalog in use. Any goroutine may ask.
func (w *Watcher) Snapshot() *Snapshot { return w.Value() }

// Reload loads the file now, changed or not: see filewatch.Holder.
func (w *Watcher) Reload() error {
	if w.bundled {
		return ErrNoFile
	}
	return w.Holder.Reload()
}
