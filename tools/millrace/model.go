package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/models/bundle"
	"millrace/models/feature"
)

func modelCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "model",
		Short: "Work with model bundles",
		Long: `A bundle is one signed file with everything that predicting needs: the models as
the trainer wrote them, the feature schema they were trained on, the calibration,
and rows with the trainer's own predictions that every server checks before the
bundle may serve.`,
		Example: `  millrace model keygen release
  millrace model sign trained/ --key release.key --out model.bundle
  millrace model verify model.bundle --key release.pub`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(modelKeygenCommand(), modelSignCommand(), modelVerifyCommand(), modelInspectCommand(), modelDiffCommand())
	return c
}

func modelKeygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen NAME",
		Short: "Make a key pair for signing bundles",
		Long: `Writes NAME.key, the private key (only its owner may read it), and NAME.pub, the
public key that servers are given. Files that exist are never overwritten. The
public key is printed, as model.keys takes it.`,
		Example: "  millrace model keygen release",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := bundle.GenerateKey()
			if err != nil {
				return err
			}
			public := bundle.FormatPublicKey(key.Public().(ed25519.PublicKey))
			for _, f := range []struct {
				name, text string
				mode       fs.FileMode
			}{{args[0] + ".key", bundle.FormatPrivateKey(key), 0o600}, {args[0] + ".pub", public, 0o644}} {
				if err := writeNew(f.name, f.text+"\n", f.mode); err != nil {
					return fmt.Errorf("%w; choose another name, or remove the file if its key is not in use", err)
				}
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), public)
			return err
		},
	}
}

// writeNew makes a file that must not exist.
func writeNew(name, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// bundleReport is the answer of sign and verify.
type bundleReport struct {
	File    string  `json:"file"`
	OK      bool    `json:"ok"`
	Reason  string  `json:"reason,omitempty"` // of a refusal, as counters name it
	Detail  string  `json:"detail,omitempty"`
	Name    string  `json:"name,omitempty"`
	Version uint64  `json:"version,omitempty"`
	Key     string  `json:"key,omitempty"`
	Bytes   int     `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// openReport opens a bundle as a server would.
func openReport(file string, text []byte, keys []ed25519.PublicKey, o bundle.Options) bundleReport {
	began := time.Now()
	r := bundleReport{File: file, Bytes: len(text)}
	b, err := bundle.Open(text, keys, feature.Default(), o)
	r.Seconds = time.Since(began).Seconds()
	if err != nil {
		r.fail(err)
		return r
	}
	r.OK, r.Name, r.Version, r.Key = true, b.Manifest.Name, b.Version(), b.Key.String()
	return r
}

func (r *bundleReport) fail(err error) {
	r.Detail = err.Error()
	var refusal *bundle.Refusal
	if errors.As(err, &refusal) {
		r.Reason, r.Detail = refusal.Reason.String(), refusal.Detail
	}
}

func (r *bundleReport) write(c *cobra.Command, asJSON bool, done string) error {
	var err error
	switch {
	case asJSON:
		err = writeJSON(c, r)
	case r.OK:
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s: %s version %d, key %s, %d bytes (%.2f s)\n", r.File, done, r.Name, r.Version, r.Key, r.Bytes, r.Seconds)
	default:
		_, err = fmt.Fprintf(c.ErrOrStderr(), "%s: refused: %s: %s\n", r.File, r.Reason, r.Detail)
	}
	if err == nil && !r.OK {
		return errReported
	}
	return err
}

func modelSignCommand() *cobra.Command {
	var key, out string
	var version uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "sign DIRECTORY",
		Short: "Pack a trained directory into a signed bundle",
		Long: `Packs what the trainer wrote (manifest.json and the files it names) into one
file, signs it, and opens it as a server would, golden rows and all. The file
appears only if that succeeds, and in one step.`,
		Example: `  millrace model sign trained/ --key release.key --out model.bundle
  millrace model sign trained/ --key release.key --out model.bundle --version 42`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			private, err := readPrivateKey(key)
			if err != nil {
				return err
			}
			text, err := bundle.Pack(args[0], bundle.PackOptions{Key: private, Version: version})
			if err != nil {
				return fmt.Errorf("cannot pack %s: %w", args[0], err)
			}
			report := openReport(out, text, []ed25519.PublicKey{private.Public().(ed25519.PublicKey)}, bundle.Options{})
			if report.OK {
				if err := writeWhole(out, text); err != nil {
					return err
				}
			}
			return report.write(c, asJSON, "signed")
		},
	}
	c.Flags().StringVar(&key, "key", "", "file of the private key (millrace model keygen makes one)")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write")
	c.Flags().Uint64Var(&version, "version", 0, "version instead of the manifest's")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	requireFlags(c, "key", "out")
	return c
}

// requireFlags makes a call without one of the flags a wrong call: cobra's own
// check would come after the arguments' and not be told from a failed run.
func requireFlags(c *cobra.Command, names ...string) {
	args := c.Args
	c.Args = func(c *cobra.Command, given []string) error {
		for _, n := range names {
			if !c.Flags().Changed(n) {
				return fmt.Errorf("--%s is missing", n)
			}
		}
		return args(c, given)
	}
}

// writeWhole replaces a file in one step: a server that reloads never reads
// half a bundle.
func writeWhole(name string, text []byte) error {
	temporary := name + ".new"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return fmt.Errorf("cannot write the bundle: %w", err)
	}
	if err := os.Rename(temporary, name); err != nil {
		return errors.Join(fmt.Errorf("cannot write the bundle: %w", err), os.Remove(temporary))
	}
	return nil
}

func readPrivateKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	key, err := bundle.ParsePrivateKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// readPublicKeys takes files and keys written out.
func readPublicKeys(from []string) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for _, f := range from {
		text := f
		if !strings.Contains(f, ":") || fileExists(f) {
			b, err := os.ReadFile(f)
			if err != nil {
				return nil, fmt.Errorf("cannot read the key: %w", err)
			}
			text = string(b)
		}
		key, err := bundle.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("--key %s: %w", f, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func modelVerifyCommand() *cobra.Command {
	var keys []string
	var inForce uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Would a server take this bundle?",
		Long: `Opens a bundle as a server does: size, signature, checksums, version, schema,
models, and the golden rows by every kernel, bit for bit.

Exit status: 0 when it would be taken, 1 when it is refused; the reason is said.`,
		Example: `  millrace model verify model.bundle --key release.pub
  millrace model verify model.bundle --key old.pub --key new.pub --in-force 41 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			trusted, err := readPublicKeys(keys)
			if err != nil {
				return err
			}
			text, err := bundle.ReadFile(args[0])
			report := bundleReport{File: args[0]}
			if err == nil {
				report = openReport(args[0], text, trusted, bundle.Options{InForce: inForce})
			} else if report.fail(err); report.Reason == "" {
				return err
			}
			return report.write(c, asJSON, "good")
		},
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "public key, or the file of one; may be given several times")
	c.Flags().Uint64Var(&inForce, "in-force", 0, "version that serves now: one that is not newer is refused")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	requireFlags(c, "key")
	return c
}
