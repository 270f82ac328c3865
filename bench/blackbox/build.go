package blackbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Root is the repository's folder: the nearest at or above the working
// directory that has a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod at or above the working directory")
		}
		dir = parent
	}
}

var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Binary is the path of the server, built on first use.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("MILLRACE_BINARY"); path != "" {
		return path
	}
	built.once.Do(func() {
		if built.path, built.err = build(); built.err == nil {
			built.err = touchSources()
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func build() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if built.dir, err = os.MkdirTemp("", "millrace-blackbox-"); err != nil {
		return "", err
	}
	path := filepath.Join(built.dir, "millrace")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./tools/millrace")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./tools/millrace: %w\n%s", err, out)
	}
	return path, nil
}

// touchSources looks at every file the binary may be made of. go test caches a
// result until a file that the test looked at changes; without this it would
// not know that the server did.
func touchSources() error {
	root, err := Root()
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir():
			_, err = os.Stat(path)
		}
		return err
	})
}

// RemoveBinary deletes what Binary built. For TestMain.
func RemoveBinary() {
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}

// Size is a test's size: the environment's number, else long with
// MILLRACE_LONG=1, else a quarter of short with -short, else short.
func Size(t testing.TB, variable string, short, long int) int {
	t.Helper()
	text := os.Getenv(variable)
	switch {
	case text != "":
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q: give a number of at least 1", variable, text)
		}
		return n
	case os.Getenv("MILLRACE_LONG") == "1":
		return long
	case testing.Short():
		return max(short/4, 2)
	}
	return short
}
