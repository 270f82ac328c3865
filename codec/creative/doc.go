// Package creative turns the catalog's creatives into markup: banners, VAST
// and native ads.
//
// A creative is compiled once into segments that are escaped for their place
// (HTML in JSON, XML in JSON, JSON in JSON) and holes between them. Answering
// is then a copy of segments, with the values of one auction escaped into the
// holes:
//
//	segment          hole        segment            hole           segment
//	<a href=\"       ClickURL    \"><img src=\"…    ImpressionURL  \">
//
// Substitution is one pass: a value that looks like a macro stays as it is.
// Known macros without a value become nothing, unknown ones stay untouched
// (OpenRTB 2.6, 4.4).
//
// Templates are immutable and shared by all shards.
package creative
