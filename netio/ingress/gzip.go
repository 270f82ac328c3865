package ingress

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"

	"millrace/codec/http1"
)

type bodyCoding uint8

const (
	codingIdentity bodyCoding = iota
	codingGzip
	codingUnknown
)

func coding(v []byte) bodyCoding {
	switch {
	case len(v) == 0 || http1.EqualFold(v, "identity"):
		return codingIdentity
	case http1.EqualFold(v, "gzip") || http1.EqualFold(v, "x-gzip"):
		return codingGzip
	}
	return codingUnknown
}

// inflater is a decompressor with its window and tables (about 45 KB).
type inflater struct {
	src  bytes.Reader
	zip  gzip.Reader
	next *inflater
}

// inflaterPool keeps as many as were ever needed at once: the pollers and the
// slow lane.
type inflaterPool struct {
	mu   sync.Mutex
	free *inflater
}

// inflate replaces x.Body by its decompressed form; a status other than 0 is the
// answer to a body that has none.
func (p *inflaterPool) inflate(x *Exchange, limit int) (status int, reason string) {
	p.mu.Lock()
	z := p.free
	if z != nil {
		p.free = z.next
	}
	p.mu.Unlock()
	if z == nil {
		z = new(inflater)
	}
	z.src.Reset(x.Body)
	err := z.zip.Reset(&z.src)
	if err == nil {
		x.plain, err = z.readAll(x.plain[:0], limit)
	}
	z.src.Reset(nil)
	p.mu.Lock()
	z.next, p.free = p.free, z
	p.mu.Unlock()
	switch {
	case errors.Is(err, errInflatedSize):
		return 413, "body: larger than this server accepts once decompressed"
	case err != nil:
		return 400, "body: not valid gzip"
	}
	x.Body = x.plain
	return 0, ""
}

var errInflatedSize = errors.New("decompressed body above the limit")

func (z *inflater) readAll(dst []byte, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			grown := make([]byte, len(dst), min(max(8<<10, 2*cap(dst)), limit+1))
			copy(grown, dst)
			dst = grown
		}
		// One byte more than allowed is enough to know.
		n, err := z.zip.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errInflatedSize
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
