// Package blackbox tests the built binary from outside, as its users and its
// enemies meet it: over sockets, by its documented flags and files, with
// SIGHUP, SIGTERM and SIGKILL. It owns the harness that builds, starts, watches
// and ends such a server, and the oracles that judge what it answers.
//
//	test ──build once──► millrace serve --listen … --admin … --data … --config …
//	  │                       ▲   │
//	  ├── auctions, beacons ──┘   ├──► answers: strict OpenRTB types that others wrote
//	  ├── signals, reloads        ├──► GET /campaigns: spend
//	  └── its own log of what     └──► journal in --data, recounted
//	      was sent and acknowledged
//
// Nothing here reaches into the server: what a test knows, it learned as a
// client, or read from the files that the server left after it was killed. The
// signing key is the exception, given to the server in its configuration, so
// that a test can read and forge tokens.
//
// When the test binary has the race detector, so has the server, and any
// report of a race in the server's log fails the test that ran it; so does a
// panic.
//
// Every test has a short form that runs in `go test ./...`, and a long one:
//
//	MILLRACE_LONG=1      all long forms
//	MILLRACE_CRASHES     number of kill -9, two thirds with long reservations (5; long 75)
//	MILLRACE_SLOW        slow connections (1500; long 10000)
//	MILLRACE_REPLAYS     corpus requests replayed (4000; long 1000000)
//	MILLRACE_MIXED       seconds of mixed traffic, reloads and restarts (6; long 60)
//	MILLRACE_CORPUS      folder of the corpus (default ../shared/corpus beside the repository)
//	MILLRACE_BINARY      test this binary instead of building one
//
// Lifetimes: a Server lives until Kill, Stop or the end of its test, whichever
// is first; the binary until the end of the test process.
package blackbox
