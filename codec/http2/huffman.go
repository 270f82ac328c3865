package http2

// huffmanLength is the code length of each byte (RFC 7541, appendix B). The code
// is canonical: codes of one length follow each other in the order of symbols,
// shorter ones come first, so the lengths are all there is to know. EOS, the
// 257th symbol, has the last code of 30 bits: all ones.
var huffmanLength = [256]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
}

const huffmanBitsMax = 30

// huffman is the code in the two forms that encoding and decoding need.
type huffmanTables struct {
	code    [256]uint32                // right-aligned
	short   [256]uint16                // by the next 8 bits: symbol<<4 | length; 0 = longer than 8 bits
	end     [huffmanBitsMax + 1]uint32 // by length: the first code after those of it, left-aligned in 32 bits
	first   [huffmanBitsMax + 1]uint32 // by length: its first code, right-aligned
	base    [huffmanBitsMax + 1]uint16 // by length: index of its first symbol in symbols
	symbols [256]uint8                 // in the order of their codes
	lengths [huffmanBitsMax + 1]uint16 // how many symbols have the length
}

var huffman = makeHuffman()

func makeHuffman() *huffmanTables {
	h := new(huffmanTables)
	for _, n := range huffmanLength {
		h.lengths[n]++
	}
	code, index := uint32(0), uint16(0)
	for n := 1; n <= huffmanBitsMax; n++ {
		code <<= 1
		h.first[n], h.base[n] = code, index
		for symbol, length := range huffmanLength {
			if int(length) != n {
				continue
			}
			h.code[symbol] = code
			h.symbols[index] = uint8(symbol)
			if n <= 8 {
				for low := range uint32(1) << (8 - n) {
					h.short[code<<(8-n)|low] = uint16(symbol)<<4 | uint16(n)
				}
			}
			code++
			index++
		}
		h.end[n] = code << (32 - n)
	}
	return h
}

// huffmanSize is how many bytes s takes when encoded.
func huffmanSize(s string) int {
	bits := 0
	for i := range len(s) {
		bits += int(huffmanLength[s[i]])
	}
	return (bits + 7) / 8
}

// appendHuffman appends s encoded, padded with ones (section 5.2).
func appendHuffman(dst []byte, s string) []byte {
	acc, bits := uint64(0), 0
	for i := range len(s) {
		n := int(huffmanLength[s[i]])
		acc = acc<<n | uint64(huffman.code[s[i]])
		for bits += n; bits >= 8; bits -= 8 {
			dst = append(dst, byte(acc>>(bits-8)))
		}
	}
	if bits > 0 {
		dst = append(dst, byte(acc<<(8-bits))|byte(0xff>>bits))
	}
	return dst
}

// appendUnhuffman appends what src decodes to; false if it is no valid encoding,
// or longer than most bytes.
func appendUnhuffman(dst, src []byte, most int) ([]byte, bool) {
	acc, bits := uint64(0), 0 // the low bits of acc are still to be decoded
	for limit := len(dst) + most; ; {
		for bits <= 32 && len(src) > 0 {
			acc = acc<<8 | uint64(src[0])
			src = src[1:]
			bits += 8
		}
		// The next 32 bits, filled up with ones: what is cut short looks like EOS.
		window := uint32(acc<<(64-bits)>>32) | uint32(uint64(0xffffffff)>>min(bits, 32))
		if bits == 0 {
			return dst, true
		}
		var symbol byte
		n := int(huffman.short[window>>24] & 15)
		if n > 0 {
			symbol = byte(huffman.short[window>>24] >> 4)
		} else {
			for n = 9; n <= huffmanBitsMax && window >= huffman.end[n]; n++ {
			}
			if n > huffmanBitsMax {
				// EOS, which is a fault (section 5.2), or the padding: fewer than 8 ones.
				return dst, bits < 8 && window == 0xffffffff
			}
			symbol = huffman.symbols[int(huffman.base[n])+int(window>>(32-n)-huffman.first[n])]
		}
		if n > bits {
			// The padding is the beginning of EOS and of no other code of its length
			// only if it is all ones.
			return dst, bits < 8 && window == 0xffffffff
		}
		if len(dst) == limit {
			return dst, false
		}
		dst = append(dst, symbol)
		bits -= n
	}
}
