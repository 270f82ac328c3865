package servers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ValkeyServer is one Valkey process. It keeps nothing on disk unless it is
// told to: after Kill and Start it is empty.
type ValkeyServer struct {
	// Addr stays the same over Kill and Start.
	Addr string
	process
}

// Valkey starts a server, with further settings ("--appendonly", "yes"), and
// stops it with the test.
func Valkey(t testing.TB, settings ...string) *ValkeyServer {
	t.Helper()
	return startValkey(t, append([]string{"--save", "", "--appendonly", "no", "--io-threads", "1"}, settings...)...)
}

// ValkeySentinel starts a sentinel that watches the primary under the name, and
// by itself puts a replica in its place when it is down.
func ValkeySentinel(t testing.TB, name string, primary *ValkeyServer) *ValkeyServer {
	t.Helper()
	host, port, _ := net.SplitHostPort(primary.Addr)
	file := filepath.Join(t.TempDir(), "sentinel.conf") // it writes there what it finds out
	text := fmt.Sprintf("sentinel monitor %s %s %s 1\nsentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 5000\n", name, host, port, name, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startValkey(t, file, "--sentinel")
}

func startValkey(t testing.TB, args ...string) *ValkeyServer {
	t.Helper()
	if testing.Short() {
		t.Skip("a real Valkey is not started in -short")
	}
	v := &ValkeyServer{Addr: fmt.Sprintf("127.0.0.1:%d", FreePort(t))}
	_, port, _ := net.SplitHostPort(v.Addr)
	v.process = process{t: t, name: "Valkey", dir: t.TempDir()}
	v.command = func() *exec.Cmd {
		return Command(t, "valkey-server", append(slices.Clone(args), "--port", port, "--bind", "127.0.0.1", "--dir", v.dir)...)
	}
	v.ready = func() bool { answer, err := v.Do("PING"); return err == nil && answer == "PONG" }
	v.Start()
	t.Cleanup(v.Kill)
	return v
}

// Do sends one command, of words without spaces, and returns its answer where
// that is one string or number. It bypasses the client under test.
func (v *ValkeyServer) Do(words ...string) (string, error) {
	c, err := net.DialTimeout("tcp", v.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(c, "%s\r\n", strings.Join(words, " ")); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch kind, rest := line[0], line[1:]; kind {
	case '+', ':':
		return rest, nil
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", err
		}
		text := make([]byte, n)
		_, err = io.ReadFull(r, text)
		return string(text), err
	}
	return "", fmt.Errorf("%s: %s", strings.Join(words, " "), line)
}

// do is Do of a command that must succeed.
func (v *ValkeyServer) do(words ...string) string {
	v.t.Helper()
	answer, err := v.Do(words...)
	if err != nil {
		v.t.Fatalf("Valkey: %v", err)
	}
	return answer
}

// clusterSlots is how many slots a cluster has, by its specification.
const clusterSlots = 16_384

// ValkeyCluster starts masters that share the slots, and waits until each knows
// all of them.
func ValkeyCluster(t testing.TB, masters int) []*ValkeyServer {
	t.Helper()
	list, buses := make([]*ValkeyServer, masters), make([]string, masters)
	for i := range list {
		buses[i] = strconv.Itoa(FreePort(t))
		v := Valkey(t, "--cluster-enabled", "yes", "--cluster-port", buses[i], "--cluster-node-timeout", "2000",
			"--cluster-require-full-coverage", "no")
		v.do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(clusterSlots*i/masters), strconv.Itoa(clusterSlots*(i+1)/masters-1))
		v.do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		list[i] = v
	}
	for i, v := range list[1:] {
		host, port, _ := net.SplitHostPort(v.Addr)
		list[0].do("CLUSTER", "MEET", host, port, buses[i+1])
	}
	complete := "cluster_slots_ok:" + strconv.Itoa(clusterSlots)
	for deadline := time.Now().Add(startMax); ; time.Sleep(20 * time.Millisecond) {
		together := true
		for _, v := range list {
			info := v.do("CLUSTER", "INFO")
			together = together && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, complete)
		}
		if together {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster did not come together: %s", list[0].do("CLUSTER", "INFO"))
		}
	}
}
