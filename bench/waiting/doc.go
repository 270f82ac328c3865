// Command waiting measures what not waiting for late bids costs and brings.
//
//	go run ./bench/waiting                            # the table
//	go run ./bench/waiting -svg docs/waiting.svg      # and the picture
//	go run ./bench/waiting -write calls.csv           # the record itself
//	go run ./bench/waiting -read calls.csv            # somebody else's record
//
// A record says of each auction how long each partner took and what it bid.
// Every policy meets the same record, with the production Desk and Collector
// (engine/demand) under a clock that the replay moves; they learn as they go,
// and only what comes after the first tenth of a record is counted. What a
// policy earns is the sum of the highest bids that came before it stopped.
//
// The record is made from a seed:
//
//   - Partners have median latencies of 12 to 60 ms, log-uniform; latencies are
//     log-normal around them with σ 0.25 to 0.45; a bid takes a quarter longer
//     than no bid; 2 % take three times as long, 0.5 % never come.
//   - They bid in 5 to 45 % of auctions, median prices of 0.5 to 3 CPM,
//     log-normal with σ 0.6, all of an auction times what its user is worth:
//     log-normal with σ 0.5, so that who bids high does so where others do.
//   - Two of them change in the middle of the record: one takes twice as long
//     from then on, one bids half as often.
//
// With -corpus the prices are instead drawn from those of the recorded exchanges
// (openrtb/dsp-exchanges.jsonl of the shared corpus), times what partner and
// user are worth.
package main
