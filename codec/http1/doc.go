// Package http1 is the part of HTTP/1.1 (RFC 9112) that the ad path needs:
// request heads parsed in place, chunked bodies decoded in place, answer heads
// appended to a buffer. It does no I/O and allocates nothing.
//
//	bytes ──► ParseRequest ──► Request (slices into the bytes)
//	                │ Chunked? ──► Chunked.Decode (body compacted in place)
//	answer ◄── AppendHead ◄── status, Head
//
// Lifetime: every slice of a Request aliases the buffer given to ParseRequest
// and lives exactly as long as the caller leaves that buffer alone. Move
// re-bases a Request when its bytes were copied elsewhere.
//
// Strictness. A proxy and a server that disagree about where a request ends can
// be made to smuggle one (RFC 9112, section 11.2), so whatever is ambiguous is
// refused, never repaired:
//
//   - a line ends with CR LF; a bare LF or a bare CR is a fault;
//   - folded header lines (obs-fold) and blanks before the colon are faults;
//   - Content-Length beside Transfer-Encoding is a fault, as are two differing
//     lengths, lists, signs and blanks in a length;
//   - the only transfer coding is "chunked", once, and only in HTTP/1.1;
//   - exactly one Host in HTTP/1.1; controls and blanks in a target are faults.
//
// Empty lines before a request line are skipped (RFC 9112, section 2.2).
//
// Any package may import http1; it imports nothing of Millrace.
package http1
