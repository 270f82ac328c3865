package http2

// AppendField appends one field of a header block: a reference to the static
// table where it has the field, else a literal without indexing (RFC 7541,
// section 6.2.2), its strings Huffman-coded where that is shorter. The name is in
// lower case already. For blocks that are made once: it searches.
func AppendField(dst []byte, name, value string) []byte {
	index := 0
	for i := staticLen; i > 0; i-- {
		if staticTable[i].name != name {
			continue
		}
		if staticTable[i].value == value && value != "" {
			return appendInt(dst, 7, 0x80, uint64(i))
		}
		index = i
	}
	dst = appendInt(dst, 4, 0, uint64(index))
	if index == 0 {
		dst = appendString(dst, name)
	}
	return appendString(dst, value)
}

// AppendTableSize begins a header block with a change of the dynamic table's size,
// as RFC 7541, section 4.2 wants of the first one after the peer has allowed less:
// some peers insist, whether or not the table is used.
func AppendTableSize(dst []byte, n int) []byte { return appendInt(dst, 5, 0x20, uint64(n)) }

// AppendContentLength appends the one field that differs from request to request.
func AppendContentLength(dst []byte, n int) []byte {
	dst = appendInt(dst, 4, 0, contentLengthIndex)
	at := len(dst)
	dst = append(dst, 0)
	dst = appendDecimal(dst, n)
	dst[at] = byte(len(dst) - at - 1) // at most 19 digits: one byte of length, no Huffman
	return dst
}

func appendDecimal(dst []byte, n int) []byte {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return append(dst, b[i:]...)
		}
	}
}

// appendInt appends an integer with an n-bit prefix (RFC 7541, section 5.1).
func appendInt(dst []byte, n uint, flags byte, v uint64) []byte {
	most := uint64(1)<<n - 1
	if v < most {
		return append(dst, flags|byte(v))
	}
	dst = append(dst, flags|byte(most))
	for v -= most; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}

func appendString(dst []byte, s string) []byte {
	if n := huffmanSize(s); n < len(s) {
		return appendHuffman(appendInt(dst, 7, 0x80, uint64(n)), s)
	}
	return append(appendInt(dst, 7, 0, uint64(len(s))), s...)
}
