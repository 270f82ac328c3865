package blackbox

import (
	"os/exec"
	"syscall"
)

// dieWithTest has the kernel end the server when the test process dies without
// a chance to clean up (go test's timeout panics).
func dieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
