// Package audit keeps a copy of a node's journal that can't be changed without
// being noticed: every record is hashed together with all before it, and the
// hash is signed again and again.
//
//	journal ─ synced ─► Tail ─► Drain ─► Chain ─► NNN.aud │ head
//	   ▲                          │                          │
//	   └────── Cursor ◄───────────┴──── sealed and synced ◄──┘
//
// # Files
//
// The folder holds files, NNN.aud, rows of entries, and the head:
//
//	entry: length u32 │ kind u8 │ body │ link, 8 bytes        (little-endian; the length is that of kind and body)
//	hash:  h' = SHA-256(h │ length │ kind │ body), and the link is the beginning of h'
//	1 file    begins a file: magic, number, node, public key, and the sums and the hash it goes on from
//	2 record  position u64 │ the record as in the journal (ledger.Record.Append)
//	3 gap     from u64 │ to u64: the journal's segments were removed before they were read
//	4 seal    number u64 │ records u64 │ position u64 │ oldest file kept u64 │ Ed25519 signature over these, node, place and h
//
// A file ends with a seal. The head is a line of text: what the last seal signed,
// and the signature. It is written after the seal is synced, and the cursor moves
// after that, so after a crash what follows the head's seal is cut off and comes
// again from the journal.
//
// # What is found
//
// Verify finds any byte that was changed, and any record that was changed,
// removed, added, doubled or moved, and names the first bad place: the links for
// where it is, the signatures against someone who computes hashes anew. A
// chain that was cut at a seal together with an older head is whole by itself: the
// journal's cursor tells, the journal's records tell, and so does a head kept
// elsewhere (it is one line, and logged). Someone with the private key can write
// another history; a head kept elsewhere tells that too.
//
// # Cost
//
// Nothing on the hot path: the drain reads the journal's files, one block after
// the other, and syncs once a second. Files are kept up to Config.KeepBytes.
package audit
