//go:build !linux

package gbdt

func adviseHuge([]uint64) {}
