// Package gzip compresses and decompresses HTTP bodies from memory to memory:
// those of ad requests and their answers, on either side of a connection.
//
// The work is done by a library (klauspost/compress); this package owns what
// stands around it: the bound on what a body may become, one error for each
// way in which it can be wrong, and pools from which a coder with its tables
// comes and goes without allocation.
//
//	Pool ──► Inflater ── Append(dst, body, limit) ─► dst, or ErrTooLarge, ErrCorrupt
//	     └─► Deflater ── Append(dst, body)        ─► dst
//
// A body of several members is their concatenation (RFC 1952, 2.2). Anything
// behind the last one is no gzip and makes the body corrupt: two readers that
// disagree on where a body ends are how requests are smuggled.
//
// A coder is used by one goroutine at a time. Bytes given to it are not kept.
package gzip
