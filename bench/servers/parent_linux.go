package servers

import (
	"os/exec"
	"syscall"
)

// DieWithParent has the kernel end the process when the test's dies without a
// chance to clean up (go test's timeout panics).
func DieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
