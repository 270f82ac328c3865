package blackbox

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
)

// Now is the wall clock as tokens carry it.
func Now() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

// RawTimeout bounds how long Raw waits: a hang is a failure, not a slow answer.
const RawTimeout = 30 * time.Second

// Raw sends bytes as they are on a connection of their own and reads one
// answer. halfClose ends the client's side after the bytes. Status 0: the
// server closed without an answer.
func (s *Server) Raw(bytesOut []byte, halfClose bool) (Answer, error) {
	conn, err := net.DialTimeout("tcp", s.Listen, RawTimeout)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(RawTimeout))
	// The server may refuse by the head while the body is still being sent, so
	// the answer is read meanwhile. An error of writing is no news.
	go func() {
		_, _ = conn.Write(bytesOut)
		if halfClose {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			return Answer{}, fmt.Errorf("no answer and no close in %v", RawTimeout)
		}
		return Answer{}, nil
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return Answer{}, fmt.Errorf("status %d, then: %w", resp.StatusCode, err)
	}
	return Answer{resp.StatusCode, resp.Header, body.Bytes()}, nil
}

// Post is the text of an auction request with the headers, each "Name: value".
// Content-Length is added unless a header names a length or an encoding of it.
func Post(body []byte, headers ...string) []byte {
	var b bytes.Buffer
	b.WriteString("POST /openrtb2/auction HTTP/1.1\r\nHost: test\r\n")
	framed := false
	for _, h := range headers {
		name, _, _ := strings.Cut(strings.ToLower(h), ":")
		framed = framed || name == "content-length" || name == "transfer-encoding"
		b.WriteString(h + "\r\n")
	}
	if !framed {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// Gzip compresses.
func Gzip(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
