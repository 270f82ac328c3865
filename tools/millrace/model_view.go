package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/models/bundle"
)

// inspectReport is the answer of inspect.
type inspectReport struct {
	File string `json:"file"`
	// Verified is whether the signature was checked, against --key.
	Verified bool `json:"verified"`
	bundle.Description
}

func modelInspectCommand() *cobra.Command {
	var keys []string
	var top int
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what is in a bundle",
		Long: `Shows a bundle's metadata, metrics, models, and the features they rest on, the
most important first. It may be made for another schema than this build's. The
signature is checked if a key is given.`,
		Example: `  millrace model inspect model.bundle
  millrace model inspect model.bundle --json | jq '.models[0].features[:5]'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			trusted, err := readPublicKeys(keys)
			if err != nil {
				return err
			}
			b, err := inspectFile(args[0], trusted)
			if err != nil {
				return err
			}
			r := inspectReport{File: args[0], Verified: len(trusted) > 0, Description: b.Describe()}
			if asJSON {
				return writeJSON(c, r)
			}
			return r.writeText(c.OutOrStdout(), top)
		},
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "public key, or the file of one; may be given several times")
	c.Flags().IntVar(&top, "top", 10, "how many features of each model to show")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, all features")
	return c
}

func inspectFile(file string, keys []ed25519.PublicKey) (*bundle.Bundle, error) {
	text, err := bundle.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Inspect(text, keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

// lines collects text; the first error of writing ends it.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) printf(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.w, format, args...)
	}
}

func (r *inspectReport) writeText(w io.Writer, top int) error {
	l := &lines{w: w}
	checked := "not checked; give --key"
	if r.Verified {
		checked = "good"
	}
	l.printf("%s version %d, trained %s, %d bytes\n", r.Name, r.Version, r.Created.Format(time.RFC3339), r.Bytes)
	l.printf("signed by key %s (%s)\n", r.Key, checked)
	served := "this build's"
	if !r.Schema.Served {
		served = "not this build's: a server of this build refuses it"
	}
	l.printf("schema %.12s… version %d, %d columns: %d user, %d context, %d ad, %d cross (%s)\n", r.Schema.SHA256, r.Schema.Version, r.Schema.Columns,
		r.Schema.Groups["user"], r.Schema.Groups["context"], r.Schema.Groups["ad"], r.Schema.Groups["cross"], served)
	l.printf("%d golden rows, equal bit for bit by every kernel\n", r.Golden)
	for _, m := range r.Models {
		l.printf("\n%s: %s, %d trees, %d leaves (largest tree %d)\n", m.Part, m.Trainer, m.Trees, m.Leaves, m.LeavesMost)
		l.printf("  nodes: %d on the request, %d on the ad, %d on both\n", m.Sides["request"], m.Sides["ad"], m.Sides["cross"])
		if m.SegmentBy != "" {
			l.printf("  calibrated by %s: %d segments of their own\n", m.SegmentBy, len(m.Segments))
		}
		for _, f := range m.Features[:min(max(top, 0), len(m.Features))] {
			l.printf("  %s %5.1f %%  %s  %d splits\n", bar(f.Share, 12), 100*f.Share, pad(f.Column, 32), f.Splits)
		}
	}
	l.object("metrics", r.Metrics)
	l.object("data", r.Data)
	return l.err
}

// object writes a JSON object of the trainer as it is, indented.
func (l *lines) object(name string, text json.RawMessage) {
	if len(text) == 0 {
		return
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		l.err = err
		return
	}
	l.printf("\n%s\n", name)
	l.value("  ", value)
}

func (l *lines) value(indent string, v any) {
	object, nested := v.(map[string]any)
	if !nested {
		l.printf("%s%v\n", indent, v)
		return
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch x := object[name].(type) {
		case map[string]any:
			l.printf("%s%s\n", indent, name)
			l.value(indent+"  ", x)
		case float64:
			l.printf("%s%s %.6g\n", indent, name, x)
		default:
			l.printf("%s%s %v\n", indent, name, x)
		}
	}
}

// diffReport is the answer of diff.
type diffReport struct {
	From string `json:"from"`
	To   string `json:"to"`
	bundle.Difference
}

func modelDiffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Compare two bundles",
		Long: `Says what changed from one bundle to another: metadata, features, metrics and,
where both read the same columns, what each predicts for the golden rows of
both. Signatures are not checked.

Exit status: 0 when they could be compared, alike or not.`,
		Example: `  millrace model diff model-41.bundle model-42.bundle
  millrace model diff old.bundle new.bundle --json | jq .predictions`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			from, err := inspectFile(args[0], nil)
			if err != nil {
				return err
			}
			to, err := inspectFile(args[1], nil)
			if err != nil {
				return err
			}
			r := diffReport{From: args[0], To: args[1], Difference: bundle.Diff(from, to)}
			if asJSON {
				return writeJSON(c, r)
			}
			return r.writeText(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (r *diffReport) writeText(w io.Writer) error {
	l := &lines{w: w}
	for _, f := range r.Fields {
		l.printf("%s %s → %s\n", pad(f.Field, 20), f.From, f.To)
	}
	for _, f := range []struct {
		name string
		list []string
	}{{"features added", r.Features.Added}, {"features removed", r.Features.Removed}, {"features changed", r.Features.Moved}} {
		if len(f.list) > 0 {
			l.printf("%s %s\n", pad(f.name, 20), strings.Join(f.list, ", "))
		}
	}
	for _, m := range r.Metrics {
		if from, to := number(m.From), number(m.To); from != to {
			l.printf("%s %s → %s\n", pad("metrics."+m.Metric, 40), from, to)
		}
	}
	if r.Predictions == nil {
		l.printf("predictions can not be compared: the two read different columns\n")
	}
	for _, p := range r.Predictions {
		l.printf("%s over %d golden rows: mean rate %.6g → %.6g, moved by %.3g on average and %.3g at most\n", pad(p.Part, 12), p.Rows, p.MeanFrom, p.MeanTo, p.MeanMove, p.MostMove)
	}
	return l.err
}

func number(v *float64) string {
	if v == nil {
		return "none"
	}
	return fmt.Sprintf("%.6g", *v)
}
