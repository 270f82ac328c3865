// Package embedded is the BudgetStore of a node without servers: the budgets
// are what the node's own journal says, and a grant is a record in it.
//
// One process is store and holder at once, they die together: so a lease needs
// no expiry by the clock and no fencing beyond its epoch. What a dead epoch had
// not spent comes back when the home shard returns it.
//
//	Grant ─► check and deduct (mutex) ─► journal ─► durable ─► Deliver
//
// A grant counts from the moment it is checked and is answered when it is on
// disk; all grants that come while the disk is busy share the next sync. The
// mutex is held for the check only: shards meet here a few times a second, not
// once a request.
package embedded
