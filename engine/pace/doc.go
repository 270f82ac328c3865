// Package pace carries budgets' pacing over the shards of a node.
//
// What an account commits happens on every shard; its plan is kept on one, the
// campaign's home, where its lease is too (engine/budget). Every ten seconds
//
//	shard  ── Committed(account, day's sum so far) ──► home   when it changed
//	shard  ── Requests(how many it had) ──────────────► all
//	home   ── Share(account, participation) ──────────► all   when it changed
//
// and each shard puts the participation into its throttle (state/pacing), which
// selection asks. Sums and shares are absolute, not deltas: a message that a
// full mailbox refused is made good by the next one.
//
// A lost or late message costs punctuality, never money: the hard stop stays
// with the lease. Accounts are visited in slices, so that a catalog of 100,000
// campaigns stalls nobody.
package pace
