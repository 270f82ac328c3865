package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/codec/unit"
	"millrace/netio/admin"
	"millrace/state/outbox"
	"millrace/state/store/cockroach"
	"millrace/state/store/joint"
)

// sharedFlag is the ledger of the commands that only work on a shared one.
type sharedFlag struct {
	url    string
	asJSON bool
}

func (s *sharedFlag) register(c *cobra.Command) {
	c.Flags().StringVar(&s.url, "ledger", "", "URL of the shared ledger: postgres://user:password@host:port/database (default $"+envLedger+")")
	c.Flags().BoolVar(&s.asJSON, "json", false, "as JSON")
}

func (s *sharedFlag) read() error {
	if s.url == "" {
		s.url = os.Getenv(envLedger)
	}
	if s.url == "" {
		return usageError{errors.New("--ledger: name the shared ledger, postgres://user:password@host:port/database")}
	}
	return nil
}

// leaseRow is what a life holds.
type leaseRow struct {
	Node     uint16       `json:"node"`
	Epoch    uint32       `json:"epoch"`
	Campaign string       `json:"campaign"`
	Account  string       `json:"account"`
	Day      string       `json:"day"`
	Currency string       `json:"currency"`
	Amount   admin.Amount `json:"amount"`
}

func ledgerWriteOffCommand() *cobra.Command {
	var s sharedFlag
	var node, epoch uint32
	var force, dry bool
	c := &cobra.Command{
		Use:   "write-off",
		Short: "Give up what a lost journal held",
		Long: `A node whose disk is lost leaves leases behind of which nobody can prove what was
spent. They stay locked, so that nothing is ever spent twice, until the journal is
back (millrace ledger recover) or an operator writes them off here: they count as
spent and are never given out again. Should the journal turn up later, recover takes
back as much as it proves.

Without --node and --epoch it lists the lives and what they hold. A life that is its
node's last may be running: it is fenced by this, and wants --force.`,
		Example: `  millrace ledger write-off --ledger postgres://millrace@db/millrace
  millrace ledger write-off --node 3 --epoch 1800000000 --dry-run
  millrace ledger write-off --node 3 --epoch 1800000000`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.read(); err != nil {
				return err
			}
			b, err := cockroach.OpenBooks(c.Context(), s.url)
			if err != nil {
				return err
			}
			defer b.Close()
			if epoch == 0 {
				return s.listLives(c, b)
			}
			if !c.Flags().Changed("node") || node > 1<<16-1 {
				return usageError{errors.New("--node: name the node whose life it was, 0 to 65535")}
			}
			leases, err := b.WriteOff(c.Context(), unit.NodeID(node), unit.Epoch(epoch), force, dry)
			if errors.Is(err, cockroach.ErrRunning) {
				return fmt.Errorf("%w (--force)", err)
			}
			if err != nil {
				return err
			}
			return s.printLeases(c, leases, dry)
		},
	}
	s.register(c)
	c.Flags().Uint32Var(&node, "node", 0, "node of the life")
	c.Flags().Uint32Var(&epoch, "epoch", 0, "the life")
	c.Flags().BoolVar(&force, "force", false, "also the node's last life, which is fenced")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be written off, and change nothing")
	return c
}

func (s *sharedFlag) printLeases(c *cobra.Command, leases []cockroach.Lease, dry bool) error {
	rows := []leaseRow{}
	t := table{names: []string{"account", "day", "currency", "amount"}, left: 3}
	for i := range leases {
		l := &leases[i]
		rows = append(rows, leaseRow{uint16(l.Node), uint32(l.Epoch), hex16(l.Campaign), hex16(l.Account), formatDay(l.Day), l.Currency.String(), admin.Amount(l.Outstanding())})
		t.add(hex16(l.Account), formatDay(l.Day), l.Currency.String(), l.Outstanding().String())
	}
	if s.asJSON {
		return writeJSON(c, rows)
	}
	if err := t.text(c); err != nil {
		return err
	}
	verb := "written off"
	if dry {
		verb = "would be written off"
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%d leases %s\n", len(rows), verb)
	return err
}

// lifeRow is one life and what it holds.
type lifeRow struct {
	Node     uint16                  `json:"node"`
	Epoch    uint32                  `json:"epoch"`
	Began    time.Time               `json:"began"`
	State    string                  `json:"state"`
	Position uint64                  `json:"position"`
	Posted   time.Time               `json:"last_posted"`
	Held     map[string]admin.Amount `json:"held"`
}

func (s *sharedFlag) listLives(c *cobra.Command, b *cockroach.Books) error {
	lives, err := b.Lives(c.Context(), cockroach.Filter{})
	if err != nil {
		return err
	}
	leases, err := b.Leases(c.Context(), cockroach.Filter{}, 0)
	if err != nil {
		return err
	}
	rows := []lifeRow{}
	t := table{names: []string{"node", "epoch", "began", "state", "last posted", "held"}, left: 5}
	for _, l := range lives {
		r := lifeRow{uint16(l.Node), uint32(l.Epoch), l.Began, lifeState(&l), l.Position, l.Moved, map[string]admin.Amount{}}
		for i := range leases {
			if h := &leases[i]; h.Node == l.Node && h.Epoch == l.Epoch {
				r.Held[h.Currency.String()] += admin.Amount(h.Outstanding())
			}
		}
		rows = append(rows, r)
		var held []string
		for currency, v := range r.Held {
			held = append(held, amount(v)+" "+currency)
		}
		moved := "never"
		if !l.Moved.IsZero() {
			moved = l.Moved.Format(time.DateTime)
		}
		t.add(fmt.Sprint(r.Node), fmt.Sprint(r.Epoch), r.Began.Format(time.DateTime), r.State, moved, strings.Join(held, ", "))
	}
	if s.asJSON {
		return writeJSON(c, rows)
	}
	return t.text(c)
}

func lifeState(l *cockroach.Life) string {
	switch {
	case l.WrittenOff:
		return "written off"
	case l.Fenced:
		return "over"
	}
	return "last"
}

func ledgerRecoverCommand() *cobra.Command {
	var s sharedFlag
	var journal string
	c := &cobra.Command{
		Use:   "recover",
		Short: "Post a journal that is back to the shared ledger",
		Long: `Posts a node's journal, from a disk that is back or a copy, to the shared ledger,
from its oldest record: what the ledger has already it takes as a repeat. Leases
that were locked are settled by it, and what was written off is taken back as far as
the journal proves it. The folder is only read.

A node that runs posts its journal itself.`,
		Example: "  millrace ledger recover --journal /mnt/old/journal --ledger postgres://millrace@db/millrace",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.read(); err != nil {
				return err
			}
			if journal == "" {
				return usageError{errors.New("--journal: name the folder with the .seg files")}
			}
			return s.recover(c, journal)
		},
	}
	s.register(c)
	c.Flags().StringVar(&journal, "journal", "", "folder of the journal")
	return c
}

func (s *sharedFlag) recover(c *cobra.Command, dir string) error {
	book, end, err := outbox.ReadBook(outbox.ReadFS(), dir, time.Hour)
	if err != nil {
		return err
	}
	cfg := cockroach.Default()
	cfg.URL, cfg.Wall = s.url, wallClock
	cfg.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := cockroach.Check(c.Context(), s.url); err != nil {
		return err
	}
	g, err := cockroach.Open(cfg)
	if err != nil {
		return err
	}
	defer g.Close()
	life := joint.Life{Node: book.Recovered().Node, Epoch: book.LastEpoch()}
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	over := make(chan struct{})
	failures := 0
	drain := joint.NewDrain(joint.DrainConfig{
		Tail: outbox.OpenTail(outbox.ReadFS(), dir, 0), Life: life, Ledger: g, Rows: 1000, RetryMin: 100 * time.Millisecond, RetryMax: 2 * time.Second,
		After: func(d time.Duration, f func()) { time.AfterFunc(d, f) },
		Failed: func(err error) {
			if failures++; failures == 5 {
				cancel(err)
			}
		},
		Alarm: func(err error) { fmt.Fprintf(c.ErrOrStderr(), "millrace: %v\n", err) },
	})
	go func() {
		defer close(over)
		for !drain.Status().Over && ctx.Err() == nil {
			drain.Step()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	<-over
	st := drain.Status()
	if err := drain.Stop(); err != nil {
		return err
	}
	if !st.Over {
		return fmt.Errorf("after %d records: %w; run it again, what the ledger has is not counted twice", st.Records, context.Cause(ctx))
	}
	stats := g.Stats()
	if s.asJSON {
		return writeJSON(c, map[string]any{
			"node": life.Node, "epoch": life.Epoch, "records": st.Records, "postings": stats.Postings, "repeats": stats.Repeats, "breaches": stats.Breaches, "position": end,
		})
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "node %d: %d records posted, %d postings new, %d known before, %d contradict the ledger\n", life.Node, st.Records, stats.Postings, stats.Repeats, stats.Breaches)
	if err == nil && stats.Breaches > 0 {
		return errReported
	}
	return err
}
