//go:build !linux

package main

import (
	"errors"

	"millrace/codec/strict"
)

// What only Linux tells; see machine_linux.go for what each means.

func allowedCPUs() []int                { return nil }
func tryPin(int) error                  { return errors.New("only Linux pins threads") }
func clockSynced() (synced, known bool) { return false, false }
func freeBytes(string) strict.Bytes     { return 0 }
func inMemory(string) bool              { return false }
func machineMemory() int64              { return 0 }
func containerMemory() int64            { return 0 }
func cpuQuota() float64                 { return 0 }
