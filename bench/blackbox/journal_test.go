package blackbox

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"millrace/codec/event"
)

// A journal written by hand from the layout, read back, whole and torn.
func TestReadJournal(t *testing.T) {
	frame := func(payload []byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
		return append(binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))), payload...)
	}
	record := func(kind, event, reason byte, seq uint64, amount int64) []byte {
		p := make([]byte, 124)
		p[0], p[1], p[2] = kind, event, reason
		binary.LittleEndian.PutUint64(p[40:], 77)
		binary.LittleEndian.PutUint64(p[48:], uint64(amount))
		binary.LittleEndian.PutUint64(p[88:], seq)
		binary.LittleEndian.PutUint32(p[96:], 5)
		binary.LittleEndian.PutUint16(p[100:], 3)
		binary.LittleEndian.PutUint16(p[102:], 1)
		return p
	}
	text := frame([]byte("millrace-segment-1\n012345678901234567"))
	text = append(text, frame([]byte("\xa7mrgroup\x01\x00\x00\x00\x00\x00\x00\x00"))...)
	text = append(text, frame(record(3, 0, 0, 0, 900))...) // a grant
	text = append(text, frame(record(5, 1, 0, 42, 1000))...)
	text = append(text, frame(record(6, 2, 3, 43, 0))...)
	whole := len(text)
	text = append(text, frame(record(5, 1, 0, 44, 1000))...)

	dir := t.TempDir()
	file := filepath.Join(dir, "journal", "0000000000000001.seg")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text   []byte
		posted int
	}{
		{text, 2}, {append(text[:len(text):len(text)], make([]byte, 999)...), 2},
		{text[:whole], 1}, {text[:len(text)-1], 1}, {text[:whole+5], 1},
	} {
		if err := os.WriteFile(file, c.text, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := ReadJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := Entry{Win: event.WinID{Node: 3, Epoch: 5, Shard: 1, Seq: 42}, Kind: event.Impression, Campaign: 77, Amount: 1000}
		if len(j.Posted) != c.posted || j.Posted[0] != want || len(j.Recorded) != 1 || j.Recorded[0].Reason != 3 {
			t.Errorf("%d bytes: %+v", len(c.text), j)
		}
		if got := j.ByCampaign()[77]; int(got) != 1000*c.posted {
			t.Errorf("sum %d", got)
		}
	}
	if _, err := ReadJournal(t.TempDir()); err == nil {
		t.Error("a folder without a journal was counted")
	}
	if err := os.WriteFile(file, []byte("something else"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadJournal(dir); err == nil {
		t.Error("a file without a segment head was counted")
	}
}
