package filewatch

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/strict"
)

// Source is a file and what becomes of it.
type Source[T any] struct {
	// What the file is, for the log: "catalog".
	What string
	// Path of the file. Empty: Load does without, and nothing changes later.
	Path string
	// Poll and Settle are New's.
	Poll, Settle time.Duration
	// Log receives one line for each reload; default slog.Default().
	Log *slog.Logger
	// Load reads the file and makes its value, as which version and after which
	// other one (nil for the first). The other one itself is the answer to the same
	// bytes; a file with faults has no value.
	Load func(version uint64, old *T) (*T, strict.Faults)
	// Hash is of the bytes that a value was made of.
	Hash func(*T) uint64
	// Size is said in the log: a name and a number.
	Size func(*T) (string, int)
	// Swapped is called with each new value after the first, from the goroutine
	// that loaded it, one at a time.
	Swapped func(*T)
}

// Holder holds the value of a file and replaces it when the file changes. A
// file with faults changes nothing: the value in use stays, and the faults are in
// Status.
type Holder[T any] struct {
	source Source[T]
	file   *File
	value  atomic.Pointer[T]

	mu     sync.Mutex // one load at a time; guards what follows
	status Status
}

// Status is how the last load went.
type Status struct {
	Path     string    `json:"path"`
	Version  uint64    `json:"version"`
	Hash     uint64    `json:"hash,string"`
	LoadedAt time.Time `json:"loaded_at"`
	// Swaps counts values put to use, Failures files that were refused.
	Swaps    uint64 `json:"swaps"`
	Failures uint64 `json:"failures"`
	// Faults of the file as it is now; none where it is in use.
	Faults strict.Faults `json:"faults,omitempty"`
	// Took is how long the last load took.
	Took time.Duration `json:"took_nanos"`
}

// Hold loads the file; its error is the strict.Faults of the file. Nothing is
// watched before Start.
func Hold[T any](source Source[T]) (*Holder[T], error) {
	if source.Log == nil {
		source.Log = slog.Default()
	}
	h := &Holder[T]{source: source, file: New(source.Path, source.Poll, source.Settle)}
	if err := h.Reload(); err != nil {
		return nil, err
	}
	return h, nil
}

// Value is the one in use. Any goroutine may ask.
func (h *Holder[T]) Value() *T { return h.value.Load() }

// Status is how the last load went. Any goroutine may ask.
func (h *Holder[T]) Status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// Start begins to watch the file, until the context ends or Stop.
func (h *Holder[T]) Start(ctx context.Context) {
	if h.source.Path != "" {
		h.file.Start(ctx, func() { _ = h.Reload() }) // logged, and in Status
	}
}

// Stop ends the watch that Start began and waits for it.
func (h *Holder[T]) Stop() { h.file.Stop() }

// Reload loads the file now, changed or not. A file with faults changes nothing
// and its faults are the error. Equal bytes are not swapped in a second time.
func (h *Holder[T]) Reload() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	began, old := time.Now(), h.value.Load()
	h.file.Looked()
	next, faults := h.source.Load(h.status.Version+1, old)
	s := &h.status
	if s.Path, s.Faults, s.Took = h.source.Path, faults, time.Since(began); len(faults) > 0 {
		s.Failures++
		h.source.Log.Error(h.source.What+" refused, the one in use stays", "path", s.Path, "faults", len(faults), "first", faults[0].Error())
		return faults
	}
	if next == old {
		return nil
	}
	h.value.Store(next)
	s.Swaps++
	s.Version, s.Hash, s.LoadedAt = s.Version+1, h.source.Hash(next), began
	name, n := h.source.Size(next)
	h.source.Log.Info(h.source.What+" in use", "path", s.Path, "version", s.Version, name, n, "took", s.Took)
	if old != nil && h.source.Swapped != nil {
		h.source.Swapped(next)
	}
	return nil
}
