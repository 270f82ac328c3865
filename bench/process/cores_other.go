//go:build !linux

package process

import (
	"errors"
	"time"
)

// Pinning and reading another process's CPU time are Linux's.

// SplitCores splits nothing.
func SplitCores(bool) (servers, client []int) { return nil, nil }
func pinThread(int, []int) error              { return errors.New("only Linux pins threads") }

// PinSelf can not be had for any cores.
func PinSelf([]int) error { return nil }

// CPU is unknown.
func (c *Server) CPU() time.Duration { return 0 }
