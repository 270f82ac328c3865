package http1

import "bytes"

const (
	chunkLineMax   = 256  // size and extensions of one chunk
	trailerMax     = 4096 // all trailer lines together
	chunkSizeMax   = 1 << 40
	overheadFactor = 16 // framing bytes allowed a body byte, plus overheadFloor
	overheadFloor  = 4096
)

// Chunked decodes a chunked body in place as its bytes arrive. The zero value,
// with Limit set, is ready; it holds no pointer and may be copied.
type Chunked struct {
	Limit   int // of the decoded body, in bytes
	size    int // decoded so far
	left    int // data bytes of the current chunk still to come
	framing int // bytes spent on framing, bounded against one-byte chunks with long extensions
	trailer int
	state   chunkState
}

type chunkState uint8

const (
	atSize chunkState = iota
	inData
	atDataEnd
	inTrailer
	atEnd
)

// Len is the number of decoded bytes at the start of the buffer.
func (d *Chunked) Len() int { return d.size }

// Decode works on b, the body's bytes so far: Len() decoded bytes that earlier
// calls left, followed by the new raw ones. It moves data to the front and
// returns the length of b that is still meaningful. With OK the body is
// b[:Len()] and b[Len():n] already belongs to the next request; with Incomplete
// append more at b[n:] and call again.
func (d *Chunked) Decode(b []byte) (n int, status Status) {
	r := d.size
	for d.state != atEnd {
		var used int
		if d.state == inData {
			used = min(d.left, len(b)-r)
			copy(b[d.size:], b[r:r+used])
			d.size += used
			d.left -= used
			if d.left == 0 {
				d.state = atDataEnd
			}
			status = OK
			if used == 0 {
				status = Incomplete
			}
		} else {
			used, status = d.frame(b[r:])
			d.framing += used
		}
		r += used
		if status == Incomplete {
			break
		}
		if status != OK {
			return 0, status
		}
		if d.framing > overheadFloor+overheadFactor*d.size {
			return 0, FaultChunk
		}
	}
	n = d.size + copy(b[d.size:], b[r:])
	if d.state == atEnd {
		return n, OK
	}
	return n, Incomplete
}

// frame reads one piece of framing at the start of b.
func (d *Chunked) frame(b []byte) (used int, status Status) {
	switch d.state {
	case atDataEnd:
		if len(b) < 2 {
			return 0, Incomplete
		}
		if b[0] != '\r' || b[1] != '\n' {
			return 0, FaultChunk
		}
		d.state = atSize
		return 2, OK
	case atSize:
		line, next, status := chunkLine(b, chunkLineMax)
		if status != OK {
			return 0, status
		}
		size, ok := chunkSize(line)
		switch {
		case !ok:
			return 0, FaultChunk
		case size > d.Limit-d.size:
			return 0, FaultBodySize
		case size == 0:
			d.state = inTrailer
		default:
			d.state, d.left = inData, size
		}
		return next, OK
	default: // inTrailer
		line, next, status := chunkLine(b, trailerMax-d.trailer)
		if status != OK {
			return 0, status
		}
		d.trailer += next
		if len(line) == 0 {
			d.state = atEnd
		} else if colon := bytes.IndexByte(line, ':'); colon <= 0 || !isToken(line[:colon]) || !isFieldValue(line[colon+1:]) {
			return 0, FaultChunk
		}
		return next, OK
	}
}

func chunkLine(b []byte, limit int) (line []byte, next int, status Status) {
	line, next, status = nextLine(b, 0)
	switch {
	case status == Incomplete && len(b) >= limit, status == OK && next > limit, status == FaultLineEnd:
		return nil, 0, FaultChunk
	}
	return line, next, status
}

// chunkSize reads the hexadecimal size; what follows a semicolon is an
// extension and ignored (RFC 9112, section 7.1.1).
func chunkSize(line []byte) (size int, ok bool) {
	i := 0
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			ext := trimBlanks(line[i:])
			return size, i > 0 && (len(ext) == 0 || ext[0] == ';') && isFieldValue(line[i:])
		}
		if size = size<<4 | int(c); size > chunkSizeMax {
			return 0, false
		}
	}
	return size, i > 0
}
