// Package openrtb reads OpenRTB 2.5 and 2.6 bid requests where they lie and
// writes bid responses.
//
// Parse makes one pass over the body and fills a BidRequest: strings and raw
// values are references into the body, lists are flat slabs of the view. What
// is not read (most of ext) costs a validating skip. Nothing is allocated once
// the slabs have grown, nothing is copied, and escapes are decoded only by
// those who read the text.
//
//	body  {"id":"a1","imp":[{"id":"1","banner":{"format":[{"w":300,…
//	            ▲▲            ▲                        └──────┐
//	view  ID ───┘│   Imp[0].ID┘   Imp[0].Banner.Formats{0,1} ─┴► slab formats
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
package openrtb
