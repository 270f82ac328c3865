package serve

// acks is a bounded queue of answers that wait for a journal position. The
// positions rise, but for those of duplicates, which wait for the front.
type acks struct {
	ring        []ack
	first, size int
}

type ack struct {
	pos uint64
	x   *Context
}

func newAcks(max int) acks { return acks{ring: make([]ack, max)} }

func (q *acks) push(pos uint64, x *Context) {
	q.ring[(q.first+q.size)%len(q.ring)] = ack{pos, x}
	q.size++
}

func (q *acks) pop(durable uint64) (*Context, bool) {
	if q.size == 0 || q.ring[q.first].pos > durable {
		return nil, false
	}
	x := q.ring[q.first].x
	q.ring[q.first].x = nil
	q.first = (q.first + 1) % len(q.ring)
	q.size--
	return x, true
}
