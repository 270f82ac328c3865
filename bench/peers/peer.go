package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"

	"github.com/cloudwego/hertz/pkg/app"
	"github.com/cloudwego/hertz/pkg/app/server"
	"github.com/cloudwego/hertz/pkg/common/hlog"
)

// servePeer is the peer: hertz as its makers ship it, on netpoll, reading each
// request whole and answering with the same bytes.
func servePeer(ctx context.Context, listen string, answerBytes int, stdout io.Writer) error {
	hlog.SetSilentMode(true)
	hlog.SetLevel(hlog.LevelError)
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	answer := fixedAnswer(answerBytes)
	h := server.New(server.WithListener(ln), server.WithDisablePrintRoute(true))
	h.POST("/openrtb2/auction", func(_ context.Context, c *app.RequestContext) {
		c.SetStatusCode(200)
		c.SetContentType("application/json")
		c.Response.SetBodyRaw(answer)
	})
	fmt.Fprintf(stdout, "peer: serving ads on http://%s\n", ln.Addr())
	ended := make(chan error, 1)
	go func() { ended <- h.Run() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return h.Close()
	}
}

// fixedAnswer is JSON of exactly n bytes (at least 2).
func fixedAnswer(n int) []byte {
	const frame = `{"adm":""}`
	if n < len(frame) {
		return []byte("{}")
	}
	return bytes.Join([][]byte{[]byte(`{"adm":"`), bytes.Repeat([]byte("x"), n-len(frame)), []byte(`"}`)}, nil)
}
