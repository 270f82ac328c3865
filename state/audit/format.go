package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// Hash is the chain's value after an entry: it depends on every entry before.
type Hash [sha256.Size]byte

const (
	kindFile   = 1
	kindRecord = 2
	kindGap    = 3
	kindSeal   = 4

	entryHead = 5 // length and kind
	linkSize  = 8
	bodyMax   = 8 + ledger.SizeMax

	fileMagic    = "millrace-audit-1\n"
	fileBodySize = len(fileMagic) + 8 + 2 + ed25519.PublicKeySize + 3*8 + sha256.Size
	sealBodySize = 4*8 + ed25519.SignatureSize
	sealSize     = entryHead + sealBodySize + linkSize

	headMagic  = "millrace-audit-head-1"
	headWords  = 10
	fileSuffix = ".aud"
	headName   = "head"
)

// Head is what a seal signs: the chain up to it.
type Head struct {
	Node unit.NodeID `json:"node"`
	// Number counts the seals, Records the records.
	Number  uint64 `json:"number"`
	Records uint64 `json:"records"`
	// Position in the journal behind the last record.
	Position uint64 `json:"position"`
	// First is the oldest file that is kept: what is missing before it was removed
	// for Config.KeepBytes, what is missing from there on was taken away.
	First uint64 `json:"first_file"`
	// File and Offset are where the seal ends.
	File   uint64                      `json:"file"`
	Offset int64                       `json:"offset"`
	Hash   Hash                        `json:"-"`
	Sign   [ed25519.SignatureSize]byte `json:"-"`
}

// message is what is signed.
func (h *Head) message() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, 128), "millrace-audit-seal-1\n"...)
	b = le.AppendUint16(b, uint16(h.Node))
	for _, v := range [...]uint64{h.Number, h.Records, h.Position, h.First, h.File, uint64(h.Offset)} {
		b = le.AppendUint64(b, v)
	}
	return append(b, h.Hash[:]...)
}

// Signed reports whether the head was signed with the key.
func (h *Head) Signed(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, h.message(), h.Sign[:])
}

// String is the head's one line, without an end of line.
func (h *Head) String() string {
	return fmt.Sprintf("%s %d %d %d %d %d %d %d %x %x", headMagic, h.Node, h.Number, h.Records, h.Position, h.First, h.File, h.Offset, h.Hash[:], h.Sign[:])
}

// ErrHead is wrapped by every fault of a head.
var ErrHead = errors.New("audit: not a head")

// ParseHead reads the line that String gives, with or without an end of line.
// Nothing else is a head: not even another way to write the same numbers.
func ParseHead(text string) (h Head, err error) {
	text = strings.TrimSuffix(text, "\n")
	fields := strings.Split(text, " ")
	if len(fields) != headWords || fields[0] != headMagic {
		return h, fmt.Errorf("%w: want one line that begins with %s and has %d words", ErrHead, headMagic, headWords)
	}
	var node uint64
	for i, p := range [...]*uint64{&node, &h.Number, &h.Records, &h.Position, &h.First, &h.File, (*uint64)(nil)} {
		var v uint64
		if _, err := fmt.Sscanf(fields[1+i], "%d", &v); err != nil {
			return h, fmt.Errorf("%w: word %d is no number", ErrHead, 2+i)
		}
		if p == nil {
			h.Offset = int64(v)
		} else {
			*p = v
		}
	}
	h.Node = unit.NodeID(node)
	hash, err1 := hex.DecodeString(fields[headWords-2])
	sign, err2 := hex.DecodeString(fields[headWords-1])
	if err1 != nil || err2 != nil || len(hash) != len(h.Hash) || len(sign) != len(h.Sign) {
		return h, fmt.Errorf("%w: its last two words are %d and %d hexadecimal digits", ErrHead, 2*len(h.Hash), 2*len(h.Sign))
	}
	copy(h.Hash[:], hash)
	copy(h.Sign[:], sign)
	if h.String() != text {
		return h, fmt.Errorf("%w: written in another way than this version writes it", ErrHead)
	}
	return h, nil
}

// appendEntry appends an entry and moves h on.
func appendEntry(dst []byte, h *Hash, kind byte, body func([]byte) []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, kind)
	dst = body(dst)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	*h = h.next(dst[at:])
	return append(dst, h[:linkSize]...)
}

// next is the chain's value after an entry, given without its link.
func (h *Hash) next(entry []byte) Hash {
	var scratch [sha256.Size + entryHead + bodyMax]byte
	return sha256.Sum256(append(append(scratch[:0], h[:]...), entry...))
}

// fileHead begins a file.
type fileHead struct {
	number uint64
	node   unit.NodeID
	key    [ed25519.PublicKeySize]byte
	// What the chain had come to before this file.
	seals, records, position uint64
	before                   Hash
}

func (f *fileHead) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, fileMagic...)
	b = le.AppendUint64(b, f.number)
	b = le.AppendUint16(b, uint16(f.node))
	b = append(b, f.key[:]...)
	for _, v := range [...]uint64{f.seals, f.records, f.position} {
		b = le.AppendUint64(b, v)
	}
	return append(b, f.before[:]...)
}

func parseFileHead(b []byte) (f fileHead, ok bool) {
	if len(b) != fileBodySize || string(b[:len(fileMagic)]) != fileMagic {
		return f, false
	}
	le := binary.LittleEndian
	b = b[len(fileMagic):]
	f.number, f.node = le.Uint64(b), unit.NodeID(le.Uint16(b[8:]))
	b = b[10+copy(f.key[:], b[10:]):]
	f.seals, f.records, f.position = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
	copy(f.before[:], b[24:])
	return f, true
}

func appendSeal(b []byte, h *Head) []byte {
	le := binary.LittleEndian
	for _, v := range [...]uint64{h.Number, h.Records, h.Position, h.First} {
		b = le.AppendUint64(b, v)
	}
	return append(b, h.Sign[:]...)
}

// sealed reads a seal's own part of a head.
func (h *Head) sealed(b []byte) {
	le := binary.LittleEndian
	h.Number, h.Records, h.Position, h.First = le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
	copy(h.Sign[:], b[32:])
}

func fileName(number uint64) string { return fmt.Sprintf("%016d%s", number, fileSuffix) }

func parseFileName(name string) (number uint64, ok bool) {
	digits, found := strings.CutSuffix(name, fileSuffix)
	if !found || len(digits) != 16 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	for _, c := range []byte(digits) {
		number = number*10 + uint64(c-'0')
	}
	return number, number > 0
}
