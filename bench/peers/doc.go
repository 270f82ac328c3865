// Command peers compares the millrace server with a peer that does no work: a
// hertz server that answers every request with the same bytes.
//
//	go run ./bench/peers                 (make bench)
//	go run ./bench/peers --rounds 9 --duration 5s --json
//
//	this process: load ──► millrace serve     (child, demo catalog)
//	                  └──► hertz, fixed answer (child, as many bytes as millrace's mean answer)
//
// Both run at once as separate processes on the same cores, and are driven in
// turn by the same load generator with the same requests; the order swaps each
// round. What is reported is the ratio within a round, its median and spread
// over the rounds: absolute numbers of a shared machine are not comparable
// between runs, ratios within one are.
//
// Two ratios are shown. Throughput is what a client sees with the servers on
// their own core. CPU is the servers' processor time per request, which does
// not depend on what else the machine does meanwhile.
package main
