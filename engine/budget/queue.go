package budget

import "millrace/codec/unit"

// flushMax bounds the messages sent to one peer in one go, so that a start with
// a hundred thousand accounts does not fill the mailbox against requests.
const flushMax = 256

// fifo is a queue that grows: first come, first served. What has left it is
// given back now and then, so that a queue that never empties stays small.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) empty() bool { return q.head == len(q.items) }

func (q *fifo[T]) push(item T) {
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head > 1024 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, item)
}

// send queues an entry for a peer; money in it is Moving until it is taken.
func (b *Broker) send(to unit.ShardID, e Entry) {
	b.out[to].push(e)
	b.unsent = true
}

// flush sends what the mailboxes take and arms the timer for the rest.
func (b *Broker) flush() {
	if !b.unsent {
		return
	}
	b.unsent = false
	for peer := range b.out {
		q := &b.out[peer]
		for n := 0; !q.empty(); n++ {
			if n == flushMax {
				b.unsent = true
				break
			}
			b.msg = Message{From: b.id, Stamp: b.stamp, Until: b.until}
			for int(b.msg.Count) < len(b.msg.Entries) && q.head+int(b.msg.Count) < len(q.items) {
				b.msg.Entries[b.msg.Count] = q.items[q.head+int(b.msg.Count)]
				b.msg.Count++
			}
			if !b.fx.SendBudget(unit.ShardID(peer), &b.msg) {
				b.refused++
				b.unsent = true
				break
			}
			q.head += int(b.msg.Count)
		}
	}
	if b.unsent && !b.flushing {
		b.flushing = true
		b.fx.After(b.cfg.RetryEvery, TimerFlush, 0)
	}
}
