// Package gateway is what stands between the listener and the shards: routes,
// admission, parsing, and the choice of the owning shard.
//
//	POST /openrtb2/auction   parse in place ► user ► the shard that owns the user
//	GET  /e/i /e/c /e/v      verify the token ► the shard that may bill the win
//	GET  /healthz            200 while the process lives
//	GET  /readyz             200 once traffic is welcome, 503 before and while stopping
//
// A HEAD of a tracking URL (a link preview) is answered like the event and is
// none.
//
// It runs on the poller and never blocks. What is refused here costs no shard
// anything, and each refusal has a status, a plain reason and a counter:
//
//	400  not a request the rules allow, with the field     405  wrong method
//	403  forged token, unknown key, token of another kind  410  token expired
//	404  no such path                                      415  not JSON
//	503  mailbox full, or not ready; Retry-After
package gateway
