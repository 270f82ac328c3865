package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/models/gbdt"
)

type options struct {
	folder, python, only string
	candidates           []int
	rounds, ads          int
	budget               time.Duration
	train                bool
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("models", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.folder, "models", filepath.Join("build", "bench-models"), "folder of the trained models and rows")
	flags.StringVar(&o.python, "python", cmp.Or(os.Getenv("MILLRACE_PYTHON"), filepath.Join(".venv", "bin", "python")), "Python with lightgbm, xgboost, numpy (or MILLRACE_PYTHON)")
	flags.StringVar(&o.only, "only", ".", "regular expression of model names to measure")
	counts := flags.String("candidates", "1,10,100,1000", "candidates a request")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds; a figure is their median")
	flags.IntVar(&o.ads, "ads", 100_000, "ads of the catalog")
	flags.DurationVar(&o.budget, "budget", 20*time.Millisecond, "time of one method in one round")
	flags.BoolVar(&o.train, "train", true, "train the models that are not there")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	for _, n := range strings.Split(*counts, ",") {
		v, err := strconv.Atoi(n)
		if err != nil || v < 1 || v > pairRows {
			fmt.Fprintf(stderr, "models: -candidates: %q is not a number from 1 to %d\n", n, pairRows)
			return 2
		}
		o.candidates = append(o.candidates, v)
	}
	if o.rounds < 1 || o.ads < hotAds || o.budget <= 0 || flags.NArg() > 0 {
		fmt.Fprintf(stderr, "models: no arguments, a positive number of rounds and budget, at least %d ads; see --help\n", hotAds)
		return 2
	}
	if err := o.measureAll(stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "models:", err)
		return 1
	}
	return 0
}

// trained makes sure that there are models; without them there is nothing to
// measure, which is said and is no failure.
func (o *options) trained(stdout, stderr io.Writer) (index, error) {
	x, err := readIndex(o.folder)
	if err == nil || !o.train {
		return x, err
	}
	if _, found := exec.LookPath(o.python); found != nil {
		return x, nil
	}
	fmt.Fprintf(stdout, "training into %s: some minutes, once\n", o.folder)
	cmd := exec.Command(o.python, filepath.Join("tools", "train", "bench_models.py"), o.folder)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		return x, fmt.Errorf("training: %w", err)
	}
	return readIndex(o.folder)
}

func (o *options) measureAll(stdout, stderr io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	x, err := o.trained(stdout, stderr)
	if err != nil {
		return err
	}
	if len(x.Models) == 0 {
		fmt.Fprintf(stdout, "SKIPPED: no models in %s, and no Python at %s to train them (-python or MILLRACE_PYTHON; it needs lightgbm, xgboost, numpy)\n", o.folder, o.python)
		return nil
	}
	r, err := readRows(o.folder, o.ads)
	if err != nil {
		return err
	}
	// One thread: the collector must not run beside it.
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	printHead(stdout, x, o, gbdt.SIMD())
	peers := newPeers(o, r, stdout)
	defer peers.stop()
	var hash uint64
	var memory []costs
	for _, file := range x.Models {
		if !only.MatchString(file.File) {
			continue
		}
		m, err := loadModel(o.folder, file, r)
		if err != nil {
			return err
		}
		for _, n := range o.candidates {
			t, err := o.measureOne(m, r, n, peers, &hash)
			if err != nil {
				return err
			}
			t.print(stdout)
		}
		memory = append(memory, m.costs())
		runtime.GC()
	}
	printMemory(stdout, memory)
	fmt.Fprintf(stdout, "result hash %016x\n", hash)
	return nil
}

// measureOne runs all methods of one model in turn, round by round.
func (o *options) measureOne(m *model, r *rows, n int, peers *peers, hash *uint64) (*table, error) {
	whole := r.whole(n)
	t := &table{model: m, n: n}
	t.add(naiveMethod(m, whole, n))
	for _, k := range []gbdt.Kernel{gbdt.KernelFlat, gbdt.KernelTwin, gbdt.KernelSIMD, gbdt.KernelAuto} {
		t.add(kernelMethod(k.String()+" hot", k, m, r, r.hot, n))
		t.add(kernelMethod(k.String()+" cold", k, m, r, r.cold, n))
	}
	if m.Trainer == "lightgbm" {
		t.add(leavesMethod(filepath.Join(o.folder, m.File), whole, n))
	}
	api := &method{name: m.Trainer}
	for range o.rounds {
		for _, way := range t.methods {
			if way.absent == "" {
				way.measure(n, o.budget, hash)
			}
		}
		peers.measure(api, m, n, whole)
	}
	t.add(api)
	for _, way := range t.methods {
		if way.call != nil && !strings.HasSuffix(way.name, "hot") && !m.agrees(whole, way.call(0)) {
			return nil, fmt.Errorf("%s, %d candidates: %s does not agree with the naive walk", m.File, n, way.name)
		}
	}
	return t, nil
}

// peers are the children, one for each number of candidates, so that each has
// the same calls as the rest.
type peers struct {
	o      *options
	r      *rows
	out    io.Writer
	byRows map[int]*peer
	absent string
}

func newPeers(o *options, r *rows, out io.Writer) *peers {
	p := &peers{o: o, r: r, out: out, byRows: map[int]*peer{}}
	if _, err := exec.LookPath(o.python); err != nil {
		p.absent = fmt.Sprintf("no Python at %s (-python, MILLRACE_PYTHON)", o.python)
		fmt.Fprintf(out, "SKIPPED: the C APIs of LightGBM and XGBoost: %s\n", p.absent)
	}
	return p
}

func (p *peers) measure(way *method, m *model, n int, whole []float32) {
	if way.absent = p.absent; way.absent != "" {
		return
	}
	child, err := p.child(n, whole)
	if err == nil {
		var a peerAnswer
		a, err = child.ask(peerAsk{m.Trainer, filepath.Join(p.o.folder, m.File), n, p.o.budget.Seconds()})
		if err == nil && !m.agrees(whole, a.Scores) {
			err = errors.New("its scores differ from the naive walk's")
		}
		if err == nil {
			way.name = a.Name + " C API"
			way.nanos = append(way.nanos, a.Nanos)
		}
	}
	if err != nil {
		way.absent = err.Error()
		fmt.Fprintf(p.out, "SKIPPED: %s of %s: %v\n", way.name, m.File, err)
	}
}

func (p *peers) child(n int, whole []float32) (*peer, error) {
	if c := p.byRows[n]; c != nil {
		return c, nil
	}
	c, err := startPeer(p.o.python, whole)
	if err == nil {
		p.byRows[n] = c
	}
	return c, err
}

func (p *peers) stop() {
	for _, n := range slices.Sorted(maps.Keys(p.byRows)) {
		p.byRows[n].stop()
	}
}
