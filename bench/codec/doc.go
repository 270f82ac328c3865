// Package codec compares the parser of bid requests and answers with others on
// the same bytes, and patching with marshalling, in one run: `make bench-codec`
// prints the tables. It has tests only.
package codec
