//go:build !linux

package load

import (
	"errors"
	"runtime"
)

// worker exists on Linux only: it is built on epoll.
type worker struct {
	plan   timing
	everUp bool
}

func (w *worker) run() {}

func newWorkers(Config, chan<- span, <-chan struct{}) ([]*worker, error) {
	return nil, errors.New("load: the load generator is built on epoll and needs Linux; this is " + runtime.GOOS)
}
