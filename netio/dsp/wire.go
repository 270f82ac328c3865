package dsp

import (
	"crypto/tls"
	"net"
)

// wire is what lies below a TLS connection: the socket while a goroutine off the
// shard shakes hands, and then two buffers, since the shard reads and writes the
// socket itself. crypto/tls keeps what it has of a record when a read returns a
// temporary error, and goes on with the next.
type wire struct {
	net.Conn        // nil once detached
	in       []byte // received, not yet read by TLS
	out      []byte // to be sent
	buffers  *buffers
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if w.Conn != nil {
		return w.Conn.Read(b)
	}
	if len(w.in) == 0 {
		return 0, errEmpty
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	if w.Conn != nil {
		return w.Conn.Write(b)
	}
	var ok bool
	if w.out, ok = w.buffers.grow(w.out, len(b)); !ok {
		return 0, errFull
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

// Close implements net.Conn: the descriptor is the connection's to close.
func (w *wire) Close() error {
	if w.Conn != nil {
		return w.Conn.Close()
	}
	return nil
}

// wireError is a net.Error.
type wireError struct {
	text      string
	temporary bool
}

var (
	errEmpty net.Error = &wireError{"dsp: nothing to read yet", true}
	errFull  net.Error = &wireError{"dsp: Config.BufferBytesMax reached", false}
)

// Error implements error.
func (e *wireError) Error() string { return e.text }

// Timeout implements net.Error.
func (e *wireError) Timeout() bool { return e.temporary }

// Temporary implements net.Error; it is what crypto/tls asks.
func (e *wireError) Temporary() bool { return e.temporary }

// readTLS decrypts what came and hands it on. false: the connection has ended.
func (c *conn) readTLS(cipher []byte) bool {
	c.wire.in = cipher
	plain := c.pool.plain
	for {
		n, err := c.tls.Read(plain)
		if n > 0 && !c.receive(plain[:n]) {
			return false
		}
		if err != nil {
			c.wire.in = nil
			if err == error(errEmpty) {
				return true
			}
			c.ended("TLS: " + err.Error())
			return false
		}
	}
}

// seal encrypts what was gathered.
func (c *conn) seal() bool {
	if len(c.out) == 0 {
		return true
	}
	_, err := c.tls.Write(c.out)
	c.pool.buffers.put(c.out)
	c.out = nil
	if err != nil {
		c.fail(Lost, "TLS: "+err.Error())
		return false
	}
	return true
}

// resumed tells whether the session was.
func resumed(t *tls.Conn) bool { return t != nil && t.ConnectionState().DidResume }
