package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"millrace/engine/node"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// call runs the command as a process would, without the process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestHelp keeps the help of every command as it was reviewed.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command, path []string)
	visit = func(c *cobra.Command, path []string) {
		name := strings.Join(append([]string{"millrace"}, path...), "-")
		t.Run(name, func(t *testing.T) {
			code, out, errs := call(t, append(path, "--help")...)
			if code != exitOK || errs != "" {
				t.Fatalf("exit %d, %s", code, errs)
			}
			if c.Short == "" || c.Example == "" && name != "millrace-config-print" && c.Name() != "help" {
				t.Error("it needs a short text and an example")
			}
			file := filepath.Join("testdata", "help", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; go test ./tools/millrace -update writes it", err)
			}
			if out != string(want) {
				t.Errorf("the help differs from %s:\n%s", file, out)
			}
		})
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub, append(path[:len(path):len(path)], sub.Name()))
			}
		}
	}
	visit(rootCommand(), nil)
}

func TestExitStatus(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	closed := closedPort(t)
	cases := []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{nil, 0, "Available Commands", ""},
		{[]string{"version"}, 0, "millrace ", ""},
		{[]string{"version", "--json"}, 0, `"platform"`, ""},
		{[]string{"version", "extra"}, 2, "", "unknown command"},
		{[]string{"serv"}, 2, "", "unknown command"},
		{[]string{"serve", "--no-such"}, 2, "", "unknown flag"},
		{[]string{"serve", "extra"}, 2, "", "unknown command"},
		{[]string{"serve", "--config", missing}, 1, "", "no such file"},
		{[]string{"serve", "--listen", "nonsense"}, 1, "", "--listen: listen: \"nonsense\" is not an address"},
		{[]string{"serve", "--shards", "x", "--dispatch", "hopp"}, 1, "", "2 faults"},
		{[]string{"serve", "--set", "limits.body_bytes"}, 2, "", "field=value"},
		{[]string{"serve", "--set", "limits.body_byte=1"}, 1, "", "limits.body_bytes"},
		{[]string{"config"}, 0, "print", ""},
		{[]string{"config", "prin"}, 2, "", "unknown command"},
		{[]string{"config", "print"}, 0, "listen: 127.0.0.1:8080", ""},
		{[]string{"config", "print", "--json"}, 0, `"idle_timeout": "1m15s"`, ""},
		{[]string{"config", "print", "--shards", "3", "--origins"}, 0, "shards: 3 # --shards", ""},
		{[]string{"config", "print", "--help-text"}, 0, "# open connections", ""},
		{[]string{"campaigns", "check"}, 2, "", "accepts 1 arg"},
		{[]string{"campaigns", "check", missing}, 1, "", "no such file"},
		{[]string{"loadgen", "--rate", "5", "--max"}, 2, "", "exclude each other"},
		{[]string{"loadgen", "--connections", "0", "--clicks", "2"}, 2, "", "connections 0"},
		{[]string{"loadgen", "--corpus", missing}, 1, "", "no such file"},
		{[]string{"loadgen", closed, "--duration", "1s", "--quiet", "--admin", ""}, 1, "", "server unreachable"},
		{[]string{"demo", "--rate", "0"}, 2, "", "--rate"},
		{[]string{"demo", "--for", "-1s"}, 2, "", "--for"},
		{[]string{"dsp", "--dsps", "0"}, 2, "", "--dsps 0"},
		{[]string{"dsp", "bid=1"}, 2, "", "bids"},
		{[]string{"dsp", "--set", "dsp-09 bids=1"}, 2, "", "no bidder is named"},
		{[]string{"dsp", "--at", "soon dsp-01 bids=1"}, 2, "", "--at"},
		{[]string{"dsp", "--protocol", "h3"}, 2, "", "http1, h2c, https1 or h2"},
		{[]string{"doctor", "--cpus", "4095", "--json"}, 1, `"status": "fail"`, ""},
	}
	for _, c := range cases {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			if c.code == exitOK {
				// Whatever the developer's shell sets is not of the test.
				t.Setenv(node.EnvFile, "")
			}
			code, out, errs := call(t, c.args...)
			if code != c.code || !strings.Contains(out, c.stdout) || !strings.Contains(errs, c.stderr) {
				t.Errorf("exit %d, want %d\nstdout %q\nstderr %q", code, c.code, out, errs)
			}
			if code != exitOK && errs == "" && c.stderr != "" {
				t.Error("it failed without a word")
			}
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestCampaignsCheckListsFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(file, []byte("advertiserss: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := call(t, "campaigns", "check", file)
	if code != exitFault || out != "" || !strings.Contains(errs, "advertiserss") || !strings.Contains(errs, ":1:1") {
		t.Errorf("exit %d %q %q", code, out, errs)
	}
	code, out, _ = call(t, "campaigns", "check", "--json", file)
	var r catalogReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitFault || r.OK || len(r.Faults) == 0 || r.Faults[0].Line != 1 {
		t.Errorf("exit %d %v %s", code, err, out)
	}
}

func TestDoctor(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	code, out, errs := call(t, "doctor", "--listen", held.Addr().String(), "--admin", closedPort(t), "--json")
	var r doctorReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %q %q", err, out, errs)
	}
	if code != exitFault || r.OK || len(r.Findings) != len(checks) {
		t.Errorf("exit %d, %+v", code, r)
	}
	for _, f := range r.Findings {
		if f.Detail == "" || f.Check == "" || f.Status != statusOK && f.Remedy == "" {
			t.Errorf("no detail or no remedy: %+v", f)
		}
		if f.Check == "ports" && f.Status != statusFail {
			t.Errorf("a taken port is %s", f.Status)
		}
	}
	_, out, _ = call(t, "doctor", "--listen", held.Addr().String(), "--admin", closedPort(t))
	if !strings.Contains(out, "fail  ports") || !strings.Contains(out, "→ stop what holds it") {
		t.Error(out)
	}
}

func TestDoctorLooksForLedgerAndCounter(t *testing.T) {
	t.Setenv("MILLRACE_LEDGER_PASSWORD", "hunter2hunter2")
	code, out, errs := call(t, "doctor", "--listen", closedPort(t), "--admin", closedPort(t), "--data", t.TempDir(),
		"--set", "ledger.url=postgres://u@"+closedPort(t)+"/money", "--set", "valkey.addresses="+closedPort(t))
	if code != exitFault || !strings.Contains(out, "fail  ledger") || !strings.Contains(out, "→ check ledger.url") ||
		!strings.Contains(out, "fail  valkey") || !strings.Contains(out, "→ check valkey.addresses") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if strings.Contains(out+errs, "hunter2") {
		t.Error("the password is shown")
	}
}

func TestDoctorJudgesTheConfiguration(t *testing.T) {
	cfg := node.Default()
	cfg.Data = filepath.Join(t.TempDir(), "not", "there")
	if f := checkData(cfg); f.Status != statusFail {
		t.Errorf("a folder that can't be made: %+v", f)
	}
	cfg.Data = filepath.Join(t.TempDir(), "new")
	if f := checkData(cfg); f.Status == statusFail {
		t.Errorf("a folder that serve will make: %+v", f)
	}
	cfg.Limits.Connections = 1 << 20
	cfg.Shards = 1000
	if f := checkFiles(cfg); f.Status == statusOK {
		t.Skipf("this machine allows a million files: %+v", f)
	}
	if f := checkCores(cfg); f.Status != statusWarn {
		t.Errorf("1000 shards: %+v", f)
	}
	if f := checkThreads(cfg); f.Status != statusWarn {
		t.Errorf("1000 shards: %+v", f)
	}
	cfg.Catalog = filepath.Join(t.TempDir(), "none.yaml")
	if f := checkCatalogFile(cfg); f.Status != statusFail {
		t.Errorf("no catalog: %+v", f)
	}
}

// watched collects output and lets a test wait for a line of it.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *watched) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if m := re.FindStringSubmatch(w.String()); m != nil {
			return m
		}
	}
	t.Fatalf("nothing like %q in %q", pattern, w.String())
	return nil
}

// TestServeReloadLoadStop is the life of a server: start with a catalog file,
// answer, reload on SIGHUP, bear load, stop with status 0.
func TestServeReloadLoadStop(t *testing.T) {
	catalog, err := os.ReadFile(filepath.Join("..", "..", "state", "campaign", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(file, catalog, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs watched
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--shards", "1", "--catalog", file}, &out, &errs)
	}()
	m := out.await(t, `serving ads on http://(\S+), admin on http://(\S+)`)
	ads, adm := m[1], m[2]
	resp, err := http.Post("http://"+ads+"/openrtb2/auction", "application/json", strings.NewReader(`{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !bytes.Contains(b, []byte(`"impid":"1"`)) {
		t.Errorf("%d %s %v", resp.StatusCode, b, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	errs.await(t, "the catalog was reloaded")
	code, text, progress := call(t, "loadgen", ads, "--admin", adm, "--rate", "300", "--duration", "700ms", "--warmup", "100ms", "--json")
	var s struct {
		Answered int64
		Bids     int64
		Server   *struct {
			Mallocs float64 `json:"mallocs"`
		}
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil || code != exitOK || s.Answered == 0 || s.Bids == 0 || s.Server == nil || s.Server.Mallocs == 0 {
		t.Errorf("exit %d, %v\n%s%s", code, err, text, progress)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	select {
	case code := <-ended:
		if code != exitOK {
			t.Errorf("exit %d: %s", code, errs.String())
		}
	case <-time.After(stopMax + 5*time.Second):
		t.Fatal("it does not stop")
	}
}

func TestServeOnATakenPort(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	code, _, errs := call(t, "serve", "--listen", held.Addr().String(), "--admin", "127.0.0.1:0", "--shards", "1")
	if code != exitFault || !strings.Contains(errs, "cannot start") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestDemoWithoutTerminal(t *testing.T) {
	code, out, errs := call(t, "demo", "--for", "1500ms", "--rate", "200", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--shards", "1")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"try:  curl", "/campaigns", " qps ", "p99.9", "campaign / line item", "spent of budget", "requests ", "beacons "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("escape sequences without a terminal")
	}
}

// TestDemoWithBidders: the mock bidders are asked, and win.
func TestDemoWithBidders(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the mock bidders need Linux")
	}
	out := new(watched)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"demo", "--dsps", "3", "--rate", "100", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--shards", "1", "--plain"}, out, io.Discard)
	}()
	m := out.await(t, `serving ads on http://(\S+), admin on http://(\S+)`)
	v := demandView{admin: m[2], client: &http.Client{}}
	defer v.client.CloseIdleConnections()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		wins := uint64(0)
		if err := v.look(ctx); err == nil {
			for _, p := range v.now.Partners {
				wins += p.Wins
			}
		}
		if wins > 0 && len(v.now.Partners) == 3 {
			break
		}
		if time.Now().After(end) {
			t.Errorf("no bidder has won within a minute: %+v", v.now)
			break
		}
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d", code)
	}
	for _, args := range [][]string{{"demo", "--dsps", "-1"}, {"demo", "--dsps", "2", "--demand", "x.yaml"}} {
		if code, _, errs := call(t, args...); code != exitUsage || !strings.Contains(errs, "--dsps") {
			t.Error(args, code, errs)
		}
	}
}

func TestBar(t *testing.T) {
	for share, want := range map[float64]string{-1: "····", 0: "····", 0.5: "██··", 1: "████", 9: "████", 0.03125: "▏···"} {
		if got := bar(share, 4); got != want {
			t.Errorf("bar(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for in, want := range map[string]string{"abcdef": "abc\x1b[0m", "\x1b[1mab\x1b[0m": "\x1b[1mab\x1b[0m", "äöü": "äöü"} {
		if got := cut(in, 3); got != want {
			t.Errorf("cut(%q) = %q", in, got)
		}
	}
	if got := pad("äöüß", 3); got != "äö…" {
		t.Error(got)
	}
}

// TestScreenFits paints the live view at several sizes from a full picture.
func TestScreenFits(t *testing.T) {
	w := newWatch("http://127.0.0.1:8080", "http://127.0.0.1:8081", &lastLine{})
	w.campaigns = sampleCampaigns()
	w.rates = []float64{1, 5, 3}
	for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 10}} {
		var b bytes.Buffer
		w.writeScreen(&b, size[0], size[1])
		lines := strings.Split(b.String(), "\n")
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		plain := regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")
		for _, l := range lines {
			if n := len([]rune(plain.ReplaceAllString(l, ""))); n > size[0] {
				t.Errorf("%v: a line of %d columns: %q", size, n, l)
			}
		}
	}
	var b bytes.Buffer
	w.writeCampaigns(&b, 120, 100)
	for _, want := range []string{"Summer sale", "2.50 / 50 USD", "out of dates"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestConfigurationDoc keeps docs/configuration.md the same as the program.
func TestConfigurationDoc(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "configuration.md")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var fields bytes.Buffer
	if err := node.Default().WriteYAML(&fields, node.PrintOptions{Help: true}); err != nil {
		t.Fatal(err)
	}
	const open, end = "```yaml\n", "```\n"
	before, rest, ok := strings.Cut(string(b), open)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no yaml block", file)
	}
	want := before + open + fields.String() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(b) != want {
		t.Errorf("%s is not what the program says; go test ./tools/millrace -run ConfigurationDoc -update rewrites it", file)
	}
}

func TestSim(t *testing.T) {
	code, stdout, _ := call(t, "sim", "--seed", "5", "--seeds", "3", "--minutes", "2", "--jobs", "2")
	if code != exitOK || !strings.Contains(stdout, "3 runs") || !strings.Contains(stdout, "over-delivery 0") {
		t.Errorf("%d\n%s", code, stdout)
	}
	code, stdout, _ = call(t, "sim", "--seed", "3", "--minutes", "4", "--without", "fsync", "--json", "--shrink=false")
	var r struct {
		Seed       uint64
		Violations []struct{ Invariant string }
	}
	if err := json.NewDecoder(strings.NewReader(stdout)).Decode(&r); err != nil || code != exitFault || r.Seed != 3 || len(r.Violations) == 0 {
		t.Errorf("%d, %v\n%s", code, err, stdout)
	}
	for _, args := range [][]string{{"--faults", "rain"}, {"--without", "luck"}, {"--minutes", "0"}, {"--seeds", "0"}, {"--shards", "-1"}} {
		if code, _, stderr := call(t, append([]string{"sim"}, args...)...); code != exitUsage || !strings.Contains(stderr, args[0][:5]) {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}
