// Package partners is the demand file: who may be asked for bids, for what, at
// which floors, and what their money is worth here.
//
//	demand.yaml ─► File ─► Compile ─► Book ─┬► Match: who may bid on which impression, and its floor
//	   every fault, with place and remedy   ├► Partner: endpoint, edits, adjustment, limits
//	                                        └► Rates, Screen: for what comes back
//
// A Book is immutable and shared by all shards; Watcher replaces it when the
// file changes, as the catalog's does. A decision keeps the book with which it
// began. Match costs a few table look-ups and ANDs of sets, whatever the number
// of partners; it allocates nothing once its Match is warm.
//
// # Floors
//
// Of the floors that hold for an impression one applies: the one that names
// more dimensions; of those the one that names the first in which they differ
// of inventory, segment, format, country, device, hour; then the one written
// first. The impression's own floor stays where it is higher. Deals have their
// own floors, which nothing here changes.
//
// # Currencies
//
// The table has a date. It is good until max_age after the end of that day
// (UTC). A file whose table is no longer good is refused; a table that gets too
// old while it is in use converts nothing any more: partners who trade in
// another currency are not asked, and bids in one have no rate. Rates are exact
// decimals of at most nine places, conversions are done in integers: bids are
// rounded half away from zero, floors up, so that a bid at the floor that was
// asked for is never below the floor.
package partners
