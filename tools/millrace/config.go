package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"millrace/codec/strict"
	"millrace/engine/node"
)

// configFlags are the flags of every command that needs the configuration.
type configFlags struct {
	file string
	set  []string
	// given maps a flag to the field it overrides.
	given map[string]string
}

// flagOf are the fields with a flag of their own; the others have --set.
var flagOf = []struct{ flag, field, help string }{
	{"listen", "listen", "address of the ad server (default 127.0.0.1:8080)"},
	{"admin", "admin", "address of the admin server (default 127.0.0.1:8081)"},
	{"data", "data", "folder of the journal and the budgets (default a temporary one)"},
	{"catalog", "catalog", "catalog file (default the bundled demo catalog)"},
	{"demand", "demand.file", "demand file: bidders to ask beside our own campaigns (default none)"},
	{"shards", "shards", "number of shards (default one per usable core)"},
	{"cpus", "cpus", "CPUs to pin the shards to, e.g. 0,1 or 0-3"},
	{"dispatch", "dispatch", "how a request reaches its shard: inline or hop (default inline)"},
	{"pollers", "pollers", "number of network pollers (default by cores)"},
	{"public-url", "public_url", "start of the tracking URLs (default http:// and the listen address)"},
	{"log-level", "log_level", "debug, info, warn or error (default info)"},
}

func (f *configFlags) register(flags *pflag.FlagSet) {
	f.given = map[string]string{}
	flags.StringVar(&f.file, "config", "", "configuration file, YAML or JSON (default $"+node.EnvFile+")")
	for _, x := range flagOf {
		flags.String(x.flag, "", x.help)
		f.given[x.flag] = x.field
	}
	flags.StringArrayVar(&f.set, "set", nil, "set any field, e.g. --set limits.body_bytes=2MiB; may be repeated")
}

// load reads file, environment and flags; every fault is printed.
func (f *configFlags) load(c *cobra.Command) (node.Config, node.Origins, error) {
	var overrides []node.Override
	for _, x := range flagOf {
		if flag := c.Flags().Lookup(x.flag); flag.Changed {
			overrides = append(overrides, node.Override{Field: x.field, Value: flag.Value.String(), From: "--" + x.flag})
		}
	}
	for _, s := range f.set {
		field, value, ok := strings.Cut(s, "=")
		if !ok {
			return node.Config{}, nil, usageError{fmt.Errorf("--set %q: write field=value", s)}
		}
		overrides = append(overrides, node.Override{Field: field, Value: value, From: "--set"})
	}
	cfg, origins, faults := node.Load(f.file, os.Environ(), overrides)
	if len(faults) > 0 {
		printFaults(c, "configuration", faults)
		return cfg, origins, errReported
	}
	for _, v := range node.UnknownVariables(os.Environ()) {
		// Only where it looks like a slip: others may own the rest.
		if v.Remedy != "" {
			fmt.Fprintf(c.ErrOrStderr(), "millrace: warning: %v\n", v)
		}
	}
	return cfg, origins, nil
}

func printFaults(c *cobra.Command, what string, faults strict.Faults) {
	noun := "faults"
	if len(faults) == 1 {
		noun = "fault"
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s: %d %s\n%s\n", what, len(faults), noun, faults.Error())
}

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Work with the configuration",
		Long: `The configuration comes from defaults, then a YAML or JSON file (--config), then
the environment (limits.body_bytes is MILLRACE_LIMITS_BODY_BYTES), then flags.
Unknown keys are faults.`,
		Example: "  millrace config print --help-text > millrace.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(configPrintCommand())
	return c
}

func configPrintCommand() *cobra.Command {
	var f configFlags
	var asJSON, withHelp, withOrigins bool
	c := &cobra.Command{
		Use:   "print",
		Short: "Print the effective configuration, secrets masked",
		Long: `Prints the configuration that serve would use, after file, environment and
flags. Secrets are masked. With --help-text the output is a commented file to
start from; with --origins each value says where it came from.`,
		Example: `  millrace config print
  millrace config print --help-text > millrace.yaml
  MILLRACE_SHARDS=2 millrace config print --config millrace.yaml --origins`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, origins, err := f.load(c)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c, cfg.View())
			}
			if !withOrigins {
				origins = nil
			}
			return cfg.WriteYAML(c.OutOrStdout(), node.PrintOptions{Help: withHelp, Origins: origins})
		},
	}
	f.register(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&withHelp, "help-text", false, "with each field's meaning above it")
	c.Flags().BoolVar(&withOrigins, "origins", false, "with where each value came from beside it")
	return c
}
