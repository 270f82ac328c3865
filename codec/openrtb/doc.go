// Package openrtb reads OpenRTB 2.5 and 2.6 bid requests, and what
// bidders answer, where they lie; patches requests for bidders, judges their
// bids and writes bid responses.
//
// Parse makes two passes over the body and fills a BidRequest: strings and raw
// values are references into the body, lists are flat slabs of the view. The
// first pass (index) finds where the tokens begin, 64 bytes a step where the
// processor has the vectors for it; the second (walker) goes from token to
// token by tables of fields. What is in no table costs a validating skip.
// Nothing is allocated once the slabs have grown, nothing is copied, and
// escapes are decoded only by those who read the text.
//
//	body    {"id":"a1","imp":[{"id":"1","banner":{"format":[{"w":300,…
//	tokens  ^^   ^^   ^^    ^^^^   ^^  ^^      ^ ^        ^^ ^  ^^
//	             ▲            ▲                           └──┐
//	view  ID ────┘   Imp[0].ID┘   Imp[0].Banner.Formats{0,1} ┴► slab formats
//
// Objects that few ask for (supply chain, eids, user agent, metrics, ...) are
// checked for their syntax and kept as they came: Details parses them when
// somebody wants them, by the same tables.
//
// Lifetimes: the view's references live as long as the body is unchanged; the
// view's slabs until the next Parse into it. Both belong to whoever owns the
// exchange; nothing here keeps a reference.
//
// What is malformed is refused with a small Error that names the field and the
// byte. What is merely wild is read: quoted numbers, integral floats, null for
// absent, duplicate keys (the last one wins), unknown fields and values. An
// object with a number that is none (NaN, 1e999, a negative size) is invalid
// as an object, and nothing more: a banner is not offered, a format, deal or
// place is left out, an impression gets no bid.
//
// Work is linear in the length of the body and the nesting is capped.
//
// # The demand side
//
// Patcher makes bidders' requests out of the received bytes; ReadAnswer reads
// what they answer into a BidResponse; Judge holds each bid against the request
// and the policy, and gives a Verdict with a RejectReason.
//
//	Parse ─► BidRequest ─┬► Patcher.Begin ─► Append, once a bidder ─►
//	                     └► Judge.Begin   ◄─ ReadAnswer ◄────────────
//	                              └► Verdicts
//
// Checker does the same slowly, for a human. docs/openrtb.md lists the rules.
package openrtb
