package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/bytedance/sonic"
	"github.com/spf13/cobra"
)

// version is set by a release build: -ldflags "-X main.version=1.2.3".
var version = ""

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func buildVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
		if v.Version == "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
	}
	if v.Version == "" {
		v.Version = "development"
	}
	return v
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print version, revision and platform",
		Example: "  millrace version --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			v := buildVersion()
			if asJSON {
				return writeJSON(c, v)
			}
			fmt.Fprintf(c.OutOrStdout(), "millrace %s", v.Version)
			if v.Revision != "" {
				fmt.Fprintf(c.OutOrStdout(), " (%.12s", v.Revision)
				if v.Modified {
					fmt.Fprint(c.OutOrStdout(), ", modified")
				}
				fmt.Fprint(c.OutOrStdout(), ")")
			}
			fmt.Fprintf(c.OutOrStdout(), " %s %s\n", v.Go, v.Platform)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// writeJSON prints v, indented, keys of maps sorted.
func writeJSON(c *cobra.Command, v any) error {
	b, err := sonic.ConfigStd.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the answer: %w", err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", b)
	return err
}
