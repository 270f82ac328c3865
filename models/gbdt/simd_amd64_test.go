//go:build amd64 && !purego

package gbdt

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"
)

// The generator knows these by number.
func TestAssemblyOffsets(t *testing.T) {
	for _, o := range []struct {
		name       string
		have, want uintptr
	}{
		{"programStep.word", unsafe.Offsetof(programStep{}.word), 8},
		{"programStep.tree", unsafe.Offsetof(programStep{}.tree), 12},
		{"programStep.nodes", unsafe.Offsetof(programStep{}.nodes), 16},
		{"programStep", unsafe.Sizeof(programStep{}), 24},
		{"segment.word", unsafe.Offsetof(segment{}.word), 8},
		{"segment.firstPair", unsafe.Offsetof(segment{}.firstPair), 12},
		{"segment.endPair", unsafe.Offsetof(segment{}.endPair), 16},
		{"segment.tree", unsafe.Offsetof(segment{}.tree), 20},
		{"segment", unsafe.Sizeof(segment{}), 24},
		{"narrowArgs.groups", unsafe.Offsetof(narrowArgs{}.groups), 48},
		{"buildArgs.segmentsEnd", unsafe.Offsetof(buildArgs{}.segmentsEnd), 56},
		{"buildArgs.stepsBytes", unsafe.Offsetof(buildArgs{}.stepsBytes), 64},
		{"buildArgs.leftsBytes", unsafe.Offsetof(buildArgs{}.leftsBytes), 72},
		{"turnArgs.groups", unsafe.Offsetof(turnArgs{}.groups), 24},
		{"turnArgs.columns", unsafe.Offsetof(turnArgs{}.columns), 32},
		{"passArgs.masks", unsafe.Offsetof(passArgs{}.masks), 56},
		{"passArgs.rows", unsafe.Offsetof(passArgs{}.rows), 64},
		{"passArgs.stepsEnd", unsafe.Offsetof(passArgs{}.stepsEnd), 72},
		{"passArgs.rowEnd", unsafe.Offsetof(passArgs{}.rowEnd), 80},
		{"lanes", lanes, 104},
	} {
		if o.have != o.want {
			t.Errorf("%s is at or has %d, the assembly takes %d", o.name, o.have, o.want)
		}
	}
}

// Programs made in assembly are the twin's, and so is what the twin makes of
// them.
func TestProgramsEqual(t *testing.T) {
	if !hasSIMD {
		t.Skip("this processor has no AVX-512 with VPOPCNTDQ")
	}
	r := rand.New(rand.NewPCG(6, 6))
	for _, s := range []shape{{trees: 60, leaves: 64}, {trees: 20, leaves: 300}, {trees: 33, leaves: 9}} {
		for _, split := range []Split{{20, 5, 20}, {90, 3, 3}, {4, 4, 40}} {
			s.split = split
			w := newWorld(t, r, s, 0)
			a, b := newProgram(w.c), newProgram(w.c)
			views := alignedFloats[float32](simdViews)
			if n := len(w.c.views[RequestSide]); n > simdViews {
				t.Logf("%d views: the twin makes the request mask", n)
				continue
			}
			for range 50 {
				request := randomRow(r, split.Request)
				for v := range w.c.views[RequestSide] {
					views[v] = w.c.views[RequestSide][v].read(request)
				}
				a.narrow(w.c, views[:len(w.c.views[RequestSide])])
				a.build(w.c)
				if !b.narrowSIMD(w.c, views[:len(w.c.views[RequestSide])]) || !b.buildSIMD(w.c) {
					t.Fatal("the assembly did not run")
				}
				comparePrograms(t, &a, &b, w.c.words)
			}
		}
	}
}

func comparePrograms(t *testing.T, a, b *program, words int) {
	t.Helper()
	for i := range words {
		if a.request[i] != b.request[i] {
			t.Fatalf("word %d of the request mask: %x, the twin says %x", i, b.request[i], a.request[i])
		}
	}
	if len(a.steps) != len(b.steps) || len(a.lefts) != len(b.lefts) {
		t.Fatalf("%d steps and %d nodes, the twin says %d and %d", len(b.steps), len(b.lefts), len(a.steps), len(a.lefts))
	}
	for i := range a.steps {
		if a.steps[i] != b.steps[i] {
			t.Fatalf("step %d: %+v, the twin says %+v", i, b.steps[i], a.steps[i])
		}
	}
	for i := range a.lefts {
		if a.lefts[i] != b.lefts[i] || a.tests[i] != b.tests[i] {
			t.Fatalf("node %d differs from the twin's", i)
		}
	}
}

// What is committed is what the generator makes.
func TestAssemblyIsGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generator")
	}
	dir := t.TempDir()
	files := []string{"kernels_amd64.s", "kernels_amd64.go"}
	cmd := exec.Command("go", "run", "./internal/asm", "-out", filepath.Join(dir, files[0]), "-stubs", filepath.Join(dir, files[1]), "-pkg", "gbdt")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range files {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// The first line has the generator's arguments.
		_, want, _ = bytes.Cut(want, []byte("\n"))
		_, have, _ = bytes.Cut(have, []byte("\n"))
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what internal/asm makes: go generate ./models/gbdt", name)
		}
	}
}
