// Package memory keeps a joint.Ledger and a joint.Counter in memory: for tests of
// what is built on them, and for the simulator, in which several nodes share one
// of each.
//
//	node ── call ──► Transport ──► Ledger or Counter, one call at a time
//	     ◄── done ──           ◄──
//
// How a call gets there and its answer back is the Transport's business, which
// may lose, repeat and delay both. What is executed is executed whole: these are
// servers that never fail, behind a network that may.
package memory
