package dsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// arrival is what a goroutine off the shard came to: a connection, addresses of a
// name, or an error.
type arrival struct {
	target *target
	err    error
	names  bool // addrs is what was asked for
	addrs  []netip.Addr

	fd      int
	tls     *tls.Conn
	wire    *wire
	speaks2 bool
	remote  netip.Addr
}

// dialer opens connections; it is used by goroutines off the shard.
type dialer struct {
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	timeout time.Duration
}

// attemptsMax is how many of a name's addresses one attempt tries.
const attemptsMax = 3

// dial opens one connection, TLS included; attempt chooses the first address.
func (d *dialer) dial(ctx context.Context, p *prepared, attempt uint64) (a arrival) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	host, port, _ := net.SplitHostPort(p.address)
	addrs, err := d.addresses(ctx, host)
	if err != nil {
		return arrival{err: err}
	}
	var socket net.Conn
	for i := range min(len(addrs), attemptsMax) {
		a.remote = addrs[(attempt+uint64(i))%uint64(len(addrs))].Unmap()
		if socket, err = (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(a.remote.String(), port)); err == nil {
			break
		}
	}
	if err != nil {
		return arrival{err: err}
	}
	a.speaks2 = p.spec.Protocol == HTTP2
	if p.secure {
		a.wire = &wire{Conn: socket}
		a.tls = tls.Client(a.wire, p.tls)
		if err = a.tls.HandshakeContext(ctx); err != nil {
			_ = socket.Close()
			return arrival{err: fmt.Errorf("TLS: %w", err)}
		}
		picked := a.tls.ConnectionState().NegotiatedProtocol
		if p.spec.Protocol == HTTP2 && picked != "h2" {
			_ = socket.Close()
			return arrival{err: fmt.Errorf("TLS: the server picked %q and not h2", picked)}
		}
		a.speaks2 = picked == "h2"
		a.wire.Conn = nil
	}
	if a.fd, err = detach(socket); err != nil {
		return arrival{err: err}
	}
	return a
}

func (d *dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := d.resolve(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = errors.New("no address for " + host)
	}
	return addrs, err
}

func systemResolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// detach takes the descriptor away from the runtime's poller.
func detach(socket net.Conn) (fd int, err error) {
	defer func() { _ = socket.Close() }()
	raw, err := socket.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	if err = raw.Control(func(s uintptr) { fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return -1, err
	}
	return fd, dupErr
}

// dial begins an attempt.
func (p *Pool) dial(t *target) {
	t.dialing++
	p.dials++
	attempt, prepared := t.attempts, t.prepared
	t.attempts++
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		a := p.open(p.ctx, prepared, attempt)
		a.target = t
		p.arrive(a)
	}()
}

// lookUp begins to resolve a target's name again.
func (p *Pool) lookUp(t *target) {
	host, _, _ := net.SplitHostPort(t.prepared.address)
	if _, err := netip.ParseAddr(host); err == nil {
		return
	}
	t.lookedUp = true
	p.dials++
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		ctx, cancel := context.WithTimeout(p.ctx, p.cfg.DialTimeout)
		defer cancel()
		addrs, err := p.dialer.addresses(ctx, host)
		p.arrive(arrival{target: t, names: true, addrs: addrs, err: err})
	}()
}

// arrive hands over to the shard. There is always room: no more than DialsMax are
// under way.
func (p *Pool) arrive(a arrival) {
	p.arrivals <- a
	p.arrived.Store(true)
	p.poller.announce()
}

// welcome takes in what has arrived.
func (p *Pool) welcome() {
	if !p.arrived.Swap(false) {
		return
	}
	for {
		select {
		case a := <-p.arrivals:
			p.dials--
			p.receive(&a)
		default:
			return
		}
	}
}

func (p *Pool) receive(a *arrival) {
	t := a.target
	if a.names {
		t.lookedUp = false
		if a.err == nil && !t.gone {
			t.moved(p, a.addrs)
		}
		return
	}
	t.dialing--
	switch {
	case a.err != nil:
		t.reason = a.err.Error()
		t.failed(p)
		return
	case t.gone || p.closed || len(p.slots) == 0 && len(p.conns) == slotsMax:
		_ = unix.Close(a.fd)
		return
	}
	p.adopt(a)
}

// adopt makes a connection of a socket.
func (p *Pool) adopt(a *arrival) {
	slot := len(p.conns)
	if n := len(p.slots) - 1; n >= 0 {
		slot = p.slots[n]
		p.slots = p.slots[:n]
	} else {
		p.conns = append(p.conns, nil)
	}
	c := &conn{
		pool: p, target: a.target, slot: slot, fd: a.fd, tls: a.tls, wire: a.wire, remote: a.remote,
		speaks2: a.speaks2, opened: p.now, heard: p.now, used: p.now,
	}
	if c.wire != nil {
		c.wire.buffers = &p.buffers
	}
	if err := p.poller.add(c.fd, slot); err != nil {
		_ = unix.Close(c.fd)
		p.slots = append(p.slots, slot)
		a.target.reason = "epoll: " + err.Error()
		a.target.failed(p)
		return
	}
	p.conns[slot] = c
	if resumed(c.tls) {
		a.target.resumed++
	}
	if c.speaks2 {
		c.open2()
	}
	a.target.adopt(p, c)
	if c.tls != nil && !c.dead {
		c.readTLS(nil) // TLS may have read beyond the handshake
	}
}
