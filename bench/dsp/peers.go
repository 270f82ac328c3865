package main

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	hertz "github.com/cloudwego/hertz/pkg/app/client"
	"github.com/cloudwego/hertz/pkg/network/standard"
	"github.com/cloudwego/hertz/pkg/protocol"
	"github.com/hertz-contrib/http2/config"
	"github.com/hertz-contrib/http2/factory"
	"github.com/valyala/fasthttp"
)

const path = "/openrtb2/auction"

func newFasthttp(flight int) func(addr string) caller {
	return func(addr string) caller {
		// One client a host and a call in flight, as its HostClient is meant; it has no
		// other state that sharing would save.
		c := &fasthttp.HostClient{Addr: addr, MaxConns: 1, NoDefaultUserAgentHeader: true}
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		req.SetRequestURI("http://" + addr + path)
		req.Header.SetMethod("POST")
		req.Header.SetContentType("application/json")
		return func(answer []byte) (int, error) {
			req.SetBodyRaw(requestBody)
			if err := c.Do(req, resp); err != nil {
				return 0, err
			}
			return copy(answer, resp.Body()), nil
		}
	}
}

func newHertz(flight int) func(addr string) caller {
	c, err := hertz.NewClient(hertz.WithMaxConnsPerHost(flight), hertz.WithDialer(standard.NewDialer()))
	return hertzCaller(c, err)
}

func newHertz2(int) func(addr string) caller {
	c, err := hertz.NewClient(hertz.WithDialer(standard.NewDialer()))
	if err == nil {
		c.SetClientFactory(factory.NewClientFactory(config.WithAllowHTTP(true), config.WithDialer(standard.NewDialer())))
	}
	return hertzCaller(c, err)
}

func hertzCaller(c *hertz.Client, err error) func(addr string) caller {
	return func(addr string) caller {
		req, resp := protocol.AcquireRequest(), protocol.AcquireResponse()
		req.SetRequestURI("http://" + addr + path)
		req.Header.SetMethod("POST")
		req.Header.SetContentTypeBytes([]byte("application/json"))
		ctx := context.Background()
		return func(answer []byte) (int, error) {
			if err != nil {
				return 0, err
			}
			req.SetBodyRaw(requestBody)
			if err := c.Do(ctx, req, resp); err != nil {
				return 0, err
			}
			n := copy(answer, resp.Body())
			resp.Reset()
			return n, nil
		}
	}
}

func newStandard(flight int) func(addr string) caller {
	return standardCaller(&http.Transport{MaxIdleConnsPerHost: flight, MaxIdleConns: 0, DisableCompression: true})
}

func newStandard2(int) func(addr string) caller {
	t := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	t.Protocols.SetUnencryptedHTTP2(true)
	return standardCaller(t)
}

func standardCaller(t http.RoundTripper) func(addr string) caller {
	return func(addr string) caller {
		u, err := url.Parse("http://" + addr + path)
		header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {""}}
		return func(answer []byte) (int, error) {
			if err != nil {
				return 0, err
			}
			req := &http.Request{
				Method: "POST", URL: u, Host: addr, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				ContentLength: int64(len(requestBody)), Body: readCloser{bytes.NewReader(requestBody)},
			}
			resp, err := t.RoundTrip(req)
			if err != nil {
				return 0, err
			}
			return readInto(resp.Body, answer)
		}
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
