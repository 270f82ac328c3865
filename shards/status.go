package shards

// Status is a shard at one time, for people: scrapes read the Registry.
type Status struct {
	Depth, Slots int    // messages waiting in the mailbox, and its capacity
	Messages     uint64 // handled, of all kinds
	Stalls       uint64 // callbacks that took longer than the limit
}

// Status is how the shard is doing. For the holder of its turn.
func (s *Shard[M]) Status() Status {
	s.AssertTurn()
	m := &s.core.metrics
	return Status{
		Depth: s.mailbox.Len(), Slots: s.mailbox.Cap(),
		Messages: s.block.sum(m.messages...),
		Stalls:   s.block.sum(m.stallMessages...) + s.block.sum(m.stallTimers...) + s.block.sum(m.stallEndBatch, m.stallInvoke),
	}
}

func (b *CounterBlock) sum(counters ...Counter) (n uint64) {
	for _, c := range counters {
		if int(c.word) < len(b.words) {
			n += b.words[c.word]
		}
	}
	return n
}
