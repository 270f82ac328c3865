package gateway

import (
	"millrace/codec/event"
	"millrace/shards"
)

type metrics struct {
	previews                                                            shards.AtomicCounter
	health, notFound, method, notJSON, notReady, malformed, mailboxFull shards.AtomicCounter
	tokens                                                              [event.Expired + 1]shards.AtomicCounter
}

func newMetrics(r *shards.Registry) metrics {
	refused := func(reason string) shards.AtomicCounter {
		return r.AtomicCounter(shards.Desc{
			Name: "millrace_gateway_refused", Help: "Requests the gateway answered itself with an error, by reason.",
			Labels: []shards.Label{{Name: "reason", Value: reason}},
		})
	}
	m := metrics{
		health:   r.AtomicCounter(shards.Desc{Name: "millrace_health_checks", Help: "Health and readiness checks answered with 200."}),
		previews: r.AtomicCounter(shards.Desc{Name: "millrace_event_previews", Help: "HEAD requests of tracking URLs: answered, and counted as no event."}),
		notFound: refused("not_found"), method: refused("method"), notJSON: refused("not_json"), notReady: refused("not_ready"),
		malformed: refused("malformed"), mailboxFull: refused("mailbox_full"),
	}
	for s := range m.tokens {
		if event.Status(s) != event.OK {
			m.tokens[s] = refused("token_" + event.Status(s).String())
		}
	}
	return m
}
