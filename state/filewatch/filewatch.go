// Package filewatch tells when a configuration file has changed and kept still
// since (File), and holds what the last good one of them was made into (Holder).
//
//	file unchanged ──Poll──► looks different ──Settle──► kept still ──► changed
//	      ▲                        ▲    still changing ──┘                 │
//	      └────────────────────────┴───────────────────────────────────────┘
//
// It polls: that works on every file system, and sees a file that is replaced
// by rename or through a symbolic link, as orchestrators do it.
package filewatch

import (
	"context"
	"os"
	"sync"
	"time"
)

// File is a watched file. Looked may be called by any goroutine, Start and Stop
// by its owner.
type File struct {
	path         string
	poll, settle time.Duration

	mu   sync.Mutex
	seen os.FileInfo

	stop func()
	done chan struct{}
}

// New watches path from Start on. poll is how often the file is looked at,
// default 1s; settle how long a changed file must have kept still before it is
// read, so that a file being written is not, default 300ms.
func New(path string, poll, settle time.Duration) *File {
	if poll <= 0 {
		poll = time.Second
	}
	if settle <= 0 {
		settle = 300 * time.Millisecond
	}
	return &File{path: path, poll: poll, settle: settle}
}

// Looked notes the file as it is. Call it before reading the file: a later
// change is then seen as one.
func (f *File) Looked() {
	now, _ := os.Stat(f.path)
	f.mu.Lock()
	f.seen = now
	f.mu.Unlock()
}

// Start calls changed, from a goroutine of its own, whenever the file is another
// than Looked last saw and has settled, until the context ends or Stop.
func (f *File) Start(ctx context.Context, changed func()) {
	ctx, f.stop = context.WithCancel(ctx)
	f.done = make(chan struct{})
	go f.watch(ctx, changed)
}

// Stop ends the watch that Start began and waits for it.
func (f *File) Stop() {
	if f.stop != nil {
		f.stop()
		<-f.done
	}
}

func (f *File) watch(ctx context.Context, changed func()) {
	defer close(f.done)
	ticker := time.NewTicker(f.poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if f.changed() && f.settled(ctx) {
			changed()
		}
	}
}

// changed compares the file with the one that was last looked at. A file that
// is gone is no change: it is on its way to being replaced.
func (f *File) changed() bool {
	now, err := os.Stat(f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	return err == nil && !same(now, f.seen)
}

func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// settled waits until the file has not changed for the time of settle.
func (f *File) settled(ctx context.Context) bool {
	before, err := os.Stat(f.path)
	for err == nil {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(f.settle):
		}
		var now os.FileInfo
		if now, err = os.Stat(f.path); err == nil && same(before, now) {
			return true
		}
		before = now
	}
	return false
}
