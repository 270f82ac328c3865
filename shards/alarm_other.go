//go:build !linux

package shards

func (a *alarm) precise() bool { return false }
