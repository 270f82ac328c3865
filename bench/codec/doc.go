// Package codec compares the parser of bid requests with others on the same
// bytes, in one run: `make bench-codec` prints the table. It has tests only.
package codec
