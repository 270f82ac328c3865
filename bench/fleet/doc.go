// Package fleet runs several nodes that share their budgets through real servers,
// breaks everything in turn under load, and then counts the money.
//
//	clients ──► millrace 1, 2, 3 ──► Valkey      (counter)
//	   │             │        └────► PostgreSQL  (ledger)
//	   │             └─ journals ──► Kafka       (copies)
//	   └ own log of what was sent and acknowledged
//
// What is broken, again and again: nodes, Valkey, PostgreSQL and Kafka killed,
// a node and Valkey stopped in mid-air for longer than a lease, Valkey emptied,
// PostgreSQL restarted, Kafka away for long. After each the time is taken until
// what was broken does its work again.
//
// The judge reads the journals with bench/recount, the ledger with SQL of its
// own, the topic with a consumer of its own, and the clients' log: ledger,
// journals and topic hold the same events to the nano, all that was acknowledged
// is there, nothing twice, and no account is over its limit on any day.
//
//	go test ./bench/fleet                  half a minute, without Kafka
//	make fleet                             ten minutes, with everything
//	MILLRACE_FLEET                         seconds of faults
//
// Servers that are absent skip the test, visibly; so does -short.
package fleet
