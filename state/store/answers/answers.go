// Package answers remembers what a BudgetStore has answered: each request gets
// its first answer again when it is repeated, and none before it is on disk.
//
//	Begin ─► (decided elsewhere) ─► Await ─► Durable ─► done ─► Repeat
//	                             └► Keep ──────────────► done
//
// The store's lock guards a Log. It keeps the latest 65,536 requests, far more
// than all shards of a node may have under way.
package answers

import (
	"millrace/codec/unit"
	"millrace/state/store"
)

const kept = 1 << 16

// Key is a request of a node's shard.
type Key struct {
	Shard unit.ShardID
	Epoch unit.Epoch
	Seq   uint64
}

// KeyOf is the key of a request; all requests are of one node.
func KeyOf(id *store.OpID) Key { return Key{id.Shard, id.Epoch, id.Seq} }

// Of is the key of the request that a reply answers.
func Of(r *store.Reply) Key { return Key{r.Shard, r.Epoch, r.Seq} }

type answer struct {
	reply store.Reply
	done  bool
}

type waiting struct {
	pos uint64
	key Key
}

// Log is a store's memory of requests. The zero value is empty.
type Log struct {
	answers map[Key]*answer
	order   []Key // of answers, oldest first, a ring
	oldest  int
	queue   []waiting // for the disk, in order of pos
}

// Repeat is the answer to a request that was seen before; now if it is final.
func (l *Log) Repeat(k Key) (reply store.Reply, known, now bool) {
	a := l.answers[k]
	if a == nil {
		return reply, false, false
	}
	return a.reply, true, a.done
}

// Begin notes a request that is being decided.
func (l *Log) Begin(k Key) { l.put(k, &answer{}) }

// Forget makes the next repeat of a request a new one.
func (l *Log) Forget(k Key) { delete(l.answers, k) }

// Keep makes reply the answer, now and whenever the request is repeated: the
// asker may have heard it already, and would not look at another that follows.
func (l *Log) Keep(reply *store.Reply) { l.put(Of(reply), &answer{*reply, true}) }

// Await makes reply the answer once the journal is durable up to pos, the
// position of the last record appended.
func (l *Log) Await(reply *store.Reply, pos uint64) {
	k := Of(reply)
	l.put(k, &answer{reply: *reply})
	l.queue = append(l.queue, waiting{pos, k})
}

func (l *Log) put(k Key, a *answer) {
	if have := l.answers[k]; have != nil {
		*have = *a
		return
	}
	if l.answers == nil {
		l.answers = map[Key]*answer{}
	}
	if len(l.order) < kept {
		l.order = append(l.order, k)
	} else {
		delete(l.answers, l.order[l.oldest])
		l.order[l.oldest] = k
		l.oldest = (l.oldest + 1) % kept
	}
	l.answers[k] = a
}

// Durable gives the answers that the journal, durable up to pos, makes final;
// when it has failed, those that never will be are Unavailable and forgotten.
func (l *Log) Durable(pos uint64, failed bool) (replies []store.Reply) {
	n := 0
	for ; n < len(l.queue) && (failed || l.queue[n].pos <= pos); n++ {
		a := l.answers[l.queue[n].key]
		if a == nil {
			continue
		}
		if a.done = l.queue[n].pos <= pos; !a.done {
			delete(l.answers, l.queue[n].key)
			a.reply.Status, a.reply.Amount = store.Unavailable, 0
		}
		replies = append(replies, a.reply)
	}
	l.queue = append(l.queue[:0], l.queue[n:]...)
	return replies
}
