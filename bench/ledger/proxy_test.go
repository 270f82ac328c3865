package ledger_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a client and the server, and cuts every connection on
// which a commit is sent, for some of them: before the server gets it, or after,
// so that only the answer is lost.
type proxy struct {
	listener net.Listener
	server   string
	commits  atomic.Int64
	// cut says what becomes of the nth commit.
	cut func(n int64) cutting
	// Before and After count the cuts.
	before, after atomic.Int64

	mu    sync.Mutex
	conns []net.Conn
}

type cutting uint8

const (
	whole cutting = iota
	beforeServer
	afterServer
)

// through gives the address of the database by way of a proxy.
func through(t testing.TB, address string, cut func(n int64) cutting) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: u.Host, cut: cut}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		serving.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	var deaf atomic.Bool // the client hears nothing more
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		// A server that hangs up, as it does after a request to cancel.
		defer func() { _ = client.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || deaf.Load() {
				return // with n > 0: the answer to the commit, which nobody will hear
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if err != nil {
			break
		}
		fate := whole
		if bytes.Contains(buf[:n], []byte("commit\x00")) {
			fate = p.cut(p.commits.Add(1))
		}
		if fate == beforeServer {
			p.before.Add(1)
			return
		}
		deaf.Store(fate == afterServer)
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if fate == afterServer {
			<-answers // the server has answered: it is committed
			p.after.Add(1)
			return
		}
	}
	_ = server.Close()
	<-answers
}
