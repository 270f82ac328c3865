package sim

import (
	"millrace/codec/unit"
	"millrace/state/store"
)

// memoryStore is a budget store without a disk: granted minus returned stays
// within the limits, and a repeated request gets its first answer.
type memoryStore struct {
	answered map[store.OpID]store.Reply
	day      map[accountDay]unit.Nanos
	total    map[unit.AccountID]unit.Nanos
	replies  []store.Reply // to deliver, in order
	wall     func() unit.WallTime
}

type accountDay struct {
	account unit.AccountID
	day     unit.Day
}

func newMemoryStore(wall func() unit.WallTime) *memoryStore {
	return &memoryStore{
		answered: map[store.OpID]store.Reply{}, day: map[accountDay]unit.Nanos{}, total: map[unit.AccountID]unit.Nanos{}, wall: wall,
	}
}

func (m *memoryStore) reply(id store.OpID, r store.Reply) {
	r.Shard, r.Epoch, r.Seq = id.Shard, id.Epoch, id.Seq
	m.answered[id] = r
	m.replies = append(m.replies, r)
}

func (m *memoryStore) repeated(id store.OpID) bool {
	r, ok := m.answered[id]
	if ok {
		m.replies = append(m.replies, r)
	}
	return ok
}

func (m *memoryStore) grant(r *store.GrantRequest) {
	if m.repeated(r.ID) {
		return
	}
	reply := store.Reply{Op: store.OpGrant, Status: store.OK, Account: r.Account, Day: r.Day}
	if now := m.wall(); now < r.Opens || now >= r.Expires {
		reply.Status = store.Closed
		m.reply(r.ID, reply)
		return
	}
	key := accountDay{r.Account, r.Day}
	room := store.Headroom(r.Daily, r.Total, m.day[key], m.total[r.Account])
	reply.Amount = store.Chunk(r.Amount, r.AtLeast, room, store.Limit(r.Daily, r.Total), 1)
	if reply.Amount == 0 {
		reply.Status = store.Exhausted
	}
	m.day[key] += reply.Amount
	m.total[r.Account] += reply.Amount
	reply.Remaining = room - reply.Amount
	m.reply(r.ID, reply)
}

func (m *memoryStore) giveBack(r *store.ReturnRequest) {
	if m.repeated(r.ID) {
		return
	}
	m.day[accountDay{r.Account, r.Day}] -= r.Amount
	m.total[r.Account] -= r.Amount
	m.reply(r.ID, store.Reply{Op: store.OpReturn, Status: store.OK, Account: r.Account, Day: r.Day, Amount: r.Amount})
}
