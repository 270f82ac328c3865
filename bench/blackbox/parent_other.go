//go:build !linux

package blackbox

import "os/exec"

func dieWithTest(*exec.Cmd) {}
