// Package jointtest is the suite that every joint.Ledger and every joint.Counter
// passes: those in memory, which the simulator uses, and the real servers. It
// counts for itself, from answers alone.
package jointtest
