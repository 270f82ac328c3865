package blackbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// slowKind is one way to be slow. open is what is sent at once, drip what is
// sent again and again; a reader takes answers as they come.
type slowKind struct {
	name string
	open func() []byte
	drip []byte
	read bool
}

func slowKinds() []slowKind {
	good := BannerRequest("slow", "u", "USA")
	return []slowKind{
		{"silent", func() []byte { return nil }, nil, true},
		{"head byte by byte", func() []byte { return []byte("POST /openrtb2/auction HTTP/1.1\r\nX: ") }, []byte("x"), true},
		{"body byte by byte", func() []byte { return Post(good[:10], contentJSON, fmt.Sprintf("Content-Length: %d", len(good)+5000)) }, []byte(" "), true},
		{"chunk by chunk", func() []byte { return Post(nil, contentJSON, "Transfer-Encoding: chunked") }, []byte("1\r\n \r\n"), true},
		// Asks and asks and never takes an answer: its socket fills up.
		{"does not read", func() []byte { return bytes.Repeat(Post(good, contentJSON), 200) }, bytes.Repeat(Post(good, contentJSON), 300), false},
	}
}

// TestSlowConnections opens thousands of slow connections of every kind and
// holds them while another client works. The other client is served, memory
// stays bounded, the slow ones are got rid of in the end, and a second wave
// finds nothing left of the first.
func TestSlowConnections(t *testing.T) {
	n := min(Size(t, "MILLRACE_SLOW", 1500, 10_000), descriptorsFree(t))
	const timeout = 3 * time.Second
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(
		NewCatalogFile(t, Line{Name: "paid", Price: "3", Total: "1000"}, Line{Name: "own", Kind: "house"}),
		fmt.Sprintf("limits: {head_timeout: %v, body_timeout: %v, idle_timeout: %v, write_timeout: %v}", timeout, timeout, timeout, timeout))})
	firstBids(t, s.NewClient(), BannerRequest("warm", "u", "USA"))
	tr := &traffic{log: newBeaconLog(), countries: []string{"USA"}, workers: 2, pause: 2 * time.Millisecond, failed: failTest(t)}
	stop := tr.run(s, 1)
	defer stop()
	slowWave(t, s, n)
	before := s.Memory()
	slowWave(t, s, n)
	stop()
	if tr.auctions.Load() < 50 {
		t.Errorf("the other client got only %d answers", tr.auctions.Load())
	}
	t.Logf("the other client: %d auctions, %d beacons, all answered", tr.auctions.Load(), tr.beacons.Load())
	checkMemory(t, before, s.Memory(), 64<<20, "a second wave of slow connections")
	s.Stop()
}

// slowWave opens the connections and waits until the server has closed them all.
func slowWave(t *testing.T, s *Server, n int) {
	t.Helper()
	before, _ := s.Resident()
	slow := openSlow(t, s, n)
	time.Sleep(time.Second)
	if during, err := s.Resident(); err == nil && !raceEnabled {
		t.Logf("%d slow connections: resident %.1f → %.1f MiB, %d KiB each", n, mib(before), mib(during), (during-before)/int64(n)>>10)
		if during > before+96<<20+int64(n)*(48<<10) {
			t.Errorf("%d slow connections took resident memory from %.1f to %.1f MiB", n, mib(before), mib(during))
		}
	}
	waitFor(t, "the server to close every slow connection", func() bool { return slow.open.Load() == 0 })
	slow.close()
}

// slowClients are open connections; open counts those the server still keeps.
type slowClients struct {
	conns []net.Conn
	open  atomic.Int64
	wg    sync.WaitGroup
}

func openSlow(t *testing.T, s *Server, n int) *slowClients {
	t.Helper()
	kinds := slowKinds()
	slow := &slowClients{conns: make([]net.Conn, 0, n)}
	t.Cleanup(slow.close)
	// A small receive buffer: otherwise the kernel takes megabytes of answers
	// for a client that does not read, and the server never notices.
	dialer := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }), err)
	}}
	for i := range n {
		kind := kinds[i%len(kinds)]
		if !kind.read && i > 20*len(kinds) {
			kind = kinds[0] // twenty of these are load enough
		}
		conn, err := dialer.Dial("tcp", s.Listen)
		if err != nil {
			t.Fatalf("slow connection %d: %v", i, err)
		}
		slow.conns = append(slow.conns, conn)
		slow.open.Add(1)
		slow.wg.Go(func() {
			defer slow.open.Add(-1)
			kind.run(conn)
		})
	}
	return slow
}

// run drips until the server has closed the connection.
func (k slowKind) run(conn net.Conn) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(k.open())
	if k.read {
		go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
	}
	for {
		time.Sleep(300 * time.Millisecond)
		_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		// An empty drip finds a closed connection too, where the reader closed it.
		if _, err := conn.Write(k.drip); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

func (c *slowClients) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.wg.Wait()
}

// descriptorsFree is how many connections this process, and a server with the
// same limit, may hold.
func descriptorsFree(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	free := int(min(limit.Cur, 1<<20)) - 200
	if free < 100 {
		t.Skipf("the limit of open files is %d: too low for slow connections; raise it with ulimit -n", limit.Cur)
	}
	return free
}

// TestConnectionCap: above limits.connections a client is refused by name, and
// those inside are not harmed; a place that gets free can be taken.
func TestConnectionCap(t *testing.T) {
	const connections = 64
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(
		NewCatalogFile(t, Line{Name: "own", Kind: "house"}), fmt.Sprintf("limits: {connections: %d}", connections))})
	c := s.NewClient()
	firstBids(t, c, BannerRequest("inside", "u", "USA"))
	var held []net.Conn
	defer func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	for range connections + 20 {
		conn, err := net.DialTimeout("tcp", s.Listen, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	waitFor(t, "a refusal of the connection too many", func() bool {
		a, err := s.Raw(Post(BannerRequest("outside", "u", "USA"), contentJSON), false)
		return err == nil && (a.Status == 503 || a.Status == 0)
	})
	for range 10 { // the connection from before the crowd still works
		firstBids(t, c, BannerRequest("inside", "u", "USA"))
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	held = nil
	waitFor(t, "a free place", func() bool {
		a, err := s.Raw(Post(BannerRequest("outside", "u", "USA"), contentJSON), false)
		return err == nil && a.Status == 200
	})
	s.Stop()
}

// TestRefusedBodiesAreCutOff: a client that goes on sending a refused body, and
// reads nothing before it is done, is disconnected soon.
func TestRefusedBodiesAreCutOff(t *testing.T) {
	s := Start(t, Options{Data: t.TempDir(), Config: Settings(NewCatalogFile(t, Line{Name: "own", Kind: "house"}))})
	huge := Post(bytes.Repeat([]byte("x"), 8<<20), contentJSON)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				conn, err := net.DialTimeout("tcp", s.Listen, RawTimeout)
				if err != nil {
					t.Error(err)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(RawTimeout))
				_, err = conn.Write(huge)
				_ = conn.Close()
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a refused body is neither read nor cut off after %v", RawTimeout)
					return
				}
			}
		})
	}
	wg.Wait()
	s.Stop()
}
