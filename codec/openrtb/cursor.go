package openrtb

import "unsafe"

// cursor reads tokens and bytes of a body that has been indexed, without
// bounds checks (a quarter of the second pass): every position in an index is
// one of the body's, and nobody gets beyond an index's padding, since what
// stands there follows no token. With -tags invariants each access is checked.
type cursor struct {
	b unsafe.Pointer // bytes
	x unsafe.Pointer // positions, of four bytes each
}

func (p *walker) cursor() cursor {
	return cursor{unsafe.Pointer(unsafe.SliceData(p.b)), unsafe.Pointer(unsafe.SliceData(p.x))}
}

// at is where token k is.
func (c cursor) at(p *walker, k int) int {
	if checkCursor {
		_ = p.x[k]
		p.steps++
	}
	return int(*(*uint32)(unsafe.Add(c.x, k*4)))
}

// byte is the byte at i.
func (c cursor) byte(p *walker, i int) byte {
	if checkCursor {
		_ = p.b[i]
	}
	return *(*byte)(unsafe.Add(c.b, i))
}

// token is the first byte of token k.
func (c cursor) token(p *walker, k int) byte { return c.byte(p, c.at(p, k)) }

// pair are the two bytes from i on.
func (c cursor) pair(p *walker, i int) uint16 {
	if checkCursor {
		_ = p.b[i : i+2]
	}
	w := (*[2]byte)(unsafe.Add(c.b, i))
	return uint16(w[0]) | uint16(w[1])<<8
}

// word are the eight bytes from i on.
func (c cursor) word(p *walker, i int) uint64 {
	if checkCursor {
		_ = p.b[i : i+8]
	}
	w := (*[8]byte)(unsafe.Add(c.b, i))
	return uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 | uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
}

// str is the string of n bytes at i.
func (c cursor) str(i, n int) Str { return Str{p: (*byte)(unsafe.Add(c.b, i)), n: uint32(n)} }
