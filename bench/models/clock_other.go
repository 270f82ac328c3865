//go:build !linux

package main

import "time"

var began = time.Now()

// now is the time that passed; only Linux tells a thread's own.
func now() time.Duration { return time.Since(began) }
