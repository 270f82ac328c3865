package ingress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const fewDescriptors = "MILLRACE_TEST_FEW_DESCRIPTORS"

// TestOutOfDescriptors: a process without descriptors turns connections away,
// does not spin, and serves again when there are some. It needs a process of its
// own, as the limit is one.
func TestOutOfDescriptors(t *testing.T) {
	if os.Getenv(fewDescriptors) != "" {
		serveWithFewDescriptors(t)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestOutOfDescriptors$")
	child.Env = append(os.Environ(), fewDescriptors+"=1")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	addr, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	var conns []net.Conn
	for range 40 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	shed := 0
	for _, c := range conns {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, post("/", ""))
		if _, err := bufio.NewReader(c).ReadByte(); err != nil {
			shed++
		}
	}
	if shed == 0 || shed == len(conns) {
		t.Errorf("%d of %d connections were turned away", shed, len(conns))
	}
	for _, c := range conns {
		c.Close()
	}
	waitFor(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c, post("/", ""))
		_, err = bufio.NewReader(c).ReadByte()
		return err == nil
	})
	in.Close()
	report, _ := io.ReadAll(lines)
	if err := child.Wait(); err != nil {
		t.Errorf("%v\n%s", err, report)
	}
}

func serveWithFewDescriptors(t *testing.T) {
	s := serve(t, testConfig(), echo)
	c := dial(t, s) // so that netpoll has all it opens
	say(t, c, post("/", ""))
	answer(t, bufio.NewReader(c), "POST")
	probe, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(probe)
	var limit unix.Rlimit
	if err = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		limit.Cur = uint64(probe + 16)
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if s.metrics.acceptFailures.Load() == 0 {
		t.Error("accept never failed")
	}
	if n := s.metrics.acceptFailures.Load(); n > 200 {
		t.Errorf("accept failed %d times: the poller spun", n)
	}
}
