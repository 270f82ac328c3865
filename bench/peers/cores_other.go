//go:build !linux

package main

import (
	"errors"
	"time"
)

// Pinning and reading another process's CPU time are Linux's.

func splitCores(bool) (servers, client []int) { return nil, nil }
func pinThread(int, []int) error              { return errors.New("only Linux pins threads") }
func pinSelf([]int) error                     { return nil }
func (c *child) cpu() time.Duration           { return 0 }
