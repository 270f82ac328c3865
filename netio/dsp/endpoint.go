package dsp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"millrace/codec/http2"
)

// Protocol chooses the version of HTTP.
type Protocol uint8

// Protocols.
const (
	// Auto is what the server picks by ALPN over TLS, and HTTP/1.1 without TLS.
	Auto Protocol = iota
	// HTTP1 is HTTP/1.1.
	HTTP1
	// HTTP2 offers nothing else over TLS, and begins with it (prior knowledge) without TLS.
	HTTP2
)

// Header is a header line that every request of an endpoint carries.
type Header struct{ Name, Value string }

// Endpoint is one URL that bid requests are posted to, as configured. The zero
// values of numbers stand for the defaults named.
type Endpoint struct {
	Name     string // unique in a list; connections survive a reload if it and all else stay the same
	URL      string // http or https; may have a query
	Protocol Protocol
	Headers  []Header // beside the pool's own: Content-Type, Content-Length, Accept-Encoding, Content-Encoding, User-Agent

	RootCAs            *x509.CertPool    // nil: the system's
	ServerName         string            // to verify and to ask for; empty: the URL's host
	Certificates       []tls.Certificate // ours, if the server asks
	InsecureSkipVerify bool              // for mocks of one's own only

	GzipRequest  bool // bodies are sent compressed
	GzipResponse bool // compressed answers are asked for; one that comes unasked is read too

	ConnsMin         int // kept open, a pool; 1
	ConnsMax         int // at most, a pool; 4 over HTTP/2; HTTP/1.1 needs one for each call in flight: 64
	StreamsMax       int // calls at once on one HTTP/2 connection, if the peer allows as many; 100
	QueueMax         int // calls that may wait for a connection, a pool; 128
	ResponseBytesMax int // an answer's body, sent and decompressed; 256 KiB
}

// Defaults of Endpoint.
const (
	DefaultConnsMin         = 1
	DefaultConnsMax         = 4
	DefaultConnsMaxHTTP1    = 64
	DefaultStreamsMax       = 100
	DefaultQueueMax         = 128
	DefaultResponseBytesMax = 256 << 10
)

// Endpoints is a list of endpoints made ready: checked, header blocks encoded.
// It is immutable; all pools of a node share it.
type Endpoints struct {
	all    []prepared
	byName map[string]int
}

// Len is the number of endpoints.
func (e *Endpoints) Len() int { return len(e.all) }

// Name is the name of an endpoint.
func (e *Endpoints) Name(id EndpointID) string { return e.all[id].spec.Name }

// prepared is an endpoint with what each request needs of it.
type prepared struct {
	spec    Endpoint
	address string // host:port to dial
	secure  bool
	tls     *tls.Config // nil without TLS; its session cache is shared by the pools' dials
	print   string      // all that a connection depends on: equal prints, connections survive a reload

	block []byte // HTTP/2 header block, up to the value of content-length
	head  []byte // HTTP/1.1 head, up to the value of Content-Length
}

// Prepare checks a list and makes it ready. The error lists every fault, each
// with field and remedy.
func Prepare(list []Endpoint, userAgent string) (*Endpoints, error) {
	e := &Endpoints{all: make([]prepared, len(list)), byName: make(map[string]int, len(list))}
	var faults []error
	if len(list) > endpointsMax {
		return nil, fmt.Errorf("endpoints: %d; give at most %d", len(list), endpointsMax)
	}
	for i := range list {
		p := &e.all[i]
		p.spec = list[i]
		faults = append(faults, p.prepare(userAgent)...)
		if _, twice := e.byName[p.spec.Name]; twice {
			faults = append(faults, fmt.Errorf("%s: Name: used twice; give each endpoint its own", p.spec.Name))
		}
		e.byName[p.spec.Name] = i
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return e, nil
}

const (
	endpointsMax = 1 << 15
	headBytesMax = 8 << 10 // of a request: one frame, and no more than servers take
)

// prepare fills in what is derived and lists the faults.
func (p *prepared) prepare(userAgent string) (faults []error) {
	s := &p.spec
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s: %s", s.Name, field, fmt.Sprintf(format, args...)))
	}
	if s.Name == "" {
		fault("Name", "empty; give each endpoint a name of its own")
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
		fault("URL", "%q; give http://host[:port]/path or https://host[:port]/path", s.URL)
		return faults
	}
	if s.Protocol > HTTP2 {
		fault("Protocol", "%d; give Auto, HTTP1 or HTTP2", s.Protocol)
	}
	p.secure = u.Scheme == "https"
	p.limits(fault)
	p.address = address(u)
	if p.secure {
		p.tls = s.clientTLS(u.Hostname())
	}
	for _, h := range s.Headers {
		if !validHeader(h) {
			fault("Headers", "%q: %q; give a token and a value without controls, and none that the client sets itself", h.Name, h.Value)
		}
	}
	if !validHeader(Header{"User-Agents", userAgent}) {
		fault("user agent", "%q; give text without controls", userAgent)
	}
	if len(faults) == 0 {
		if p.encode(u, userAgent); max(len(p.block), len(p.head)) > headBytesMax {
			fault("Headers", "%d bytes with the URL; give at most %d", max(len(p.block), len(p.head)), headBytesMax)
		}
	}
	return faults
}

func address(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// limits puts defaults in and checks the numbers.
func (p *prepared) limits(fault func(field, format string, args ...any)) {
	s := &p.spec
	connsMax := DefaultConnsMax
	if s.Protocol != HTTP2 {
		connsMax = DefaultConnsMaxHTTP1
	}
	for _, n := range []struct {
		name          string
		v             *int
		def, min, max int
	}{
		{"ConnsMin", &s.ConnsMin, DefaultConnsMin, 1, 1024},
		{"ConnsMax", &s.ConnsMax, max(connsMax, s.ConnsMin), 1, 1024},
		{"StreamsMax", &s.StreamsMax, DefaultStreamsMax, 1, 1024},
		{"QueueMax", &s.QueueMax, DefaultQueueMax, 1, 1 << 16},
		{"ResponseBytesMax", &s.ResponseBytesMax, DefaultResponseBytesMax, 1 << 10, 16 << 20},
	} {
		if *n.v == 0 {
			*n.v = n.def
		}
		if *n.v < n.min || *n.v > n.max {
			fault(n.name, "%d; give %d to %d, or 0 for %d", *n.v, n.min, n.max, n.def)
		}
	}
	if s.ConnsMin > s.ConnsMax {
		fault("ConnsMin", "%d; give at most ConnsMax, %d", s.ConnsMin, s.ConnsMax)
	}
}

func (s *Endpoint) clientTLS(host string) *tls.Config {
	c := &tls.Config{
		RootCAs: s.RootCAs, ServerName: s.ServerName, Certificates: s.Certificates, InsecureSkipVerify: s.InsecureSkipVerify,
		MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept),
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	switch s.Protocol {
	case Auto:
		c.NextProtos = []string{"h2", "http/1.1"}
	case HTTP1:
		c.NextProtos = []string{"http/1.1"}
	case HTTP2:
		c.NextProtos = []string{"h2"}
	}
	return c
}

// sessionsKept bounds the resumable sessions of one endpoint; one name, so one
// key, is all that is ever asked for.
const sessionsKept = 4

// ownHeaders are set by the client and may not be configured.
var ownHeaders = []string{
	"content-type", "content-length", "accept-encoding", "content-encoding", "user-agent", "host", "connection", "te",
	"transfer-encoding", "keep-alive", "proxy-connection", "upgrade", "expect", "trailer",
}

func validHeader(h Header) bool {
	for _, own := range ownHeaders {
		if strings.EqualFold(h.Name, own) {
			return false
		}
	}
	for i := range len(h.Name) {
		if !isToken(h.Name[i]) {
			return false
		}
	}
	for i := range len(h.Value) {
		if c := h.Value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return h.Name != "" && len(h.Name)+len(h.Value) <= 4096
}

func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// encode writes the head of all requests once, in both versions of HTTP, up to
// the one value that differs: the length.
func (p *prepared) encode(u *url.URL, userAgent string) {
	s := &p.spec
	target := u.RequestURI()
	headers := []Header{{"Content-Type", "application/json"}}
	if userAgent != "" {
		headers = append(headers, Header{"User-Agent", userAgent})
	}
	if s.GzipResponse {
		headers = append(headers, Header{"Accept-Encoding", "gzip"})
	}
	if s.GzipRequest {
		headers = append(headers, Header{"Content-Encoding", "gzip"})
	}
	headers = append(headers, s.Headers...)

	b := http2.AppendField(nil, ":method", "POST")
	scheme := "http"
	if p.secure {
		scheme = "https"
	}
	b = http2.AppendField(b, ":scheme", scheme)
	b = http2.AppendField(b, ":authority", u.Host)
	b = http2.AppendField(b, ":path", target)
	h := append([]byte(nil), "POST "+target+" HTTP/1.1\r\nHost: "+u.Host+"\r\n"...)
	for _, x := range headers {
		b = http2.AppendField(b, strings.ToLower(x.Name), x.Value)
		h = append(h, x.Name+": "+x.Value+"\r\n"...)
	}
	p.block = b
	p.head = append(h, "Content-Length: "...)
	p.print = fmt.Sprintf("%s|%d|%p|%s|%v|%d", p.address, s.Protocol, s.RootCAs, s.ServerName, s.InsecureSkipVerify, len(s.Certificates))
}
