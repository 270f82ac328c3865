package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

// Fault is the first bad place of a chain.
type Fault struct {
	// File and Byte are the entry's; of a head, File is its name.
	File string `json:"file"`
	Byte int64  `json:"byte"`
	// Records are whole before it; Position is in the journal, behind the last of them.
	Records  uint64 `json:"records_before"`
	Position uint64 `json:"position_before"`
	Text     string `json:"text"`
}

func (f *Fault) Error() string {
	segment, offset := outbox.SplitPosition(f.Position)
	return fmt.Sprintf("audit: %s, byte %d, after record %d (journal segment %d, byte %d): %s", f.File, f.Byte, f.Records, segment, offset, f.Text)
}

// Span is a part of the journal that the chain has not got.
type Span struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Report is what was verified.
type Report struct {
	Node  unit.NodeID `json:"node"`
	Files int         `json:"files"`
	Bytes int64       `json:"bytes"`
	// First and Last are the positions before the first record and behind the last.
	First uint64 `json:"first_position"`
	Last  uint64 `json:"last_position"`
	// Records of these files; RecordsBefore are those of older files, which were
	// not there to be verified.
	Records       uint64 `json:"records"`
	RecordsBefore uint64 `json:"records_before"`
	Seals         uint64 `json:"seals"`
	Gaps          []Span `json:"gaps"`
	// Key is the public key of the signatures, Trusted whether it was given.
	Key     string `json:"key"`
	Trusted bool   `json:"key_given"`
	// Head is the last seal's line, to be kept elsewhere.
	Head string `json:"head"`
	// Compared records of the journal are in the chain, byte by byte.
	Compared uint64 `json:"compared_with_journal"`
	// Unsealed bytes follow the head: a drain is writing, or was ended by a crash.
	Unsealed int64 `json:"unsealed_bytes"`
}

// Options of Verify.
type Options struct {
	// FS are the files (nil: the operating system's, read only).
	FS outbox.FS
	// Key is the public key that is trusted; without one the chain's own is taken,
	// which proves that it is whole, and not who wrote it.
	Key ed25519.PublicKey
	// Head, if set, is one that was kept elsewhere: the chain must contain it.
	Head *Head
	// Journal, if set, is the folder of the journal to compare with.
	Journal string
	// Exported: the path is a file of chain files one behind the other, and not a
	// folder.
	Exported bool
}

// Entry is one record of a chain.
type Entry struct {
	Position uint64
	// Hash is the chain's value after it.
	Hash Hash
	// Encoded is the record's, as in the journal; Record is decoded from it. Both
	// are valid until the next.
	Encoded []byte
	Record  *ledger.Record
}

// Verify reads a chain, the folder of a Chain or a file that Export wrote, and
// gives a *Fault for the first thing that is not as it was written.
func Verify(path string, o Options) (Report, error) {
	v := &verifier{o: o, each: func(*Entry) error { return nil }}
	if o.Journal != "" {
		j := &comparison{v: v, dir: o.Journal}
		v.each, v.end = j.take, j.end
	}
	err := v.run(path)
	return v.report, err
}

// Read verifies a chain and gives each record on the way. The records before a
// Fault were given, and are good but for what the missing signature behind them
// would have said.
func Read(path string, o Options, each func(*Entry) error) (Report, error) {
	v := &verifier{o: o, each: each}
	err := v.run(path)
	return v.report, err
}

type verifier struct {
	o    Options
	each func(*Entry) error
	end  func() error

	report Report
	file   string
	offset int64
	entry  int64 // offset of the entry under way
	number uint64
	begun  bool
	first  uint64 // number of the first file
	sealed bool   // the last entry was a seal
	found  bool   // Options.Head was met
	key    ed25519.PublicKey
	hash   Hash
	sums   Head // as the entries so far add up
	last   Head // the last seal
	rec    ledger.Record
}

func (v *verifier) fault(format string, args ...any) error {
	return &Fault{File: v.file, Byte: v.entry, Records: v.sums.Records, Position: v.sums.Position, Text: fmt.Sprintf(format, args...)}
}

func (v *verifier) run(path string) error {
	if v.o.FS == nil {
		v.o.FS = outbox.ReadFS()
	}
	if !v.o.Exported {
		return v.folder(path)
	}
	data, err := outbox.ReadFile(v.o.FS, path)
	if err != nil {
		return fmt.Errorf("audit: reading %s: %w", path, err)
	}
	v.file = path
	if err := v.entries(data); err != nil {
		return err
	}
	return v.finish(nil)
}

// folder verifies a Chain's folder.
func (v *verifier) folder(dir string) error {
	text, err := outbox.ReadFile(v.o.FS, filepath.Join(dir, headName))
	v.file = headName
	if errors.Is(err, fs.ErrNotExist) {
		return v.fault("there is none; a chain without its head may have been cut")
	}
	if err != nil {
		return fmt.Errorf("audit: reading the head: %w", err)
	}
	head, err := ParseHead(string(text))
	if err != nil || string(text) != head.String()+"\n" {
		return v.fault("it can't be read: %v", err)
	}
	files, err := listFiles(v.o.FS, dir)
	if err != nil {
		return err
	}
	for i, n := range files {
		if n > head.File {
			break // begun, and not sealed
		}
		data, err := outbox.ReadFile(v.o.FS, filepath.Join(dir, fileName(n)))
		if err != nil {
			return fmt.Errorf("audit: reading %s: %w", fileName(n), err)
		}
		v.file, v.offset = fileName(n), 0
		if i > 0 && n != files[i-1]+1 {
			return v.fault("file %d is missing", files[i-1]+1)
		}
		if n == head.File {
			v.report.Unsealed = max(0, int64(len(data))-head.Offset)
			data = data[:min(int64(len(data)), max(head.Offset, 0))]
		}
		if err := v.entries(data); err != nil {
			return err
		}
	}
	return v.finish(&head)
}

// finish judges the end, and the head if the chain has one.
func (v *verifier) finish(head *Head) error {
	v.entry = v.offset
	if !v.begun || !v.sealed {
		return v.fault("the chain does not end with a seal; it was cut")
	}
	if v.first > v.last.First {
		return v.fault("it begins with file %d, and file %d is said to be kept", v.first, v.last.First)
	}
	if head != nil {
		last := v.last
		v.file, v.entry = headName, 0
		if *head != last {
			return v.fault("it is not the last seal of the chain, which is: %s", last.String())
		}
	}
	if v.o.Head != nil && !v.found {
		return v.fault("the head that was given, number %d with %d records, is not in the chain, which ends with number %d and %d records; it was cut or written anew",
			v.o.Head.Number, v.o.Head.Records, v.last.Number, v.last.Records)
	}
	v.report.Node, v.report.Last, v.report.Head = v.last.Node, v.last.Position, v.last.String()
	v.report.Key, v.report.Trusted = hex.EncodeToString(v.key), v.o.Key != nil
	if v.end != nil {
		return v.end()
	}
	return nil
}

// entries verifies whole files, one behind the other.
func (v *verifier) entries(data []byte) error {
	v.report.Bytes += int64(len(data))
	v.entry = v.offset
	if len(data) == 0 {
		return v.fault("the file is empty")
	}
	for at := 0; at < len(data); {
		v.entry = v.offset
		rest := data[at:]
		if len(rest) < entryHead+linkSize {
			return v.fault("an entry is cut")
		}
		n := int64(binary.LittleEndian.Uint32(rest))
		if n < 1 || n > bodyMax || n > int64(len(rest))-4-linkSize {
			return v.fault("an entry of %d bytes: it is cut, or its length was changed", n)
		}
		size := int(4 + n)
		entry, link := rest[:size], rest[size:size+linkSize]
		if entry[4] == kindFile && !v.begun {
			if f, ok := parseFileHead(entry[entryHead:]); ok {
				v.begin(&f)
			}
		}
		before := v.hash
		v.hash = before.next(entry)
		if string(link) != string(v.hash[:linkSize]) {
			return v.fault("its link does not fit; it, or what is before it, was changed, removed or moved")
		}
		at += size + linkSize
		v.offset += int64(size + linkSize)
		if err := v.take(entry[4], entry[entryHead:], before); err != nil {
			return err
		}
	}
	return nil
}

// begin takes the first file's word for what came before it: the signatures that
// follow cover it.
func (v *verifier) begin(f *fileHead) {
	v.begun, v.first = true, f.number
	v.hash, v.key, v.number = f.before, append(ed25519.PublicKey(nil), f.key[:]...), f.number-1
	v.sums = Head{Node: f.node, Number: f.seals, Records: f.records, Position: f.position}
	v.report.RecordsBefore, v.report.First = f.records, f.position
	v.sealed = true
}

func (v *verifier) take(kind byte, body []byte, before Hash) error {
	if !v.begun {
		return v.fault("the chain does not begin with the head of a file")
	}
	sealed := v.sealed
	v.sealed = kind == kindSeal
	switch kind {
	case kindFile:
		return v.takeFile(body, before, sealed)
	case kindRecord:
		return v.takeRecord(body)
	case kindGap:
		return v.takeGap(body)
	case kindSeal:
		return v.takeSeal(body, before)
	}
	return v.fault("an entry of kind %d, which this version does not know", kind)
}

func (v *verifier) takeFile(body []byte, before Hash, sealed bool) error {
	f, ok := parseFileHead(body)
	switch {
	case !ok:
		return v.fault("the head of a file is not one of this version")
	case f.number != v.number+1 || f.node != v.sums.Node || f.before != before || f.seals != v.sums.Number ||
		f.records != v.sums.Records || f.position != v.sums.Position || !sealed:
		return v.fault("file %d does not continue what is before it", f.number)
	case string(f.key[:]) != string(v.key):
		return v.fault("the signing key changes")
	case v.o.Key != nil && string(v.key) != string(v.o.Key):
		return v.fault("it is signed with key %x; trusted is %x", v.key, []byte(v.o.Key))
	}
	v.number = f.number
	if v.o.Exported {
		v.file = fileName(f.number) + " in the exported file"
	}
	v.offset = int64(entryHead + fileBodySize + linkSize) // places are counted by file
	v.report.Files++
	return nil
}

func (v *verifier) takeRecord(body []byte) error {
	if len(body) < 8 {
		return v.fault("a record without its position")
	}
	pos := binary.LittleEndian.Uint64(body)
	if pos <= v.sums.Position {
		return v.fault("a record of journal position %d follows position %d", pos, v.sums.Position)
	}
	if err := v.rec.Decode(body[8:]); err != nil {
		return v.fault("%v", err)
	}
	if v.rec.Node != v.sums.Node {
		return v.fault("a record of node %d in the chain of node %d", v.rec.Node, v.sums.Node)
	}
	if err := v.each(&Entry{Position: pos, Hash: v.hash, Encoded: body[8:], Record: &v.rec}); err != nil {
		return err
	}
	v.sums.Position = pos
	v.sums.Records++
	v.report.Records++
	return nil
}

func (v *verifier) takeGap(body []byte) error {
	if len(body) != 16 {
		return v.fault("a gap of %d bytes", len(body))
	}
	s := Span{binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:])}
	if s.From < v.sums.Position || s.To <= s.From {
		return v.fault("a gap from %d to %d after position %d", s.From, s.To, v.sums.Position)
	}
	v.sums.Position = s.To
	v.report.Gaps = append(v.report.Gaps, s)
	return nil
}

func (v *verifier) takeSeal(body []byte, before Hash) error {
	if len(body) != sealBodySize {
		return v.fault("a seal of %d bytes", len(body))
	}
	h := Head{Node: v.sums.Node, File: v.number, Offset: v.offset, Hash: before}
	h.sealed(body)
	if h.Number != v.sums.Number+1 || h.Records != v.sums.Records || h.Position != v.sums.Position || h.First < v.sums.First || h.First > v.number {
		return v.fault("seal %d of %d records to position %d; counted are %d, %d and %d",
			h.Number, h.Records, h.Position, v.sums.Number+1, v.sums.Records, v.sums.Position)
	}
	if !h.Signed(v.key) {
		return v.fault("the signature of seal %d is wrong", h.Number)
	}
	if v.o.Head != nil && h == *v.o.Head {
		v.found = true
	}
	v.sums.Number, v.sums.First, v.last = h.Number, h.First, h
	v.report.Seals++
	return nil
}

// comparison walks the journal beside the chain. What the journal no longer has
// is passed over, and so is what it has beyond the chain's end.
type comparison struct {
	v     *verifier
	dir   string
	tail  *outbox.Tail
	met   bool   // a record of the journal was met in the chain
	rec   []byte // of the journal, not yet met
	pos   uint64 // where it ends, 0 at the journal's end
	count uint64
}

func (j *comparison) begin() error {
	if j.tail != nil {
		return nil
	}
	j.tail = outbox.OpenTail(j.v.o.FS, j.dir, 0)
	for err := j.next(); ; err = j.next() {
		if err != nil || j.pos == 0 || j.pos > j.v.report.First {
			return err
		}
	}
}

func (j *comparison) next() error {
	rec, pos, err := j.tail.Next(context.Background())
	if err == io.EOF {
		j.pos = 0
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit: reading the journal: %w", err)
	}
	j.rec, j.pos = rec.Append(j.rec[:0]), pos
	return nil
}

func (j *comparison) take(e *Entry) error {
	if err := j.begin(); err != nil {
		return err
	}
	switch {
	case j.pos == 0 || e.Position < j.pos && !j.met:
		return nil // the journal ended, or begins later
	case e.Position != j.pos:
		return j.v.fault("the journal's record that ends at %d is not in the chain, which has one that ends at %d", j.pos, e.Position)
	case string(e.Encoded) != string(j.rec):
		return j.v.fault("the journal's record that ends at %d is another than the chain's", j.pos)
	}
	j.met = true
	j.count++
	return j.next()
}

func (j *comparison) end() error {
	if err := j.begin(); err != nil {
		return err
	}
	v := j.v
	v.report.Compared = j.count
	if cursor, err := outbox.ReadCursor(v.o.FS, j.dir, CursorName); err == nil && cursor > v.last.Position && v.last.Records > 0 {
		return v.fault("the journal's cursor says that the chain had come to position %d, it ends at %d; it was cut", cursor, v.last.Position)
	}
	if j.pos != 0 && j.pos <= v.last.Position {
		return v.fault("the journal's record that ends at %d is not in the chain", j.pos)
	}
	return j.tail.Close()
}
