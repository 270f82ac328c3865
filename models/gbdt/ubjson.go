package gbdt

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ubjsonDocument is a document over Universal Binary JSON, draft 12: big-endian,
// with the typed arrays in which XGBoost keeps its trees.
type ubjsonDocument struct {
	b      []byte
	at     int
	marker byte // type of the next value, already taken; 0 before the first
	depth  int
	frames [maxNesting + 1]ubjsonFrame
}

// ubjsonFrame is an open container.
type ubjsonFrame struct {
	left int64 // values to come, -1 when a closing byte ends it
	typ  byte  // type of all of them, 0 when each has its own
}

func (d *ubjsonDocument) fail(format string, args ...any) error {
	return fmt.Errorf("at byte %d: %w", d.at, fmt.Errorf(format, args...))
}

func (d *ubjsonDocument) take(n int) ([]byte, error) {
	if n > len(d.b)-d.at {
		return nil, d.fail("%w", errCut)
	}
	d.at += n
	return d.b[d.at-n : d.at], nil
}

func (d *ubjsonDocument) takeMarker() (byte, error) {
	b, err := d.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// next is the type of the value to take.
func (d *ubjsonDocument) next() (byte, error) {
	if d.marker == 0 {
		m, err := d.takeMarker()
		if err != nil {
			return 0, err
		}
		d.marker = m
	}
	return d.marker, nil
}

func (d *ubjsonDocument) kind() (kind, error) {
	m, err := d.next()
	if err != nil {
		return 0, err
	}
	switch m {
	case '{':
		return kindObject, nil
	case '[':
		return kindArray, nil
	case 'S':
		return kindText, nil
	}
	return kindOther, nil
}

// open takes the container's opening, with its type and number of values when
// it has them.
func (d *ubjsonDocument) open(opening byte) error {
	m, err := d.next()
	if err != nil {
		return err
	}
	if m != opening {
		return d.fail("%q where %q should be", m, opening)
	}
	d.marker = 0
	if d.depth == maxNesting {
		return d.fail("%w", errNesting)
	}
	d.depth++
	f := &d.frames[d.depth]
	*f = ubjsonFrame{left: -1}
	if d.at < len(d.b) && d.b[d.at] == '$' {
		typ, err := d.take(2)
		if err != nil {
			return err
		}
		f.typ = typ[1]
		if width(f.typ) == 0 {
			return d.fail("a container of type %q: its values would take no bytes", f.typ)
		}
		if d.at == len(d.b) || d.b[d.at] != '#' {
			return d.fail("a typed container without its number of values")
		}
	}
	if d.at < len(d.b) && d.b[d.at] == '#' {
		d.at++
		if d.marker, err = d.takeMarker(); err != nil {
			return err
		}
		if f.left, err = d.integer(); err != nil {
			return err
		}
		// Each value takes a byte or more, so the bytes left bound what is built.
		if f.left < 0 || f.left > int64(len(d.b)-d.at) {
			return d.fail("a container of %d values in %d bytes", f.left, len(d.b)-d.at)
		}
	}
	return nil
}

// width is the least number of bytes of a value, without its type.
func width(typ byte) int {
	switch typ {
	case 'i', 'U', 'C', '{', '[':
		return 1
	case 'I', 'S':
		return 2
	case 'l', 'd':
		return 4
	case 'L', 'D':
		return 8
	}
	return 0
}

// more leaves the container at its end, or goes on to the next value.
func (d *ubjsonDocument) more(closing byte) (bool, error) {
	f := &d.frames[d.depth]
	switch {
	case f.left > 0:
		f.left--
		return true, nil
	case f.left < 0 && d.at < len(d.b) && d.b[d.at] != closing:
		return true, nil
	case f.left < 0 && d.at == len(d.b):
		return false, d.fail("%w", errCut)
	case f.left < 0:
		d.at++
	}
	d.depth--
	return false, nil
}

func (d *ubjsonDocument) openObject() error { return d.open('{') }
func (d *ubjsonDocument) openArray() error  { return d.open('[') }

func (d *ubjsonDocument) nextElement() (bool, error) {
	d.marker = d.frames[d.depth].typ
	return d.more(']')
}

func (d *ubjsonDocument) nextKey() (string, bool, error) {
	ok, err := d.more('}')
	if err != nil || !ok {
		return "", false, err
	}
	d.marker = 'S' // a key is a string without its type
	key, err := d.text()
	d.marker = d.frames[d.depth].typ
	return key, true, err
}

func (d *ubjsonDocument) text() (string, error) {
	if m, err := d.next(); err != nil {
		return "", err
	} else if m != 'S' {
		return "", d.fail("%q where a string should be", m)
	}
	d.marker = 0
	n, err := d.integer()
	if err != nil {
		return "", err
	}
	if n < 0 || n > int64(len(d.b)-d.at) {
		return "", d.fail("a string of %d bytes: %w", n, errCut)
	}
	b, err := d.take(int(n))
	return string(b), err
}

func (d *ubjsonDocument) number() (float32, error) {
	m, err := d.next()
	if err != nil {
		return 0, err
	}
	if m != 'd' && m != 'D' {
		v, err := d.integer()
		return float32(v), err
	}
	d.marker = 0
	b, err := d.take(width(m))
	if err != nil {
		return 0, err
	}
	if m == 'D' {
		return float32(math.Float64frombits(binary.BigEndian.Uint64(b))), nil
	}
	return math.Float32frombits(binary.BigEndian.Uint32(b)), nil
}

func (d *ubjsonDocument) integer() (int64, error) {
	m, err := d.next()
	if err != nil {
		return 0, err
	}
	d.marker = 0
	switch m {
	case 'T':
		return 1, nil
	case 'F':
		return 0, nil
	case 'i', 'U', 'I', 'l', 'L':
	default:
		return 0, d.fail("%q where an integer should be", m)
	}
	b, err := d.take(width(m))
	if err != nil {
		return 0, err
	}
	switch m {
	case 'i':
		return int64(int8(b[0])), nil
	case 'U':
		return int64(b[0]), nil
	case 'I':
		return int64(int16(binary.BigEndian.Uint16(b))), nil
	case 'l':
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func (d *ubjsonDocument) skip() error {
	m, err := d.next()
	if err != nil {
		return err
	}
	switch m {
	case '{':
		return object(d, func(string) error { return d.skip() })
	case '[':
		return array(d, func(int) error { return d.skip() })
	case 'S':
		_, err = d.text()
		return err
	case 'Z', 'T', 'F':
		d.marker = 0
		return nil
	}
	n := width(m)
	if n == 0 {
		return d.fail("type %q is unknown", m)
	}
	d.marker = 0
	_, err = d.take(n)
	return err
}

func (d *ubjsonDocument) end() error {
	if d.at < len(d.b) {
		return d.fail("%d bytes after the model's end", len(d.b)-d.at)
	}
	return nil
}
