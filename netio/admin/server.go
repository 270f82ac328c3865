package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bytedance/sonic"
	"github.com/cloudwego/hertz/pkg/app"
	"github.com/cloudwego/hertz/pkg/app/server"
	"github.com/cloudwego/hertz/pkg/common/hlog"
	"github.com/cloudwego/hertz/pkg/network/standard"
)

// Server is a running admin server. Its methods may be called from any
// goroutine.
type Server struct {
	cfg      Config
	src      Sources
	log      *slog.Logger
	listener *trackedListener
	hertz    *server.Hertz
	loopback bool

	inFlight  atomic.Int64
	done      chan struct{} // closed when the accept loop has returned
	runErr    error         // written before done is closed
	closeOnce sync.Once
}

// quietHertz takes hertz's own chatter off stderr: its lines are not in our
// log format, and what matters in them is reported by Listen and Shutdown.
var quietHertz = sync.OnceFunc(func() {
	hlog.SetSilentMode(true)
	hlog.SetLevel(hlog.LevelFatal)
})

// Listen binds the address and serves until Shutdown. When it returns the
// server is accepting.
func Listen(cfg Config, src Sources) (*Server, error) {
	if faults := cfg.Validate(); faults != nil {
		return nil, errors.Join(faults...)
	}
	quietHertz()
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: cannot listen on %s: %w; choose another address with --admin", cfg.Listen, err)
	}
	s := &Server{
		cfg: cfg, src: src, log: src.Logger,
		listener: &trackedListener{Listener: ln, open: map[*trackedConn]struct{}{}},
		loopback: loopback(ln.Addr()),
		done:     make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.hertz = server.New(
		server.WithListener(s.listener),
		server.WithTransport(standard.NewTransporter),
		server.WithMaxRequestBodySize(cfg.BodyBytesMax),
		server.WithIdleTimeout(cfg.IdleTimeout),
		server.WithReadTimeout(cfg.ReadTimeout),
		server.WithDisablePrintRoute(true),
		server.WithHandleMethodNotAllowed(true),
		server.WithRedirectTrailingSlash(true),
	)
	s.routes()
	go func() {
		defer close(s.done)
		s.runErr = s.hertz.Run()
	}()
	return s, nil
}

// Addr is the bound address.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Shutdown closes the listener, lets requests in flight end and their answers
// leave until ctx is done, then closes every connection, idle ones included.
// It is idempotent; the error is ctx's when requests had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	s.closeOnce.Do(func() {
		_ = s.listener.Close()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for err == nil && (s.inFlight.Load() > 0 || s.listener.busy() > 0) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				err = fmt.Errorf("admin: %d connections cut off in a request: %w", s.listener.busy(), ctx.Err())
			}
		}
		s.listener.closeAll()
		<-s.done
		if s.runErr != nil && !errors.Is(s.runErr, net.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("admin: %w", s.runErr))
		}
	})
	return err
}

// guard is the middleware of every route: it counts requests in flight, turns
// a panic of a source into a 500, and enforces the rules of the package
// comment about who may ask.
func (s *Server) guard(ctx context.Context, c *app.RequestContext) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("admin: a source panicked", "path", string(c.Path()), "panic", fmt.Sprint(p))
			c.Response.ResetBody()
			fail(c, 500, "internal error: "+fmt.Sprint(p), "see the log")
			c.Abort()
		}
	}()
	c.Response.Header.Set("Cache-Control", "no-store")
	c.Response.Header.Set("X-Content-Type-Options", "nosniff")
	if s.loopback && !loopbackHost(string(c.Host())) {
		fail(c, 403, fmt.Sprintf("host %q is not this machine", c.Host()), "ask by 127.0.0.1 or localhost")
		c.Abort()
		return
	}
	if m := string(c.Method()); m != "GET" && m != "HEAD" {
		if o := c.Request.Header.Get("Origin"); o != "" && !sameOrigin(o, string(c.Host())) {
			fail(c, 403, "a page of another origin may not change this server", "use curl or the millrace command")
			c.Abort()
			return
		}
	}
	c.Next(ctx)
}

func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host == host
}

// problem is the body of every error.
type problem struct {
	Error  string `json:"error"`
	Remedy string `json:"remedy,omitempty"`
}

func fail(c *app.RequestContext, status int, text, remedy string) {
	answer(c, status, problem{Error: text, Remedy: remedy})
}

// answer writes v as indented JSON with sorted keys: people read this with
// curl, and a diff of two answers should show what changed.
func answer(c *app.RequestContext, status int, v any) {
	b, err := sonic.ConfigStd.MarshalIndent(v, "", "  ")
	if err != nil {
		status = 500
		b, _ = sonic.ConfigStd.Marshal(problem{Error: "cannot encode the answer: " + err.Error()})
	}
	c.SetStatusCode(status)
	c.SetContentType("application/json")
	c.Response.SetBody(append(bytes.TrimSpace(b), '\n'))
}

// trackedListener remembers its open connections, because hertz's shutdown
// waits for idle keep-alive clients instead of closing them.
type trackedListener struct {
	net.Listener
	mu     sync.Mutex
	open   map[*trackedConn]struct{} // guarded by mu
	closed bool                      // guarded by mu
}

func (l *trackedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &trackedConn{Conn: c, home: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	l.open[t] = struct{}{}
	return t, nil
}

func (l *trackedListener) closeAll() {
	l.mu.Lock()
	l.closed = true
	conns := make([]*trackedConn, 0, len(l.open))
	for c := range l.open {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// busy counts the connections that have been read from and not answered yet:
// the handler's own count ends before its answer is written.
func (l *trackedListener) busy() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		if c.asked.Load() {
			n++
		}
	}
	return n
}

type trackedConn struct {
	net.Conn
	home  *trackedListener
	asked atomic.Bool
}

func (c *trackedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.asked.Store(true)
	}
	return n, err
}

func (c *trackedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.asked.Store(false)
	return n, err
}

func (c *trackedConn) Close() error {
	c.home.mu.Lock()
	delete(c.home.open, c)
	c.home.mu.Unlock()
	return c.Conn.Close()
}
