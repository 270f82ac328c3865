package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
	"millrace/engine/serve"
	"millrace/netio/ingress"
	"millrace/shards"
)

// listen puts a gateway behind a real listener and returns its address.
func listen(t *testing.T, g func(*event.Keyring, *shards.Registry) *Gateway) (*Gateway, *event.Keyring, string) {
	t.Helper()
	keys, err := event.NewKeyring([]event.Key{{ID: 1, Secret: []byte("a secret for tests only, of no other use")}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	registry := shards.NewRegistry()
	gate := g(keys, registry)
	c := ingress.Default()
	c.Addr, c.NewAttachment = "127.0.0.1:0", gate.NewAttachment
	s, err := ingress.Listen(c, shards.SystemClock(), registry, gate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return gate, keys, "http://" + s.Addr().String()
}

func ask(t *testing.T, method, url, body string) (status int, text string, header http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// TestGateInItsStates: before there are shards, before readiness, with full
// mailboxes, and closed again. What is refused says when to come back.
func TestGateInItsStates(t *testing.T) {
	gate, keys, url := listen(t, func(k *event.Keyring, r *shards.Registry) *Gateway {
		return New(Config{Node: 1, Epoch: 1, Limits: openrtb.DefaultLimits(), RetryAfterSeconds: 3}, k, shards.SystemClock(), r)
	})
	now := shards.SystemClock().Wall()
	token := event.Token{
		Kind: event.Impression, Win: event.WinID{Node: 1, Epoch: 1}, Issued: now, Expires: now.Add(time.Hour),
		Currency: unit.USD, Campaign: 1, Line: 1, Creative: 1,
	}
	beacon := url + "/e/i?t=" + string(keys.NewSigner().Append(nil, &token))
	body := `{"id":"r",` + imp + `}`
	expect := func(what, method, url string, status int, says string) {
		t.Helper()
		got, text, header := ask(t, method, url, body)
		if got != status || !strings.Contains(text, says) || status == 503 && header.Get("Retry-After") != "3" {
			t.Errorf("%s: %d %q, Retry-After %q; want %d %q", what, got, text, header.Get("Retry-After"), status, says)
		}
	}
	auction := url + "/openrtb2/auction"
	expect("no shards: bid", "POST", auction, 503, "not ready")
	expect("no shards: event", "GET", beacon, 503, "not ready")
	expect("no shards: readyz", "GET", url+"/readyz", 503, "not ready")
	expect("no shards: healthz", "GET", url+"/healthz", 200, "ok")
	var full atomic.Bool
	gate.Attach(func(_ unit.ShardID, m *serve.Message) bool {
		if full.Load() {
			return false
		}
		m.Context.Answer.Set(204, "")
		gate.Reply(m.Context, nil)
		return true
	}, 4)
	expect("attached, not ready: bid", "POST", auction, 503, "not ready")
	expect("attached, not ready: event", "GET", beacon, 204, "")
	gate.SetReady(true)
	expect("ready", "GET", url+"/readyz", 200, "ready")
	expect("ready: bid", "POST", auction, 204, "")
	full.Store(true)
	expect("full: bid", "POST", auction, 503, "mailbox full")
	expect("full: event", "GET", beacon, 503, "mailbox full")
	full.Store(false)
	gate.SetReady(false)
	expect("closed: bid", "POST", auction, 503, "not ready")
	expect("closed: event", "GET", beacon, 204, "")
}

// TestOwnersGetTheirRequests: one user's requests always go to one shard, and
// users and strangers spread over all of them.
func TestOwnersGetTheirRequests(t *testing.T) {
	gate, _, url := listen(t, func(k *event.Keyring, r *shards.Registry) *Gateway {
		return New(Config{Limits: openrtb.DefaultLimits()}, k, shards.SystemClock(), r)
	})
	got := make(chan unit.ShardID, 1)
	gate.Attach(func(s unit.ShardID, m *serve.Message) bool {
		got <- s
		m.Context.Answer.Set(204, "")
		gate.Reply(m.Context, nil)
		return true
	}, 4)
	gate.SetReady(true)
	hit := func(body string) unit.ShardID {
		ask(t, "POST", url+"/openrtb2/auction", body)
		return <-got
	}
	for _, user := range []string{"a", "b", "c"} {
		to := hit(`{"id":"first",` + imp + `,"user":{"id":"` + user + `"}}`)
		if again := hit(`{"id":"second",` + imp + `,"device":{"ip":"192.0.2.1"},"user":{"id":"` + user + `"}}`); again != to {
			t.Errorf("user %s went to shards %d and %d", user, to, again)
		}
	}
	seen := map[unit.ShardID]bool{}
	for i := range 60 {
		seen[hit(`{"id":"`+strings.Repeat("x", i+1)+`",`+imp+`}`)] = true
	}
	if len(seen) != 4 {
		t.Errorf("strangers met %d of 4 shards", len(seen))
	}
}
