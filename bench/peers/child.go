package main

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

// child is a server in its own process.
type child struct {
	cmd     *exec.Cmd
	address string
}

// servingOn finds the address in the first line that both servers print.
var servingOn = regexp.MustCompile(`serving ads on http://([^\s,]+)`)

// startTimeout bounds a server's start.
const startTimeout = 30 * time.Second

// startChild starts a server on the given cores (nil: all) and waits for its
// address.
func startChild(ctx context.Context, cores []int, stderr io.Writer, name string, args ...string) (*child, error) {
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
	c := &child{cmd: cmd}
	found := make(chan string, 1)
	go func() {
		defer close(found)
		s := bufio.NewScanner(out)
		for s.Scan() {
			if m := servingOn.FindStringSubmatch(s.Text()); m != nil {
				found <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, out) // keep the pipe open and empty
	}()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case address, ok := <-found:
		if ok {
			c.address = address
			return c, nil
		}
		err = errors.New("it ended without serving")
	case <-timer.C:
		err = fmt.Errorf("it did not serve within %v", startTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.stop()
	return nil, err
}

func (c *child) stop() {
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

// millraceBinary is the given binary, or one built now from this module.
func millraceBinary(ctx context.Context, given string, stderr io.Writer) (string, func(), error) {
	if given != "" {
		return given, func() {}, nil
	}
	folder, err := os.MkdirTemp("", "millrace-peers-*")
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
