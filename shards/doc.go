// Package shards runs the deterministic core: a Group of shards, each one a
// partition of the state with a mailbox, a timer wheel and counters of its own.
// It owns goroutines, threads, time and the order of callbacks; it knows nothing
// of auctions. netio, state, models and engine may import it; it imports
// codec/unit only.
//
// # The turn
//
// What a shard owns is touched by the holder of its turn, a word taken with one
// compare-and-swap, and by nobody else. Everything that wants the shard takes
// the turn, handles some batches, and gives it back:
//
//	submitter ──Push──► ┌─mailbox─┐      ┌─────── turn ────────┐
//	shard ─────Send───► │ ring of │ ───► │ Handle … Handle     │ ──► Send, After,
//	                    │ values  │      │ Timer … Timer       │     Counters
//	timer wheel ────────┴─────────┴────► │ invocations         │
//	scrape, Invoke ────────────────────► │ EndBatch            │
//	                                     └─────────────────────┘
//
// A batch is at most BatchMax messages, then the due timers, then what Invoke
// queued, then EndBatch. The clock is read once, at its start. Messages come in
// the order in which they got their slots, so those of one sender in the order
// of sending; a message that a shard sends to itself comes in a later batch.
//
// Two ways of dispatch decide who takes the turn for a submitted message. With
// DispatchHop it is the shard's own goroutine (the owner), locked to a thread
// and pinned to a CPU where the system allows it. With DispatchInline it is the submitter, if the turn is
// free; if not, whoever has it looks at the mailbox again after giving it back.
// The owner is then left with timers, invocations, and what exceeds the budget
// of messages that a submitter may be made to handle (InlineMessages).
//
// # Parking and waking
//
// The owner's states; asleep is the word that says whether a wake is needed:
//
//	        ┌─────────┐  turn given back   ┌──────────┐
//	┌──────►│ running │───────────────────►│ spinning │ (hop only)
//	│       └─────────┘◄───────────────────└──────────┘
//	│            ▲      message, invocation      │ time is up
//	│            │                               ▼
//	│            │ work, or a due timer:   ┌─────────────┐
//	│            └─────────────────────────│ asleep := 1 │
//	│              owner moves asleep 1→0  │ look again  │
//	│                                      └─────────────┘
//	│ alarm: owner moves asleep 1→0,             │ nothing
//	│ or a waker does, and sends a token         ▼
//	│                                      ┌─────────────┐
//	└──────────────────────────────────────│   parked    │
//	                                       └─────────────┘
//
// Why no wake is lost: whoever makes work (fills a slot, queues an invocation,
// gives back a turn having set a nearer timer) publishes it first and reads
// asleep afterwards; the owner sets asleep first and looks for work afterwards.
// Go's atomics are sequentially consistent, so at least one of the two sees the
// other. Why no wake is sent twice: the move 1→0 is a CAS, and its winner sends
// the one token; an owner that loses it takes the token before going on. So a
// busy shard is never woken, and one that sleeps is woken once for any number
// of messages; a shard that sends many messages wakes each target once a batch.
//
// The holder that is not the owner answers for what it leaves: it publishes the
// time of the next timer under the turn (armed), gives the turn back, and wakes
// the owner if that time is nearer than the owner knows or if messages are left
// that it does not go on to take itself. An owner that finds the turn taken may
// therefore go to sleep over a mailbox that is not empty.
//
// A slot claimed but not yet filled hides those behind it. That delays, but
// loses nothing: its producer looks at asleep and at the turn only after it has
// filled the slot.
//
// # Stopping
//
// Stop closes the mailboxes to outsiders by a bit in the same word that hands
// out slots, so that no message can slip in behind it; waits until two looks at
// all shards find empty mailboxes, free turns and nothing sent in between; seals
// the mailboxes altogether; and has each owner empty its own once more, drop its
// timers and end. What was accepted is handled, then, or the Stop says where not.
//
// # Lines
//
// No cache line is written by two shards, but for those by which a message is
// handed over (its slot, and the receiver's tail) and the words turn and asleep
// when one runs or wakes the other. TestLayoutNoLineWrittenByTwoShards proves it
// by the addresses of all that is written; BenchmarkScaling shows it, in that
// the processor time of a message is the same on one shard and on two. Handlers
// keep the promise for their own state with Pad and AlignedSlice.
//
// # What it costs
//
// Seen on a virtual machine with two cores, Go 1.26, GOMAXPROCS 2; ratios count:
//
//   - One message by DispatchInline into an idle shard: 115 ns, the clock read
//     included, and 65 ns more with the stall detector on. In a full batch it is
//     24 ns, and 30 ns more. A counted event is 0.7 ns (an atomic one 5.5 ns).
//   - 1 → 2 shards, 2.7 µs of work a message: 1.85 to 1.97 × by wall time, 1.96
//     to 2.0 × by processor time; with one message in sixteen going to the other
//     shard, 1.7 to 1.9 × and 1.96 ×.
//   - Mailbox against channel, both polled: 19 to 48 ns against 84 to 101 ns.
//   - One poller that waits for each answer in a system call, 2.7 µs of work,
//     three runs, on a machine with other users: inline 3.5 to 4.9 µs a message;
//     hop to a pinned shard 13 to 58 µs with one shard, 41 to 64 µs with two; hop
//     to an unpinned goroutine 10 to 34 µs. With sixteen in flight, processor
//     time: inline 2.7 to 2.9 µs, hop pinned 4.0 to 7.4, hop unpinned 3.2 to 6.0.
//   - Two pollers, two shards, inline, sixteen in flight each, against one poller:
//     1.6 to 1.9 × with unpinned goroutines and InlineMessages of 16 to 128; 1.4
//     × at 256; with pinned ones 0.9 × at 32, 1.4 to 1.55 × at 256.
//
// Why hop is dear, and dearer pinned: waking a goroutine that is locked to a
// thread takes two thread switches, since the thread that finds it ready hands
// its processor (Go's P) over and sleeps; and where shards and pollers together
// exceed GOMAXPROCS, each waits for the other's P. Spinning saves the wake only
// where a P is to spare: with two shards on two Ps, spinning 200 µs made round
// trips four to seven times as long. Inline, a pinned goroutine that is woken for
// what a poller leaves contends with the poller on that CPU while another idles.
// Hence the defaults: inline, its goroutines unpinned unless CPUs are named, and
// SpinAuto. Anyone who wants hop should have GOMAXPROCS of at least shards plus
// pollers.
package shards
