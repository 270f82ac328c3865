// Package books says what became of the money, for people: by account and day,
// from the records alone.
//
//	a node's records ─► Fold ──┐
//	                           ├─► Day … ─► Statement ─► Invoice, rounded once
//	the shared ledger ─────────┘
//
// A Day holds to the nano, whoever made it:
//
//	granted = leased + spent + refunded + released + written off        (I1)
//
// where spent is billed and not refunded. An event is billed to its campaign's
// account and, where its line item has a budget of its own, to that as well: the
// accounts of line items are parts of their campaign's, and only the campaign's is
// invoiced.
//
// # Rounding
//
// Amounts are exact in nanos until an invoice is made: a campaign's sum over the
// whole period is rounded once, half to even, to the smallest unit of its currency
// (Invoice). Days of a statement are never rounded, so they add up to what was
// rounded.
//
// A refund counts on the day of the posting that it takes back, so a statement of
// days gone by can change; what was invoiced before is a credit then.
package books
