// Package recount reads journals without the server's help: the layout on disk
// is written down here a second time, on purpose. A recount through the
// server's own decoder would repeat its mistakes.
//
//	segment:  frame…, then zeros (preallocated) or a torn tail
//	frame:    length u32 │ CRC-32C of the payload u32 │ payload     (little-endian)
//	payload:  segment head │ group mark (0xa7 "mrgroup" number u64) │ record
//	record:   kind u8 │ event u8 │ reason u8 │ parts u8 │ node u16 │ shard u16 │ epoch u32 │ day u32 │
//	          seq u64 │ wall u64 │ stamp u64, 40 bytes in all; then by kind
//	3 granted, 4 returned: account u64 │ campaign u64 │ amount i64 │ daily i64 │ total i64 │ lease epoch u32 │ …
//	5 posted, 6 recorded, 7 refunded:  campaign u64 │ amount i64 │ user u64 │ line u64 │ creative u64 │ issued i64 │
//	          win: seq u64 │ epoch u32 │ node u16 │ shard u16 │ currency 3 bytes │ flag u8 │
//	          parts × (account u64 │ day i32 │ epoch u32) │ …    (refunded: note length u8 │ note;
//	          flag 2, resold: bid i64 │ reported i64 │ currency 3 bytes │ told u8 │ buyer length u8 │ buyer)
//
// Records carry no ownership: everything is copied out of the bytes given.
package recount

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"millrace/codec/event"
	"millrace/codec/unit"
)

// Kind is what a record says, by its number on disk.
type Kind uint8

// Kinds of records, as on disk.
const (
	EpochStarted Kind = iota + 1
	AccountOpened
	Granted
	Returned
	Posted
	Recorded
	Refunded
)

// Part is a lease from which a posting was paid.
type Part struct {
	Account unit.AccountID
	Day     unit.Day
	Epoch   unit.Epoch
}

// Entry is one record as the journal on disk tells it.
type Entry struct {
	Kind   Kind
	Event  event.Kind
	Reason byte // why it was recorded unbilled, or refunded; 0 for a posting
	Node   unit.NodeID
	Shard  unit.ShardID
	Epoch  unit.Epoch
	Day    unit.Day
	Seq    uint64
	Wall   unit.WallTime
	Stamp  uint64

	Account    unit.AccountID
	Campaign   unit.CampaignID
	Amount     unit.Nanos
	Daily      unit.Nanos
	Total      unit.Nanos
	LeaseEpoch unit.Epoch

	Win    event.WinID
	Issued unit.WallTime
	Parts  []Part
}

const (
	frameHeadBytes = 8
	frameBytesMax  = 4096
	headBytes      = 40
	leaseBytesMin  = 88
	eventBytesMin  = 108
	partBytes      = 16
)

// ErrNoSegmentHead: the bytes are not a segment.
var ErrNoSegmentHead = errors.New("does not begin with a segment head")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Segment calls f with every record of a segment, in order. It stops at the
// end: zeros, or a frame that was not written whole.
func Segment(b []byte, f func(*Entry)) error {
	payload, rest := nextFrame(b)
	if !strings.HasPrefix(string(payload), "millrace-segment-") {
		return ErrNoSegmentHead
	}
	var e Entry
	for {
		if payload, rest = nextFrame(rest); payload == nil {
			return nil
		}
		if e.read(payload) {
			f(&e)
		}
	}
}

// Folder calls f with every record of every segment under a folder, in the order
// of their names, which is theirs. Nobody may write there meanwhile.
func Folder(dir string, f func(*Entry)) error {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if filepath.Ext(d.Name()) == segmentExtension {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no journal segment (*%s) under %s", segmentExtension, dir)
	}
	slices.Sort(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := Segment(text, f); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

const segmentExtension = ".seg"

// nextFrame is nil at the end.
func nextFrame(b []byte) (payload, rest []byte) {
	if len(b) < frameHeadBytes {
		return nil, b
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n == 0 || n > frameBytesMax || n > len(b)-frameHeadBytes {
		return nil, b
	}
	payload = b[frameHeadBytes : frameHeadBytes+n]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, b
	}
	return payload, b[frameHeadBytes+n:]
}

// read is false for what is no record: a group mark.
func (e *Entry) read(p []byte) bool {
	if len(p) < headBytes || p[0] < byte(EpochStarted) || p[0] > byte(Refunded) {
		return false
	}
	le := binary.LittleEndian
	*e = Entry{
		Kind: Kind(p[0]), Event: event.Kind(p[1]), Reason: p[2],
		Node: unit.NodeID(le.Uint16(p[4:])), Shard: unit.ShardID(le.Uint16(p[6:])), Epoch: unit.Epoch(le.Uint32(p[8:])),
		Day: unit.Day(int32(le.Uint32(p[12:]))), Seq: le.Uint64(p[16:]), Wall: unit.WallTime(le.Uint64(p[24:])), Stamp: le.Uint64(p[32:]),
	}
	switch e.Kind {
	case AccountOpened, Granted, Returned:
		if len(p) < leaseBytesMin {
			return false
		}
		e.Account, e.Campaign = unit.AccountID(le.Uint64(p[40:])), unit.CampaignID(le.Uint64(p[48:]))
		e.Amount, e.Daily, e.Total = unit.Nanos(le.Uint64(p[56:])), unit.Nanos(le.Uint64(p[64:])), unit.Nanos(le.Uint64(p[72:]))
		e.LeaseEpoch = unit.Epoch(le.Uint32(p[80:]))
	case Posted, Recorded, Refunded:
		if len(p) < eventBytesMin+int(p[3])*partBytes {
			return false
		}
		e.Campaign, e.Amount = unit.CampaignID(le.Uint64(p[40:])), unit.Nanos(le.Uint64(p[48:]))
		e.Issued = unit.WallTime(le.Uint64(p[80:]))
		e.Win = event.WinID{
			Seq: le.Uint64(p[88:]), Epoch: unit.Epoch(le.Uint32(p[96:])),
			Node: unit.NodeID(le.Uint16(p[100:])), Shard: unit.ShardID(le.Uint16(p[102:])),
		}
		for i := range int(p[3]) {
			part := p[eventBytesMin+i*partBytes:]
			e.Parts = append(e.Parts, Part{
				unit.AccountID(le.Uint64(part)), unit.Day(int32(le.Uint32(part[8:]))), unit.Epoch(le.Uint32(part[12:])),
			})
		}
	}
	return true
}
