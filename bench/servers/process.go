package servers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startMax bounds the wait for a server that starts: a Kafka takes some 3 s when
// nothing else runs, the others a part of one.
const startMax = 60 * time.Second

// process is one server: started, paused, ended and started again by its
// process id, its output in a file.
type process struct {
	t    testing.TB
	name string
	dir  string
	// command makes the command line; ready is true once the server answers.
	command func() *exec.Cmd
	ready   func() bool
	// again, if there is one, tells from the output of a server that ended at
	// its start that another try may succeed.
	again func(out string) bool

	cmd  *exec.Cmd
	done chan struct{} // the process ended
}

// Start starts the server, again after Kill or Stop, and waits until it
// answers.
func (p *process) Start() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startMax)
	defer cancel()
	for p.launch(); ; {
		if p.ready() {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-p.done:
			if p.again != nil && p.again(p.output()) && ctx.Err() == nil {
				time.Sleep(100 * time.Millisecond)
				p.launch()
				continue
			}
		case <-ctx.Done():
			p.Kill()
		}
		p.t.Fatalf("%s did not start:\n%s", p.name, p.output())
	}
}

func (p *process) file() string { return filepath.Join(p.dir, "out") }

func (p *process) output() string {
	text, _ := os.ReadFile(p.file())
	return string(text)
}

func (p *process) launch() {
	p.t.Helper()
	out, err := os.Create(p.file())
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = p.command()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	DieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.done = done
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		_ = out.Close()
		close(done)
	}(p.cmd)
}

// Kill ends the server as a crash does.
func (p *process) Kill() { p.end(syscall.SIGKILL) }

// Pause stops the server in mid-air, sockets open; Resume lets it go on.
func (p *process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (p *process) Resume() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%s: %v: %v", p.name, s, err)
	}
}

// end sends the signal and waits; a server that does not go is killed.
func (p *process) end(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.done:
	case <-time.After(startMax):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// program finds an executable on the PATH, by the patterns, or where make deps
// puts what is missing (tools/servers/install). env is what it needs beside the
// process's own environment.
func program(t testing.TB, name string, patterns ...string) (path string, env []string, ok bool) {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path, nil, true
	}
	deps := filepath.Join(root(t), ".deps", "debian")
	for _, folder := range []string{"", deps} {
		for _, pattern := range append(patterns, "/usr/bin", "/usr/sbin") {
			found, _ := filepath.Glob(filepath.Join(folder, pattern, name))
			if len(found) == 0 {
				continue
			}
			if folder != "" {
				libraries, _ := filepath.Glob(filepath.Join(deps, "usr", "lib", "*-linux-gnu"))
				more, _ := filepath.Glob(filepath.Join(deps, "lib", "*-linux-gnu"))
				env = []string{"LD_LIBRARY_PATH=" + strings.Join(append(libraries, more...), ":")}
			}
			return found[len(found)-1], env, true // the newest version
		}
	}
	return "", nil, false
}

// Command is a command line of a program that make deps installs where it is
// missing, such as nghttpd or nginx; the test is skipped where there is none.
func Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, env, ok := program(t, name)
	if !ok {
		t.Skipf("no %s: make deps fetches it where Debian's packages can be had", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// listens is true once somebody accepts connections at the address.
func listens(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// FreePort is a loopback port that nobody listens on. It is outside the range
// from which the kernel gives clients theirs: a server that is down for a while
// finds its port free when it comes back.
func FreePort(t testing.TB) int {
	t.Helper()
	const first, end = 15_000, 32_000
	for range 100 {
		port := first + rand.IntN(end-first)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port between 15000 and 32000 on 127.0.0.1")
	return 0
}

// root is the repository: the nearest folder above with go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = os.ErrNotExist
		}
	}
	t.Fatalf("no go.mod above the test: %v", err)
	return ""
}
