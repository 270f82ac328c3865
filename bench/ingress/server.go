package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"millrace/codec/http1"
	"millrace/codec/unit"
	"millrace/netio/ingress"
	"millrace/shards"
)

// childVariable makes a process of this program a server: "mode pollers shards".
const childVariable = "MILLRACE_BENCH_INGRESS_SERVER"

var answerBody = `{"id":"bench","seatbid":[` + strings.Repeat("x", 573) + `]}`

// serveIfChild runs the server that the environment asks for until stdin ends.
func serveIfChild() bool {
	text := os.Getenv(childVariable)
	if text == "" {
		return false
	}
	var a arrangement
	if _, err := fmt.Sscan(text, &a.mode, &a.pollers, &a.shards); err != nil {
		log.Fatalf("%s=%q: want mode, pollers and shards", childVariable, text)
	}
	stop, err := start(a)
	if err != nil {
		log.Fatal(err)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var usage unix.Rusage
		var mem runtime.MemStats
		_ = unix.Getrusage(unix.RUSAGE_SELF, &usage)
		runtime.ReadMemStats(&mem)
		fmt.Println(usage.Utime.Nano()+usage.Stime.Nano(), mem.Mallocs)
	}
	stop()
	return true
}

// start serves in the asked way and prints the address.
func start(a arrangement) (stop func(), err error) {
	switch a.mode {
	case "connection":
		return startConnection(a)
	case "net/http":
		return startStandard()
	}
	var h ingress.Handler = poller{}
	var group *shards.Group[message]
	if a.mode != "poller" {
		if group, err = startGroup(a); err != nil {
			return nil, err
		}
		h = hopping{group}
	}
	cfg := ingress.Default()
	cfg.Addr, cfg.Pollers = "127.0.0.1:0", a.pollers
	s, err := ingress.Listen(cfg, shards.SystemClock(), nil, h)
	if err != nil {
		return nil, err
	}
	fmt.Println(s.Addr())
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		if group != nil {
			_ = group.Stop(ctx)
		}
	}, nil
}

// poller answers where it is called.
type poller struct{}

func (poller) Serve(x *ingress.Exchange, f *ingress.Flusher) {
	x.Out = append(x.Out[:0], answerBody...)
	x.Reply(f, 200, ingress.ReplyHeaders{ContentType: http1.TypeJSON})
}

// message carries an exchange to its shard.
type message struct{ x *ingress.Exchange }

func (*message) Kind() uint8 { return 0 }

type hopping struct{ group *shards.Group[message] }

func (h hopping) Serve(x *ingress.Exchange, f *ingress.Flusher) {
	m := message{x}
	// The port stands for the user whose shard owns the request.
	if !h.group.Submit(unit.Owner(uint64(x.Remote.Port())*0x9E3779B97F4A7C15, h.group.Len()), &m) {
		x.Reply(f, 503, ingress.ReplyHeaders{RetryAfterSeconds: 1})
	}
}

// answering is the shard's side.
type answering struct{ flusher ingress.Flusher }

func (h *answering) Handle(m *message)   { poller{}.Serve(m.x, &h.flusher) }
func (h *answering) Timer(uint8, uint64) {}
func (h *answering) EndBatch()           { h.flusher.Flush() }

func startGroup(a arrangement) (*shards.Group[message], error) {
	cfg := shards.Default()
	cfg.Shards = a.shards
	cfg.Dispatch = shards.DispatchHop
	if a.mode == "inline" {
		cfg.Dispatch = shards.DispatchInline
	}
	group, err := shards.NewGroup(cfg, shards.SystemClock(), shards.NewRegistry(),
		func(*shards.Shard[message]) shards.Handler[message] { return new(answering) })
	if err != nil {
		return nil, err
	}
	return group, group.Start(context.Background())
}

// startConnection serves on netpoll's own Connection, as its documentation does.
func startConnection(a arrangement) (func(), error) {
	err := netpoll.Configure(netpoll.Config{PollerNum: a.pollers, Runner: func(_ context.Context, f func()) { f() }})
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	loop, err := netpoll.NewEventLoop(onRequest, netpoll.WithOnPrepare(func(netpoll.Connection) context.Context {
		return context.WithValue(context.Background(), inputKey{}, new(input))
	}))
	if err != nil {
		return nil, err
	}
	fmt.Println(ln.Addr())
	go func() { _ = loop.Serve(ln) }()
	return func() {}, nil
}

// input collects a connection's requests: netpoll would call onRequest again, at
// once and for ever, if a partial one were left in its own buffer.
type input struct{ buf []byte }

type inputKey struct{}

func onRequest(ctx context.Context, c netpoll.Connection) error {
	reader, out := c.Reader(), c.Writer()
	in := ctx.Value(inputKey{}).(*input)
	b, _ := reader.Next(reader.Len())
	in.buf = append(in.buf, b...)
	_ = reader.Release()
	var r http1.Request
	rest := in.buf
	for {
		n, status := http1.ParseRequest(rest, &r)
		if total := n + int(max(r.ContentLength, 0)); status == http1.OK && len(rest) >= total {
			rest = rest[total:]
		} else {
			break
		}
		head := http1.Head{ContentType: http1.TypeJSON}
		var buf [1024]byte
		_, _ = out.WriteBinary(append(http1.AppendHead(buf[:0], 200, len(answerBody), &head), answerBody...))
	}
	in.buf = in.buf[:copy(in.buf, rest)]
	return out.Flush()
}

func startStandard() (func(), error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	fmt.Println(ln.Addr())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answerBody)))
		_, _ = io.WriteString(w, answerBody)
	})}
	go func() { _ = server.Serve(ln) }()
	return func() { _ = server.Close() }, nil
}
