// Package epoll is what the benches' own clients and servers stand on: an epoll
// set, the plain system calls on non-blocking sockets, and waits that end when
// they should. The load generator (bench/load) and the mock bidders
// (bench/dspfleet) drive many sockets from one goroutine with it, so that they
// cost less than what they measure. The runtime's poller would park and wake a
// goroutine for each of these calls.
//
// Linux only; elsewhere the package is empty and its users say so.
package epoll
