// Package joint keeps the budgets of a node that is one of several: Store is its
// store.BudgetStore, composed of a Ledger that decides, a Counter that spares the
// ledger work, and the node's own journal.
//
//	broker ─► Counter.Take ─► Ledger.Grant ─► journal Granted ─► lease
//	journal ─► Drain ─► Ledger.Post (postings, returns) ─► Counter.Give
//
// So the leases in use are leases in the ledger, and those are within the limits,
// whatever becomes of the counter. contract.go says what both owe; the suite
// jointtest holds them to it, and memory has one of each for tests and for the
// simulator, where the same Store runs without goroutines (bench/sim/storm).
//
// # A grant
//
// Requests gather while a batch is under way; a batch is one call of the counter,
// one of the ledger, and one record in the journal for each grant. Each call that
// has no answer is repeated with the same identities, after a growing pause: its
// outcome is the first one's. Meanwhile askers hear Unavailable and keep asking.
// A counter that knows nothing is loaded from the ledger; one that gave what the
// ledger has not is loaded anew; one that says "exhausted" is compared with the
// ledger now and then, since it may have counted what was never granted. It is
// never guessed around: a counter that can't be reached stops new grants.
//
// # A return
//
// It needs the journal only. The ledger hears of it by the drain and the counter
// after that, and then the asker, whose next request may be for that very money;
// where the ledger can't be reached the asker hears as soon as the return is
// durable.
//
// # A life
//
// Begin registers the life and fences all earlier ones of the node. The journal's
// epoch is above all that the ledger knows (outbox.Config.EpochFloor), also when
// the folder is new. A life may spend until the ledger's lease is over by its own
// monotonic clock, less the drift; every reply tells the rest, and the brokers'
// requests for time renew it, one call for all shards. A life that is fenced is
// granted nothing more, keeps what it posted and returned, and wants a restart.
//
// # What an earlier life never knew
//
// A process may die between the ledger's commit and the journal's sync. When the
// ledger has all of the journal up to this life's start, what it granted to
// earlier lives of this journal and no record has confirmed was never told to
// anybody: it is written down under its own identity and returned at once. What
// lives of another journal of the node hold, one that was lost, stays locked.
//
// # The drain
//
// Records go to the ledger in their order, one batch at a time, together with the
// position behind them. The next life goes on from the position of the one
// before in the same journal; from the oldest record kept if the ledger has none:
// what comes again is known by its identity. A journal that ends before that
// position, or that has a successor which it does not know, is an older copy, and
// its life is refused (ErrForked).
//
// Nothing here blocks a shard or owns a goroutine. Calls of ledger, counter and
// shards are made with the lock released.
package joint
