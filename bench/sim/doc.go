// Package sim is the seeded world around the engine: the production cores on
// simulated shards, under a clock that only the world moves, with a budget
// store and a journal kept in memory. The same seed gives the same history,
// byte for byte, thousands of times faster than real time.
//
//	World.Bid, World.Event ─► shards.Sim ─► serve.Core ─► effects ─► World
//	                              ▲                                  │
//	                              └── replies of store and journal ◄─┘
//
// The oracles in oracle.go recount from the raw history of records and answers
// and share no code with the ledger or the broker they judge.
package sim
