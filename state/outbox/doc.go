// Package outbox is the node's durable journal: the one place where money is
// written down before it counts, and the Book that follows from it.
//
//	shard 0 ─ Append, Commit ─┐                         ┌─► durable(pos) ─► shard
//	shard 1 ─ Append, Commit ─┼─► writer goroutine ─────┤
//	store   ─ Append, Commit ─┘   one write, one sync   ├─► Book ─► checkpoint
//	                              per group             └─► Tail ─► drains ─► Cursor
//
// # Files
//
// The folder holds segments, NNN.seg, checkpoints, NNN.ckp, and cursors,
// NAME.cur; checkpoint N is the Book before the first record of segment N. A segment is a row of frames:
//
//	length u32 │ CRC32C u32 │ payload
//
// the first frame describes the segment, then come groups: a frame with the
// group's number, then records. A segment is preallocated with zeros; a length
// of zero ends it.
//
// # What is promised
//
// A position is reported durable after the group that holds it was written and
// synced; recovery gives every such record back, after a crash between any two
// disk operations. Recovery reads the newest checkpoint that is whole and the
// segments from there on. At the first bad frame of the youngest segment it
// looks ahead: groups are written one after the other, each only when the one
// before was synced, so a whole group behind the fault proves that synced data
// was damaged, and opening fails, with the place; otherwise the fault is the
// torn tail of a group that nobody was told about, and is cut off. A bad frame
// in an older segment is damage. Recovery changes nothing but the torn tail,
// and can itself be killed anywhere.
//
// # Faults
//
// An error of write or sync is final for the journal (after a failed fsync the
// kernel may have dropped the pages, and a second one would lie): Err says why,
// Append refuses, nothing more is reported durable. ErrDiskFull is told apart.
// The process goes on serving what costs nothing; a restart recovers.
//
// # Drains
//
// A Tail reads what is durable, from the files and never from memory, and is
// woken after each sync; it survives the change of segments, and OpenTail reads
// a folder that no node writes. A Cursor says how far a drain has carried the
// records elsewhere, and keeps the segments from there on. What it keeps is
// bounded (HoldBytesMax): beyond that the oldest segment goes, with an alarm and
// a count, and the tail that comes to the place is told of the Gap.
//
// # Rejected
//
// An embedded database: measured 4 to 10 times slower for this one access
// pattern, and its recovery is not simpler. A buffer shared by the shards:
// every posting would take its lock. Syncing by time: a beacon's answer would
// wait for the clock, not for the disk.
package outbox
