package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/bytedance/sonic"
	"github.com/cloudwego/hertz/pkg/app"
	"github.com/cloudwego/hertz/pkg/common/adaptor"
	"github.com/valyala/bytebufferpool"
)

// metricsContentType is the Prometheus text format, version 0.0.4.
const metricsContentType = "text/plain; version=0.0.4; charset=utf-8"

var index = []string{
	"GET /metrics", "GET /config", "GET /campaigns", "GET /campaigns/{id}", "GET /shards", "GET /store", "GET /models", "GET /demand",
	"POST /models/promote", "POST /models/rollback", "POST /refunds", "POST /reconcile", "GET /healthz",
	"GET /readyz", "GET /log/level", "PUT /log/level", "POST /reload", "GET /debug/pprof/",
}

func (s *Server) routes() {
	h := s.hertz
	h.Use(s.guard)
	h.NoRoute(func(_ context.Context, c *app.RequestContext) {
		fail(c, 404, "no such page: "+string(c.Path()), "GET / lists what is here")
	})
	h.NoMethod(func(_ context.Context, c *app.RequestContext) {
		fail(c, 405, "method "+string(c.Method())+" is not for "+string(c.Path()), "GET / lists what is here")
	})
	h.GET("/", func(_ context.Context, c *app.RequestContext) {
		answer(c, 200, struct {
			Server  string   `json:"server"`
			Version string   `json:"version,omitempty"`
			Pages   []string `json:"pages"`
		}{"millrace admin", s.src.Version, index})
	})
	h.GET("/healthz", func(_ context.Context, c *app.RequestContext) {
		answer(c, 200, map[string]string{"status": "ok"})
	})
	h.GET("/readyz", s.ready)
	h.GET("/metrics", s.metrics)
	h.GET("/config", s.config)
	h.GET("/campaigns", s.list("campaigns", s.src.Campaigns))
	h.GET("/campaigns/:id", s.campaign)
	h.GET("/shards", s.list("shards", s.src.Shards))
	h.GET("/store", s.list("store", s.src.Store))
	h.GET("/models", s.list("models", s.src.Models))
	h.GET("/demand", s.list("demand side", s.src.Demand))
	h.POST("/models/promote", s.step("promote", s.src.Promote))
	h.POST("/models/rollback", s.step("rollback", s.src.Rollback))
	h.POST("/refunds", s.refund)
	h.POST("/reconcile", s.reconcile)
	h.GET("/log/level", s.level)
	h.PUT("/log/level", s.setLevel)
	h.POST("/reload", s.reload)
	s.profiles()
}

func absent(c *app.RequestContext, what string) {
	fail(c, 501, "this server has no "+what, "")
}

func (s *Server) ready(_ context.Context, c *app.RequestContext) {
	if s.src.Ready != nil {
		if err := s.src.Ready(); err != nil {
			answer(c, 503, map[string]string{"status": "not ready", "reason": err.Error()})
			return
		}
	}
	answer(c, 200, map[string]string{"status": "ready"})
}

func (s *Server) metrics(_ context.Context, c *app.RequestContext) {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	if s.src.Metrics != nil {
		if err := s.src.Metrics(b); err != nil {
			fail(c, 500, "cannot collect metrics: "+err.Error(), "")
			return
		}
	}
	if err := WriteRuntimeMetrics(b); err != nil {
		fail(c, 500, "cannot collect the runtime's metrics: "+err.Error(), "")
		return
	}
	c.SetStatusCode(200)
	c.SetContentType(metricsContentType)
	c.Response.SetBody(b.Bytes()) // copies
}

func (s *Server) config(_ context.Context, c *app.RequestContext) {
	if s.src.Config == nil {
		absent(c, "configuration")
		return
	}
	answer(c, 200, s.src.Config())
}

func (s *Server) list(what string, f func(context.Context) (any, error)) app.HandlerFunc {
	return func(ctx context.Context, c *app.RequestContext) {
		if f == nil {
			absent(c, what)
			return
		}
		v, err := f(ctx)
		if err != nil {
			fail(c, 503, "cannot read the "+what+": "+err.Error(), "try again")
			return
		}
		answer(c, 200, v)
	}
}

// step does an operator's step of a model's rollout.
func (s *Server) step(what string, f func(context.Context) error) app.HandlerFunc {
	return func(ctx context.Context, c *app.RequestContext) {
		if f == nil {
			absent(c, "models")
			return
		}
		if err := f(ctx); err != nil {
			fail(c, 409, "cannot "+what+": "+err.Error(), "GET /models shows what is on trial")
			return
		}
		answer(c, 200, map[string]string{"status": "done"})
	}
}

func (s *Server) campaign(ctx context.Context, c *app.RequestContext) {
	if s.src.Campaign == nil {
		absent(c, "campaigns")
		return
	}
	id := c.Param("id")
	v, err := s.src.Campaign(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		fail(c, 404, "no campaign "+id, "GET /campaigns lists names and ids")
	case err != nil:
		fail(c, 503, "cannot read the campaign: "+err.Error(), "try again")
	default:
		answer(c, 200, v)
	}
}

type levelBody struct {
	Level string `json:"level"`
}

func (s *Server) level(_ context.Context, c *app.RequestContext) {
	if s.src.Level == nil {
		absent(c, "log level")
		return
	}
	answer(c, 200, levelBody{Level: strings.ToLower(s.src.Level.Level().String())})
}

// setLevel takes the bare word or {"level": "debug"}.
func (s *Server) setLevel(ctx context.Context, c *app.RequestContext) {
	if s.src.Level == nil {
		absent(c, "log level")
		return
	}
	word := strings.TrimSpace(string(c.Request.Body()))
	if strings.HasPrefix(word, "{") {
		var b levelBody
		if err := sonic.ConfigStd.UnmarshalFromString(word, &b); err != nil {
			fail(c, 400, "the body is not JSON: "+err.Error(), `send {"level": "debug"} or the bare word`)
			return
		}
		word = b.Level
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.Trim(word, `"`))); err != nil {
		fail(c, 400, "unknown log level "+strings.Trim(word, `"`), "use debug, info, warn or error")
		return
	}
	was := s.src.Level.Level()
	s.src.Level.Set(l)
	s.log.Warn("log level changed", "from", was, "to", l)
	s.level(ctx, c)
}

// reload answers 200, or 422 with the faults when the new catalog is refused
// and the old one goes on. A reload that outlives the timeout goes on too; the
// answer says so.
func (s *Server) reload(ctx context.Context, c *app.RequestContext) {
	if s.src.Reload == nil {
		absent(c, "reload")
		return
	}
	result := make(chan error, 1)
	go func() { result <- s.src.Reload() }()
	t := time.NewTimer(s.cfg.ReloadTimeout)
	defer t.Stop()
	select {
	case err := <-result:
		if err != nil {
			fail(c, 422, "what is new was refused, the old goes on: "+err.Error(), "millrace campaigns check FILE lists every fault of a catalog; GET /models says why a bundle does not serve")
			return
		}
		answer(c, 200, map[string]string{"status": "reloaded"})
	case <-t.C:
		answer(c, 202, map[string]string{"status": "still loading after " + s.cfg.ReloadTimeout.String() + "; it goes on"})
	case <-ctx.Done():
	}
}

// profiles serves net/http/pprof. It is spelled out, not mounted from the
// default mux, so that nothing else registered there is served.
func (s *Server) profiles() {
	h := s.hertz
	h.GET("/debug/pprof/", adaptor.HertzHandler(http.HandlerFunc(pprof.Index)))
	for name, f := range map[string]http.HandlerFunc{
		"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		h.GET("/debug/pprof/"+name, adaptor.HertzHandler(f))
	}
	h.POST("/debug/pprof/symbol", adaptor.HertzHandler(http.HandlerFunc(pprof.Symbol)))
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		h.GET("/debug/pprof/"+name, adaptor.HertzHandler(pprof.Handler(name)))
	}
}
