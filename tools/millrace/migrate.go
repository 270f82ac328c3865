package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/codec/strict"
	"millrace/codec/unit"
	"millrace/engine/node"
	"millrace/state/store/cockroach"
)

// migrateReport is what the command did, or would do.
type migrateReport struct {
	Dialect string `json:"dialect"`
	// Version is the database's, Latest this binary's.
	Version    int                   `json:"version"`
	Latest     int                   `json:"latest"`
	Migrations []cockroach.Migration `json:"migrations"`
	// Applied and Partitions are what this call did.
	Applied    []int    `json:"applied,omitempty"`
	Partitions []string `json:"partitions,omitempty"`
	// SQL is what would run.
	SQL     []string `json:"sql,omitempty"`
	Seconds float64  `json:"seconds"`
}

func migrateCommand() *cobra.Command {
	var url, file string
	var status, dryRun, asJSON bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the shared ledger's database up to this version",
		Long: `Makes and changes the tables of the ledger that nodes share, in a PostgreSQL or a
CockroachDB database, from migrations in this binary. They only go forward, can
run while nodes do, and run again from the start where one was cut off; one process
at a time, by a lock in the database that opens by itself when its holder is gone.
PostgreSQL also gets the partitions of the coming months.

Exit status: 0 when the database is up to date (with --status: when it is already);
1 when it is not; 2 when the call is wrong.`,
		Example: `  millrace migrate --url postgres://millrace@db.internal:5432/millrace
  millrace migrate --config node.yaml        # the database that the nodes use
  millrace migrate --status                  # what is applied, and what is missing
  millrace migrate --dry-run                 # print the SQL, change nothing
  millrace migrate --json                    # for a script`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if status && dryRun {
				return usageError{errors.New("--status and --dry-run exclude each other")}
			}
			if url == "" {
				var err error
				if url, err = configuredLedger(c, file); err != nil {
					return err
				}
			}
			return migrate(c, url, status, dryRun, asJSON)
		},
	}
	c.Flags().StringVar(&url, "url", "", "the database (default ledger.url of the configuration)")
	c.Flags().StringVar(&file, "config", "", "configuration file, YAML or JSON (default $"+node.EnvFile+")")
	c.Flags().BoolVar(&status, "status", false, "only tell what is applied and what is missing")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print the SQL that would run, and change nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// configuredLedger is the database that a node with this configuration uses. Only
// what is said of the ledger needs to be right.
func configuredLedger(c *cobra.Command, file string) (string, error) {
	cfg, _, all := node.Load(file, os.Environ(), nil)
	var faults strict.Faults
	for _, f := range all {
		if f.Field == "" || strings.HasPrefix(strings.ToLower(f.Field), "ledger.") || strings.HasPrefix(f.Field, node.EnvPrefix+"LEDGER_") {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		printFaults(c, "configuration", faults)
		return "", errReported
	}
	if cfg.Ledger.URL == "" {
		return "", usageError{errors.New("no database: give --url postgres://user@host:port/database, or a configuration with ledger.url")}
	}
	return cfg.Ledger.LedgerURL()
}

func migrate(c *cobra.Command, url string, status, dryRun, asJSON bool) error {
	began := time.Now()
	ctx := c.Context()
	m, err := cockroach.NewMigrator(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close(context.WithoutCancel(ctx)) }()
	report := migrateReport{Dialect: string(m.Dialect())}
	if !status && !dryRun {
		m.Say = func(format string, args ...any) { fmt.Fprintf(c.ErrOrStderr(), "millrace: "+format+"\n", args...) }
		done, partitions, err := m.Run(ctx, unit.WallTime(began.UnixNano()))
		for _, d := range done {
			report.Applied = append(report.Applied, d.Version)
		}
		report.Partitions = partitions
		if err != nil {
			return err
		}
	}
	if report.Migrations, report.Version, err = m.Status(ctx); err != nil {
		return err
	}
	report.Latest = len(report.Migrations)
	if dryRun {
		report.SQL = pendingSQL(report.Migrations)
	}
	report.Seconds = time.Since(began).Seconds()
	if asJSON {
		err = writeJSON(c, report)
	} else {
		err = report.print(c, status, dryRun)
	}
	if err == nil && status && !report.current() {
		return errReported
	}
	return err
}

func (r *migrateReport) current() bool {
	for _, m := range r.Migrations {
		if m.Applied.IsZero() || m.Changed {
			return false
		}
	}
	return true
}

func pendingSQL(list []cockroach.Migration) (sql []string) {
	for _, m := range list {
		if m.Applied.IsZero() {
			sql = append(sql, m.Statements...)
		}
	}
	return sql
}

func (r *migrateReport) print(c *cobra.Command, status, dryRun bool) error {
	out := c.OutOrStdout()
	for _, sql := range r.SQL {
		if _, err := fmt.Fprintf(out, "%s;\n\n", sql); err != nil {
			return err
		}
	}
	if dryRun {
		_, err := fmt.Fprintf(c.ErrOrStderr(), "millrace: %d statements, none was run\n", len(r.SQL))
		return err
	}
	if status {
		for _, m := range r.Migrations {
			state := "missing"
			switch {
			case m.Changed:
				state = "applied " + m.Applied.Format(time.RFC3339) + " with another text than this binary's"
			case !m.Applied.IsZero():
				state = "applied " + m.Applied.Format(time.RFC3339)
			}
			if _, err := fmt.Fprintf(out, "%4d  %-20s %s\n", m.Version, m.Name, state); err != nil {
				return err
			}
		}
	}
	for _, p := range r.Partitions {
		if _, err := fmt.Fprintf(out, "made partition %s\n", p); err != nil {
			return err
		}
	}
	said := fmt.Sprintf("version %d of %d", r.Version, r.Latest)
	if r.Version > r.Latest {
		said = fmt.Sprintf("version %d, which is newer than this binary's %d; it serves", r.Version, r.Latest)
	}
	_, err := fmt.Fprintf(out, "%s database at %s; %d migrations applied now (%.1f s)\n", r.Dialect, said, len(r.Applied), r.Seconds)
	return err
}
