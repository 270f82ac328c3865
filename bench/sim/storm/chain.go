package storm

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"

	"millrace/state/audit"
	"millrace/state/outbox/faultfs"
)

const auditDir = "/audit"

// auditKey signs the chains of all nodes.
var auditKey = ed25519.NewKeyFromSeed([]byte("a key for simulations only, 32 b"))

// openChain goes on with the node's audit chain.
func (n *node) openChain() error {
	if !n.world.set.chained {
		return nil
	}
	c := audit.Default()
	c.Dir, c.Node, c.Key, c.FileBytes, c.KeepBytes, c.FS = auditDir, n.id, auditKey, n.world.set.segment, 0, n.world.diskOf(n)
	chain, err := audit.Open(c)
	if err == nil {
		n.chain, err = audit.NewDrain(chain, n.journal)
	}
	if errors.Is(err, audit.ErrBroken) {
		n.world.violated("I7", fmt.Sprintf("node %d: %v", n.id, err))
	}
	if err == nil {
		n.stepChain()
	}
	return err
}

// stepChain carries the journal to the chain now and then; a disk that fails ends it
// for this life.
func (n *node) stepChain() {
	life := n.lives
	n.world.after(n.world.set.calm/20, func() {
		n.enter(life, func() {
			if n.sim == nil || n.chain.Step() == nil {
				n.stepChain()
			}
		})
	})
}

// judgeChains: every chain verifies; one that was closed holds exactly the
// journal, and a byte that is changed anywhere in it is found (I7).
func (w *World) judgeChains() {
	if !w.set.chained {
		return
	}
	key := auditKey.Public().(ed25519.PublicKey)
	for _, l := range w.attic {
		if l.disk.Size(auditDir+"/head") < 0 {
			continue // it had nothing to seal yet
		}
		if _, err := audit.Verify(auditDir, audit.Options{FS: l.disk, Key: key}); err != nil {
			w.violated("I7", fmt.Sprintf("the chain of a lost disk of node %d: %v", l.node, err))
		}
	}
	for _, n := range w.nodes {
		if n.retired || n.sim != nil {
			continue
		}
		o := audit.Options{FS: n.disk, Key: key, Journal: "/journal"}
		report, err := audit.Verify(auditDir, o)
		if err != nil {
			w.violated("I7", fmt.Sprintf("node %d: %v", n.id, err))
			continue
		}
		w.flip(n, &report, audit.Options{FS: n.disk, Key: key})
	}
}

// flips is how many bytes are changed in each chain, one after the other.
const flips = 3

// flip changes bytes of a node's chain, but for those behind the last seal: where
// the disk failed the chain and not the journal they are cut off by the next life.
func (w *World) flip(n *node, report *audit.Report, o audit.Options) {
	names, err := n.disk.List(auditDir)
	if err != nil || report.Files == 0 || len(names) < report.Files {
		w.violated("I7", fmt.Sprintf("node %d has no chain: %v", n.id, err))
		return
	}
	names = append(names[:report.Files], "head") // files that the head knows come first
	for range flips {
		name := auditDir + "/" + names[w.fate.IntN(len(names))]
		size := n.disk.Size(name)
		if strings.HasSuffix(name, names[report.Files-1]) {
			size -= report.Unsealed
		}
		if size <= 0 {
			continue
		}
		at := w.fate.Int64N(size)
		if !w.flipOne(n.disk, name, at, o) {
			w.violated("I7", fmt.Sprintf("node %d: byte %d of %s was changed, and nobody noticed", n.id, at, name))
		}
		w.flipped++
	}
}

// flipOne changes a byte, and back, and reports whether that was found.
func (w *World) flipOne(disk *faultfs.FS, name string, at int64, o audit.Options) bool {
	if err := disk.Corrupt(name, at); err != nil {
		return false
	}
	_, found := audit.Verify(auditDir, o)
	return disk.Corrupt(name, at) == nil && found != nil
}

// chainEvery is how many seeds share one whose nodes keep an audit chain, which is
// most of the cost of a run.
const chainEvery = 4

func drawChained(c *Config) bool { return c.Seed%chainEvery == 0 && c.Duration < 24*time.Hour }
