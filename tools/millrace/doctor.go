package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"millrace/engine/node"
)

// status of one check.
type status string

const (
	statusOK   status = "ok"
	statusWarn status = "warn"
	statusFail status = "fail"
)

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	Status status `json:"status"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

func good(format string, args ...any) finding {
	return finding{Status: statusOK, Detail: fmt.Sprintf(format, args...)}
}

func warn(remedy, format string, args ...any) finding {
	return finding{Status: statusWarn, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

func bad(remedy, format string, args ...any) finding {
	return finding{Status: statusFail, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

// checks in the order they are shown. Each looks at the machine as the
// configuration would use it, changes nothing, and takes well under a second.
var checks = []struct {
	name string
	run  func(cfg node.Config) finding
}{
	{"open files", checkFiles},
	{"cores", checkCores},
	{"pinning", checkPinning},
	{"go threads", checkThreads},
	{"ports", checkPorts},
	{"accept queue", checkAcceptQueue},
	{"clock", checkClock},
	{"wall clock", checkWallClock},
	{"time zones", checkZones},
	{"data folder", checkData},
	{"memory", checkMemory},
	{"catalog", checkCatalogFile},
	{"ledger", checkLedger},
	{"valkey", checkValkey},
}

type doctorReport struct {
	OK       bool      `json:"ok"` // nothing failed
	Findings []finding `json:"findings"`
}

func doctorCommand() *cobra.Command {
	var f configFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Is this machine fit to serve?",
		Long: `Checks the machine against the configuration that serve would use: limits,
cores and pinning, ports, clocks, time zones, data folder, memory, catalog, and
the ledger and the counter that nodes share. Each
check says ok, warn (it serves, but not as it could) or fail (it does not), and
what to do about it. Nothing is changed; a running server on the same ports is
seen as ports that are taken.

Exit status: 0 when nothing failed, 1 otherwise.`,
		Example: `  millrace doctor
  millrace doctor --config millrace.yaml --json | jq '.findings[] | select(.status != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := f.load(c)
			if err != nil {
				return err
			}
			report := diagnose(cfg)
			if asJSON {
				err = writeJSON(c, report)
			} else {
				err = report.writeText(c.OutOrStdout())
			}
			if err == nil && !report.OK {
				return errReported
			}
			return err
		},
	}
	f.register(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func diagnose(cfg node.Config) doctorReport {
	report := doctorReport{OK: true}
	for _, check := range checks {
		found := check.run(cfg)
		found.Check = check.name
		report.OK = report.OK && found.Status != statusFail
		report.Findings = append(report.Findings, found)
	}
	return report
}

func (r doctorReport) writeText(w io.Writer) error {
	counts := map[status]int{}
	for _, f := range r.Findings {
		counts[f.Status]++
		if _, err := fmt.Fprintf(w, "%-4s  %-12s  %s\n", f.Status, f.Check, f.Detail); err != nil {
			return err
		}
		if f.Remedy != "" && f.Status != statusOK {
			if _, err := fmt.Fprintf(w, "%20s→ %s\n", "", f.Remedy); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n%d ok, %d to look at, %d failed\n", counts[statusOK], counts[statusWarn], counts[statusFail])
	return err
}

// shardCount is how many shards the configuration comes to here.
func shardCount(cfg node.Config) int {
	switch {
	case cfg.Shards > 0:
		return cfg.Shards
	case len(cfg.CPUs) > 0:
		return len(cfg.CPUs)
	}
	return usableCores()
}

func checkPorts(cfg node.Config) finding {
	for _, a := range []struct{ name, address string }{{"listen", cfg.Listen}, {"admin", cfg.Admin}} {
		if err := portFree(a.address); err != nil {
			return bad(fmt.Sprintf("stop what holds it (ss -ltnp), or choose another --%s", a.name), "%s %s: %v", a.name, a.address, err)
		}
	}
	return good("%s and %s are free", cfg.Listen, cfg.Admin)
}

func checkZones(node.Config) finding {
	for _, zone := range []string{"UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo", "America/Sao_Paulo"} {
		if _, err := time.LoadLocation(zone); err != nil {
			return bad("install the system's tzdata package", "%s: %v", zone, err)
		}
	}
	return good("the database is there (the system's, else the one in this binary)")
}

func checkCatalogFile(cfg node.Config) finding {
	if cfg.Catalog == "" {
		return good("the bundled demo catalog")
	}
	report, err := checkCatalog(cfg.Catalog, nil)
	switch {
	case err != nil:
		return bad("check the path and its permissions", "%v", err)
	case !report.OK:
		return bad("millrace campaigns check "+cfg.Catalog+" lists them", "%s has %d faults", cfg.Catalog, len(report.Faults))
	}
	return good("%s: %d line items in %.2f s", cfg.Catalog, report.LineItems, report.Seconds)
}
