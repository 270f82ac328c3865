// Package kafka carries the journal's spend events to a Kafka topic.
//
//	journal ─ synced ─► Tail ─► window ─► idempotent producer ─► topic, by campaign
//	   ▲                          │                                   │
//	   └────── Cursor ◄── all before it acknowledged ◄── acks=all ────┘
//
// The journal is the buffer of record: events are read from its files and never
// from memory, the window (what is sent and not acknowledged) is bounded, and
// while it is full nothing is read. A broker that is down costs disk only, up to
// the journal's bound on held segments; no request waits for it, and readiness
// does not ask. The cursor moves when every event before it is acknowledged by
// all in-sync replicas, so an event is delivered at least once, whatever dies.
//
// # Messages
//
// The key is the campaign's id, 16 hexadecimal digits, the partitioner Kafka's
// own: a campaign's events stay in one partition, in journal order of the node.
// The value is one line of JSON:
//
//	v           1, the version of this form; fields may be added under it
//	node, epoch whose journal, and which life of the node wrote the event
//	seq         the event's place in that journal, 16 hexadecimal digits, rising
//	kind        "posted" (billed), "recorded" (seen and not billed) or "refunded" (billed
//	            before, and taken back: subtract the amount)
//	event       impression, click, conversion, …
//	reason      of "recorded": why it was not billed; of "refunded": why it is not to be paid
//	win         the auction won, node-epoch-shard-seq
//	time_ms     when it was written, Unix milliseconds; also the message's timestamp
//	hlc         hybrid logical clock, 16 hexadecimal digits: orders causally related events of all nodes
//	issued      when the win's token was signed, Unix seconds
//	campaign, line, creative, user   ids, 16 hexadecimal digits
//	currency, amount                 what is billed or refunded, in nanos of the currency (1e-9), a whole number
//	from        the leases it was taken from: account (hexadecimal), day (since 1970), epoch
//	policy      what chose the win: model, epoch, arm, rung, explored, click, conversion, other, propensity
//	sale        of reason "resold", an impression that a bidder has and owes the amount for: buyer, and what we bid
//	            the exchange and what it reported to charge (bid, reported; nanos of the sale's currency)
//
// Consumers drop what they have by (node, epoch, seq), or by (kind, win, event): of
// a win's event there is one posting and at most one refund; both are unique for ever. A repeat can come after
// later events, so a highest number seen is not enough.
//
// JSON, since what reads it is not ours: stream processors and columnar stores
// take it without a schema registry or generated code, LZ4 takes the repeated
// names back out, and encoding costs a microsecond off the hot path. Identifiers
// are text: many readers' numbers end at 2⁵³.
package kafka
