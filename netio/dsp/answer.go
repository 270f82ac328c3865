package dsp

import (
	"time"

	"millrace/codec/gzip"
	"millrace/codec/http1"
)

// answerHead is what is kept of an answer's head, in either version of HTTP.
type answerHead struct {
	status     uint16
	zipped     bool // Content-Encoding: gzip
	unreadable bool // another Content-Encoding, or several
	length     int64
	retryAfter time.Duration
}

func (h *answerHead) setEncoding(coding []byte, twice bool) {
	switch {
	case len(coding) == 0 && !twice, http1.EqualFold(coding, "identity") && !twice:
	case (http1.EqualFold(coding, "gzip") || http1.EqualFold(coding, "x-gzip")) && !twice && !h.zipped:
		h.zipped = true
	default:
		h.unreadable = true
	}
}

// retryAfterMax bounds what a Retry-After is taken for.
const retryAfterMax = time.Hour

// setRetryAfter reads seconds, or a date, which is measured by the answer's own
// Date: no clock of ours is asked.
func (h *answerHead) setRetryAfter(value, date []byte) {
	if len(value) == 0 {
		return
	}
	seconds := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			h.retryAfter = untilDate(value, date)
			return
		}
		seconds = min(seconds*10+int(c-'0'), int(retryAfterMax/time.Second))
	}
	h.retryAfter = time.Duration(seconds) * time.Second
}

const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

func untilDate(value, date []byte) time.Duration {
	until, err := time.Parse(httpDate, string(value))
	from, err2 := time.Parse(httpDate, string(date))
	if err != nil || err2 != nil {
		return 0
	}
	return min(max(until.Sub(from), 0), retryAfterMax)
}

// answered ends a call whose body is complete.
func (p *Pool) answered(c *Call) {
	c.Status, c.RetryAfter = c.answerHead.status, c.retryAfter
	c.target.held -= cap(c.body) // from here on it is the caller's
	outcome := Answered
	switch {
	case c.unreadable:
		outcome = BadEncoding
	case c.zipped && len(c.body) > 0:
		outcome = p.inflate(c)
	}
	if outcome == Answered {
		if len(c.body) > 0 {
			c.Response = c.body
		}
	} else {
		c.Status = 0
		p.buffers.put(c.body)
		c.body = nil
	}
	p.finish(c, outcome)
}

// inflateGuess is how many times its size a body is expected to have when
// decompressed; a wrong guess only costs another buffer.
const inflateGuess = 6

// inflate decompresses a call's body, within its endpoint's limit.
func (p *Pool) inflate(c *Call) Outcome {
	limit := c.target.prepared.spec.ResponseBytesMax
	for size := min(len(c.body)*inflateGuess, limit) + 1; ; size = limit + 1 {
		buf := p.buffers.get(size)
		if buf == nil {
			return TooLarge
		}
		// Never more than fits: the buffer stays the pool's.
		most := min(cap(buf)-1, limit)
		out, err := p.unzip.Append(buf, c.body, most)
		switch {
		case err == nil:
			p.buffers.put(c.body)
			c.body = out
			return Answered
		case err != gzip.ErrTooLarge:
			p.buffers.put(buf)
			return BadEncoding
		case most == limit:
			p.buffers.put(buf)
			return TooLarge
		}
		p.buffers.put(buf)
	}
}
