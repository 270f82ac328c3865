package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"millrace/codec/strict"
	"millrace/shards"
	"millrace/state/audit"
	"millrace/state/outbox"
)

// AuditConfig keeps a copy of the journal that proves itself.
type AuditConfig struct {
	Enabled bool         `yaml:"enabled" help:"keep a hash-linked, signed copy of every money record in the data folder; millrace audit verify checks it"`
	Keep    strict.Bytes `yaml:"keep" help:"size of the copy, beyond which its oldest files go; 0 keeps all"`
	KeyFile string       `yaml:"key_file" help:"file with the private key that signs, 64 hexadecimal digits; empty is one made at the first start and kept in the data folder"`
}

// auditKeyFile is the key in a data folder.
const auditKeyFile = "audit.key"

// startAudit begins to copy. A chain that can't go on is no reason not to serve:
// the journal has the records, and the metric and the log tell.
func (n *Node) startAudit(files outbox.FS) error {
	if !n.cfg.Audit.Enabled {
		if slices.Contains(n.journal.Cursors(), audit.CursorName) {
			n.log.Warn("the journal's files are held for the audit chain, which is off; set audit.enabled, or remove the cursor with the node stopped",
				"cursor", filepath.Join(n.dataFolder, "journal", audit.CursorName+".cur"), "up_to", n.cfg.Budget.JournalHold)
		}
		return nil
	}
	key, err := auditKey(n.cfg.Audit.KeyFile, n.dataFolder)
	if err != nil {
		return fmt.Errorf("audit.key_file: %w", err)
	}
	c := audit.Default()
	c.Dir, c.Node, c.Key, c.KeepBytes, c.FS = n.dataFolder+"/audit", n.journal.Node(), key, int64(n.cfg.Audit.Keep), files
	drain, err := openAudit(c, n.journal)
	n.measureAudit(drain)
	if err != nil {
		n.log.Error("no audit copy is kept until this is mended; the journal keeps the records", "error", err)
		return nil
	}
	n.audit = drain
	drain.Start(n.log)
	head := drain.Status().Head
	n.log.Info("audit chain", "key", hex.EncodeToString(key.Public().(ed25519.PublicKey)), "records", head.Records, "head", head.String())
	return nil
}

func openAudit(c audit.Config, j *outbox.Journal) (*audit.Drain, error) {
	chain, err := audit.Open(c)
	if err != nil {
		return nil, err
	}
	drain, err := audit.NewDrain(chain, j)
	if err != nil {
		return nil, errors.Join(err, chain.Close())
	}
	return drain, nil
}

func (n *Node) measureAudit(d *audit.Drain) {
	status := func() audit.Status {
		if d == nil {
			return audit.Status{Err: audit.ErrBroken}
		}
		return d.Status()
	}
	n.registry.CounterFunc(shards.Desc{Name: "millrace_audit_records", Help: "Records sealed in the audit chain since the start."},
		func() float64 { return float64(status().Records) })
	n.registry.CounterFunc(shards.Desc{Name: "millrace_audit_written", Help: "Bytes written to the audit chain.", Unit: shards.Bytes},
		func() float64 { return float64(status().Bytes) })
	n.registry.CounterFunc(shards.Desc{Name: "millrace_audit_missed", Help: "Journal removed before it was copied, for budget.journal_hold.", Unit: shards.Bytes},
		func() float64 { return float64(status().MissedBytes) })
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_audit_lag", Help: "Journal not yet in the audit chain.", Unit: shards.Bytes},
		func() float64 { return float64(status().LagBytes) })
	n.registry.GaugeFunc(shards.Desc{Name: "millrace_audit_broken", Help: "1 when the audit chain takes no more records: see the log, and millrace audit verify."},
		func() float64 {
			if status().Err != nil {
				return 1
			}
			return 0
		})
}

// auditKey is the configured private key or, where none is, that of the data
// folder, made if there is none.
func auditKey(file, dataFolder string) (ed25519.PrivateKey, error) {
	own := file == ""
	if own {
		file = filepath.Join(dataFolder, auditKeyFile)
	}
	text, err := os.ReadFile(file)
	if own && errors.Is(err, fs.ErrNotExist) {
		seed := make([]byte, ed25519.SeedSize)
		if _, err := rand.Read(seed); err != nil {
			return nil, err
		}
		return ed25519.NewKeyFromSeed(seed), writeSecret(file, hex.EncodeToString(seed)+"\n")
	}
	if err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s: want %d hexadecimal digits", file, 2*ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// AuditPublicKey is the public key of the chain in a data folder, from its
// private key.
func AuditPublicKey(dataFolder string) (ed25519.PublicKey, error) {
	if _, err := os.Stat(filepath.Join(dataFolder, auditKeyFile)); err != nil {
		return nil, err
	}
	key, err := auditKey("", dataFolder)
	if err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil
}
