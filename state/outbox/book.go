package outbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
)

// ReadBook gives the books of the journal in dir, which a node may be writing,
// and the position behind the last record in them. It changes nothing.
func ReadBook(files FS, dir string, tokenTTL time.Duration) (book *ledger.Book, pos uint64, err error) {
	for attempt := 0; ; attempt++ {
		book, pos, err = readBook(files, dir, tokenTTL)
		// A checkpoint and its segments may go while they are read: newer ones stand.
		gone := errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*Gap))
		if !gone || attempt == 3 {
			return book, pos, err
		}
	}
}

func readBook(files FS, dir string, tokenTTL time.Duration) (*ledger.Book, uint64, error) {
	j := &Journal{cfg: Config{Dir: dir}, fs: files}
	segments, checkpoints, err := j.list()
	if err != nil {
		return nil, 0, err
	}
	if len(segments) == 0 {
		return nil, 0, fmt.Errorf("journal.dir: no journal in %s", dir)
	}
	node, err := segmentNode(files, dir, segments[0])
	if err != nil {
		return nil, 0, err
	}
	book, pos, err := ledger.NewBook(node, tokenTTL), uint64(0), nil
	for i := len(checkpoints) - 1; i >= 0; i-- {
		if b := readCheckpoint(files, j.path(checkpoints[i], checkpointSuffix), node, tokenTTL); b != nil {
			book, pos = b, position(checkpoints[i], 0)
			break
		}
	}
	if pos == 0 && segments[0] > 1 {
		return nil, 0, fmt.Errorf("%w: no checkpoint in %s can be read, and segment 1 is gone", ErrDamaged, dir)
	}
	t := OpenTail(files, dir, pos)
	defer func() { _ = t.Close() }()
	for {
		r, at, err := t.Next(context.Background())
		if err == io.EOF {
			return book, pos, nil
		}
		if err != nil {
			return nil, 0, err
		}
		pos = at
		_ = book.Apply(r) // a breach is counted there
	}
}

// readCheckpoint is nil for one that is not whole.
func readCheckpoint(files FS, path string, node unit.NodeID, tokenTTL time.Duration) *ledger.Book {
	data, err := ReadFile(files, path)
	if n := len(data) - 4; err == nil && n >= 0 && crc32.Checksum(data[:n], castagnoli) == binary.LittleEndian.Uint32(data[n:]) {
		if b, err := ledger.DecodeCheckpoint(data[:n], node, tokenTTL); err == nil {
			return b
		}
	}
	return nil
}

// segmentNode is whose segment it is.
func segmentNode(files FS, dir string, number uint64) (unit.NodeID, error) {
	f, err := files.Open(filepath.Join(dir, fileName(number, segmentSuffix)))
	if err != nil {
		return 0, fmt.Errorf("journal: segment %d: %w", number, err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(segmentHead{}.append(nil)))
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, fmt.Errorf("journal: reading segment %d: %w", number, err)
	}
	payload, _, st := nextFrame(head)
	if st != frameOK {
		return 0, fmt.Errorf("%w: segment %d in %s: %w", ErrDamaged, number, dir, errSegmentHead)
	}
	h, err := parseSegmentHead(payload)
	return h.node, err
}
