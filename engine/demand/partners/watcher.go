package partners

import (
	"log/slog"
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
	// Poll, Settle and Log are filewatch.Source's.
	Poll, Settle time.Duration
	Log          *slog.Logger
	// Now tells whether the currency table is still good; default the system's
	// clock.
	Now func() unit.WallTime
	// Swapped is called with each new book after the first, from the goroutine
	// that loaded it, one at a time. Every book must be given to every shard, in
	// order: see ID.
	Swapped func(*Book)
}

// Watcher holds the book of a demand file and follows its changes.
type Watcher struct{ *filewatch.Holder[Book] }

// NewWatcher loads the file; its error is the strict.Faults of the file.
// Nothing is watched before Start.
func NewWatcher(c WatcherConfig) (*Watcher, error) {
	if c.Now == nil {
		c.Now = func() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }
	}
	held, err := filewatch.Hold(filewatch.Source[Book]{
		What: "demand file", Path: c.Path, Poll: c.Poll, Settle: c.Settle, Log: c.Log, Swapped: c.Swapped,
		Hash: func(b *Book) uint64 { return b.Hash },
		Size: func(b *Book) (string, int) { return "partners", len(b.Order) },
		Load: func(version uint64, old *Book) (*Book, strict.Faults) {
			f, faults := Load(c.Path)
			if old != nil && len(faults) == 0 && f.hash == old.Hash {
				return old, nil
			}
			return f.check(faults, Options{Version: version, Region: c.Region, Now: c.Now(), Previous: old})
		},
	})
	if err != nil {
		return nil, err
	}
	return &Watcher{held}, nil
}

// Book is the one in use. Any goroutine may ask.
func (w *Watcher) Book() *Book { return w.Value() }
