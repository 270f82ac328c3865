//go:build !linux

package dspfleet

import (
	"errors"
	"runtime"
)

// worker exists on Linux only: it is built on epoll.
type worker struct{ stopped bool }

type conn struct{}

type stream struct{}

func (f *Fleet) startWorkers() error {
	return errors.New("dspfleet: the mock bidders are built on epoll and need Linux; this is " + runtime.GOOS)
}

func (w *worker) command(func(*worker)) {}
func (w *worker) settle(*dsp)           {}
func (w *worker) run()                  {}
func (w *worker) close()                {}
