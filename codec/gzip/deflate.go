package gzip

import (
	"fmt"

	"github.com/klauspost/compress/gzip"
)

// Levels of compression.
const (
	LevelFastest = gzip.BestSpeed
	LevelBest    = gzip.BestCompression
)

// Deflater compresses.
type Deflater struct {
	out  appender
	zip  *gzip.Writer
	next *Deflater // of the pool
}

// appender collects what the library writes.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// NewDeflater is a deflater of a level, LevelFastest to LevelBest.
func NewDeflater(level int) (*Deflater, error) {
	if level < LevelFastest || level > LevelBest {
		return nil, fmt.Errorf("level: %d; give %d to %d", level, LevelFastest, LevelBest)
	}
	d := new(Deflater)
	zip, err := gzip.NewWriterLevel(&d.out, level)
	d.zip = zip
	return d, err
}

// Append appends the compressed body, one member without a name or a time:
// equal bodies, equal bytes. Nothing is allocated if dst has room.
func (d *Deflater) Append(dst, body []byte) []byte {
	d.out.b = dst
	d.zip.Reset(&d.out)
	// An appender does not fail, and so neither does the writer.
	_, _ = d.zip.Write(body)
	_ = d.zip.Close()
	dst, d.out.b = d.out.b, nil
	return dst
}
