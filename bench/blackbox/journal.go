package blackbox

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

// Entry is one event as the journal on disk tells it.
type Entry struct {
	Win      event.WinID
	Kind     event.Kind
	Campaign unit.CampaignID
	Amount   unit.Nanos
	Reason   byte // why it was recorded unbilled; 0 for a posting
}

// Journal is a recount of what a server left under --data.
type Journal struct {
	Posted   []Entry
	Recorded []Entry
	Segments int
}

// The layout on disk, written down a second time on purpose: a recount through
// the server's own decoder would repeat its mistakes.
//
//	segment:  frame…, then zeros (preallocated) or a torn tail
//	frame:    length u32 │ CRC-32C of the payload u32 │ payload     (little-endian)
//	payload:  segment head │ group mark (0xa7 "mrgroup" number u64) │ record
//	record:   kind u8 │ event u8 │ reason u8 │ parts u8 │ … to 40
//	          kind 5 posted, 6 recorded, from 40: campaign u64 │ amount i64 │ user u64 │ line u64 │
//	          creative u64 │ issued i64 │ win: seq u64 │ epoch u32 │ node u16 │ shard u16 │ …
const (
	frameHeadBytes  = 8
	frameBytesMax   = 4096
	eventBytesMin   = 108
	kindPosted      = 5
	kindRecorded    = 6
	segmentFileName = "*.seg"
)

// ReadJournal recounts every segment under the folder. The server must be dead,
// or idle.
func ReadJournal(data string) (*Journal, error) {
	var files []string
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if match, _ := filepath.Match(segmentFileName, d.Name()); match {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no journal segment (%s) under %s", segmentFileName, data)
	}
	slices.Sort(files)
	j := &Journal{Segments: len(files)}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := j.readSegment(text); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return j, nil
}

var (
	errNoSegmentHead = errors.New("does not begin with a segment head")
	castagnoli       = crc32.MakeTable(crc32.Castagnoli)
)

func (j *Journal) readSegment(b []byte) error {
	for first := true; ; first = false {
		payload, rest := nextFrame(b)
		if first && !strings.HasPrefix(string(payload), "millrace-segment-") {
			return errNoSegmentHead
		}
		if payload == nil {
			return nil
		}
		j.take(payload)
		b = rest
	}
}

// nextFrame is nil at the end: zeros, or a frame that was not written whole.
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

func (j *Journal) take(p []byte) {
	if len(p) < eventBytesMin || p[0] != kindPosted && p[0] != kindRecorded {
		return
	}
	le := binary.LittleEndian
	e := Entry{
		Kind: event.Kind(p[1]), Reason: p[2],
		Campaign: unit.CampaignID(le.Uint64(p[40:])), Amount: unit.Nanos(le.Uint64(p[48:])),
		Win: event.WinID{
			Seq: le.Uint64(p[88:]), Epoch: unit.Epoch(le.Uint32(p[96:])),
			Node: unit.NodeID(le.Uint16(p[100:])), Shard: unit.ShardID(le.Uint16(p[102:])),
		},
	}
	if p[0] == kindPosted {
		j.Posted = append(j.Posted, e)
	} else {
		j.Recorded = append(j.Recorded, e)
	}
}

// ByCampaign sums what was posted.
func (j *Journal) ByCampaign() map[unit.CampaignID]unit.Nanos {
	sums := map[unit.CampaignID]unit.Nanos{}
	for _, e := range j.Posted {
		sums[e.Campaign] += e.Amount
	}
	return sums
}
