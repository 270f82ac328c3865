// Package servers starts the real servers that tests need, each on a loopback
// port of its own with a temporary folder, and ends it by its process id.
//
//	make deps ─► .deps ─► Kafka(t) ─► java, KRaft, one broker ─► Kill, Start, stopped with the test
//
// Where what a server needs is absent, the test that asks for it is skipped and
// says what to install; so it is in -short.
//
// Tests only.
package servers
