// Package unit holds the defined integer types that cross package borders:
// money, ids and time. A bare int64 never does.
//
// Money is int64 nanos (1e-9) of a named currency. A CPM in micros is, digit
// for digit, the price of one impression in nanos, so an impression's price is
// exact and nothing is rounded before invoicing.
//
// Ids of catalog objects are 64-bit hashes of the names written in the catalog
// file. They are the same on every node, after every restart and every reload,
// so that tokens and journals need no numbering table; the catalog compiler
// refuses two names that collide.
//
// Every package may import unit; unit imports nothing of Millrace.
package unit
