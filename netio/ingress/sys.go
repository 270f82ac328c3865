package ingress

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// send and recv bypass the scheduler's bookkeeping of system calls (as netpoll's
// own reads do): they never block, and that bookkeeping costs more than a tenth
// of the call. MSG_DONTWAIT says so whatever the descriptor's flags are.

func send(fd int, b []byte) (n int, err unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

func recv(fd int, b []byte) (n int, err unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// unacknowledged is how many bytes the kernel holds that the peer's has not
// confirmed; our end of the connection counts as one.
func unacknowledged(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// hasInput tells whether bytes wait to be read.
func hasInput(fd int) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
	return err == nil && n > 0
}
