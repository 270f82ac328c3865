// Package breaker takes calls away from who can't serve them: from one partner
// (Breaker), or step by step from all of them (Stage).
//
//	         errors, p95 or lies over the limit, or Retry-After
//	Closed ──────────────────────────────────────────────────► Open
//	  ▲  ▲                                                      │ its time is over
//	  │  └── enough probes, few enough of them bad ── HalfOpen ◄┘
//	  │                                             │    ▲
//	  └─ stays closed as long as it was open:       └────┘ probes bad: open again,
//	     the next opening is a short one again             twice as long
//
// Where a window holds too few calls for a share of them to mean something,
// failures in a row open it: see rows.
//
// The limit for closing is half of that for opening, and the time of being open
// doubles until a circuit has stayed closed for as long as it was open last:
// who is on the edge is asked less and less, not on and off.
//
// Pure values under an injected clock, owned by a shard; nothing allocates.
package breaker
