package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"millrace/state/ledger"
	"millrace/state/outbox"
)

// errJournalBegins ends the reading of a chain where the journal takes over.
var errJournalBegins = errors.New("the journal begins here")

// History gives every record of a node that is still to be had, once and in
// order: those that the journal no longer keeps from the chain in dir, and then
// the tail's, which stands before the oldest record. It ends where the tail has
// nothing more to say without waiting. whole: nothing is missing before the first
// or in between.
func History(files outbox.FS, dir string, tail *outbox.Tail, each func(r *ledger.Record, pos uint64) error) (whole bool, err error) {
	last := uint64(0)
	whole = true
	for tail.Ready() {
		r, pos, err := tail.Next(context.Background())
		if gap := (*outbox.Gap)(nil); errors.As(err, &gap) {
			whole = false
			continue
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return whole, err
		}
		if last == 0 {
			if segment, _ := outbox.SplitPosition(pos); segment > 1 {
				kept := *r // the chain's records come first, and it stays the tail's
				if whole, err = archived(files, dir, pos, each); err != nil {
					return whole, err
				}
				r = &kept
			}
		}
		last = pos
		if err := each(r, pos); err != nil {
			return whole, err
		}
	}
	return whole, nil
}

// archived gives the chain's records before the journal's first, which ends at
// first.
func archived(files outbox.FS, dir string, first uint64, each func(r *ledger.Record, pos uint64) error) (whole bool, err error) {
	if dir == "" {
		return false, nil
	}
	switch f, err := files.Open(dir + "/" + headName); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("audit: %w", err)
	default:
		_ = f.Close()
	}
	met := false
	report, err := Read(dir, Options{FS: files}, func(e *Entry) error {
		if e.Position >= first {
			met = e.Position == first
			return errJournalBegins
		}
		return each(e.Record, e.Position)
	})
	if err != nil && !errors.Is(err, errJournalBegins) {
		return false, fmt.Errorf("the records before the journal's first come from the audit chain: %w", err)
	}
	return met && report.RecordsBefore == 0 && report.First == 0 && len(report.Gaps) == 0, nil
}

// Older gives the records of a chain that are before the first of the journal in
// the folder journal: none where that begins with the node's first.
func Older(files outbox.FS, dir, journal string, each func(r *ledger.Record)) error {
	tail := outbox.OpenTail(files, journal, 0)
	_, pos, err := tail.Next(context.Background())
	if err == io.EOF {
		err = nil
	}
	if err = errors.Join(err, tail.Close()); err != nil {
		return err
	}
	if segment, _ := outbox.SplitPosition(pos); segment <= 1 {
		return nil
	}
	_, err = archived(files, dir, pos, func(r *ledger.Record, _ uint64) error {
		each(r)
		return nil
	})
	return err
}
