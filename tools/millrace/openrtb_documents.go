package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// documentMax is the largest document that is looked at, in bytes.
const documentMax = 8 << 20

// documents reads JSON documents one after the other: one a line, or over many
// lines. A document ends where its brackets are closed at the end of a line; one
// that never closes ends before a line that begins another, as in a file of one
// a line, so that a broken document hides none of the next.
type documents struct {
	in *bufio.Reader
	// text is the document, line its first line, tooLong that it was cut off.
	text    []byte
	line    int
	tooLong bool
	err     error

	pending []byte // a line read already
	lines   int    // read so far
	ended   bool
}

func newDocuments(in io.Reader) *documents {
	return &documents{in: bufio.NewReaderSize(in, 1<<16)}
}

// next reads the next document; false at the end, or with err.
func (d *documents) next() bool {
	d.text, d.tooLong = d.text[:0], false
	depth, compact := 0, false
	for {
		line, ok := d.read()
		if !ok {
			d.text = bytes.TrimRight(d.text, " \t\r\n")
			return len(d.text) > 0 && d.err == nil
		}
		blank := len(bytes.TrimSpace(line)) == 0
		switch {
		case len(d.text) == 0 && blank:
			d.pending = d.pending[:0]
			continue
		case len(d.text) == 0:
			d.line = d.lines
			// Nobody breaks a line behind the first member and not before it.
			compact = len(bytes.TrimSpace(line)) > 1
		case compact && line[0] == '{':
			d.text = bytes.TrimRight(d.text, " \t\r\n")
			return true // the line waits for the next call
		}
		if depth += nesting(line); len(d.text)+len(line) > documentMax || d.tooLong {
			d.tooLong = true
		} else {
			d.text = append(d.text, line...)
		}
		d.pending = d.pending[:0]
		if depth <= 0 || d.tooLong {
			return true
		}
	}
}

// read is the line that waits or the next one, of which no more than
// documentMax is kept.
func (d *documents) read() (line []byte, ok bool) {
	if len(d.pending) > 0 {
		return d.pending, true
	}
	if d.ended {
		return nil, false
	}
	for {
		part, err := d.in.ReadSlice('\n')
		if room := documentMax + 1 - len(d.pending); len(part) > room {
			part = part[:room]
		}
		d.pending = append(d.pending, part...)
		switch {
		case err == nil:
			d.lines++
			return d.pending, true
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case !errors.Is(err, io.EOF):
			d.err = err
		}
		d.ended = true
		d.lines++
		return d.pending, len(d.pending) > 0 && d.err == nil
	}
}

// nesting is how many brackets a line opens more than it closes, outside of
// strings; no string of JSON goes over the end of a line.
func nesting(line []byte) (n int) {
	inString := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			n++
		case c == '}' || c == ']':
			n--
		}
	}
	return n
}

// position is the line and column (in bytes, from 1) of a byte of the document.
func (d *documents) position(offset int) (line, column int) {
	before := d.text[:min(offset, len(d.text))]
	last := bytes.LastIndexByte(before, '\n')
	return d.line + bytes.Count(before, []byte("\n")), len(before) - last
}
