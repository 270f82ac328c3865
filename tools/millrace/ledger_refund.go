package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/codec/unit"
	"millrace/engine/node"
	"millrace/netio/admin"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/refund"
	"millrace/state/store/joint"
)

// winsAtOnce bounds the wins of one request: each request reads the history.
const winsAtOnce = 20_000

type refundOptions struct {
	admin, data  string
	file         string
	least, most  string
	asJSON       bool
	request      admin.Refund
	campaignName string
}

func ledgerRefundCommand() *cobra.Command {
	var o refundOptions
	c := &cobra.Command{
		Use:   "refund [WIN...]",
		Short: "Take postings back that should not have been",
		Long: `Refunds billed events: those of the wins named (node-epoch-shard-seq, as exports and
messages have them; with /click behind it only that event), of a file of them, or
all that are as the flags say. Each becomes a correcting record with the reason and
the note, which goes wherever postings go. An event is refunded at most once, so it
is safe to ask again.

The money is the account's again on the day it was billed to: on the same day it can
be spent again, later only the total limit has more room.

A running node is asked on its admin port (--admin); the node that made a win has
it. --data works on the folder of a node that is stopped for good. --dry-run says
what would be refunded.

Exit status: 1 when something named was not refunded, now or before.`,
		Example: `  millrace ledger refund 1-1800000000-0-17 1-1800000000-0-18/click --reason fraud --note "ticket 811"
  millrace ledger refund --file wins.txt --reason fraud --dry-run
  millrace ledger refund --campaign summer --user 00000000deadbeef --from 2026-03-07T00:00:00Z --reason fraud`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVar(&o.admin, "admin", "127.0.0.1:8081", "host:port of the node's admin port")
	f.StringVar(&o.data, "data", "", "data folder of a node that is stopped, instead of --admin")
	f.StringVar(&o.file, "file", "", "file of wins, one a line; - is standard input")
	f.StringVar(&o.campaignName, "campaign", "", "events of this campaign, by its id in the catalog or its 16 hexadecimal digits")
	f.StringVar(&o.request.Line, "line", "", "events of this line item, hexadecimal digits")
	f.StringVar(&o.request.Creative, "creative", "", "events of this creative, hexadecimal digits")
	f.StringVar(&o.request.User, "user", "", "events of this user, hexadecimal digits")
	f.StringVar(&o.request.Event, "event", "", "impression, click or conversion")
	f.StringVar(&o.request.From, "from", "", "billed at this time or later, 2026-03-07T12:00:00Z")
	f.StringVar(&o.request.To, "to", "", "billed before this time")
	f.StringVar(&o.least, "least", "", "amount at least")
	f.StringVar(&o.most, "most", "", "amount at most")
	f.StringVar(&o.request.Reason, "reason", "", "fraud, mistake or goodwill")
	f.StringVar(&o.request.Note, "note", "", "kept with each refund, up to 255 bytes")
	f.BoolVar(&o.request.DryRun, "dry-run", false, "say what would be refunded, and refund nothing")
	f.BoolVar(&o.asJSON, "json", false, "as JSON")
	return c
}

func (o *refundOptions) run(c *cobra.Command, wins []string) error {
	if err := o.prepare(c, wins); err != nil {
		return err
	}
	ask := o.askNode
	if o.data != "" {
		desk, closing, err := openDesk(o.data)
		if err != nil {
			return err
		}
		defer closing()
		ask = func(ctx context.Context, r *admin.Refund) (*admin.RefundAnswer, error) { return refundAt(ctx, desk, r) }
	}
	sum := &admin.RefundAnswer{DryRun: o.request.DryRun, Whole: true, Sums: map[string]admin.Amount{}, Items: []admin.RefundItem{}}
	for all := o.request.Wins; ; {
		r := o.request
		r.Wins = all[:min(len(all), winsAtOnce)]
		all = all[len(r.Wins):]
		a, err := ask(c.Context(), &r)
		if err != nil {
			return err
		}
		addRefunds(sum, a)
		if len(all) == 0 || a.Error != "" {
			break
		}
	}
	return o.print(c, sum)
}

// prepare reads the wins and what the flags say.
func (o *refundOptions) prepare(c *cobra.Command, wins []string) error {
	o.request.Wins = wins
	if o.file != "" {
		in := c.InOrStdin()
		if o.file != "-" {
			f, err := os.Open(o.file)
			if err != nil {
				return inputError{fmt.Errorf("--file: %w", err)}
			}
			defer func() { _ = f.Close() }()
			in = f
		}
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if w := strings.TrimSpace(lines.Text()); w != "" && !strings.HasPrefix(w, "#") {
				o.request.Wins = append(o.request.Wins, w)
			}
		}
	}
	if o.campaignName != "" {
		o.request.Campaign = hex16(campaignID(o.campaignName))
	}
	for _, x := range []struct {
		flag, text string
		to         **admin.Amount
	}{{"--least", o.least, &o.request.Least}, {"--most", o.most, &o.request.Most}} {
		if x.text == "" {
			continue
		}
		v, err := unit.ParseNanos(x.text)
		if err != nil {
			return usageError{fmt.Errorf("%s %q: write a plain amount, 0.0025", x.flag, x.text)}
		}
		*x.to = (*admin.Amount)(&v)
	}
	if _, err := node.RefundQuery(&o.request); err != nil {
		return usageError{err}
	}
	return nil
}

// askNode sends a request to a running node.
func (o *refundOptions) askNode(ctx context.Context, r *admin.Refund) (*admin.RefundAnswer, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+o.admin+"/refunds", bytes.NewReader(body))
	if err != nil {
		return nil, usageError{fmt.Errorf("--admin: %w", err)}
	}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the admin port does not answer: %w; --admin names it, --data works on a stopped node's folder", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var a struct {
		admin.RefundAnswer
		Remedy string `json:"remedy"`
	}
	if err := json.Unmarshal(b, &a); err != nil || resp.StatusCode != http.StatusOK && a.Items == nil {
		return nil, fmt.Errorf("the node refused: %s %s %s", resp.Status, a.Error, a.Remedy)
	}
	return &a.RefundAnswer, nil
}

// openDesk opens the journal of a stopped node, as its next life would.
func openDesk(data string) (*refund.Desk, func(), error) {
	book, _, err := outbox.ReadBook(outbox.ReadFS(), data+"/journal", time.Hour)
	if err != nil {
		return nil, nil, err
	}
	if _, err := outbox.ReadCursor(outbox.ReadFS(), data+"/journal", joint.CursorName); err == nil {
		return nil, nil, fmt.Errorf("the node of %s shares its budgets: its ledger must know of every life of it; start it, and ask it with --admin", data)
	}
	recovered := book.Recovered()
	shards := 1
	if n := len(recovered.Epochs); n > 0 {
		shards = max(1, recovered.Epochs[n-1].Shards)
	}
	c := outbox.Default()
	c.Dir, c.Node, c.Shards = data+"/journal", recovered.Node, shards
	// Nothing is forgotten here, and nothing removed: that is the node's to decide.
	c.TokenTTL, c.Retention, c.RetentionBytesMax, c.HoldBytesMax = math.MaxInt64/8, math.MaxInt64/8, math.MaxInt64, math.MaxInt64
	c.Wall = wallClock
	j, err := outbox.Open(c)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; a running node is asked with --admin", err)
	}
	desk := refund.New(refund.Config{Journal: j, Archive: data + "/audit", Wall: wallClock, Settled: func(*ledger.Record) {}})
	return desk, func() { _ = j.Close() }, nil
}

func wallClock() unit.WallTime { return unit.WallTime(time.Now().UnixNano()) }

func refundAt(ctx context.Context, d *refund.Desk, r *admin.Refund) (*admin.RefundAnswer, error) {
	q, err := node.RefundQuery(r)
	if err != nil {
		return nil, err
	}
	res, err := d.Run(ctx, q)
	a := node.RefundAnswer(&res, q)
	if err != nil {
		a.Error = err.Error()
	}
	return a, nil
}

func addRefunds(sum, a *admin.RefundAnswer) {
	sum.Refunded += a.Refunded
	sum.Before += a.Before
	sum.NotBilled += a.NotBilled
	sum.NotFound += a.NotFound
	sum.OtherNode += a.OtherNode
	sum.Whole = sum.Whole && a.Whole
	sum.Items, sum.Error = append(sum.Items, a.Items...), a.Error
	for c, v := range a.Sums {
		sum.Sums[c] += v
	}
}

func (o *refundOptions) print(c *cobra.Command, a *admin.RefundAnswer) error {
	bad := a.Error != "" || a.NotBilled+a.NotFound+a.OtherNode > 0
	if o.asJSON {
		if err := writeJSON(c, a); err != nil || !bad {
			return err
		}
		return errReported
	}
	verb := "refunded"
	if a.DryRun {
		verb = "would be refunded"
	}
	out := c.OutOrStdout()
	for i := range a.Items {
		it := &a.Items[i]
		fmt.Fprintf(out, "%-32s %-16s %s %s\n", it.Win, it.Status, amount(it.Amount), it.Currency)
	}
	fmt.Fprintf(out, "%d %s", a.Refunded, verb)
	for currency, v := range a.Sums {
		fmt.Fprintf(out, ", %s %s", amount(v), currency)
	}
	fmt.Fprintf(out, "; %d refunded before, %d not billed, %d not found, %d of other nodes\n", a.Before, a.NotBilled, a.NotFound, a.OtherNode)
	if a.NotFound > 0 && !a.Whole {
		fmt.Fprintln(c.ErrOrStderr(), "millrace: warning: the oldest records of the node are gone; what was not found may have been billed then")
	}
	switch {
	case a.Error != "":
		return errors.New(a.Error)
	case bad:
		return errReported
	}
	return nil
}
