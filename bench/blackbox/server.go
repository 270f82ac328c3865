package blackbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/bench/servers"
)

// How long a server may take to come up and to go down. Bounds on a hang, not
// claims of speed: the machine may be busy and the binary slowed by -race.
const (
	readyWithin = 60 * time.Second
	stopWithin  = 60 * time.Second
)

// Options of a server. The zero value serves the bundled demo catalog.
type Options struct {
	// Data is --data; "" leaves the flag out.
	Data string
	// Config is the text of the --config file; "" leaves the flag out.
	Config string
	// Args are further arguments of serve.
	Args []string
	// Listen and Admin are addresses to use again after a restart; "" takes free ports.
	Listen, Admin string
}

// Server is one running process.
type Server struct {
	URL    string  // http://host:port of ad traffic
	Admin  string  // http://host:port of the control API
	Listen string  // host:port of ad traffic
	opt    Options // with the addresses filled in
	t      testing.TB
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{} // closed once Wait returned; then err is set
	err    error
	ended  bool // a test asked for the end: exits are expected
}

// logBuffer keeps the server's output.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Start starts a server and waits until /readyz answers 200. The server is
// killed at the end of the test if it still runs.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	binary := Binary(t)
	configFile := ""
	if o.Config != "" {
		configFile = filepath.Join(t.TempDir(), "millrace.yaml")
		if err := os.WriteFile(configFile, []byte(o.Config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for try := 1; ; try++ {
		s, err := start(t, binary, configFile, o)
		if err == nil {
			t.Cleanup(s.cleanUp)
			return s
		}
		// Between choosing a free port and listening on it another process may take it.
		if try == 3 || !strings.Contains(err.Error(), "address already in use") {
			t.Fatalf("server does not come up: %v", err)
		}
	}
}

func start(t testing.TB, binary, configFile string, o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = freeAddress(t)
	}
	if o.Admin == "" {
		o.Admin = freeAddress(t)
	}
	args := []string{"serve", "--listen", o.Listen, "--admin", o.Admin}
	if configFile != "" {
		args = append(args, "--config", configFile)
	}
	if o.Data != "" {
		args = append(args, "--data", o.Data)
	}
	s := &Server{
		URL: "http://" + o.Listen, Admin: "http://" + o.Admin, Listen: o.Listen,
		opt: o, t: t, log: &logBuffer{}, exited: make(chan struct{}),
	}
	s.cmd = exec.Command(binary, append(args, o.Args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Env = environment()
	servers.DieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	if err := s.waitReady(); err != nil {
		s.quit()
		return nil, fmt.Errorf("%w\n%s", err, s.LogTail())
	}
	return s, nil
}

func (s *Server) waitReady() error {
	var last error
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.exited:
			return fmt.Errorf("it exited: %v", s.err)
		default:
		}
		code, _, err := get(s.URL + "/readyz")
		if err == nil && code == http.StatusOK {
			// Ready for traffic means the control API is there too.
			if code, _, err = get(s.Admin + "/readyz"); err == nil && code == http.StatusOK {
				return nil
			}
		}
		last = fmt.Errorf("/readyz: status %d, error %v", code, err)
	}
	return fmt.Errorf("not ready within %v: %w", readyWithin, last)
}

// environment is ours without what would configure the server.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MILLRACE_") })
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

var adminClient = &http.Client{Timeout: 30 * time.Second}

func get(url string) (code int, body []byte, err error) {
	resp, err := adminClient.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// Pid is the process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Running reports whether the process lives.
func (s *Server) Running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Kill is kill -9: no chance to say goodbye.
func (s *Server) Kill() {
	s.t.Helper()
	s.mustRun("be killed")
	s.ended = true
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.exited
	s.checkLog()
}

// Stop is SIGTERM; the server must drain and exit with 0.
func (s *Server) Stop() {
	s.t.Helper()
	s.mustRun("stop")
	s.ended = true
	s.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopWithin):
		s.quit()
		s.t.Errorf("the server did not stop within %v of SIGTERM\n%s", stopWithin, s.LogTail())
		return
	}
	if s.err != nil {
		s.t.Errorf("after SIGTERM the server ended with %v, want exit 0\n%s", s.err, s.LogTail())
	}
	s.checkLog()
}

// quit ends a server that hangs; it leaves its stacks in the log.
func (s *Server) quit() {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.exited:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}

// Signal sends a signal to the process.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Errorf("signal %v: %v", sig, err)
	}
}

// Restart starts the same server again on the same addresses and data; args,
// where given, replace Options.Args.
func (s *Server) Restart(args ...string) *Server {
	s.t.Helper()
	o := s.opt
	if len(args) > 0 {
		o.Args = args
	}
	return Start(s.t, o)
}

// Run runs the binary to its end, which must come by itself, and returns its
// exit code and output.
func Run(t testing.TB, args ...string) (code int, output string) {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	var log logBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = environment()
	servers.DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(readyWithin, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), log.String()
}

// LogTail is the end of the server's output.
func (s *Server) LogTail() string {
	text := s.log.String()
	const tail = 16 << 10
	if len(text) > tail {
		text = "…" + text[len(text)-tail:]
	}
	return "--- server output:\n" + text
}

func (s *Server) mustRun(what string) {
	s.t.Helper()
	if !s.Running() {
		s.t.Fatalf("the server was to %s, but had ended by itself: %v\n%s", what, s.err, s.LogTail())
	}
}

// checkLog finds what a server must never write.
func (s *Server) checkLog() {
	s.t.Helper()
	text := s.log.String()
	for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "runtime error: "} {
		if at := strings.Index(text, bad); at >= 0 {
			s.t.Errorf("the server wrote %q:\n%s", bad, text[at:min(len(text), at+8<<10)])
			return
		}
	}
}

func (s *Server) cleanUp() {
	if s.ended {
		return
	}
	if !s.Running() {
		s.t.Errorf("the server ended by itself: %v\n%s", s.err, s.LogTail())
		s.checkLog()
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
	s.checkLog()
	if s.t.Failed() {
		s.t.Log(s.LogTail())
	}
}

// errNotLinux: memory is read from /proc.
var errNotLinux = errors.New("no /proc on this system")
