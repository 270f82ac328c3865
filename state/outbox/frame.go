package outbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"millrace/codec/unit"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	frameHead = 8
	// frameMax is far above any record: a larger length is damage.
	frameMax = 4096

	segmentMagic = "millrace-segment-1\n"
	// The first byte is no ledger.Kind, so a group can't be taken for a record.
	groupMagic = "\xa7mrgroup"
	groupSize  = len(groupMagic) + 8
)

// openFrame leaves room for the head; closeFrame fills it in once the payload,
// which starts at dst[at+frameHead], is there.
func openFrame(dst []byte) []byte { return append(dst, 0, 0, 0, 0, 0, 0, 0, 0) }

func closeFrame(dst []byte, at int) {
	payload := dst[at+frameHead:]
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[at+4:], crc32.Checksum(payload, castagnoli))
}

type frameStatus uint8

const (
	frameOK frameStatus = iota
	frameEnd
	frameBad
)

// nextFrame takes the first frame of b. frameEnd: b is empty or nothing but
// zeros follow.
func nextFrame(b []byte) (payload, rest []byte, st frameStatus) {
	if len(b) < frameHead {
		return nil, b, endOrBad(b)
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 {
		return nil, b, endOrBad(b)
	}
	if n > frameMax || int(n) > len(b)-frameHead {
		return nil, b, frameBad
	}
	payload = b[frameHead : frameHead+n]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, b, frameBad
	}
	return payload, b[frameHead+n:], frameOK
}

func endOrBad(b []byte) frameStatus {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return frameBad
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return frameBad
		}
	}
	return frameEnd
}

func appendGroup(dst []byte, seq uint64) []byte {
	at := len(dst)
	dst = append(openFrame(dst), groupMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	closeFrame(dst, at)
	return dst
}

func parseGroup(payload []byte) (seq uint64, ok bool) {
	if len(payload) != groupSize || string(payload[:len(groupMagic)]) != groupMagic {
		return 0, false
	}
	return binary.LittleEndian.Uint64(payload[len(groupMagic):]), true
}

// laterGroup finds a whole group frame in b with a number above seq.
func laterGroup(b []byte, seq uint64) (found uint64, ok bool) {
	magic := []byte(groupMagic)
	for at := 0; ; {
		i := bytes.Index(b[at:], magic)
		if i < 0 {
			return 0, false
		}
		at += i
		if at >= frameHead {
			if payload, _, st := nextFrame(b[at-frameHead:]); st == frameOK {
				if n, ok := parseGroup(payload); ok && n > seq {
					return n, true
				}
			}
		}
		at++
	}
}

// segmentHead describes a segment in its first frame.
type segmentHead struct {
	number  uint64
	node    unit.NodeID
	created unit.WallTime
}

func (h segmentHead) append(dst []byte) []byte {
	at := len(dst)
	dst = append(openFrame(dst), segmentMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, h.number)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.node))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.created))
	closeFrame(dst, at)
	return dst
}

var errSegmentHead = errors.New("it does not start with a segment header of this version")

func parseSegmentHead(payload []byte) (h segmentHead, err error) {
	if len(payload) != len(segmentMagic)+18 || string(payload[:len(segmentMagic)]) != segmentMagic {
		return h, errSegmentHead
	}
	b := payload[len(segmentMagic):]
	h.number = binary.LittleEndian.Uint64(b)
	h.node = unit.NodeID(binary.LittleEndian.Uint16(b[8:]))
	h.created = unit.WallTime(binary.LittleEndian.Uint64(b[10:]))
	return h, nil
}

const (
	segmentSuffix    = ".seg"
	checkpointSuffix = ".ckp"
	temporarySuffix  = ".tmp"
)

func fileName(number uint64, suffix string) string { return fmt.Sprintf("%016d%s", number, suffix) }

func parseFileName(name, suffix string) (number uint64, ok bool) {
	if len(name) != 16+len(suffix) || name[16:] != suffix {
		return 0, false
	}
	for _, c := range []byte(name[:16]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		number = number*10 + uint64(c-'0')
	}
	return number, true
}
