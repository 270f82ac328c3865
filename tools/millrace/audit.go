package main

import (
	"crypto/ed25519"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"millrace/engine/node"
	"millrace/state/audit"
	"millrace/state/outbox"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verify the copy of the journal that proves itself",
		Long: `A node keeps a copy of every money record in which each is hashed together with all
before it, and the hash is signed once a second (audit.enabled). What was changed,
cut, moved, added or removed since is found, and the first bad place is named.`,
		Example: `  millrace audit verify --data /var/lib/millrace
  millrace audit ddl | clickhouse-client --multiquery`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(auditVerifyCommand(), auditExportCommand(), auditDDLCommand())
	return c
}

type auditOptions struct {
	data, key, head string
	noJournal       bool
	asJSON, asCSV   bool
}

func (o *auditOptions) register(c *cobra.Command) {
	c.Flags().StringVar(&o.data, "data", "", "data folder of a node; only read")
	c.Flags().StringVar(&o.key, "key", "", "trusted public key, 64 hexadecimal digits, or a file of it (default that of the data folder)")
	c.Flags().StringVar(&o.head, "head", "", "a head that was kept elsewhere, or a file of it: the chain must contain it")
}

// options reads the flags; path is the chain.
func (o *auditOptions) options(args []string) (path string, a audit.Options, err error) {
	a.FS = outbox.ReadFS()
	switch {
	case (o.data == "") == (len(args) == 0):
		return "", a, usageError{errors.New("name one chain: --data FOLDER of a node, or the path of a chain's folder or exported file")}
	case o.data != "":
		path = filepath.Join(o.data, "audit")
		if a.Key, err = node.AuditPublicKey(o.data); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return "", a, err
		}
		if journal := filepath.Join(o.data, "journal"); !o.noJournal && isFolder(journal) {
			a.Journal = journal
		}
	default:
		path = args[0]
		if _, err := os.Stat(path); err != nil {
			return "", a, inputError{err}
		}
		a.Exported = !isFolder(path)
	}
	if o.key != "" {
		text := fileOr(o.key)
		key, err := hex.DecodeString(text)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return "", a, usageError{fmt.Errorf("--key %q: want %d hexadecimal digits, or a file of them", text, 2*ed25519.PublicKeySize)}
		}
		a.Key = key
	}
	if o.head != "" {
		h, err := audit.ParseHead(fileOr(o.head))
		if err != nil {
			return "", a, usageError{fmt.Errorf("--head: %w", err)}
		}
		a.Head = &h
	}
	return path, a, nil
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// fileOr is what the file of that name says, or the text itself.
func fileOr(text string) string {
	if b, err := os.ReadFile(text); err == nil {
		return strings.TrimSpace(string(b))
	}
	return text
}

// auditReport is the answer of verify.
type auditReport struct {
	Path  string       `json:"path"`
	OK    bool         `json:"ok"`
	Fault *audit.Fault `json:"fault,omitempty"`
	audit.Report
}

func auditVerifyCommand() *cobra.Command {
	var o auditOptions
	c := &cobra.Command{
		Use:   "verify [FOLDER|FILE]",
		Short: "Prove that no record was changed since",
		Long: `Reads an audit chain from end to end: every hash, every signature, the head. With
--data also every record of the journal that is still there, byte by byte, whether
the node runs or not. A path is a chain's folder, or a file that audit export --chain
wrote.

Without a trusted key the chain's own is taken: that proves it whole, and not who
wrote it. A chain that was cut at a seal together with its head is whole by itself:
the journal tells, and so does a head kept elsewhere (--head). The last line of the
output is the head to keep.

Exit status: 0 when all of it is as it was written, 1 with the first bad place.`,
		Example: `  millrace audit verify --data /var/lib/millrace
  millrace audit verify chain.aud --key "$(cat millrace.pub)" --head kept-in-the-safe.txt
  millrace audit verify --data /var/lib/millrace --json | jq .fault`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path, a, err := o.options(args)
			if err != nil {
				return err
			}
			report := auditReport{Path: path}
			report.Report, err = audit.Verify(path, a)
			if report.OK = err == nil; err != nil && !errors.As(err, &report.Fault) {
				return err
			}
			if o.asJSON {
				err = writeJSON(c, &report)
			} else {
				err = report.print(c)
			}
			if err == nil && !report.OK {
				return errReported
			}
			return err
		},
	}
	o.register(c)
	c.Flags().BoolVar(&o.noJournal, "no-journal", false, "do not compare with the journal of --data")
	c.Flags().BoolVar(&o.asJSON, "json", false, "as JSON")
	return c
}

func (r *auditReport) print(c *cobra.Command) error {
	if !r.OK {
		fmt.Fprintf(c.ErrOrStderr(), "%s: not as it was written: %v\n", r.Path, r.Fault)
		return nil
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s: good: node %d, %d records in %d files, %d signatures, %d compared with the journal\n", r.Path, r.Node, r.Records, r.Files, r.Seals, r.Compared)
	if r.RecordsBefore > 0 {
		fmt.Fprintf(out, "%d older records are in files that were removed for audit.keep\n", r.RecordsBefore)
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(out, "the journal was removed from %d to %d before it was copied\n", g.From, g.To)
	}
	if r.Unsealed > 0 {
		fmt.Fprintf(out, "%d bytes behind the head are not sealed: being written, or of a crash\n", r.Unsealed)
	}
	trust := "the chain's own, not trusted: give --key"
	if r.Trusted {
		trust = "trusted"
	}
	_, err := fmt.Fprintf(out, "key %s (%s)\nhead %s\n", r.Key, trust, r.Head)
	return err
}

func auditExportCommand() *cobra.Command {
	var o auditOptions
	var asChain bool
	c := &cobra.Command{
		Use:   "export [FOLDER|FILE]",
		Short: "Every record of a chain, for a column store",
		Long: `Verifies a chain and prints its records on the way, in the columns of millrace audit
ddl: one line of JSON each, or CSV with a line of names (--csv). When the chain is
found bad the records before the place were printed, and the exit status is 1.

With --chain it prints the chain itself, one file that audit verify takes.`,
		Example: `  millrace audit export --data /var/lib/millrace --csv | clickhouse-client --query 'INSERT INTO millrace.audit FORMAT CSVWithNames'
  millrace audit export --data /var/lib/millrace --chain > chain.aud`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path, a, err := o.options(args)
			switch {
			case err != nil:
				return err
			case asChain && a.Exported:
				return usageError{errors.New("--chain: it is one file already")}
			case asChain:
				return exportChain(c.OutOrStdout(), path, a)
			case o.asCSV:
				w := csv.NewWriter(c.OutOrStdout())
				_ = w.Write(audit.Columns) // Error tells
				_, err = audit.Read(path, a, func(e *audit.Entry) error { return w.Write(e.Cells(nil)) })
				w.Flush()
				return errors.Join(err, w.Error())
			}
			w := json.NewEncoder(c.OutOrStdout())
			_, err = audit.Read(path, a, func(e *audit.Entry) error { return w.Encode(e.Object()) })
			return err
		},
	}
	o.register(c)
	c.Flags().BoolVar(&o.asCSV, "csv", false, "as CSV, with a line of names")
	c.Flags().BoolVar(&asChain, "chain", false, "the chain itself, as one file")
	return c
}

// exportChain verifies first: what is handed on is good, up to the head.
func exportChain(w io.Writer, dir string, a audit.Options) error {
	a.Journal = ""
	report, err := audit.Verify(dir, a)
	if err != nil {
		return err
	}
	head, err := audit.ParseHead(report.Head)
	if err != nil {
		return err
	}
	return audit.Copy(w, a.FS, dir, head)
}

func auditDDLCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ddl",
		Short: "Print the tables and views of the analytical copy",
		Long: `Prints the statements that make the audit chain's analytical copy in ClickHouse: a
table that takes what audit export prints, and views of the balances and of the
invariants that can be asked of it.`,
		Example: "  millrace audit ddl | clickhouse-client --multiquery",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), audit.DDL)
			return err
		},
	}
}
