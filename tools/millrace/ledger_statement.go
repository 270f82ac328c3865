package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"millrace/netio/admin"
	"millrace/state/books"
)

// statementRow is one day of an account.
type statementRow struct {
	Campaign string `json:"campaign"`
	Account  string `json:"account"`
	Name     string `json:"name"`
	Currency string `json:"currency"`
	Day      string `json:"day"`
	// Opening and Closing are what is left of the total limit; absent without one.
	Opening    *admin.Amount `json:"opening,omitempty"`
	Daily      admin.Amount  `json:"daily"`
	Granted    admin.Amount  `json:"granted"`
	Billed     admin.Amount  `json:"billed"`
	Refunded   admin.Amount  `json:"refunded"`
	Spent      admin.Amount  `json:"spent"`
	Released   admin.Amount  `json:"released"`
	Leased     admin.Amount  `json:"leased"`
	WrittenOff admin.Amount  `json:"written_off"`
	Closing    *admin.Amount `json:"closing,omitempty"`
	Events     int64         `json:"events"`
	Refunds    int64         `json:"refunds"`
}

// chargeRow is what a campaign is to pay.
type chargeRow struct {
	Campaign string       `json:"campaign"`
	Name     string       `json:"name"`
	Currency string       `json:"currency"`
	Exact    admin.Amount `json:"exact"`
	Invoice  admin.Amount `json:"invoice"`
	Events   int64        `json:"events"`
	Refunded int64        `json:"refunded_events"`
}

func ledgerStatementCommand() *cobra.Command {
	var s ledgerSource
	c := &cobra.Command{
		Use:   "statement",
		Short: "Accounts day by day, and what is to be invoiced",
		Long: `One line a day of an account: what was left of the total limit, what went into
leases that day, what of it was billed, refunded, spent (billed less refunded),
released, is still leased or was written off, and what is left:

  granted = leased + spent + refunded + released + written off
  closing = opening - spent - leased - written off

Below it what each campaign is to pay for the period: its days added up exactly,
then rounded once, half to even, to its currency's smallest unit. Accounts of line
items are parts of their campaign's and not charged again. A refund counts on the
day it takes a posting back from. Days are those of the campaign's time zone.`,
		Example: `  millrace ledger statement --campaign summer --from 2026-03-01 --to 2026-03-31 --data /var/lib/millrace
  millrace ledger statement --json | jq .charges
  millrace ledger statement --csv > march.csv      # the days alone`,
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
			return s.printStatement(c, &m)
		},
	}
	s.register(c, "")
	return c
}

func (s *ledgerSource) printStatement(c *cobra.Command, m *moved) error {
	entries := books.Statement(m.days, s.period, m.before)
	report := struct {
		Whole   bool           `json:"whole_history"`
		Days    []statementRow `json:"days"`
		Charges []chargeRow    `json:"charges"`
	}{m.whole, []statementRow{}, []chargeRow{}}
	t := table{names: []string{"account", "day", "currency", "opening", "granted", "billed", "refunded", "spent", "released", "leased", "written off", "closing", "events"}, left: 3}
	for i := range entries {
		e := &entries[i]
		r := statementRow{
			Campaign: fmt.Sprintf("%016x", uint64(e.Campaign)), Account: fmt.Sprintf("%016x", uint64(e.Account)), Name: e.Name, Currency: e.Currency.String(),
			Day: formatDay(e.Day.Day), Daily: admin.Amount(e.Daily), Granted: admin.Amount(e.Granted), Billed: admin.Amount(e.Billed), Refunded: admin.Amount(e.Refunded),
			Spent: admin.Amount(e.Spent), Released: admin.Amount(e.Released), Leased: admin.Amount(e.Leased), WrittenOff: admin.Amount(e.WrittenOff),
			Events: e.Events, Refunds: e.Refunds,
		}
		opening, closing := "", ""
		if e.Bounded {
			r.Opening, r.Closing = (*admin.Amount)(&e.Opening), (*admin.Amount)(&e.Closing)
			opening, closing = e.Opening.String(), e.Closing.String()
		}
		report.Days = append(report.Days, r)
		t.add(title(r.Name, r.Account), r.Day, r.Currency, opening, amount(r.Granted), amount(r.Billed), amount(r.Refunded), amount(r.Spent), amount(r.Released),
			amount(r.Leased), amount(r.WrittenOff), closing, fmt.Sprint(r.Events))
	}
	charges := table{names: []string{"campaign", "currency", "exact", "invoice", "events", "refunded"}, left: 2}
	for _, x := range books.Charges(entries) {
		r := chargeRow{
			Campaign: fmt.Sprintf("%016x", uint64(x.Campaign)), Name: x.Name, Currency: x.Currency.String(), Exact: admin.Amount(x.Exact), Invoice: admin.Amount(x.Amount),
			Events: x.Events, Refunded: x.Refunded,
		}
		report.Charges = append(report.Charges, r)
		charges.add(title(r.Name, r.Campaign), r.Currency, amount(r.Exact), amount(r.Invoice), fmt.Sprint(r.Events), fmt.Sprint(r.Refunded))
	}
	if err := s.print(c, report, &t); err != nil || s.asJSON || s.asCSV {
		return err
	}
	fmt.Fprintln(c.OutOrStdout())
	return charges.text(c)
}
