package kafka

import (
	"strconv"

	"millrace/codec/openrtb"
	"millrace/state/ledger"
)

// appendHex appends v as 16 digits.
func appendHex(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// line builds one JSON object; names and texts are ours and need no escaping.
type line struct{ b []byte }

func (l *line) name(name string) {
	if c := l.b[len(l.b)-1]; c != '{' {
		l.b = append(l.b, ',')
	}
	l.b = append(append(append(l.b, '"'), name...), '"', ':')
}

func (l *line) number(name string, v int64) {
	l.name(name)
	l.b = strconv.AppendInt(l.b, v, 10)
}

func (l *line) text(name, v string) {
	l.name(name)
	l.b = append(append(append(l.b, '"'), v...), '"')
}

func (l *line) hex(name string, v uint64) {
	l.name(name)
	l.b = append(appendHex(append(l.b, '"'), v), '"')
}

func (l *line) rate(name string, v float64) {
	l.name(name)
	l.b = strconv.AppendFloat(l.b, v, 'g', 6, 64)
}

// spend reports whether the record is an event of the topic.
func spend(r *ledger.Record) bool {
	return r.Kind == ledger.Posted || r.Kind == ledger.Recorded || r.Kind == ledger.Refunded
}

// appendMessage appends the value of a spend event whose record ends at pos.
func appendMessage(dst []byte, r *ledger.Record, pos uint64) []byte {
	l := &line{append(dst, '{')}
	l.number("v", 1)
	l.number("node", int64(r.Node))
	l.number("epoch", int64(r.Epoch))
	l.hex("seq", pos)
	l.text("kind", r.Kind.String())
	l.text("event", r.Event.String())
	if r.Kind != ledger.Posted {
		l.text("reason", r.Reason.String())
	}
	l.name("win")
	l.b = strconv.AppendUint(append(l.b, '"'), uint64(r.Win.Node), 10)
	l.b = strconv.AppendUint(append(l.b, '-'), uint64(r.Win.Epoch), 10)
	l.b = strconv.AppendUint(append(l.b, '-'), uint64(r.Win.Shard), 10)
	l.b = append(strconv.AppendUint(append(l.b, '-'), r.Win.Seq, 10), '"')
	l.number("time_ms", int64(r.Wall)/1e6)
	l.hex("hlc", uint64(r.Stamp))
	l.number("issued", r.Issued.Unix())
	l.hex("campaign", uint64(r.Campaign))
	l.hex("line", uint64(r.Line))
	l.hex("creative", uint64(r.Creative))
	l.hex("user", uint64(r.User))
	if r.Currency[0] != 0 {
		l.text("currency", r.Currency.String())
	}
	l.number("amount", int64(r.Amount))
	if r.Parts > 0 {
		l.parts(r)
	}
	if r.Policy.Model != 0 || r.Policy.Propensity != 0 {
		l.policy(r)
	}
	if r.Reason == ledger.Resold {
		l.sale(r)
	}
	return append(l.b, '}')
}

// sale is what an impression that a bidder has cost us.
func (l *line) sale(r *ledger.Record) {
	l.name("sale")
	l.b = append(l.b, '{')
	l.name("buyer")
	l.b = append(openrtb.AppendEscaped(append(l.b, '"'), r.Name), '"') // an operator's text
	l.text("currency", r.Sale.Currency.String())
	l.number("bid", int64(r.Sale.Bid))
	if r.Sale.Told {
		l.number("reported", int64(r.Sale.Reported))
	}
	l.b = append(l.b, '}')
}

func (l *line) parts(r *ledger.Record) {
	l.name("from")
	l.b = append(l.b, '[')
	for i, p := range r.From[:r.Parts] {
		if i > 0 {
			l.b = append(l.b, ',')
		}
		l.b = append(l.b, '{')
		l.hex("account", uint64(p.Account))
		l.number("day", int64(p.Day))
		l.number("epoch", int64(p.Epoch))
		l.b = append(l.b, '}')
	}
	l.b = append(l.b, ']')
}

func (l *line) policy(r *ledger.Record) {
	p := &r.Policy
	l.name("policy")
	l.b = append(l.b, '{')
	l.text("model", strconv.FormatUint(p.Model, 10))
	l.number("epoch", int64(p.Epoch))
	l.number("arm", int64(p.Arm))
	l.number("rung", int64(p.Rung))
	l.name("explored")
	l.b = strconv.AppendBool(l.b, p.Explored)
	l.rate("click", p.Click.Float())
	l.rate("conversion", p.Conversion.Float())
	l.rate("other", p.Other.Float())
	l.rate("propensity", p.Propensity.Float())
	l.b = append(l.b, '}')
}
