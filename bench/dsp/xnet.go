package main

//lint:file-ignore SA1019 deprecated in favour of net/http, which is another peer; measured because it is cheaper

import (
	"context"
	"crypto/tls"
	"net"

	"golang.org/x/net/http2"
)

func newXNet(int) func(addr string) caller {
	return standardCaller(&http2.Transport{
		AllowHTTP: true, DisableCompression: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	})
}
