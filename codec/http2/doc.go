// Package http2 is the part of HTTP/2 that a client needs below its connections:
// frames (RFC 9113, section 4 and 6) and header blocks (HPACK, RFC 7541). It does
// no I/O, keeps no streams, and allocates nothing once warm.
//
//	bytes ──► ParseFrame ──► Frame (payload aliases the bytes, padding cut)
//	                            │ HEADERS, CONTINUATION: the block
//	                            ▼
//	          Decoder.Begin, Next ──► Field, Field, …   (dynamic table inside)
//	bytes ◄── AppendHeaders, AppendData, AppendReset, …
//	block ◄── AppendField: once for all requests of an endpoint
//
// Encoding never touches the dynamic table: every field is a reference to the
// static table or a literal without indexing, so that a block is the same on
// every connection and for every request and is encoded once. Decoding is
// complete, Huffman strings, dynamic table and its size updates included.
//
// Bounds. A frame is at most FrameBytesMax long, the size that a client grants
// by not changing SETTINGS_MAX_FRAME_SIZE. A Decoder bounds its table, and what a
// block may come to when decompressed: a block of 16 KB could otherwise refer
// 16,000 times to one entry of 4 KB.
//
// Lifetime: a Frame's payload lives as long as the bytes parsed; a Field until the
// next call of Next, or of Begin.
//
// Any package may import http2; it imports nothing of Millrace.
package http2
