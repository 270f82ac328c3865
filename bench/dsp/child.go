package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// childVariable makes a process of this program a server ("mock hosts delay jitter") or
// a client ("client name flight addr,addr,...").
const childVariable = "MILLRACE_BENCH_DSP_CHILD"

func serveIfChild() bool {
	f := strings.Fields(os.Getenv(childVariable))
	if len(f) == 0 {
		return false
	}
	var err error
	switch {
	case f[0] == "mock" && len(f) == 4:
		hosts, _ := strconv.Atoi(f[1])
		delay, _ := time.ParseDuration(f[2])
		jitter, _ := time.ParseDuration(f[3])
		err = serveMock(hosts, delay, jitter)
	case f[0] == "client" && len(f) == 4:
		flight, _ := strconv.Atoi(f[2])
		err = serveClient(f[1], flight, strings.Split(f[3], ","))
	default:
		err = fmt.Errorf("%s=%q: not understood", childVariable, f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dsp:", err)
		os.Exit(1)
	}
	return true
}

// child is a process of this program, ended by the end of its standard input.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
}

// startChild starts one on the first or the second half of the usable cores, with
// a single P.
func startChild(half int, args ...any) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), childVariable+"="+strings.TrimSpace(fmt.Sprintln(args...)), "GOMAXPROCS=1")
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.lines = bufio.NewReader(out)
	// A new process inherits the affinity of the thread that forks it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer pinThread(half)()
	return c, c.cmd.Start()
}

// pinThread puts the calling thread on one half of the usable cores; the function
// it returns puts it back. With a single core there is nothing to do.
func pinThread(half int) (back func()) {
	var all, mine unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil || all.Count() < 2 {
		return func() {}
	}
	for i, seen := 0, 0; seen < all.Count(); i++ {
		if all.IsSet(i) {
			if (seen < all.Count()/2) == (half == 0) {
				mine.Set(i)
			}
			seen++
		}
	}
	_ = unix.SchedSetaffinity(0, &mine)
	return func() { _ = unix.SchedSetaffinity(0, &all) }
}

func (c *child) stop() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}

type mock struct {
	*child
	addrs string
}

func startMock(hosts int, delay, jitter time.Duration) (*mock, error) {
	c, err := startChild(0, "mock", hosts, delay, jitter)
	if err != nil {
		return nil, err
	}
	m := &mock{child: c}
	if _, err = fmt.Fscanln(c.lines, &m.addrs); err != nil {
		c.stop()
		return nil, fmt.Errorf("the mock did not start: %w", err)
	}
	return m, nil
}

// measure starts a client, warms it up, and measures; then counts system calls.
func (p *plan) measure(name string, flight int, addrs string) (r result, err error) {
	c, err := startChild(1, "client", name, flight, addrs)
	if err != nil {
		return r, err
	}
	defer c.stop()
	ask := func(long time.Duration) (calls, cpu, mallocs int64, err error) {
		if _, err = fmt.Fprintln(c.in, long); err == nil {
			_, err = fmt.Fscanln(c.lines, &calls, &cpu, &mallocs, &r.p50, &r.p99)
		}
		if err == nil && calls == 0 {
			err = fmt.Errorf("no call was answered")
		}
		return calls, cpu, mallocs, err
	}
	if _, _, _, err = ask(p.duration/4 + 100*time.Millisecond); err != nil {
		return r, err
	}
	calls, cpu, mallocs, err := ask(p.duration)
	if err != nil {
		return r, err
	}
	r.calls = float64(calls) / p.duration.Seconds()
	r.cpuMicros = float64(cpu) / 1e3 / float64(calls)
	r.allocs = float64(mallocs) / float64(calls)
	if p.count {
		p50, p99 := r.p50, r.p99
		stop := countSyscalls(c.cmd.Process.Pid)
		calls, _, _, err = ask(p.duration / 4)
		r.syscalls = stop() / float64(max(calls, 1))
		r.p50, r.p99 = p50, p99
	}
	return r, err
}

var perfCount = regexp.MustCompile(`([0-9]+)[^\n]*raw_syscalls:sys_enter`)

// countSyscalls counts those of a process until the function it returns is called;
// that tells 0 where perf is not there or not allowed to.
func countSyscalls(pid int) (stop func() float64) {
	var out strings.Builder
	cmd := exec.Command("perf", "stat", "-x", ";", "-e", "raw_syscalls:sys_enter", "-p", strconv.Itoa(pid))
	cmd.Stderr = &out
	if cmd.Start() != nil {
		return func() float64 { return 0 }
	}
	time.Sleep(200 * time.Millisecond) // until it has attached; the client waits meanwhile
	return func() float64 {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		m := perfCount.FindStringSubmatch(out.String())
		if m == nil {
			return 0
		}
		v, _ := strconv.ParseFloat(m[1], 64)
		return v
	}
}

// serveClient measures as often as it is asked to on standard input.
func serveClient(name string, flight int, addrs []string) error {
	d, err := newDriver(name, flight, addrs)
	if err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		long, err := time.ParseDuration(in.Text())
		if err != nil {
			return err
		}
		var took latencies
		var before, after unix.Rusage
		var memBefore, memAfter runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memBefore)
		_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
		calls, err := d.drive(time.Now().Add(long), &took)
		if err != nil {
			return err
		}
		_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
		runtime.ReadMemStats(&memAfter)
		cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		fmt.Println(calls, cpu, memAfter.Mallocs-memBefore.Mallocs, took.at(0.5), took.at(0.99))
	}
	return nil
}
