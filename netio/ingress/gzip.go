package ingress

import (
	"errors"

	"millrace/codec/gzip"
	"millrace/codec/http1"
)

type bodyCoding uint8

const (
	codingIdentity bodyCoding = iota
	codingGzip
	codingUnknown
)

func coding(v []byte) bodyCoding {
	switch {
	case len(v) == 0 || http1.EqualFold(v, "identity"):
		return codingIdentity
	case http1.EqualFold(v, "gzip") || http1.EqualFold(v, "x-gzip"):
		return codingGzip
	}
	return codingUnknown
}

// inflate replaces x.Body by its decompressed form; a status other than 0 is the
// answer to a body that has none.
func (s *Server) inflate(x *Exchange) (status int, reason string) {
	var err error
	x.plain, err = s.gzip.Inflate(x.plain[:0], x.Body, s.cfg.BodyBytesMax)
	switch {
	case errors.Is(err, gzip.ErrTooLarge):
		return 413, "body: larger than this server accepts once decompressed"
	case err != nil:
		return 400, "body: not valid gzip"
	}
	x.Body = x.plain
	return 0, ""
}

// answerCoding is how an answer's body is sent.
type answerCoding uint8

const (
	answerPlain  answerCoding = iota
	answerVaries              // plain, but another client would get it compressed
	answerGzip
)

// deflate compresses x.Out where the client asked for it and it pays. It runs
// before the connection is locked: others' answers on it need not wait.
func (s *Server) deflate(x *Exchange, status int) answerCoding {
	if s.cfg.GzipBytesMin == 0 || len(x.Out) < s.cfg.GzipBytesMin || !http1.HasBody(status) {
		return answerPlain
	}
	if x.Req.Method == http1.HEAD || !gzip.Accepted(x.Req.AcceptEncoding) {
		return answerVaries
	}
	x.zip = s.gzip.Deflate(x.zip[:0], x.Out)
	if len(x.zip) >= len(x.Out) {
		return answerVaries
	}
	s.metrics.deflated.Add(1)
	s.metrics.deflatedFrom.Add(uint64(len(x.Out)))
	s.metrics.deflatedTo.Add(uint64(len(x.zip)))
	x.Out, x.zip = x.zip, x.Out
	return answerGzip
}
