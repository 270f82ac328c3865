package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/codec/strict"
)

const goodSecret = "0123456789abcdef0123456789abcdef"

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "millrace.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDefaultIsValid(t *testing.T) {
	if faults := Default().Validate(); faults != nil {
		t.Fatal(faults)
	}
	c, origins, faults := Load("", nil, nil)
	if faults != nil || !reflect.DeepEqual(c, Default()) {
		t.Fatalf("%+v %v", c, faults)
	}
	for path, from := range origins {
		if from != "default" {
			t.Errorf("%s comes from %s", path, from)
		}
	}
}

func TestFileEnvironmentFlagsInThatOrder(t *testing.T) {
	file := writeFile(t, `
listen: 127.0.0.1:1000
admin: 127.0.0.1:1001
shards: 3
cpus: [0, 2, 4]
limits:
  body_bytes: 2MiB
  idle_timeout: 1m
  imps: 100   # the default, written out
tokens:
  ttl: 2d
  keys:
    - {id: 3, secret: `+goodSecret+`}
`)
	env := []string{"PATH=/bin", "MILLRACE_SHARDS=2", "MILLRACE_LIMITS_BODY_BYTES=3MiB", "MILLRACE_CPUS=1-3", "MILLRACE_DEBUG_HEADER=false", "MILLRACE_TOKENS_ACTIVE=3"}
	flags := []Override{{"shards", "1", "--shards"}, {"dispatch", "hop", "--dispatch"}, {"log_level", "debug", "--log-level"}}
	c, origins, faults := Load(file, env, flags)
	if faults != nil {
		t.Fatal(faults)
	}
	want := Default()
	want.Listen, want.Admin = "127.0.0.1:1000", "127.0.0.1:1001"
	want.Shards, want.CPUs, want.Dispatch, want.LogLevel = 1, []int{1, 2, 3}, DispatchHop, "debug"
	want.Limits.BodyBytes, want.Limits.IdleTimeout = 3<<20, time.Minute
	want.DebugHeader = false
	want.Tokens = TokensConfig{TTL: 48 * time.Hour, Active: 3, Keys: []TokenKey{{3, NewSecret(goodSecret)}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %#v\nwant %#v", c, want)
	}
	for path, from := range map[string]string{
		"listen": "file", "shards": "--shards", "limits.body_bytes": "MILLRACE_LIMITS_BODY_BYTES", "limits.imps": "file",
		"limits.pipeline": "default", "tokens.keys": "file", "cpus": "MILLRACE_CPUS",
	} {
		if origins[path] != from {
			t.Errorf("%s comes from %q, want %q", path, origins[path], from)
		}
	}
}

func TestConfigFileFromEnvironment(t *testing.T) {
	file := writeFile(t, "node_id: 7\n")
	c, _, faults := Load("", []string{"MILLRACE_CONFIG=" + file}, nil)
	if faults != nil || c.NodeID != 7 {
		t.Fatalf("%d %v", c.NodeID, faults)
	}
	_, _, faults = Load(filepath.Join(t.TempDir(), "none.yaml"), nil, nil)
	if len(faults) != 1 || !strings.Contains(faults.Error(), "no such file") {
		t.Fatal(faults)
	}
}

// TestEveryFaultAtOnce lists faults of all sources in one run.
func TestEveryFaultAtOnce(t *testing.T) {
	file := writeFile(t, `listn: 127.0.0.1:1000
shards: -1
limits:
  body_byte: 1MiB
  idle_timeout: soon
  pipeline: 5000
tokens:
  keys:
    - {id: 1, secret: hunter2hunter2}
    - {id: 1, secret: `+goodSecret+`}
`)
	_, _, faults := Load(file, []string{"MILLRACE_POLLERS=x"}, []Override{{"dispatch", "hopp", "--dispatch"}, {"no_such", "1", "--set"}})
	text := faults.Error()
	for _, want := range []string{
		`millrace.yaml:1:1: listn: unknown key; did you mean "listen"?`,
		"millrace.yaml:2:9: shards: -1 is out of range",
		`limits.body_byte: unknown key; did you mean "body_bytes"?`,
		"limits.idle_timeout: \"soon\" is not a duration",
		"millrace.yaml:6:13: limits.pipeline: 5000 is out of range",
		"tokens.keys[0].secret: 14 characters are too few",
		"tokens.keys[1].id: key 1 is listed twice",
		"environment: MILLRACE_POLLERS: \"x\" is not a whole number",
		`--dispatch: dispatch: "hopp" is not a dispatch mode; did you mean "hop"?`,
		"--set: no_such: unknown field",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing fault %q", want)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Error("a fault shows a secret")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestValidateNamesField(t *testing.T) {
	cases := map[string]func(*Config){
		"listen":                 func(c *Config) { c.Listen = "8080" },
		"admin":                  func(c *Config) { c.Admin = c.Listen },
		"node_id":                func(c *Config) { c.NodeID = 1 << 16 },
		"shards":                 func(c *Config) { c.Shards = 2000 },
		"pollers":                func(c *Config) { c.Pollers = -1 },
		"cpus":                   func(c *Config) { c.CPUs, c.Shards = []int{0}, 2 },
		"cpus[1]":                func(c *Config) { c.CPUs = []int{0, 0} },
		"dispatch":               func(c *Config) { c.Dispatch = "" },
		"catalog_poll":           func(c *Config) { c.CatalogPoll = time.Nanosecond },
		"public_url":             func(c *Config) { c.PublicURL = "https://a.example/?x=1" },
		"log_level":              func(c *Config) { c.LogLevel = "loud" },
		"gzip.answers":           func(c *Config) { c.Gzip.Answers = "always" },
		"gzip.level":             func(c *Config) { c.Gzip.Level = 0 },
		"gzip.bytes_min":         func(c *Config) { c.Gzip.BytesMin = 1 },
		"limits.in_flight":       func(c *Config) { c.Limits.InFlight = 0 },
		"limits.head_bytes":      func(c *Config) { c.Limits.HeadBytes = 1 },
		"shard.mailbox_slots":    func(c *Config) { c.Shard.MailboxSlots = 1000 },
		"budget.reservation_ttl": func(c *Config) { c.Budget.ReservationTTL = 0 },
		"budget.journal_hold":    func(c *Config) { c.Budget.JournalHold = -1 },
		"kafka.brokers[1]":       func(c *Config) { c.Kafka.Brokers = []string{"a:9092", "b"} },
		"kafka.topic":            func(c *Config) { c.Kafka.Topic = "spend events" },
		"kafka.partitions":       func(c *Config) { c.Kafka.Partitions = -1 },
		"kafka.replication":      func(c *Config) { c.Kafka.Replication = 33 },
		"kafka.buffer_events":    func(c *Config) { c.Kafka.BufferEvents = 1 },
		"budget.reconcile":       func(c *Config) { c.Budget.Reconcile = time.Millisecond },
		"budget.reconcile_alarm": func(c *Config) { c.Budget.ReconcileAlarm = -1 },
		"audit.keep":             func(c *Config) { c.Audit.Keep = -1 },
		"kafka.buffer_bytes":     func(c *Config) { c.Kafka.BufferBytes = 1 },
		"ledger.url":             func(c *Config) { c.Valkey.Addresses = []string{"a:1"} },
		"valkey.addresses":       func(c *Config) { c.Ledger.URL, c.Data = "postgres://u@h/d", "d" },
		"data":                   func(c *Config) { c.Ledger.URL, c.Valkey.Addresses = "postgres://u@h/d", []string{"a:1"} },
		"ledger.password":        func(c *Config) { c.Ledger.Password = NewSecret(hidden) },
		"ledger.password_file":   func(c *Config) { c.Ledger.Password, c.Ledger.PasswordFile = NewSecret("x"), "f" },
		"ledger.lease":           func(c *Config) { c.Ledger.Lease = time.Second },
		"ledger.timeout":         func(c *Config) { c.Ledger.Timeout = 0 },
		"ledger.connections":     func(c *Config) { c.Ledger.Connections = 1 },
		"valkey.timeout":         func(c *Config) { c.Valkey.Timeout = 0 },
		"tokens.ttl":             func(c *Config) { c.Tokens.TTL = 0 },
		"tokens.active":          func(c *Config) { c.Tokens.Active = 9 },
		"tokens.keys[0].secret":  func(c *Config) { c.Tokens.Keys = []TokenKey{{1, NewSecret(hidden)}} },
		"shard.user_slots":       func(c *Config) { c.Shard.UserSlots = 10 },
		"model.keys":             func(c *Config) { c.Model.Bundle = "x.bundle" },
		"model.keys[0]":          func(c *Config) { c.Model.Keys = []string{"a"} },
		"model.poll":             func(c *Config) { c.Model.Poll = 1 },
		"model.refresh":          func(c *Config) { c.Model.Refresh = 1 },
		"model.explore":          func(c *Config) { c.Model.Explore = "greedy" },
		"ranking.video":          func(c *Config) { c.Ranking.Video = 0 },
		"model.candidates":       func(c *Config) { c.Model.Candidates = -1 },
		"model.latency":          func(c *Config) { c.Model.Latency = 0 },
		"memory.limit":           func(c *Config) { c.Memory.Limit = 1 },
		"memory.gc":              func(c *Config) { c.Memory.GC = 0 },
	}
	for field, spoil := range cases {
		c := Default()
		spoil(&c)
		faults := c.Validate()
		if len(faults) != 1 || faults[0].Field != field || faults[0].Remedy == "" {
			t.Errorf("%s: %v", field, faults)
		}
	}
}

// TestEveryFieldHasHelpAndVariable keeps new fields reachable: each must carry
// a yaml name and help, and take its own printed text from the environment.
func TestEveryFieldHasHelpAndVariable(t *testing.T) {
	c := Default()
	for _, f := range leaves(reflect.ValueOf(&c).Elem()) {
		if f.help == "" || f.path == "" || strings.HasSuffix(f.path, ".") {
			t.Errorf("%q has no name or no help", f.path)
		}
		text := f.text()
		switch f.value.Interface().(type) {
		case []int, []string, []TokenKey:
			text = ""
		}
		got, origins, faults := Load("", []string{f.env() + "=" + text}, nil)
		if faults != nil || origins[f.path] != f.env() || !reflect.DeepEqual(got, Default()) {
			t.Errorf("%s=%s: %v from %v", f.env(), text, faults, origins[f.path])
		}
	}
}

func TestPrintedFileReadsBack(t *testing.T) {
	c := Default()
	c.CPUs, c.PublicURL, c.Tokens.TTL = []int{0, 1}, "https://ads.example.com", 36*time.Hour+time.Second
	for _, o := range []PrintOptions{{}, {Help: true}, {Help: true, Origins: Origins{"listen": "file"}}} {
		var b bytes.Buffer
		if err := c.WriteYAML(&b, o); err != nil {
			t.Fatal(err)
		}
		got, _, faults := Load(writeFile(t, b.String()), nil, nil)
		got.Tokens.Keys, got.Model.Keys, got.Kafka.Brokers, got.Valkey.Addresses = nil, nil, nil, nil // an empty list reads back as one, not as nil
		if faults != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%v\n%s", faults, b.String())
		}
	}
}

func TestSecretsAreMaskedEverywhere(t *testing.T) {
	c := Default()
	c.Tokens.Keys = []TokenKey{{1, NewSecret(goodSecret)}}
	c.Valkey.Password, c.Ledger.Password = NewSecret(goodSecret), NewSecret(goodSecret)
	c.Ledger.URL = "postgres://u:" + goodSecret + "@db.example/money?sslmode=disable&password=" + goodSecret
	var b bytes.Buffer
	if err := c.WriteYAML(&b, PrintOptions{}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%v %+v %#v", c, c, c)
	for _, v := range []any{c, c.View()} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(j)
	}
	if strings.Contains(b.String(), goodSecret) {
		t.Fatal("a secret is shown")
	}
	if !strings.Contains(b.String(), hidden) {
		t.Fatal("the mask is not shown")
	}
}

func TestParseCPUs(t *testing.T) {
	got, err := ParseCPUs("0, 2,4-6")
	if err != nil || !reflect.DeepEqual(got, []int{0, 2, 4, 5, 6}) {
		t.Fatal(got, err)
	}
	for _, s := range []string{"a", "1-", "3-1", "-1", "1,,2", "0-99999"} {
		if got, err := ParseCPUs(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func FuzzLoadOverride(f *testing.F) {
	f.Add("limits.body_bytes", "1MiB")
	f.Add("cpus", "0-3")
	f.Add("tokens.keys", "1:"+goodSecret)
	f.Add("debug_header", "true")
	f.Fuzz(func(t *testing.T, field, value string) {
		c, _, faults := Load("", []string{"MILLRACE_" + field + "=" + value}, []Override{{field, value, "--set"}})
		if len(faults) == 0 && c.Validate() != nil {
			t.Fatal("Load accepted what Validate refuses")
		}
	})
}

func FuzzLoadFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nlimits: {imps: 3}\n")
	f.Add(`{"tokens":{"keys":[{"id":1,"secret":"x"}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		source, faults := strict.Decode("c.yaml", []byte(text), &c)
		for _, fault := range c.Validate() {
			place(fault, source, Origins{})
		}
		_ = faults.Error()
		_ = c.View()
	})
}

func TestUnknownVariablesAreTold(t *testing.T) {
	env := []string{"MILLRACE_SHARD=2", "MILLRACE_SHARDS=2", "MILLRACE_CONFIG=", "MILLRACE_SERVICE_HOST=10.0.0.1", "HOME=/"}
	unknown := UnknownVariables(env)
	if len(unknown) != 2 || unknown[0].Remedy != "did you mean MILLRACE_SHARDS?" || unknown[1].Field != "MILLRACE_SERVICE_HOST" {
		t.Fatal(unknown)
	}
	if _, _, faults := Load("", env, nil); faults != nil {
		t.Fatal(faults)
	}
}
