package feature

import (
	"encoding/binary"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/parity.* with the trainer's encoder")

// rawInputs are rows of raw inputs as tools/train/encode.py reads them: by
// input, then by row.
type rawInputs struct {
	rows    int
	numbers [][]float64
	texts   [][][]byte // nil: missing
	ages    [][]time.Duration
}

// words that texts are made of: known ones of every enum, other scripts, bytes
// that are no UTF-8, and lengths around those where the hash changes its way.
func words(s *Schema, rng *rand.Rand) [][]byte {
	list := [][]byte{{}, []byte("iOS"), []byte("IOS"), []byte("Ünïcödé"), []byte("日本語"), []byte("ﬃ"), []byte("\xff\xfe"), []byte("a\x00b"), []byte("🦀")}
	for _, c := range s.Columns {
		for _, v := range c.Values {
			list = append(list, []byte(v))
		}
	}
	for n := range 40 {
		for _, size := range []int{n, 250 + n} {
			b := make([]byte, size)
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			list = append(list, b)
		}
	}
	return list
}

func randomNumber(rng *rand.Rand) float64 {
	switch rng.IntN(8) {
	case 0:
		return math.NaN()
	case 1:
		return float64(rng.IntN(40)) - 3 // categories, in and out of range
	case 2:
		extremes := [...]float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
			math.SmallestNonzeroFloat64, math.MaxFloat32, 1e-46, 1, math.Nextafter(1, 0), 13, 18, 65, 719.9999999, 1e15, 1e16}
		return extremes[rng.IntN(len(extremes))]
	case 3:
		return math.Float64frombits(rng.Uint64())
	case 4:
		return rng.Float64()
	default:
		return math.Exp(rng.NormFloat64()*4) - 0.01
	}
}

func randomInputs(s *Schema, rows int, seed uint64) *rawInputs {
	rng := rand.New(rand.NewPCG(seed, 1))
	list := words(s, rng)
	r := &rawInputs{rows: rows, numbers: make([][]float64, len(s.Inputs)), texts: make([][][]byte, len(s.Inputs)), ages: make([][]time.Duration, len(s.Inputs))}
	for i := range s.Inputs {
		for range rows {
			if s.Inputs[i].Text {
				var w []byte
				if rng.IntN(8) > 0 {
					w = list[rng.IntN(len(list))]
				}
				r.texts[i] = append(r.texts[i], w)
			} else {
				r.numbers[i] = append(r.numbers[i], randomNumber(rng))
			}
			// Fresh, at the limit of its class, just past it, or of any age.
			age := [...]time.Duration{0, s.Inputs[i].MaxAge, s.Inputs[i].MaxAge + time.Microsecond, time.Duration(rng.Int64N(int64(60 * 24 * time.Hour)))}
			r.ages[i] = append(r.ages[i], age[max(0, rng.IntN(8)-4)])
		}
	}
	return r
}

func (r *rawInputs) bytes() []byte {
	out := binary.LittleEndian.AppendUint32(nil, uint32(r.rows))
	for i := range r.ages {
		for _, v := range r.numbers[i] {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		}
		for _, w := range r.texts[i] {
			size := uint32(len(w))
			if w == nil {
				size = math.MaxUint32
			}
			out = binary.LittleEndian.AppendUint32(out, size)
		}
		for _, w := range r.texts[i] {
			out = append(out, w...)
		}
		for _, age := range r.ages[i] {
			out = binary.LittleEndian.AppendUint64(out, uint64(age))
		}
	}
	return out
}

func (r *rawInputs) encode(s *Schema) []float32 {
	e := s.NewEncoder()
	out := make([]float32, 0, r.rows*len(s.Columns))
	for row := range r.rows {
		for i := range s.Inputs {
			if s.Inputs[i].Text {
				e.SetTextAged(Input(i), r.texts[i][row], r.ages[i][row])
			} else {
				e.SetNumberAged(Input(i), r.numbers[i][row], r.ages[i][row])
			}
		}
		for g := User; g <= Cross; g++ {
			at := len(out)
			out = out[:at+s.Width(g)]
			e.Encode(g, out[at:])
		}
	}
	return out
}

// compare finds the first value that differs from the trainer's; every NaN is
// one and the same: missing.
func compare(t *testing.T, s *Schema, got []float32, trainer []byte) {
	t.Helper()
	if len(trainer) != 4*len(got) {
		t.Fatalf("the trainer wrote %d bytes, want %d", len(trainer), 4*len(got))
	}
	missing := 0
	for i, v := range got {
		want := math.Float32frombits(binary.LittleEndian.Uint32(trainer[4*i:]))
		if v != v && want != want {
			missing++
			continue
		}
		if math.Float32bits(v) != math.Float32bits(want) {
			t.Fatalf("row %d, %s: %v here, %v in the trainer", i/len(s.Columns), s.Columns[i%len(s.Columns)].Name, v, want)
		}
	}
	if missing == 0 || missing == len(got) {
		t.Fatalf("%d of %d values are missing: the rows try too little", missing, len(got))
	}
}

// python is the trainer's interpreter: MILLRACE_PYTHON, or .venv as `make deps`
// leaves it at the root of the repository.
func python(t *testing.T) (interpreter, root string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	interpreter = os.Getenv("MILLRACE_PYTHON")
	if interpreter == "" {
		interpreter = filepath.Join(root, ".venv", "bin", "python")
	}
	// Read, so that go test knows what its cached answer depends on.
	for _, module := range []string{"encode.py", "schema.py", "xxh64.py", "__main__.py", "join.py", "profile.py", "world.py", "eventlog.py"} {
		if _, err := os.ReadFile(filepath.Join(root, "tools/train", module)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(interpreter); err != nil {
		t.Skipf("no Python to run the trainer's encoder with (%v): `make deps` installs it", err)
	}
	return interpreter, root
}

// trainer runs python -m tools.train.
func trainer(t *testing.T, args ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("the trainer is not run in short mode")
	}
	interpreter, root := python(t)
	cmd := exec.Command(interpreter, append([]string{"-m", "tools.train"}, args...)...)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func trainerEncodes(t *testing.T, raw []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "raw"), filepath.Join(dir, "rows")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	trainer(t, "encode", in, out)
	return readFile(t, out)
}

// parseRaw reads what rawInputs.bytes, or the trainer, wrote.
func parseRaw(s *Schema, b []byte) *rawInputs {
	take := func(n int) []byte {
		head := b[:n]
		b = b[n:]
		return head
	}
	rows := int(binary.LittleEndian.Uint32(take(4)))
	r := &rawInputs{rows: rows, numbers: make([][]float64, len(s.Inputs)), texts: make([][][]byte, len(s.Inputs)), ages: make([][]time.Duration, len(s.Inputs))}
	for i := range s.Inputs {
		if s.Inputs[i].Text {
			sizes := take(4 * rows)
			for ; len(sizes) > 0; sizes = sizes[4:] {
				var w []byte
				if size := binary.LittleEndian.Uint32(sizes); size != math.MaxUint32 {
					w = take(int(size))
				}
				r.texts[i] = append(r.texts[i], w)
			}
		} else {
			for v := take(8 * rows); len(v) > 0; v = v[8:] {
				r.numbers[i] = append(r.numbers[i], math.Float64frombits(binary.LittleEndian.Uint64(v)))
			}
		}
		for age := take(8 * rows); len(age) > 0; age = age[8:] {
			r.ages[i] = append(r.ages[i], time.Duration(binary.LittleEndian.Uint64(age)))
		}
	}
	return r
}

// TestParityOfTrainingRows: rows that a model would be trained on (a log in
// Parquet, joined to its past) are what the server makes of the same inputs.
func TestParityOfTrainingRows(t *testing.T) {
	dir := t.TempDir()
	log, raw, rows := filepath.Join(dir, "log"), filepath.Join(dir, "raw"), filepath.Join(dir, "rows")
	trainer(t, "synth", "--out", log, "--impressions", "100000", "--users", "5000")
	trainer(t, "encode", "--log", log, raw, rows)
	s := Default()
	r := parseRaw(s, readFile(t, raw))
	if r.rows != 100_000 {
		t.Fatalf("%d rows", r.rows)
	}
	compare(t, s, r.encode(s), readFile(t, rows))
}

// TestParityWithTrainer: what the trainer's encoder makes of 120,000 random rows
// is what ours makes of them, bit for bit.
func TestParityWithTrainer(t *testing.T) {
	s := Default()
	r := randomInputs(s, 120_000, 2026)
	compare(t, s, r.encode(s), trainerEncodes(t, r.bytes()))
}

// TestParityGolden is the same over committed rows, where there is no Python.
func TestParityGolden(t *testing.T) {
	const golden = "testdata/parity.f32"
	s := Default()
	r := randomInputs(s, 64, 7)
	if *update {
		if err := os.WriteFile(golden, trainerEncodes(t, r.bytes()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, s, r.encode(s), readFile(t, golden))
}
