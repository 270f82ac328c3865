// Package servers starts the real servers that tests need, each on a loopback
// port of its own with a temporary folder, and ends it by its process id.
//
//	make deps ─► .deps ─► Kafka(t) ───────► java, KRaft, one broker ┐
//	                      Valkey(t) ──────► one, empty after Start  ├─► Kill, Pause, Resume, Start;
//	                      ValkeyCluster(t)► masters, slots shared   │   stopped with the test
//	                      Postgres(t) ────► initdb, one database    ┘
//	                      Nghttpd, Nginx ─► HTTP/2 and HTTP/1.1, with TLS or without
//	                      Command(t, name)► any other program of .deps
//
// Where what a server needs is absent, the test that asks for it is skipped and
// says what to install; so it is in -short. Servers that refuse to be root run
// as nobody where the test is root.
//
// Tests only.
package servers
