package books

import (
	"errors"
	"time"

	"millrace/codec/unit"
	"millrace/state/audit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

// Node is what a node's data folder tells.
type Node struct {
	Node  unit.NodeID
	Days  []Day
	Stamp ledger.Stamp
	// Position in the journal behind the last record that counts.
	Position uint64
	Records  uint64
	// Whole: nothing of the node's history is missing. Else the days are those of
	// which records are left, and Before knows the rest.
	Whole bool
	// Book is the node's own fold, by checkpoint and journal.
	Book *ledger.Book

	before map[unit.AccountID]unit.Nanos
}

// Before is what an account had committed that Days do not tell.
func (n *Node) Before(account unit.AccountID) unit.Nanos { return n.before[account] }

var errEnd = errors.New("the end of the book")

// Open reads a node's data folder, which the node may be writing, and changes
// nothing.
func Open(files outbox.FS, data string) (*Node, error) {
	const tokenTTL = 24 * time.Hour // for pruning, which a reader never does
	book, end, err := outbox.ReadBook(files, data+"/journal", tokenTTL)
	if err != nil {
		return nil, err
	}
	f := NewFold()
	tail := outbox.OpenTail(files, data+"/journal", 0)
	whole, err := audit.History(files, data+"/audit", tail, func(r *ledger.Record, pos uint64) error {
		if pos > end {
			return errEnd
		}
		f.Take(r)
		return nil
	})
	if errors.Is(err, errEnd) {
		err = nil
	}
	if err = errors.Join(err, tail.Close()); err != nil {
		return nil, err
	}
	n := &Node{
		Node: f.Node(), Days: f.Days(), Stamp: f.Stamp(), Records: f.Records(), Position: end, Whole: whole, Book: book,
		before: map[unit.AccountID]unit.Nanos{},
	}
	if whole {
		return n, nil
	}
	for _, a := range book.Accounts() {
		n.before[a.Account] = a.Committed
	}
	for i := range n.Days {
		n.before[n.Days[i].Account] -= n.Days[i].Committed()
	}
	return n, nil
}
