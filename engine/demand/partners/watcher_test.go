package partners

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"millrace/codec/strict"
	"millrace/codec/unit"
)

func TestWatcherKeepsWhatIsGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demand.yaml")
	good := exampleText(t)
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	now, swapped := noon, 0
	config := WatcherConfig{
		Path: path, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() unit.WallTime { return now }, Swapped: func(*Book) { swapped++ },
	}
	w, err := NewWatcher(config)
	if err != nil {
		t.Fatal(err)
	}
	first := w.Book()
	if err := w.Reload(); err != nil || w.Book() != first || swapped != 0 {
		t.Fatalf("equal bytes were swapped in: %v", err)
	}
	write(bytes.Replace(good, []byte("tier: 1"), []byte("tier: 9"), 1))
	if faults, ok := strict.FaultsOf(w.Reload()); !ok || len(faults) != 1 || w.Book() != first || w.Status().Failures != 1 {
		t.Fatalf("a faulty file: %v", faults)
	}
	write(bytes.Replace(good, []byte("tier: 1"), []byte("tier: 2"), 1))
	if err := w.Reload(); err != nil || swapped != 1 || w.Book().Version != 2 || w.Book().Partner(0).Tier != 2 {
		t.Fatalf("a good file was not swapped in: %v", err)
	}
	// A changed file does not bring old rates back.
	now = now.Add(30 * 24 * 3600e9)
	write(good)
	if err := w.Reload(); err == nil || w.Book().Version != 2 {
		t.Fatal("old rates were taken")
	}
	if _, err := NewWatcher(config); err == nil {
		t.Fatal("old rates were taken at the start")
	}
}
