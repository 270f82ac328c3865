// Command demand measures whole auctions with bidders: a real millrace server,
// in a process of its own, asks a fleet of mock bidders on real sockets.
//
//	go run ./bench/demand scale      cost and added latency by the number of bidders
//	go run ./bench/demand timing     answers against the cut-off, with a fifth of the bidders hanging
//	go run ./bench/demand soak       goroutines, memory and connections over a longer run
//	go run ./bench/demand faults     one bidder goes bad and gets well: isolated when, back when, what it costs others
//
//	this process, half of the cores          the other half
//	  load ──── POST /openrtb2/auction ────► millrace serve --demand
//	   ▲  └──────────── answer ◄──────────────┘   │   ▲
//	   │                                          ▼   │
//	  recorder ◄── times of every call ── fleet of mock bidders
//
// Load and fleet are in one process, so that for each auction it is known when
// the first bidder had the request and when the last one had answered: what the
// client waited beyond that is the server's own, and the network's.
package main
