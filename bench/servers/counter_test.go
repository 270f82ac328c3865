package servers_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/bench/servers"
	"millrace/codec/unit"
	"millrace/shards"
	"millrace/state/store"
	"millrace/state/store/joint"
	"millrace/state/store/joint/jointtest"
	"millrace/state/store/valkey"
)

// counter is a joint.Counter on Valkey whose calls wait for their outcome.
type counter struct {
	t testing.TB
	*valkey.Counter
}

func openCounter(t testing.TB, change func(*valkey.Config), addresses ...string) counter {
	t.Helper()
	cfg := valkey.Default()
	// Long: a busy machine is no outage. Tests of outages set their own.
	cfg.Addresses, cfg.Timeout = addresses, 20*time.Second
	if change != nil {
		change(&cfg)
	}
	c, err := valkey.Open(cfg, shards.SystemClock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return counter{t, c}
}

func (c counter) try(batch ...store.GrantRequest) (out []joint.Taken, err error) {
	done := make(chan struct{})
	c.Take(batch, func(o []joint.Taken, e error) { out, err = o, e; close(done) })
	<-done
	return out, err
}

func (c counter) take(batch ...store.GrantRequest) []joint.Taken {
	c.t.Helper()
	out, err := c.try(batch...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c counter) load(batch ...joint.Balance) {
	c.t.Helper()
	done := make(chan error)
	c.Load(batch, func(err error) { done <- err })
	if err := <-done; err != nil {
		c.t.Fatal(err)
	}
}

func (c counter) reads(keys []joint.AccountDay, want ...joint.Balance) {
	c.t.Helper()
	done := make(chan []joint.Balance)
	c.Read(keys, func(got []joint.Balance, err error) {
		if err != nil {
			c.t.Error(err)
		}
		done <- got
	})
	if got := <-done; !slices.Equal(got, want) {
		c.t.Fatalf("it counts %+v, want %+v", got, want)
	}
}

func (c counter) give(batch ...store.ReturnRequest) {
	c.t.Helper()
	done := make(chan error)
	c.Give(batch, func(err error) { done <- err })
	if err := <-done; err != nil {
		c.t.Fatal(err)
	}
}

const testDay = unit.Day(20_833)

func want(seq uint64, campaign unit.CampaignID, account unit.AccountID, amount, daily unit.Nanos) store.GrantRequest {
	return store.GrantRequest{
		ID: store.OpID{Node: 1, Epoch: 7, Seq: seq}, Campaign: campaign, Account: account, Day: testDay, Amount: amount, AtLeast: 1, Daily: daily,
	}
}

func balance(campaign unit.CampaignID, account unit.AccountID, onDay, inAll unit.Nanos) joint.Balance {
	return joint.Balance{
		AccountDay:   joint.AccountDay{Account: account, Campaign: campaign, Day: testDay},
		CommittedDay: onDay, CommittedTotal: inAll,
	}
}

func expect(t *testing.T, got joint.Taken, status store.Status, amount, remaining unit.Nanos) {
	t.Helper()
	if got.Status != status || got.Amount != amount || got.Remaining != remaining {
		t.Fatalf("%+v, want %v %d, %d remaining", got, status, amount, remaining)
	}
}

// TestCounterSuite on one server for all parts: FLUSHALL makes it empty.
func TestCounterSuite(t *testing.T) {
	server := servers.Valkey(t)
	jointtest.Counter(t, func(t *testing.T) joint.Counter {
		if _, err := server.Do("FLUSHALL"); err != nil {
			t.Fatal(err)
		}
		return openCounter(t, nil, server.Addr).Counter
	})
}

// TestCounterCounts: loads, takes, repeats, gives, and what becomes of it all
// when the server loses its memory.
func TestCounterCounts(t *testing.T) {
	server := servers.Valkey(t)
	c := openCounter(t, nil, server.Addr)
	expect(t, c.take(want(1, 5, 50, 600, 1000))[0], store.Unavailable, 0, 0)
	c.load(balance(5, 50, 100, 100))
	c.reads([]joint.AccountDay{balance(5, 51, 0, 0).AccountDay, balance(5, 50, 0, 0).AccountDay, balance(6, 50, 0, 0).AccountDay}, balance(5, 50, 100, 100))
	first := want(1, 5, 50, 600, 1000)
	for range 2 { // a repeat gets the first outcome
		expect(t, c.take(first)[0], store.OK, 600, 300)
	}
	other := want(1, 5, 50, 250, 1000) // the same number, but another node's
	other.ID.Node = 2
	expect(t, c.take(other)[0], store.OK, 250, 50)
	back := store.ReturnRequest{ID: first.ID, Campaign: 5, Account: 50, Day: testDay, Amount: 600}
	c.give(back)
	c.give(back)
	// 350 of 1,000 are committed; a limit on all days binds too.
	limited := want(2, 5, 50, 600, 1000)
	limited.Total = 500
	expect(t, c.take(limited)[0], store.OK, 150, 0)
	expect(t, c.take(want(3, 5, 50, 1, 500))[0], store.Exhausted, 0, 0)
	expect(t, c.take(want(3, 5, 50, 1, 501))[0], store.OK, 1, 0) // a refusal took nothing: it is not remembered
	expect(t, c.take(want(4, 5, 51, 1, 0))[0], store.Unavailable, 0, 0)
	tomorrow := want(5, 5, 50, 1, 0)
	tomorrow.Day++
	expect(t, c.take(tomorrow)[0], store.Unavailable, 0, 0)
	for name, lose := range map[string]func(){
		"FLUSHALL": func() {
			if _, err := server.Do("FLUSHALL"); err != nil {
				t.Fatal(err)
			}
		},
		"an empty restart": func() { server.Kill(); server.Start() },
	} {
		lose()
		var got []joint.Taken
		for deadline := time.Now().Add(time.Minute); ; {
			var err error
			if got, err = c.try(first); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after %s: %v", name, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		expect(t, got[0], store.Unavailable, 0, 0)
		c.load(balance(5, 50, 100, 100))
		expect(t, c.take(first)[0], store.OK, 600, 300)
	}
	if s := c.Status(); s.Reloads < 2 {
		t.Errorf("scripts were sent with their text %d times; the restart forgot them", s.Reloads)
	}
	expiring(t, server)
}

// expiring: nothing stays for ever.
func expiring(t *testing.T, server *servers.ValkeyServer) {
	t.Helper()
	all, err := server.Do("DBSIZE")
	if err != nil {
		t.Fatal(err)
	}
	info, err := server.Do("INFO", "keyspace")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := strconv.Atoi(all); n == 0 || !strings.Contains(info, "keys="+all+",expires="+all+",") {
		t.Errorf("%s keys, and %s", all, info)
	}
}

// TestCounterChunks holds the script against store.Headroom and store.Chunk, for
// amounts of every size and several holders.
func TestCounterChunks(t *testing.T) {
	server := servers.Valkey(t)
	c := openCounter(t, nil, server.Addr)
	r := rand.New(rand.NewPCG(1, 2))
	size := func() unit.Nanos {
		if r.IntN(8) == 0 {
			return unit.Nanos(r.IntN(3)) * 999_999_999
		}
		return unit.Nanos(r.Uint64() >> (3 + r.IntN(60)))
	}
	for round := range 400 {
		account, campaign := unit.AccountID(round), unit.CampaignID(round%7)
		day := size()
		all := day + size()/2
		daily, total := size(), size()
		switch r.IntN(3) { // near a limit, where it matters
		case 0:
			daily = day + size()>>uint(r.IntN(40))
		case 1:
			total = all + size()>>uint(r.IntN(40))
		}
		if r.IntN(3) == 0 {
			daily = 0
		}
		if r.IntN(3) == 0 {
			total = 0
		}
		c.load(balance(campaign, account, day, all))
		holders := 1 + r.IntN(3)
		for n := range holders {
			q := want(uint64(round*10+n), campaign, account, size(), daily)
			q.ID.Node = unit.NodeID(n + 1)
			q.AtLeast, q.Total = size()>>uint(r.IntN(60)), total
			room := store.Headroom(daily, total, day, all)
			amount := store.Chunk(q.Amount, q.AtLeast, room, store.Limit(daily, total), n+1)
			got := c.take(q)[0]
			status := store.OK
			if amount == 0 {
				status = store.Exhausted
			}
			if got.Status != status || got.Amount != amount || got.Remaining != room-amount {
				t.Fatalf("%d holders, %d and %d committed, %+v: %+v, want %v %d, %d remaining", n+1, day, all, q, got, status, amount, room-amount)
			}
			day, all = day+amount, all+amount
		}
	}
}

// TestCounterCluster: one batch over all masters, each campaign's in its order.
func TestCounterCluster(t *testing.T) {
	nodes := servers.ValkeyCluster(t, 3)
	c := openCounter(t, nil, nodes[2].Addr)
	const campaigns, accounts = 40, 5
	var loads []joint.Balance
	var batch []store.GrantRequest
	for i := range campaigns * accounts {
		campaign, account := unit.CampaignID(1000+i%campaigns), unit.AccountID(i)
		loads = append(loads, balance(campaign, account, 0, 0))
		batch = append(batch, want(uint64(2*i+1), campaign, account, 60, 100), want(uint64(2*i+2), campaign, account, 60, 100))
	}
	c.load(loads...)
	before := c.Status().RoundTrips
	for range 2 {
		for i, got := range c.take(batch...) {
			if i%2 == 0 {
				expect(t, got, store.OK, 60, 40)
			} else {
				expect(t, got, store.OK, 40, 0)
			}
		}
	}
	if n := c.Status().RoundTrips - before; n > 4 {
		t.Errorf("%d round trips for two batches; two for each at most, one of them for the script", n)
	}
	for i, v := range nodes {
		if n, err := v.Do("DBSIZE"); err != nil || n == "0" {
			t.Errorf("master %d has %s keys, %v", i, n, err)
		}
	}
	var gives []store.ReturnRequest
	for _, q := range batch {
		gives = append(gives, store.ReturnRequest{ID: q.ID, Campaign: q.Campaign, Account: q.Account, Day: q.Day, Amount: 20})
	}
	c.give(gives...)
	expect(t, c.take(want(9999, 1000, 0, 50, 100))[0], store.OK, 40, 0)
}

// TestCounterOutage: a server that stops in mid-air leaves outcomes open, the
// breaker then keeps calls away, and a repeat gets the first outcome.
func TestCounterOutage(t *testing.T) {
	server := servers.Valkey(t)
	c := openCounter(t, func(cfg *valkey.Config) { cfg.Timeout = 200 * time.Millisecond; cfg.Remember = time.Hour }, server.Addr)
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s never came: %+v", what, c.Status())
			}
		}
	}
	q := want(1, 5, 50, 600, 1000)
	until("a loaded account", func() bool {
		done := make(chan error)
		c.Load([]joint.Balance{balance(5, 50, 100, 100)}, func(err error) { done <- err })
		return <-done == nil
	})
	server.Pause()
	var err error
	until("an unknown outcome", func() bool { _, err = c.try(q); return errors.Is(err, joint.ErrUnknown) })
	until("an open breaker", func() bool { _, err = c.try(q); return errors.Is(err, valkey.ErrOpen) })
	if errors.Is(err, joint.ErrUnknown) {
		t.Fatal("what was never sent has a known outcome")
	}
	if s := c.Status(); s.Unknown == 0 || s.Refused == 0 || s.Breaker == valkey.BreakerClosed {
		t.Fatalf("%+v", s)
	}
	server.Resume()
	var got []joint.Taken
	until("an answer", func() bool { got, err = c.try(q); return err == nil })
	expect(t, got[0], store.OK, 600, 300) // once, however often it was sent
	until("another answer", func() bool { got, err = c.try(want(2, 5, 50, 1, 301+700)); return err == nil })
	expect(t, got[0], store.OK, 1, 300)
	if s := c.Status(); s.Breaker != valkey.BreakerClosed {
		t.Fatalf("%+v", s)
	}
}

// TestCounterDemoted: a primary that became a replica refuses, without effect,
// and the counter goes on where the primary is.
func TestCounterDemoted(t *testing.T) {
	first, second := servers.Valkey(t), servers.Valkey(t)
	c := openCounter(t, nil, first.Addr)
	c.load(balance(5, 50, 0, 0))
	host, port, _ := strings.Cut(second.Addr, ":")
	if _, err := first.Do("REPLICAOF", host, port); err != nil {
		t.Fatal(err)
	}
	_, err := c.try(want(1, 5, 50, 600, 1000))
	if err == nil || errors.Is(err, joint.ErrUnknown) || !strings.Contains(err.Error(), "READONLY") {
		t.Fatalf("a replica: %v", err)
	}
	if _, err := first.Do("REPLICAOF", "NO", "ONE"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got, err := c.try(want(1, 5, 50, 600, 1000))
		if err == nil {
			if got[0].Status != store.OK && got[0].Status != store.Unavailable {
				t.Fatalf("%+v", got)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestCounterFailover: the primary dies, the sentinel puts the replica in its
// place, and the counter goes on there, with what the replica had.
func TestCounterFailover(t *testing.T) {
	primary := servers.Valkey(t)
	host, port, _ := strings.Cut(primary.Addr, ":")
	replica := servers.Valkey(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	sentinel := servers.ValkeySentinel(t, "budgets", primary)
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s never came", what)
			}
		}
	}
	knows := func(v *servers.ValkeyServer, section, text string) func() bool {
		return func() bool {
			info, err := v.Do("INFO", section)
			return err == nil && strings.Contains(info, text)
		}
	}
	until("a replica in step", knows(replica, "replication", "master_link_status:up"))
	until("a sentinel that knows both", knows(sentinel, "sentinel", "slaves=1"))
	c := openCounter(t, func(cfg *valkey.Config) { cfg.Sentinel, cfg.Timeout = "budgets", 10*time.Second }, sentinel.Addr)
	c.load(balance(5, 50, 0, 0))
	expect(t, c.take(want(1, 5, 50, 600, 1000))[0], store.OK, 600, 400)
	primary.Kill()
	var got []joint.Taken
	until("an answer of the new primary", func() bool {
		var err error
		got, err = c.try(want(1, 5, 50, 600, 1000))
		return err == nil
	})
	if got[0].Status == store.Unavailable { // it was not told in time
		c.load(balance(5, 50, 0, 0))
		got = c.take(want(1, 5, 50, 600, 1000))
	}
	expect(t, got[0], store.OK, 600, 400)
}

// TestCounterRefusesMore than it can carry, and answers everybody.
func TestCounterRefusesMore(t *testing.T) {
	server := servers.Valkey(t)
	c := openCounter(t, func(cfg *valkey.Config) { cfg.Queue = 4 }, server.Addr)
	c.load(balance(5, 50, 0, 0))
	server.Pause()
	const calls = 100
	answers := make(chan error, calls)
	for i := range calls {
		c.Take([]store.GrantRequest{want(uint64(i), 5, 50, 1, 0)}, func(_ []joint.Taken, err error) { answers <- err })
	}
	for range calls - 8 { // four wait, and four are under way at most
		if err := <-answers; !errors.Is(err, valkey.ErrBusy) || errors.Is(err, joint.ErrUnknown) {
			t.Fatal(err)
		}
	}
	server.Resume()
	for range 8 {
		if err := <-answers; err != nil && !errors.Is(err, valkey.ErrBusy) {
			t.Fatal(err)
		}
	}
	c.Close()
	if _, err := c.try(want(1, 5, 50, 1, 0)); !errors.Is(err, valkey.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestCounterSecured: TLS, and a user who may do what docs/cluster.md says and no
// more.
func TestCounterSecured(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate of 127.0.0.1
	defer web.Close()
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	private, err := x509.MarshalPKCS8PrivateKey(web.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: web.Certificate().Raw}, key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := strconv.Itoa(servers.FreePort(t))
	server := servers.Valkey(t, "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	const rights = "on >secret ~millrace:* +@read +@write +@scripting +@connection +time +info +cluster|slots +cluster|shards"
	if _, err := server.Do(append([]string{"ACL", "SETUSER", "millrace"}, strings.Fields(rights)...)...); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), strings.Replace(rights, "secret", "PASSWORD", 1)) {
		t.Error("docs/cluster.md has other rights than those tested")
	}
	secure := func(password string) func(*valkey.Config) {
		return func(cfg *valkey.Config) {
			cfg.TLS = valkey.TLS()
			cfg.TLS.RootCAs = x509.NewCertPool()
			cfg.TLS.RootCAs.AddCert(web.Certificate())
			cfg.Username, cfg.Password = "millrace", password
		}
	}
	c := openCounter(t, secure("secret"), "127.0.0.1:"+port)
	c.load(balance(5, 50, 0, 0))
	expect(t, c.take(want(1, 5, 50, 600, 1000))[0], store.OK, 600, 400)
	c.give(store.ReturnRequest{ID: store.OpID{Seq: 9}, Campaign: 5, Account: 50, Day: testDay, Amount: 100})
	c.reads([]joint.AccountDay{balance(5, 50, 0, 0).AccountDay}, balance(5, 50, 500, 500))
	if _, err := openCounter(t, secure("guess"), "127.0.0.1:"+port).try(want(2, 5, 50, 1, 1)); err == nil || errors.Is(err, joint.ErrUnknown) {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestValkeyCheck(t *testing.T) {
	cfg := valkey.Default()
	cfg.Addresses = []string{servers.Valkey(t).Addr}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if found, err := valkey.Check(ctx, cfg); err != nil || !strings.HasSuffix(found, ", standalone") {
		t.Errorf("%q, %v", found, err)
	}
	cfg.Addresses = []string{fmt.Sprintf("127.0.0.1:%d", servers.FreePort(t))}
	if _, err := valkey.Check(ctx, cfg); err == nil {
		t.Error("nobody is there")
	}
}
