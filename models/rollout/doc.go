// Package rollout brings a new model into force step by step and takes it back
// when it does worse.
//
//	          Offer               plan's shadow time           each stage's time and count
//	Steady ─────────► Shadow ───────────────────► Canary 1 % … 50 % ───────────────────► Steady, promoted
//	   ▲                │                             │
//	   └────────────────┴── RolledBack{reason} ◄──────┘   evidence, faults, or an operator
//
// A Machine says what is in force: an Assignment, a small value that the engine
// publishes to all shards together with the two bundles. Whom the challenger
// serves follows from a hash of the user and the challenger's version: the same
// user meets the same model on every shard and node, a growing share keeps the
// users it has, and the next challenger meets others. A decision asks for its
// Arm once, at its beginning.
//
// A Recorder belongs to one shard and holds no pointers. It files what happens
// under the time of the *bid*, and counts a bid only when it has matured: no
// click of it counts any more. So a click that takes minutes makes no model look
// as if it promised too much. Recorders count in fixed point, so that sums do
// not depend on the order in which shards are added.
//
// Both models predict every impression that was bought, whichever arm bought it:
// one more row for the forest a won bid. Four questions are asked of what has
// matured, each with a bound on false alarms that holds however often it is
// asked (evidence.go):
//
//   - is the challenger's log loss worse than the stable model's by more than
//     Plan.LossWorse, on the same impressions?
//   - does it promise more than Plan.CalibrationOff too much, or too little?
//   - do the users it serves bring less revenue a request, by more than
//     Plan.RevenueLess?
//   - does it fail more often than Plan.FaultsPermille?
//
// A yes rolls back at once. A stage ends well when its time and its number of
// impressions have passed without one. Every stage starts its counts anew:
// arms are only comparable over the same hours.
//
// Nothing here reads a clock or a random source; Offer, Tick, Promote and
// Rollback are given the time. Nothing is promised about more than one node:
// each runs its own Machine.
package rollout
