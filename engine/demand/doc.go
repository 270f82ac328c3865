// Package demand decides whom to ask for bids, for how long to wait, and whom to
// leave alone for a while. It sends nothing: engine/serve does, through netio/dsp.
//
//	request ─► Desk.Plan ─► choices ─► (patched and sent) ─► answers ─► Desk.Observe, Bid, Won
//	              ▲                       │                                  │
//	              │                  Collector.Wait: is it worth waiting?    │
//	              └── tables, health, circuits, budgets ◄── once a second ───┘
//
// # Choice
//
// The book (engine/demand/partners) says who may bid on what. Of those, tier 1
// is always asked, tier 2 where its endpoint is near and it is healthy, tier 3 on
// premium inventory; nobody whose circuit is open. They are asked in the order
// tier 1, then expected value: what an impression of the class with such a
// floor has brought the partner's calls so far, times how often its bids win.
// Each cap in calls or bytes a second has a price, which rises while its bucket
// runs dry and falls while it is full: who is not expected to bring it is left
// out, so that scarce calls go to the requests that are worth most. What the
// ladder of the stage or the fan-out leaves no room for is left out last.
//
// In a small share of requests one partner that was left out is asked all the
// same, and in as small a share of collections everybody is waited for: else
// what was once found bad would never be seen to have changed.
//
// # Sharing
//
// A Desk is one shard's and decides alone. Once a second shards tell each other
// what their calls came to, as sums that are added: all learn from all. A
// Retry-After is told at once. A cap of the node is divided in two: a quarter
// belongs to the shards in equal parts; the rest is divided every second by the
// partner's home shard, by what each could have used, for one named second. A
// message that is lost costs that second's part and never makes more of the cap.
//
// # Lifetimes
//
// What Plan and Edit give is the desk's scratch, valid until the next Plan. A
// Collector is a value for the parked auction: it has copied all it needs, and
// keeps its book. Partners keep their IDs from book to book.
//
// Nothing reads a clock, allocates once warm or draws a random number that a
// seed does not tell. Books are loaded cold.
package demand
