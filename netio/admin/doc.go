// Package admin is the operator's door: an HTTP server on its own port
// (loopback by default) that shows what the node is doing and lets an operator
// reload the catalog, refund postings and change the log level. It owns its listener, its
// connections and its routes, and nothing else: everything it shows comes from
// the functions in Sources, so it imports no engine package and any goroutine
// of it may be slow without a shard noticing.
//
//	GET  /                    what is here
//	GET  /metrics             Prometheus text 0.0.4
//	GET  /config              the effective configuration, secrets masked
//	GET  /campaigns           every campaign: lines, wins, live spend
//	GET  /campaigns/{id}      one, by name or by id
//	GET  /shards              shards: pinning, queues
//	GET  /store               budgets: embedded or shared, what ledger and counter do
//	GET  /models              models: versions, trial, ladder, refusals
//	GET  /demand              bidders: tiers, health, latencies, circuits
//	POST /models/promote      a model's trial goes a stage further
//	POST /models/rollback     a model's trial ends
//	POST /refunds             postings are taken back
//	POST /reconcile           journal, ledger and budget store are compared
//	GET  /healthz, /readyz    200, or 503 with a reason
//	GET  /log/level, PUT      runtime log level
//	POST /reload              same as SIGHUP
//	GET  /debug/pprof/*       profiles
//
// # Why not on the poller
//
// Hertz is run on its "standard" transport, plain net.Conn goroutines, not on
// netpoll. netpoll has one process-wide set of pollers, and ad traffic tells it
// to run handlers on the poller itself (SetRunner); a profile of thirty seconds
// or a slow scrape would then hold up every ad connection of that poller.
//
// # Who may ask
//
// There is no authentication: the default address is loopback. Two cheap rules
// keep a web page in the operator's browser from talking to it: on a loopback
// address the Host header must be a loopback name (DNS rebinding), and a
// request that changes something must not carry a foreign Origin.
package admin
