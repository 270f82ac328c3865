// Package ladder says how much work a shard's decisions may put into
// predicting, when full predictions come too late or fail.
//
//	Full ──► Cached ──► ColdStart ──► Prior        down: too many decisions of a window were late or failed
//	     ◄──        ◄──           ◄──              up: probes one rung higher have been good for a hold,
//	                                                   and each climb that fails doubles the next hold
//
// A Ladder belongs to one shard and is a pure state machine: it is told the time
// and what each decision cost, holds no pointer and allocates nothing. Who works
// on which rung is the engine's: Full scores every candidate with the forest,
// Cached prices with the last predictions known, ColdStart with smoothed counts,
// Prior with what the catalog states.
//
// Why it does not flap: going down needs a share of bad decisions in a window of
// enough of them; going up needs a whole hold on the rung below, in which the
// probes of the rung above were good. So climbs are HoldMin apart whatever the
// load does. And where probes do well but the whole load does not (the usual
// cause of flapping), a climb fails within its trial, which lasts as long as the
// hold before it; each such failure doubles the next hold, up to HoldMax, and
// only a trial that is passed resets it. The tests hold it to both.
package ladder
