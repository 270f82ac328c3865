package campaign

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/codec/strict"
)

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	// By rename, as careful writers do.
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestWatcherReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	good := DemoYAML()
	write(t, path, good)
	swapped := 0
	w, err := NewWatcher(WatcherConfig{Path: path, Log: silent, Swapped: func(*Snapshot) { swapped++ }})
	if err != nil {
		t.Fatal(err)
	}
	first := w.Snapshot()
	if first.Version != 1 || swapped != 0 {
		t.Fatalf("version %d, %d swaps", first.Version, swapped)
	}
	if err := w.Reload(); err != nil || w.Snapshot() != first {
		t.Fatalf("equal bytes were swapped in: %v", err)
	}

	write(t, path, bytes.Replace(good, []byte("price: 3.20"), []byte("price: nothing"), 1))
	err = w.Reload()
	faults, ok := strict.FaultsOf(err)
	if !ok || len(faults) != 1 || faults[0].Line == 0 || w.Snapshot() != first {
		t.Fatalf("a faulty file: %v", err)
	}
	if s := w.Status(); s.Failures != 1 || len(s.Faults) != 1 || s.Version != 1 {
		t.Fatalf("%+v", s)
	}

	write(t, path, bytes.Replace(good, []byte("price: 3.20"), []byte("price: 3.30"), 1))
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	if s := w.Status(); w.Snapshot().Version != 2 || swapped != 1 || s.Swaps != 2 || s.Faults != nil {
		t.Fatalf("version %d, %d swaps, %+v", w.Snapshot().Version, swapped, s)
	}
	os.Remove(path)
	if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "cannot be read") || w.Snapshot().Version != 2 {
		t.Fatalf("a file that is gone: %v", err)
	}
}

func TestWatcherSeesChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	write(t, path, DemoYAML())
	swaps := make(chan *Snapshot, 1)
	w, err := NewWatcher(WatcherConfig{Path: path, Log: silent, Poll: time.Millisecond, Settle: 5 * time.Millisecond, Swapped: func(s *Snapshot) { swaps <- s }})
	if err != nil {
		t.Fatal(err)
	}
	w.Start(context.Background())
	defer w.Stop()
	write(t, path, append(DemoYAML(), "# changed\n"...))
	select {
	case s := <-swaps:
		if s != w.Snapshot() || s.Version != 2 {
			t.Errorf("version %d", s.Version)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the change was not seen")
	}
}

func TestWatcherDemo(t *testing.T) {
	w, err := NewWatcher(WatcherConfig{Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	w.Start(context.Background())
	w.Stop()
	w.Stop()
	if err := w.Reload(); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
	if _, err := NewWatcher(WatcherConfig{Path: "testdata/faults.yaml", Log: silent}); err == nil {
		t.Error("started with a faulty file")
	}
}
