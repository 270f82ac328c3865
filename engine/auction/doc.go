// Package auction orders bids and clears an auction.
//
// # The order
//
// Ties decided by chance, by map order or by arrival make an outcome that
// nobody can explain or replay. Bids are therefore totally ordered (Before):
//
//  1. lower priority tier: guaranteed lines precede the rest,
//  2. higher rank: the price of an impression, weighed by the creative's quality,
//  3. lower line index: the catalog's own order, by name within a tier,
//  4. lower creative index, likewise.
//
// Offers of bidders stand in the same order: by tier, by rank, behind a line item's
// bid of the same rank, and among themselves by openrtb.Standing. Line items come
// in their order from engine/selection, offers from Offers; who takes the lesser
// of the two heads, one after the other, has the order of all (docs/auction.md).
//
// The auction is first-price: the winner pays its bid, which is its price and
// not its rank. Clear has what deals of other kinds pay.
//
// # Ranking without sorting
//
// A request may match tens of thousands of lines, and only the first few in
// the order are ever looked at. Ranking keeps the best Depth bids of a scan;
// when all of those turn out unusable (capped, blocked, out of funds) the scan
// is repeated for the bids that come after the last of them, each time for many
// more. So the outcome is exactly that of a full sort, and a request that nobody
// may serve costs little more than one.
//
// State is the caller's shard's; nothing here allocates.
package auction
