// Package campaign owns the catalog: advertisers, campaigns, line items and
// creatives, read from a file, compiled into an immutable snapshot with a
// targeting index, and swapped whole when the file changes.
//
//	catalog.yaml ──Parse──► File ──Compile──► Snapshot ──Watcher──► atomic pointer
//	                  │              │           │                        │
//	                  └─ Faults ─────┘           ├─ Lines, Creatives,     └─► each shard takes it
//	             (all of them, with line         │  Campaigns, Accounts       between two batches
//	              and remedy; the old            └─ index: bitmaps
//	              snapshot stays)
//
//	request ──► Query (value ids) ──MatchRequest──► Bitmap ──MatchImp──► Bitmap of line items
//	                                    ▲                                 best tier first
//	             Activity.At(now) ──────┘ dates, dayparts, pauses
//
// Lifetimes: a Snapshot never changes and may be kept as long as somebody uses
// it; indices (LineIndex, CreativeIndex, …) mean something within one snapshot
// only, ids (unit.LineID, …) for ever. Query, Bitmap and Activity belong to one
// goroutine and are reused; nothing on the way from request to candidates
// allocates.
//
// Targeting: within one dimension any value will do, all dimensions must hold,
// and an exclusion always wins. Site, app and bundle are one dimension. A value
// that the request does not give passes only where nothing was asked for; it is
// never excluded.
package campaign
