package gzip

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Errors of Inflater.Append.
var (
	// ErrTooLarge: the body is larger than the limit once decompressed.
	ErrTooLarge = errors.New("gzip: larger than the limit once decompressed")
	// ErrCorrupt: the body is not gzip, is cut short, or its checksum is wrong.
	ErrCorrupt = errors.New("gzip: not valid")
)

// Inflater decompresses. With its window and tables it takes about 45 KB. The
// zero value is ready.
type Inflater struct {
	src  bytes.Reader
	zip  gzip.Reader
	next *Inflater // of the pool
}

// inflateStep is the least that dst is grown by.
const inflateStep = 8 << 10

// Append appends the decompressed body. limit bounds what is appended: no more
// than that, and a byte, is ever decompressed. On an error dst is returned as it
// came, with its memory. Nothing is allocated if dst has room.
func (z *Inflater) Append(dst, body []byte, limit int) ([]byte, error) {
	from := len(dst)
	z.src.Reset(body)
	// Member by member: left to itself, the reader takes a later member whose
	// head is cut in its name or comment for the end.
	err := error(nil)
	for more := true; more && err == nil; more = z.src.Len() > 0 {
		if err = z.zip.Reset(&z.src); err == nil {
			z.zip.Multistream(false)
			dst, err = z.readAll(dst, from+limit)
		}
	}
	z.src.Reset(nil)
	switch {
	case err == nil:
		return dst, nil
	case errors.Is(err, ErrTooLarge):
		return dst[:from], ErrTooLarge
	}
	return dst[:from], ErrCorrupt
}

func (z *Inflater) readAll(dst []byte, most int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			grown := make([]byte, len(dst), min(max(len(dst)+inflateStep, 2*cap(dst)), most+1))
			copy(grown, dst)
			dst = grown
		}
		// One byte more than allowed is enough to know.
		n, err := z.zip.Read(dst[len(dst):min(cap(dst), most+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > most:
			return dst, ErrTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
