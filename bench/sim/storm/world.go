package storm

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/engine/serve"
	"millrace/state/campaign"
	"millrace/state/store/joint/memory"
)

// instant is the world's own time: nanoseconds since it began.
type instant int64

func (t instant) add(d time.Duration) instant { return t + instant(d) }

// happening is something that will happen.
type happening struct {
	at  instant
	seq uint64 // among equals, the earlier planned
	do  func()
}

type agenda []happening

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	old[len(old)-1] = happening{}
	*a = old[:len(old)-1]
	return x
}

// World is one run.
type World struct {
	cfg Config
	set settings

	now    instant
	agenda agenda
	seq    uint64
	steps  uint64

	// The seed's streams, apart so that leaving a fault out changes little else.
	traffic *rand.Rand
	net     *rand.Rand
	fate    *rand.Rand
	regret  *rand.Rand // of refunds

	keys   *event.Keyring
	signer *event.Signer
	nodes  []*node // machines; two may have one number, the later one counts

	// What the nodes share, nil in a world of one with an embedded store.
	ledger  *memory.Ledger
	counter *memory.Counter
	books   *books
	begun   map[unit.NodeID]unit.Epoch // the highest life that the ledger has heard of
	attic   []*lostDisk
	calls   [2]uint64 // to each server
	flipped int       // bytes of audit chains

	campaigns []campaignPlan
	snapshot  *campaign.Snapshot
	limits    map[unit.AccountID]*limits

	plan   []planned
	storms storms
	quiet  bool // no faults any more
	silent bool // no new requests
	bodies [][]byte
	spare  []*serve.Context // answered, to be used again

	history history
	counts  [Faults]uint64
	faults  []Violation
}

// after plans f for d from now.
func (w *World) after(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.agenda, happening{w.now.add(max(d, 0)), w.seq, f})
}

// run lets everything happen up to an instant, or up to the event limit.
func (w *World) run(until instant) {
	for !w.exhausted() {
		at := until + 1
		var who *node
		if len(w.agenda) > 0 {
			at = w.agenda[0].at
		}
		for _, n := range w.nodes {
			if n.sim != nil {
				if t := n.wakes(); t < at {
					at, who = t, n
				}
			}
		}
		if at > until {
			break
		}
		w.now = max(w.now, at)
		w.steps++
		if who != nil {
			who.catchUp()
			continue
		}
		heap.Pop(&w.agenda).(happening).do()
	}
	if !w.exhausted() {
		w.now = max(w.now, until)
	}
}

// exhausted: a shortened run ends its storm at the limit, wherever it is.
func (w *World) exhausted() bool { return !w.quiet && w.cfg.Limit > 0 && w.steps >= w.cfg.Limit }

// wall is the true time.
func (w *World) wall() unit.WallTime { return w.set.start.Add(time.Duration(w.now)) }

// violated notes the breach of an invariant.
func (w *World) violated(invariant, text string) {
	if len(w.faults) < 20 {
		w.faults = append(w.faults, Violation{invariant, text})
	}
}

// hit counts a fault that was injected.
func (w *World) hit(f Fault) { w.counts[f]++ }
