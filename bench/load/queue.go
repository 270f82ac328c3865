package load

// beacon is one tracking URL to fetch later.
type beacon struct {
	due  int64 // worker time
	kind kind
	n    uint16
	path [beaconPathMax]byte
}

// beaconPathMax holds a signed token with room; longer paths are dropped and
// counted.
const beaconPathMax = 1000

// beaconQueue is a FIFO of beacons with one delay, so that the front is the
// next due. It grows to its bound and then drops; it never allocates again.
type beaconQueue struct {
	ring       []beacon
	head, size int
	max        int
}

func (q *beaconQueue) push(due int64, k kind, path []byte) bool {
	if len(path) > beaconPathMax {
		return false
	}
	if q.size == len(q.ring) {
		if q.size >= q.max {
			return false
		}
		bigger := make([]beacon, min(max(64, 2*q.size), q.max))
		for i := range q.size {
			bigger[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = bigger, 0
	}
	b := &q.ring[(q.head+q.size)%len(q.ring)]
	b.due, b.kind, b.n = due, k, uint16(copy(b.path[:], path))
	q.size++
	return true
}

// front is the next beacon, nil when there is none.
func (q *beaconQueue) front() *beacon {
	if q.size == 0 {
		return nil
	}
	return &q.ring[q.head]
}

func (q *beaconQueue) pop() {
	q.head = (q.head + 1) % len(q.ring)
	q.size--
}
