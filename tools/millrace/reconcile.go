package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"millrace/codec/unit"
	"millrace/engine/node"
	"millrace/netio/admin"
	"millrace/state/audit"
	"millrace/state/books"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/reconcile"
	"millrace/state/store/cockroach"
)

type reconcileOptions struct {
	admin, data, url string
	dry, asJSON      bool
}

func reconcileCommand() *cobra.Command {
	var o reconcileOptions
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare journal, ledger and budget store",
		Long: `Compares what must be equal, by account and day.

A running node (--admin) is asked to compare now what it compares every minute: its
journal with the ledger and the ledger with the counter, or, on its own, its journal
with its store. A counter or store that differs is set to what is true, unless
--dry-run.

With --data the folder of a node, running or not, is read from its first record: an
independent recount is held against the node's own books, the journal against the
audit chain, and with --ledger against the shared ledger, from the first record on.
Nothing is changed. --ledger alone holds the sums that the ledger keeps against its
postings.

Exit status: 1 when anything differs, repaired or not.`,
		Example: `  millrace reconcile --dry-run
  millrace reconcile --data /var/lib/millrace --json | jq .drifts
  millrace reconcile --data /var/lib/millrace --ledger postgres://millrace@db/millrace`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.StringVar(&o.admin, "admin", "127.0.0.1:8081", "host:port of a running node's admin port")
	f.StringVar(&o.data, "data", "", "data folder of a node, instead of --admin; only read")
	f.StringVar(&o.url, "ledger", "", "URL of the shared ledger: postgres://user:password@host:port/database (with --data, default $"+envLedger+")")
	f.BoolVar(&o.dry, "dry-run", false, "repair nothing")
	f.BoolVar(&o.asJSON, "json", false, "as JSON")
	return c
}

func (o *reconcileOptions) run(c *cobra.Command) error {
	if o.data != "" && o.url == "" {
		o.url = os.Getenv(envLedger)
	}
	var a *admin.Reconciled
	var err error
	switch {
	case o.data == "" && o.url == "":
		a, err = o.askNode(c.Context())
	default:
		var r reconcile.Report
		if o.data != "" {
			err = o.folder(c.Context(), &r)
		}
		if err == nil && o.url != "" {
			err = o.verifyLedger(c.Context(), &r)
		}
		a = node.Reconciled(&r, true)
	}
	if err != nil {
		return err
	}
	if o.asJSON {
		err = writeJSON(c, a)
	} else {
		err = printReconciled(c, a)
	}
	if err == nil && len(a.Drifts) > 0 {
		return errReported
	}
	return err
}

func (o *reconcileOptions) askNode(ctx context.Context) (*admin.Reconciled, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/reconcile?dry-run=%t", o.admin, o.dry), nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--admin: %w", err)}
	}
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the admin port does not answer: %w; --admin names it, --data reads a node's folder", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var a struct {
		admin.Reconciled
		Error string `json:"error"`
	}
	if err := json.Unmarshal(b, &a); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the node answers: %s %s", resp.Status, a.Error)
	}
	return &a.Reconciled, nil
}

// folder holds a recount of a node's records against the node's own books, its
// audit chain and the shared ledger.
func (o *reconcileOptions) folder(ctx context.Context, r *reconcile.Report) error {
	n, err := books.Open(outbox.ReadFS(), o.data)
	if err != nil {
		return err
	}
	if !n.Whole {
		r.Skipped = append(r.Skipped, "recount: the oldest records are gone, and no audit chain has them")
	} else {
		reconcile.Recount(r, n.Days, n.Book)
	}
	if err := n.Book.Check(); err != nil {
		return fmt.Errorf("the node's books contradict themselves: %w", err)
	}
	if chain := filepath.Join(o.data, "audit"); isFolder(chain) {
		opts := audit.Options{FS: outbox.ReadFS(), Journal: filepath.Join(o.data, "journal")}
		report, err := audit.Verify(chain, opts)
		if err != nil {
			return fmt.Errorf("the audit chain: %w", err)
		}
		r.Compared += int(report.Compared)
	} else {
		r.Skipped = append(r.Skipped, "audit chain: there is none")
	}
	if o.url == "" {
		return nil
	}
	cfg := cockroach.Default()
	cfg.URL, cfg.Wall = o.url, wallClock
	if err := cockroach.Check(ctx, o.url); err != nil {
		return err
	}
	g, err := cockroach.Open(cfg)
	if err != nil {
		return err
	}
	defer g.Close()
	s := reconcile.NewShared(reconcile.SharedConfig{
		Node: n.Node, Tail: func(from uint64) *outbox.Tail { return outbox.OpenTail(outbox.ReadFS(), o.data+"/journal", from) },
		End: func() uint64 { return n.Position }, Whole: n.Whole, Before: o.before(n.Whole), Ledger: g,
	})
	shared, err := s.Look(ctx, true)
	r.Compared += shared.Compared
	r.Drifts, r.Skipped, r.Pending = append(r.Drifts, shared.Drifts...), append(r.Skipped, shared.Skipped...), shared.Pending
	return errors.Join(err, s.Close())
}

// before gives the records that the journal has no more, from the audit chain.
func (o *reconcileOptions) before(whole bool) func(func(*ledger.Record)) error {
	if !whole {
		return nil
	}
	return func(take func(*ledger.Record)) error {
		return audit.Older(outbox.ReadFS(), filepath.Join(o.data, "audit"), filepath.Join(o.data, "journal"), take)
	}
}

// verifyLedger holds what the ledger keeps beside its postings against them.
func (o *reconcileOptions) verifyLedger(ctx context.Context, r *reconcile.Report) error {
	b, err := cockroach.OpenBooks(ctx, o.url)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := b.Verify(ctx)
	if err != nil {
		return err
	}
	for _, d := range list {
		r.Drifts = append(r.Drifts, reconcile.Drift{Between: "postings-ledger", What: d.What, Account: d.Account, Day: d.Day, True: d.Entries, Other: d.Kept})
	}
	return nil
}

func printReconciled(c *cobra.Command, a *admin.Reconciled) error {
	t := table{names: []string{"between", "account", "day", "what", "true", "other", ""}, left: 4}
	for i := range a.Drifts {
		d := &a.Drifts[i]
		day, state := "all", ""
		if d.Day != 0 {
			day = formatDay(unit.Day(d.Day))
		}
		if d.Repaired {
			state = "repaired"
		}
		t.add(d.Between, d.Account, day, d.What, amount(d.True), amount(d.Other), state)
	}
	if len(a.Drifts) > 0 {
		if err := t.text(c); err != nil {
			return err
		}
	}
	for _, s := range a.Skipped {
		fmt.Fprintf(c.ErrOrStderr(), "millrace: not compared: %s\n", s)
	}
	verdict := "all equal"
	if n := len(a.Drifts); n > 0 {
		verdict = fmt.Sprintf("%d differ, %d repaired", n, a.Repaired)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%d compared: %s", a.Compared, verdict)
	if a.Pending != 0 && err == nil {
		_, err = fmt.Fprintf(c.OutOrStdout(), "; %s granted and not in a journal yet", amount(a.Pending))
	}
	if err == nil {
		_, err = fmt.Fprintln(c.OutOrStdout())
	}
	return err
}
