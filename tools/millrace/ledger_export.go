package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"millrace/codec/unit"
	"millrace/netio/admin"
	"millrace/state/audit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store/cockroach"
)

// transfer is one movement of money.
type transfer struct {
	HLC      string       `json:"hlc"`
	Time     string       `json:"time"`
	Kind     string       `json:"kind"`
	Event    string       `json:"event,omitempty"`
	ID       string       `json:"id"`
	Campaign string       `json:"campaign"`
	Account  string       `json:"account"`
	Day      string       `json:"day"`
	Currency string       `json:"currency"`
	Credit   string       `json:"credit"`
	Debit    string       `json:"debit"`
	Amount   admin.Amount `json:"amount"`
	Lease    uint32       `json:"lease_epoch"`
	Line     string       `json:"line,omitempty"`
	Creative string       `json:"creative,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Note     string       `json:"note,omitempty"`
}

var transferNames = []string{
	"hlc", "time", "kind", "event", "id", "campaign", "account", "day", "currency", "credit", "debit", "amount", "lease_epoch", "line", "creative", "reason", "note",
}

func (t *transfer) cells() []string {
	return []string{
		t.HLC, t.Time, t.Kind, t.Event, t.ID, t.Campaign, t.Account, t.Day, t.Currency, t.Credit, t.Debit, amount(t.Amount), fmt.Sprint(t.Lease), t.Line, t.Creative, t.Reason, t.Note,
	}
}

func ledgerExportCommand() *cobra.Command {
	var s ledgerSource
	c := &cobra.Command{
		Use:   "export",
		Short: "Every transfer, for a script",
		Long: `Prints every movement of money as double entry: from the credit side to the debit
side of an account on one of its days (funding, leased, spent, released, refunded,
written-off). One line of JSON each, or CSV with --csv. An event that is billed to
two accounts is two transfers with one id.

From a folder transfers come in the order of the journal, from the shared ledger in
the order of their hybrid logical clocks. Unbilled events move nothing and are not
among them; millrace audit export has every record.`,
		Example: `  millrace ledger export --data /var/lib/millrace --csv > transfers.csv
  millrace ledger export --campaign summer | jq -r 'select(.kind == "refunded") | .id'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.read(); err != nil {
				return err
			}
			w := newTransferWriter(c.OutOrStdout(), s.asCSV)
			if err := s.export(c, w.write); err != nil {
				return err
			}
			return w.flush()
		},
	}
	s.register(c, ", one object a line (as without)")
	return c
}

type transferWriter struct {
	csv  *csv.Writer
	json *json.Encoder
}

func newTransferWriter(out io.Writer, asCSV bool) *transferWriter {
	if !asCSV {
		return &transferWriter{json: json.NewEncoder(out)}
	}
	w := &transferWriter{csv: csv.NewWriter(out)}
	_ = w.csv.Write(transferNames) // flush tells
	return w
}

func (w *transferWriter) write(t *transfer) error {
	if w.csv != nil {
		return w.csv.Write(t.cells())
	}
	return w.json.Encode(t)
}

func (w *transferWriter) flush() error {
	if w.csv == nil {
		return nil
	}
	w.csv.Flush()
	return w.csv.Error()
}

func (s *ledgerSource) export(c *cobra.Command, write func(*transfer) error) error {
	if s.data != "" {
		return s.exportFolder(c, write)
	}
	b, err := cockroach.OpenBooks(c.Context(), s.url)
	if err != nil {
		return err
	}
	defer b.Close()
	f := s.filter
	f.From, f.To = s.period.From, s.period.To
	return b.Lines(c.Context(), f, func(l cockroach.Line) error {
		t := &transfer{
			Kind: l.Kind, ID: winText(l.Node, l.Epoch, l.Shard, l.Seq), Campaign: hex16(l.Campaign), Account: hex16(l.Account), Day: formatDay(l.Day),
			Currency: l.Currency.String(), Credit: l.Credit.String(), Debit: l.Debit.String(), Amount: admin.Amount(l.Amount), Lease: uint32(l.LeaseEpoch), Note: l.Note,
		}
		t.about(l.Stamp, l.Line, l.Creative, l.Reason)
		if l.Event != 0 {
			t.Event = l.Event.String()
		}
		return write(t)
	})
}

func hex16[T ~uint64](id T) string { return fmt.Sprintf("%016x", uint64(id)) }

func winText(node unit.NodeID, epoch unit.Epoch, shard unit.ShardID, seq uint64) string {
	return fmt.Sprintf("%d-%d-%d-%d", node, epoch, shard, seq)
}

// about fills in what not every transfer has.
func (t *transfer) about(stamp ledger.Stamp, line unit.LineID, creative unit.CreativeID, reason ledger.Reason) {
	t.HLC, t.Time = hex16(uint64(stamp)), stamp.Wall().Time().Format("2006-01-02T15:04:05.000Z")
	if line != 0 {
		t.Line, t.Creative = hex16(line), hex16(creative)
	}
	if reason != 0 {
		t.Reason = reason.String()
	}
}

var errStop = errors.New("stop")

func (s *ledgerSource) exportFolder(c *cobra.Command, write func(*transfer) error) error {
	tail := outbox.OpenTail(outbox.ReadFS(), s.data+"/journal", 0)
	whole, err := audit.History(outbox.ReadFS(), s.data+"/audit", tail, func(r *ledger.Record, _ uint64) error {
		if c.Context().Err() != nil {
			return errStop
		}
		return s.transfers(r, write)
	})
	if errors.Is(err, errStop) {
		err = context.Cause(c.Context())
	}
	m := moved{whole: whole}
	m.warn(c)
	return errors.Join(err, tail.Close())
}

// transfers are what a record moves.
func (s *ledgerSource) transfers(r *ledger.Record, write func(*transfer) error) error {
	if s.filter.Campaign != 0 && r.Campaign != s.filter.Campaign {
		return nil
	}
	t := &transfer{
		Kind: r.Kind.String(), Campaign: hex16(r.Campaign), Currency: r.Currency.String(), Amount: admin.Amount(r.Amount),
		ID: winText(r.Node, r.Epoch, r.Shard, r.Seq),
	}
	parts := []ledger.Part{{Account: r.Account, Day: r.Day, Epoch: r.Epoch}}
	switch r.Kind {
	case ledger.Granted:
		t.Credit, t.Debit = cockroach.Funding.String(), cockroach.Leased.String()
	case ledger.Returned:
		t.Credit, t.Debit = cockroach.Leased.String(), cockroach.Released.String()
		parts[0].Epoch = r.LeaseEpoch
	case ledger.Posted, ledger.Refunded:
		t.Credit, t.Debit = cockroach.Leased.String(), cockroach.Spent.String()
		if r.Kind == ledger.Refunded {
			t.Credit, t.Debit, t.Note = cockroach.Spent.String(), cockroach.Refunded.String(), string(r.Name)
		}
		t.Event, t.ID = r.Event.String(), winText(r.Win.Node, r.Win.Epoch, r.Win.Shard, r.Win.Seq)
		parts = r.From[:r.Parts]
	default:
		return nil
	}
	t.about(r.Stamp, r.Line, r.Creative, r.Reason)
	for _, p := range parts {
		if p.Day < s.period.From || s.period.To != 0 && p.Day > s.period.To {
			continue
		}
		t.Account, t.Day, t.Lease = hex16(p.Account), formatDay(p.Day), uint32(p.Epoch)
		if err := write(t); err != nil {
			return err
		}
	}
	return nil
}
