package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/engine/demand/partners"
)

func demandCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demand",
		Short: "Work with the partners that are asked for bids",
		Example: `  millrace demand check demand.yaml
  millrace demand status --watch`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(demandCheckCommand(), demandStatusCommand())
	return c
}

// demandReport is the answer of demand check.
type demandReport struct {
	File     string        `json:"file"`
	OK       bool          `json:"ok"`
	Faults   strict.Faults `json:"faults"`
	Partners int           `json:"partners"`
	Near     int           `json:"near"`
	Floors   int           `json:"floors"`
}

func demandCheckCommand() *cobra.Command {
	var asJSON bool
	var region string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Read and compile a demand file, list every fault",
		Long: `Reads a demand file (YAML or JSON; - is standard input) the way serve does and
compiles it. Every fault is listed at once, each with file, line, column, field
and remedy. A currency table that is too old is a fault, by today's date.

Exit status: 0 when serve would take it, 1 when it has faults.`,
		Example: `  millrace demand check demand.yaml
  millrace demand check --region eu-west --json demand.yaml | jq .faults`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			report, err := checkDemand(args[0], region, c.InOrStdin())
			switch {
			case err != nil:
				return err
			case asJSON:
				err = writeJSON(c, report)
			case report.OK:
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s: good: %d partners (%d near), %d floors\n", report.File, report.Partners, report.Near, report.Floors)
			default:
				printFaults(c, report.File, report.Faults)
			}
			if err == nil && !report.OK {
				return errReported
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().StringVar(&region, "region", "", "the node's region, whose endpoints are near")
	return c
}

func checkDemand(file, region string, stdin io.Reader) (demandReport, error) {
	report := demandReport{File: file, Faults: strict.Faults{}}
	var data []byte
	var err error
	if file == "-" {
		report.File = "standard input"
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return report, fmt.Errorf("cannot read the demand file: %w", err)
	}
	book, faults := partners.Check(report.File, data, partners.Options{Region: region, Now: unit.WallTime(time.Now().UnixNano())})
	report.Faults = append(report.Faults, faults...)
	if report.OK = book != nil; report.OK {
		near := *book.Near()
		report.Partners, report.Near, report.Floors = len(book.Order), near.Len(), book.Floors()
	}
	return report, nil
}
