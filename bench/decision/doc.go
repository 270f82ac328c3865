// Package decision measures the whole decision in process, from a request's
// bytes to the answer's: parsing, targeting, auction, reservation, signing and
// rendering, without a socket. Its tests gate allocations; its benchmarks are
// run by `make bench`.
package decision
