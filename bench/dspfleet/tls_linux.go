package dspfleet

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"millrace/bench/epoll"
)

// secured is a TLS connection whose records come from and go to memory, so that
// the worker can drive it: crypto/tls keeps what it has of a record when a read
// ends with a temporary error. The handshake is not like that and runs on a
// goroutine of its own before the worker gets the connection.
type secured struct {
	conn *tls.Conn
	wire *wire
}

// wire is the net.Conn below: during the handshake the socket itself, afterwards
// the worker's buffers.
type wire struct {
	fd        int
	handshake bool
	in        []byte // records to be read
	out       []byte // records to be sent
}

// errLater is what a read of an empty buffer ends with.
type errLater struct{}

func (errLater) Error() string   { return "no more for now" }
func (errLater) Timeout() bool   { return true }
func (errLater) Temporary() bool { return true }

const handshakeTimeout = 5 * time.Second

func (w *wire) Read(b []byte) (int, error) {
	if !w.handshake {
		if len(w.in) == 0 {
			return 0, errLater{}
		}
		n := copy(b, w.in)
		w.in = w.in[n:]
		return n, nil
	}
	for {
		n, e := epoll.Read(w.fd, b)
		switch {
		case e == 0 && n == 0:
			return 0, io.EOF
		case e == 0:
			return n, nil
		case e != unix.EAGAIN && e != unix.EINTR:
			return 0, e
		}
		if err := w.wait(unix.POLLIN); err != nil {
			return 0, err
		}
	}
}

func (w *wire) Write(b []byte) (int, error) {
	if !w.handshake {
		w.out = append(w.out, b...)
		return len(b), nil
	}
	for sent := 0; ; {
		n, e := epoll.Write(w.fd, b[sent:])
		if e == 0 {
			if sent += n; sent == len(b) {
				return sent, nil
			}
			continue
		}
		if e != unix.EAGAIN && e != unix.EINTR {
			return sent, e
		}
		if err := w.wait(unix.POLLOUT); err != nil {
			return sent, err
		}
	}
}

func (w *wire) wait(events int16) error {
	fds := [1]unix.PollFd{{Fd: int32(w.fd), Events: events}}
	n, err := unix.Poll(fds[:], int(handshakeTimeout.Milliseconds()))
	switch {
	case err != nil && !errors.Is(err, unix.EINTR):
		return err
	case n == 0 && err == nil:
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (w *wire) Close() error                     { return nil } // the descriptor is the worker's
func (w *wire) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// secure shakes hands on a new socket and hands the connection to the worker.
func (w *worker) secure(d *dsp, fd int) {
	s := &secured{wire: &wire{fd: fd, handshake: true}}
	s.conn = tls.Server(s.wire, d.tls)
	err := s.conn.Handshake()
	s.wire.handshake = false
	w.command(func(w *worker) {
		if w.handshaking--; err != nil || w.stopped || d.behaviour.Load().Down {
			_ = unix.Close(fd) // a handshake that failed
			return
		}
		state := s.conn.ConnectionState()
		d.count.handshakes.Add(1)
		if state.DidResume {
			d.count.resumed.Add(1)
		}
		w.open(d, fd, s, state.NegotiatedProtocol == "h2")
	})
}

// plain moves what was read from the socket through TLS and appends the text.
func (s *secured) plain(dst, records []byte) ([]byte, error) {
	s.wire.in = append(s.wire.in, records...)
	for {
		if cap(dst)-len(dst) < 4<<10 {
			dst = append(make([]byte, 0, 2*cap(dst)+32<<10), dst...)
		}
		n, err := s.conn.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err != nil {
			if len(s.wire.in) == 0 {
				s.wire.in = nil
			}
			var later errLater
			if errors.As(err, &later) {
				err = nil
			}
			return dst, err
		}
	}
}
