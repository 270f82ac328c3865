package shards

import "strconv"

// metrics are the handles of what every shard counts about itself.
type metrics struct {
	messages      []Counter // by kind; the last is for kinds without a name
	timers        []Counter
	stallMessages []Counter
	stallTimers   []Counter
	stallEndBatch Counter
	stallInvoke   Counter
	batches       Counter
	batchMessages Histogram
	invocations   Counter
	timersRefused Counter
	turnsOwner    Counter
	turnsInline   Counter
}

// unnamed is the label of kinds beyond the names given.
const unnamed = "other"

func defineMetrics(r *Registry, cfg Config) metrics {
	stall := func(callback, kind string) Counter {
		return r.Counter(Desc{
			Name: "millrace_shard_stalls", Help: "Callbacks that took longer than the stall limit, by callback and kind.",
			Labels: []Label{{"callback", callback}, {"kind", kind}}, PerShard: true,
		})
	}
	named := func(names []string, define func(string) Counter) []Counter {
		var list []Counter
		for i, name := range names {
			if name == "" {
				name = strconv.Itoa(i)
			}
			list = append(list, define(name))
		}
		return append(list, define(unnamed))
	}
	turns := func(by string) Counter {
		return r.Counter(Desc{
			Name: "millrace_shard_turns", Help: "Turns taken, by the shard's own goroutine or by a submitter (inline dispatch).",
			Labels: []Label{{"by", by}}, PerShard: true,
		})
	}
	return metrics{
		messages: named(cfg.KindNames, func(kind string) Counter {
			return r.Counter(Desc{Name: "millrace_shard_messages", Help: "Messages handled, by kind.", Labels: []Label{{"kind", kind}}, PerShard: true})
		}),
		timers: named(cfg.TimerNames, func(kind string) Counter {
			return r.Counter(Desc{Name: "millrace_shard_timers_fired", Help: "Timers fired, by kind.", Labels: []Label{{"kind", kind}}, PerShard: true})
		}),
		stallMessages: named(cfg.KindNames, func(kind string) Counter { return stall("handle", kind) }),
		stallTimers:   named(cfg.TimerNames, func(kind string) Counter { return stall("timer", kind) }),
		stallEndBatch: stall("end_batch", ""),
		stallInvoke:   stall("invoke", ""),
		batches:       r.Counter(Desc{Name: "millrace_shard_batches", Help: "Batches ended.", PerShard: true}),
		batchMessages: r.Histogram(Desc{Name: "millrace_shard_batch_messages", Help: "Messages a batch, of batches with messages."},
			Range{Min: 1, Max: max(uint64(cfg.BatchMax), 2), Divisions: 1}),
		invocations:   r.Counter(Desc{Name: "millrace_shard_invocations", Help: "Functions run on the shard by Invoke.", PerShard: true}),
		timersRefused: r.Counter(Desc{Name: "millrace_shard_timers_refused", Help: "Timers refused because the shard had its most.", PerShard: true}),
		turnsOwner:    turns("owner"),
		turnsInline:   turns("submitter"),
	}
}

// Reasons for which a message was refused, as the reason label shows them.
const (
	RefusedMailboxFull = "mailbox full"
	RefusedClosed      = "closed"
)

// defineShardMetrics adds what is read off the shard's shared words at scrape.
func defineShardMetrics[M any](r *Registry, s *Shard[M]) {
	shard := Label{"shard", strconv.Itoa(int(s.id))}
	refused := func(reason string, n func() uint64) {
		r.CounterFunc(Desc{
			Name: "millrace_shard_refusals", Help: "Messages refused by a mailbox, by reason.", Labels: []Label{{"reason", reason}, shard},
		}, func() float64 { return float64(n()) })
	}
	refused(RefusedMailboxFull, s.mailbox.full.Load)
	refused(RefusedClosed, s.mailbox.closed.Load)
	r.GaugeFunc(Desc{Name: "millrace_shard_mailbox_depth", Help: "Messages waiting in the mailbox.", Labels: []Label{shard}},
		func() float64 { return float64(s.mailbox.Len()) })
	r.GaugeFunc(Desc{Name: "millrace_shard_mailbox_slots", Help: "Capacity of the mailbox.", Labels: []Label{shard}},
		func() float64 { return float64(s.mailbox.Cap()) })
	r.CounterFunc(Desc{Name: "millrace_shard_parks", Help: "Times the shard's goroutine went to sleep.", Labels: []Label{shard}},
		func() float64 { return float64(s.parks.Load()) })
	r.CounterFunc(Desc{Name: "millrace_shard_wakes", Help: "Times the shard's goroutine was woken before its next timer.", Labels: []Label{shard}},
		func() float64 { return float64(s.wakes.Load()) })
}
