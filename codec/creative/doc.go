// Package creative turns the catalog's creatives into markup: banners (image,
// iframe, the advertiser's own HTML), VAST for video and audio, native ads.
//
// A creative is compiled once into segments that are escaped for their place
// (HTML in JSON, XML in JSON, HTML in XML in JSON, JSON in JSON) and holes
// between them. Answering is then a copy of segments, with the values of one
// auction escaped into the holes, each for where it stands:
//
//	segment          hole        segment            hole           segment
//	<a href=\"       ClickURL    \"><img src=\"…    ImpressionURL  \">
//
// One program writes a video or audio ad in every version of VAST, and with any
// choice of its media files and companions: a step says which of them it is for.
// Template.Fits decides for an impression, and its Fit chooses the steps:
//
//	Template ── Fits(impression) ─► Fit {version, parts left out, native request}
//	    └────── AppendAdm(Vars + Fit) ─► bid.adm
//
// Substitution is one pass: a value that looks like a macro stays as it is.
// Known macros without a value become nothing, unknown ones stay untouched
// (OpenRTB 2.6, 4.4). In an advertiser's HTML a value is escaped as text,
// attribute, script or style, as htmlScan finds; a macro where no escaping is
// right is a fault of the creative.
//
// Templates are immutable and shared by all shards. A Compiler stores texts
// that its templates have in common once. A Fit borrows the native request.
package creative
