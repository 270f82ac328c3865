// Package profile owns what a shard remembers about its users: in a Table the
// frequency caps (how many impressions of a line item a user was given in the
// current window), and in Users what they saw and clicked, for prediction.
//
// A Table belongs to one shard and is reached only inside that shard's
// callbacks; it has no lock, reads no clock and allocates nothing after New.
//
//	(user, line) ──hash(seed)──► home slot ──linear probe──► first empty slot ends the search
//
//	slot, 32 bytes, two a cache line, no pointer:
//	┌────────┬────────┬──────────────┬────────────────┬───────────┐
//	│ user 8 │ line 8 │ start 8      │ window, ms 6   │ count 2   │
//	└────────┴────────┴──────────────┴────────────────┴───────────┘
//
// The window is fixed, and starts with the user's first impression in it. The
// alternative, a sliding log of timestamps, is exact at the edges and costs
// memory in proportion to the cap; with a fixed window a user may see up to
// 2 × cap − 1 impressions in one window's length across an edge, which is what
// the trade means by "n per day", and a slot stays half a cache line.
//
// The table is bounded. A slot whose window is over is reused by the next
// arrival that probes it, and Sweep gives back the others. When no slot is free
// the answer is called Full, and it is counted: a capped line item whose
// impressions cannot be remembered is not served (a cap is a promise to the
// user and to the advertiser; losing an impression breaks neither).
//
// # Users
//
//	user ──hash(seed)──► a set of 8 slots: 8 tags in half a cache line, 8 × 256 bytes
//
//	┌──────────────────┬─────────────────┬───────────────┬──────────┐
//	│ id, times,       │ 8 advertisers   │ 4 categories  │ 4 lines  │
//	│ 4 decayed counts │ met last        │ met last      │ met last │
//	└──────────────────┴─────────────────┴───────────────┴──────────┘
//
// Counts fade exponentially, over a day or a month, so that no log of events is
// kept and none has to be walked. A set is full when its eight slots are: the
// user not heard of for longest is forgotten for the next. Nothing is refused,
// nothing probed further, nothing swept: a prediction may forget, a cap may not,
// which is why caps stand in a table of their own. 10 million users with a
// quarter to spare take 3.25 GB over all shards.
//
// Lifetime: counts are memory only. A restart forgets them; the caps then start
// a new window, and users are strangers, which is stated in the configuration
// reference.
//
// Who may import it: engine. It imports codec/unit, and shards for the distance
// between cache lines.
package profile
