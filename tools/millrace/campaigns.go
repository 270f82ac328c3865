package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"millrace/codec/strict"
	"millrace/state/campaign"
)

func campaignsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "campaigns",
		Short:   "Work with catalog files",
		Example: "  millrace campaigns check campaigns.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(campaignsCheckCommand())
	return c
}

// catalogReport is the answer of campaigns check.
type catalogReport struct {
	File        string        `json:"file"`
	OK          bool          `json:"ok"`
	Faults      strict.Faults `json:"faults"`
	Advertisers int           `json:"advertisers"`
	Campaigns   int           `json:"campaigns"`
	LineItems   int           `json:"line_items"`
	Creatives   int           `json:"creatives"`
	Seconds     float64       `json:"seconds"`
}

func campaignsCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Read and compile a catalog, list every fault",
		Long: `Reads a catalog file (YAML or JSON; - is standard input) the way serve does and
compiles it. Every fault is listed at once, each with file, line, column, field
and remedy.

Exit status: 0 when serve would take it, 1 when it has faults.`,
		Example: `  millrace campaigns check campaigns.yaml
  millrace campaigns check --json campaigns.yaml | jq .faults`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			report, err := checkCatalog(args[0], c.InOrStdin())
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(c, report)
			} else {
				err = printReport(c, report)
			}
			if err == nil && !report.OK {
				return errReported
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func checkCatalog(file string, stdin io.Reader) (catalogReport, error) {
	began := time.Now()
	report := catalogReport{File: file, Faults: strict.Faults{}}
	var data []byte
	var err error
	if file == "-" {
		report.File = "standard input"
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return report, fmt.Errorf("cannot read the catalog: %w", err)
	}
	snapshot, faults := campaign.Check(report.File, data)
	report.Faults = append(report.Faults, faults...)
	report.OK = len(faults) == 0 && snapshot != nil
	if snapshot != nil {
		report.Advertisers, report.Campaigns = len(snapshot.Advertisers), len(snapshot.Campaigns)
		report.LineItems, report.Creatives = len(snapshot.Lines), len(snapshot.Creatives)
	}
	report.Seconds = time.Since(began).Seconds()
	return report, nil
}

func printReport(c *cobra.Command, r catalogReport) error {
	if !r.OK {
		printFaults(c, r.File, r.Faults)
		return nil
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s: good: %d advertisers, %d campaigns, %d line items, %d creatives (%.2f s)\n",
		r.File, r.Advertisers, r.Campaigns, r.LineItems, r.Creatives, r.Seconds)
	return err
}
