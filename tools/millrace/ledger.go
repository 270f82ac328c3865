package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"millrace/codec/unit"
	"millrace/netio/admin"
	"millrace/state/books"
	"millrace/state/outbox"
	"millrace/state/store/cockroach"
)

// envLedger names the shared ledger where no flag does, as it does for serve.
const envLedger = "MILLRACE_LEDGER_URL"

func ledgerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Balances, statements and corrections of the money",
		Long: `Reads the money of one node from its data folder (--data), whether the node runs
or not, or that of all nodes from the ledger they share (--ledger, else
$` + envLedger + `): balances follow from the postings alone. Every amount is exact;
an invoice is rounded once, half to even.

docs/money.md says what the columns mean and which of them must add up.`,
		Example: `  millrace ledger balance --data /var/lib/millrace
  millrace ledger statement --ledger postgres://millrace@db/millrace --campaign summer --from 2026-03-01 --to 2026-03-31
  millrace ledger refund 1-1800000000-0-17 --reason fraud --note "click farm, ticket 811"`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(ledgerBalanceCommand(), ledgerStatementCommand(), ledgerExportCommand(), ledgerRefundCommand(), ledgerWriteOffCommand(), ledgerRecoverCommand())
	return c
}

// ledgerSource are the flags that say whose money, and which part of it.
type ledgerSource struct {
	data, url          string
	campaign, from, to string
	asJSON, asCSV      bool

	filter cockroach.Filter
	period books.Period
}

func (s *ledgerSource) register(c *cobra.Command, what string) {
	f := c.Flags()
	f.StringVar(&s.data, "data", "", "data folder of a node; only read")
	f.StringVar(&s.url, "ledger", "", "URL of the shared ledger: postgres://user:password@host:port/database (default $"+envLedger+")")
	f.StringVar(&s.campaign, "campaign", "", "only this campaign, by its id in the catalog or its 16 hexadecimal digits")
	f.StringVar(&s.from, "from", "", "first day, 2026-03-01")
	f.StringVar(&s.to, "to", "", "last day, included")
	f.BoolVar(&s.asJSON, "json", false, "as JSON"+what)
	f.BoolVar(&s.asCSV, "csv", false, "as CSV, with a line of names")
}

// read takes the flags apart.
func (s *ledgerSource) read() error {
	if s.data == "" && s.url == "" {
		s.url = os.Getenv(envLedger)
	}
	switch {
	case (s.data == "") == (s.url == ""):
		return usageError{errors.New("say whose money: --data FOLDER of a node, or --ledger URL of what nodes share")}
	case s.asJSON && s.asCSV:
		return usageError{errors.New("--json and --csv: choose one")}
	}
	s.filter.Campaign = campaignID(s.campaign)
	var err error
	if s.period.From, err = parseDay("--from", s.from); err == nil {
		s.period.To, err = parseDay("--to", s.to)
	}
	return err
}

// campaignID is the id that a catalog's name becomes, or what is written as one.
func campaignID(text string) unit.CampaignID {
	if text == "" {
		return 0
	}
	if id, err := strconv.ParseUint(text, 16, 64); err == nil && len(text) == 16 {
		return unit.CampaignID(id)
	}
	return unit.CampaignID(unit.HashID("campaign", text))
}

func parseDay(flag, text string) (unit.Day, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, usageError{fmt.Errorf("%s %q: write a day as 2026-03-01", flag, text)}
	}
	return unit.Day(t.Unix() / 86400), nil
}

func formatDay(d unit.Day) string { return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly) }

// moved is what a source tells, all of it that the campaign's filter lets through.
type moved struct {
	days   []books.Day
	before func(unit.AccountID) unit.Nanos
	whole  bool
}

func (s *ledgerSource) load(ctx context.Context) (m moved, err error) {
	if s.data != "" {
		n, err := books.Open(outbox.ReadFS(), s.data)
		if err != nil {
			return m, err
		}
		m = moved{n.Days, n.Before, n.Whole}
	} else if m.days, err = sharedDays(ctx, s.url, s.filter); err != nil {
		return m, err
	} else {
		m.whole = true
	}
	kept := m.days[:0]
	for i := range m.days {
		if s.filter.Campaign == 0 || m.days[i].Campaign == s.filter.Campaign {
			kept = append(kept, m.days[i])
		}
	}
	m.days = kept
	if s.campaign != "" && len(kept) == 0 {
		return m, fmt.Errorf("no money has moved for campaign %s (%016x)", s.campaign, uint64(s.filter.Campaign))
	}
	return m, nil
}

func sharedDays(ctx context.Context, url string, f cockroach.Filter) ([]books.Day, error) {
	b, err := cockroach.OpenBooks(ctx, url)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	list, err := b.Balances(ctx, f)
	if err != nil {
		return nil, err
	}
	days := make([]books.Day, len(list))
	for i := range list {
		d := &list[i]
		days[i] = books.Day{
			Account: d.Account, Campaign: d.Campaign, Name: d.Name, Currency: d.Currency, Day: d.Day, Daily: d.Daily, Total: d.Total,
			Granted: d.Granted, Leased: d.Leased, Spent: d.Spent, Refunded: d.Refunded, Released: d.Released, WrittenOff: d.WrittenOff,
			Events: d.Events, Refunds: d.Refunds, Stamp: d.Stamp,
		}
	}
	books.Sort(days)
	return days, nil
}

// warn tells that what is printed lacks its beginning.
func (m *moved) warn(c *cobra.Command) {
	if !m.whole {
		fmt.Fprintln(c.ErrOrStderr(), "millrace: warning: the oldest records are gone from the journal, and no audit chain has them: days before the first are one sum; with audit.enabled none is lost")
	}
}

// balanceRow is one account.
type balanceRow struct {
	Campaign   string       `json:"campaign"`
	Account    string       `json:"account"`
	Name       string       `json:"name"`
	Currency   string       `json:"currency"`
	Daily      admin.Amount `json:"daily"`
	Total      admin.Amount `json:"total"`
	Granted    admin.Amount `json:"granted"`
	Leased     admin.Amount `json:"leased"`
	Spent      admin.Amount `json:"spent"`
	Refunded   admin.Amount `json:"refunded"`
	Released   admin.Amount `json:"released"`
	WrittenOff admin.Amount `json:"written_off"`
	// Remaining of the total limit; absent where there is none.
	Remaining *admin.Amount `json:"remaining,omitempty"`
	Events    int64         `json:"events"`
	Refunds   int64         `json:"refunds"`
	LastDay   string        `json:"last_day"`
}

func ledgerBalanceCommand() *cobra.Command {
	var s ledgerSource
	c := &cobra.Command{
		Use:   "balance",
		Short: "What became of each account's money",
		Long: `One line an account: granted into leases; of that still leased, spent (billed and
not refunded), refunded, released (returned), written off. They add up:

  granted = leased + spent + refunded + released + written off

Accounts of line items are parts of their campaign's. A folder tells the money of
its node, the shared ledger that of all.

Exit status: 1 when a line does not add up.`,
		Example: `  millrace ledger balance --data /var/lib/millrace
  millrace ledger balance --json | jq '.[] | select(.remaining == "0")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.read(); err != nil {
				return err
			}
			m, err := s.load(c.Context())
			if err != nil {
				return err
			}
			m.warn(c)
			return s.printBalances(c, &m)
		},
	}
	s.register(c, "")
	return c
}

func (s *ledgerSource) printBalances(c *cobra.Command, m *moved) error {
	inside := m.days
	if s.period != (books.Period{}) {
		inside = nil
		for _, e := range books.Statement(m.days, s.period, m.before) {
			inside = append(inside, e.Day)
		}
	}
	rows, broken := []balanceRow{}, 0
	committed := map[unit.AccountID]unit.Nanos{}
	for i := range m.days {
		committed[m.days[i].Account] += m.days[i].Committed()
	}
	for _, a := range books.Accounts(inside) {
		if !a.Whole() {
			broken++
		}
		r := balanceRow{
			Campaign: fmt.Sprintf("%016x", uint64(a.Campaign)), Account: fmt.Sprintf("%016x", uint64(a.Account)), Name: a.Name, Currency: a.Currency.String(),
			Daily: admin.Amount(a.Daily), Total: admin.Amount(a.Total), Granted: admin.Amount(a.Granted), Leased: admin.Amount(a.Leased),
			Spent: admin.Amount(a.Spent), Refunded: admin.Amount(a.Refunded), Released: admin.Amount(a.Released), WrittenOff: admin.Amount(a.WrittenOff),
			Events: a.Events, Refunds: a.Refunds, LastDay: formatDay(a.Day),
		}
		if a.Total > 0 {
			left := a.Total - committed[a.Account]
			if m.before != nil {
				left -= m.before(a.Account)
			}
			r.Remaining = (*admin.Amount)(&left)
		}
		rows = append(rows, r)
	}
	t := table{names: []string{"account", "currency", "daily", "total", "granted", "leased", "spent", "refunded", "released", "written off", "remaining", "events"}, left: 2}
	for i := range rows {
		r := &rows[i]
		remaining := ""
		if r.Remaining != nil {
			remaining = amount(*r.Remaining)
		}
		t.add(title(r.Name, r.Account), r.Currency, limit(r.Daily), limit(r.Total), amount(r.Granted), amount(r.Leased), amount(r.Spent), amount(r.Refunded),
			amount(r.Released), amount(r.WrittenOff), remaining, fmt.Sprint(r.Events))
	}
	if err := s.print(c, rows, &t); err != nil {
		return err
	}
	if broken > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "millrace: %d accounts do not add up: granted is not what became of it\n", broken)
		return errReported
	}
	return nil
}

func amount(a admin.Amount) string { return unit.Nanos(a).String() }

func limit(a admin.Amount) string {
	if a == 0 {
		return "none"
	}
	return amount(a)
}

func title(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

// table is what a person or a spreadsheet reads.
type table struct {
	names []string
	rows  [][]string
	left  int // columns set left
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (s *ledgerSource) print(c *cobra.Command, v any, t *table) error {
	switch {
	case s.asJSON:
		return writeJSON(c, v)
	case s.asCSV:
		w := csv.NewWriter(c.OutOrStdout())
		names := make([]string, len(t.names))
		for i, n := range t.names {
			names[i] = strings.ReplaceAll(n, " ", "_")
		}
		return errors.Join(w.Write(names), w.WriteAll(t.rows))
	}
	return t.text(c)
}

// text sets the columns: those on the left to the left, amounts to the right.
func (t *table) text(c *cobra.Command) error {
	width := make([]int, len(t.names))
	all := append([][]string{t.names}, t.rows...)
	for _, row := range all {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range all {
		line := ""
		for i, cell := range row {
			if i > 0 {
				line += "  "
			}
			if i < t.left {
				line += pad(cell, width[i])
			} else {
				line += strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)) + cell
			}
		}
		if _, err := fmt.Fprintln(c.OutOrStdout(), strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}
