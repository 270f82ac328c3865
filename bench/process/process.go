package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// Server is a server in its own process.
type Server struct {
	cmd *exec.Cmd
	// Address is where it serves ads.
	Address string
	// Admin is its admin port, "" if it printed none.
	Admin string
}

// servingOn finds the address in the first line that both servers print.
var servingOn = regexp.MustCompile(`serving ads on http://([^\s,]+)(?:, admin on http://([^\s,]+))?`)

// startTimeout bounds a server's start.
const startTimeout = 30 * time.Second

// Start starts a server on the given cores (nil: all) and waits for its
// address.
func Start(ctx context.Context, cores []int, stderr io.Writer, name string, args ...string) (*Server, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(cmd, cores); err != nil {
		return nil, err
	}
	c := &Server{cmd: cmd}
	found := make(chan []string, 1)
	go func() {
		defer close(found)
		s := bufio.NewScanner(out)
		for s.Scan() {
			if m := servingOn.FindStringSubmatch(s.Text()); m != nil {
				found <- m
				break
			}
		}
		_, _ = io.Copy(io.Discard, out) // keep the pipe open and empty
	}()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case m, ok := <-found:
		if ok {
			c.Address, c.Admin = m[1], m[2]
			return c, nil
		}
		err = errors.New("it ended without serving")
	case <-timer.C:
		err = fmt.Errorf("it did not serve within %v", startTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.Stop()
	return nil, err
}

// PID is its process id.
func (c *Server) PID() int { return c.cmd.Process.Pid }

// Stop ends it as an operator would, and waits.
func (c *Server) Stop() {
	// It may have ended by itself; Wait says nothing we could act on.
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.cmd.Wait()
}

// startOn starts the process with the affinity of cores: a child inherits that
// of the thread that forks it.
func startOn(cmd *exec.Cmd, cores []int) error {
	if cores == nil {
		return cmd.Start()
	}
	result := make(chan error)
	go func() {
		// Not unlocked: the thread, with its narrow affinity, ends with the goroutine.
		runtime.LockOSThread()
		if err := pinThread(0, cores); err != nil {
			result <- err
			return
		}
		result <- cmd.Start()
	}()
	return <-result
}

// Binary is the given binary, or one built now from this module.
func Binary(ctx context.Context, given string, stderr io.Writer) (string, func(), error) {
	if given != "" {
		return given, func() {}, nil
	}
	folder, err := os.MkdirTemp("", "millrace-bench-*")
	if err != nil {
		return "", nil, err
	}
	cleanup := func() { _ = os.RemoveAll(folder) } // a leftover in the temporary folder harms nobody
	binary := filepath.Join(folder, "millrace")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "millrace/tools/millrace")
	build.Stderr = stderr
	if err := build.Run(); err != nil {
		cleanup()
		return "", nil, fmt.Errorf("go build: %w; run this inside the repository, or name a binary with --millrace", err)
	}
	return binary, cleanup, nil
}
