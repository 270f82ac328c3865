package main

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crypto/ed25519"

	"millrace/bench/servers"
	"millrace/codec/event"
	"millrace/codec/unit"
	"millrace/netio/admin"
	"millrace/state/audit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store/cockroach"
	"millrace/state/store/joint"
)

const (
	summer     = unit.AccountID(0x5a)
	summerLine = unit.AccountID(0x5b)
	march7     = unit.Day(20_519)
)

// moneyFolder is the data folder of a node that was stopped: two campaign days, an
// event billed to campaign and line, one refunded.
func moneyFolder(t *testing.T) (data string, life joint.Life) {
	t.Helper()
	data = t.TempDir()
	c := outbox.Default()
	c.Dir, c.Node, c.Wall = data+"/journal", 3, wallClock
	j, err := outbox.OpenStepped(c)
	if err != nil {
		t.Fatal(err)
	}
	seed := make([]byte, ed25519.SeedSize)
	if err := os.WriteFile(filepath.Join(data, "audit.key"), []byte(hex.EncodeToString(seed)), 0o600); err != nil {
		t.Fatal(err)
	}
	ac := audit.Default()
	ac.Dir, ac.Node, ac.Key = data+"/audit", 3, ed25519.NewKeyFromSeed(seed)
	chain, err := audit.Open(ac)
	if err != nil {
		t.Fatal(err)
	}
	drain, err := audit.NewDrain(chain, j)
	if err != nil {
		t.Fatal(err)
	}
	a := j.NewAppender(nil)
	campaign := campaignID("summer")
	stamp := j.Recovered().Stamp
	write := func(r ledger.Record) {
		stamp = stamp.Next(wallClock())
		r.Node, r.Epoch, r.Wall, r.Stamp, r.Campaign, r.Currency = 3, j.Epoch(), wallClock(), stamp, campaign, unit.USD
		if _, err := a.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	write(ledger.Record{Kind: ledger.AccountOpened, Account: summer, Total: 10 * unit.NanosPerUnit, Name: []byte("campaign/summer")})
	write(ledger.Record{Kind: ledger.AccountOpened, Account: summerLine, Name: []byte("line/x")})
	part := func(account unit.AccountID, day unit.Day) ledger.Part {
		return ledger.Part{Account: account, Day: day, Epoch: j.Epoch()}
	}
	write(ledger.Record{Kind: ledger.Granted, Seq: 1, Account: summer, Day: march7, Amount: 2 * unit.NanosPerUnit, Total: 10 * unit.NanosPerUnit})
	write(ledger.Record{Kind: ledger.Granted, Seq: 2, Account: summerLine, Day: march7, Amount: unit.NanosPerUnit})
	write(ledger.Record{Kind: ledger.Granted, Seq: 3, Account: summer, Day: march7 + 1, Amount: unit.NanosPerUnit, Total: 10 * unit.NanosPerUnit})
	for i := range uint64(3) {
		r := ledger.Record{
			Kind: ledger.Posted, Event: event.Click, Amount: 45_000_000, Win: event.WinID{Node: 3, Epoch: j.Epoch(), Seq: i}, Issued: wallClock() / 1e9 * 1e9,
			Parts: 2, From: [2]ledger.Part{part(summer, march7), part(summerLine, march7)},
		}
		if i == 2 {
			r.Parts, r.From[0], r.From[1] = 1, part(summer, march7+1), ledger.Part{}
		}
		write(r)
	}
	write(ledger.Record{Kind: ledger.Returned, Seq: 4, Account: summer, Day: march7, LeaseEpoch: j.Epoch(), Amount: unit.NanosPerUnit})
	a.Commit()
	j.Step()
	for _, err := range []error{drain.Step(), drain.Stop(), j.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return data, joint.Life{Node: 3, Epoch: j.Epoch()}
}

// calls calls and wants exit status 0.
func calls(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := call(t, args...)
	if code != exitOK {
		t.Fatalf("%v: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

type statementReport struct {
	Whole   bool `json:"whole_history"`
	Days    []statementRow
	Charges []chargeRow
}

// judgeMoney holds what the commands say of the folder's money, whoever tells it,
// after one of the events of the first day was refunded.
func judgeMoney(t *testing.T, source ...string) {
	t.Helper()
	balances := decode[[]balanceRow](t, calls(t, append([]string{"ledger", "balance", "--json"}, source...)...))
	if len(balances) != 2 || balances[0].Name != "campaign/summer" || amount(balances[0].Spent) != "0.09" || amount(balances[0].Refunded) != "0.045" ||
		amount(*balances[0].Remaining) != "8.045" || amount(balances[1].Spent) != "0.045" || balances[1].Remaining != nil {
		t.Errorf("%+v", balances)
	}
	s := decode[statementReport](t, calls(t, append([]string{"ledger", "statement", "--json", "--campaign", "summer"}, source...)...))
	if !s.Whole || len(s.Days) != 3 || len(s.Charges) != 1 || amount(s.Charges[0].Exact) != "0.09" || amount(s.Charges[0].Invoice) != "0.09" {
		t.Fatalf("%+v", s)
	}
	first, second := s.Days[0], s.Days[1]
	if amount(*first.Opening) != "10" || amount(first.Billed) != "0.09" || amount(first.Refunded) != "0.045" || amount(first.Released) != "1" ||
		amount(*first.Closing) != "9.045" || amount(*second.Opening) != "9.045" || second.Day != "2026-03-08" || amount(*second.Closing) != "8.045" {
		t.Errorf("%+v\n%+v", first, second)
	}
	// Half a cent: to the even one.
	s = decode[statementReport](t, calls(t, append([]string{"ledger", "statement", "--json", "--from", "2026-03-08", "--to", "2026-03-08"}, source...)...))
	if len(s.Days) != 1 || amount(s.Charges[0].Exact) != "0.045" || amount(s.Charges[0].Invoice) != "0.04" {
		t.Errorf("%+v", s)
	}
	if text := calls(t, append([]string{"ledger", "statement"}, source...)...); !strings.Contains(text, "campaign/summer  2026-03-07  USD            10") ||
		!strings.Contains(text, "line/x") {
		t.Error(text)
	}
	rows, err := csv.NewReader(strings.NewReader(calls(t, append([]string{"ledger", "export", "--csv"}, source...)...))).ReadAll()
	if err != nil || len(rows) != 1+3+5+1+2 { // names, grants, postings by account, the return, the refund by account
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	sums := map[string]unit.Nanos{}
	for _, r := range rows[1:] {
		v, err := unit.ParseNanos(r[11])
		if err != nil {
			t.Fatal(err)
		}
		sums[r[9]] -= v
		sums[r[10]] += v
	}
	if sums["spent"] != 135_000_000 || sums["funding"] != -4*unit.NanosPerUnit || sums["released"] != unit.NanosPerUnit || sums["refunded"] != 90_000_000 {
		t.Errorf("%v", sums)
	}
	if code, _, errs := call(t, append([]string{"ledger", "balance", "--campaign", "winter"}, source...)...); code != exitFault || !strings.Contains(errs, "winter") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestLedgerOfAFolder(t *testing.T) {
	data, life := moneyFolder(t)
	win := winText(3, life.Epoch, 0, 1)
	var a admin.RefundAnswer
	for i, want := range []int{1, 0} {
		a = decode[admin.RefundAnswer](t, calls(t, "ledger", "refund", win, "--data", data, "--reason", "fraud", "--note", "ticket 811", "--json"))
		if a.Refunded != want || a.Before != 1-want || len(a.Items) != 1 {
			t.Fatalf("call %d: %+v", i, a)
		}
	}
	judgeMoney(t, "--data", data)
	calls(t, "reconcile", "--data", data, "--json")
	code, out, _ := call(t, "ledger", "refund", win, "3-1-0-1", "9-1-0-1", "--data", data, "--reason", "fraud", "--dry-run")
	if code != exitFault || !strings.Contains(out, "not-found") || !strings.Contains(out, "other-node") || !strings.Contains(out, "0 would be refunded") {
		t.Errorf("%d\n%s", code, out)
	}
	wins := filepath.Join(t.TempDir(), "wins")
	if err := os.WriteFile(wins, []byte("# found by hand\n"+win+"\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	calls(t, "ledger", "refund", "--file", wins, "--data", data, "--reason", "fraud")
	for _, args := range [][]string{
		{"ledger", "balance"}, {"ledger", "balance", "--data", data, "--ledger", "x"}, {"ledger", "export", "--data", data, "--csv", "--json"},
		{"ledger", "statement", "--data", data, "--from", "March"}, {"ledger", "refund", win, "--data", data}, {"ledger", "refund", "--reason", "fraud"},
		{"ledger", "refund", "x", "--reason", "fraud"}, {"ledger", "recover", "--journal", data}, {"ledger", "write-off", "--node", "1"}, {"audit", "verify"},
		{"audit", "verify", filepath.Join(data, "nothing")}, {"audit", "verify", "--data", data, "--key", "zz"}, {"audit", "verify", "--data", data, "--head", "zz"},
	} {
		if code, _, errs := call(t, args...); code != exitUsage {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}

func TestAuditCommands(t *testing.T) {
	data, _ := moneyFolder(t)
	report := decode[auditReport](t, calls(t, "audit", "verify", "--data", data, "--json"))
	if !report.OK || report.Records != 10 || report.Compared != 10 || !report.Trusted {
		t.Fatalf("%+v", report)
	}
	chain := filepath.Join(t.TempDir(), "chain.aud")
	if err := os.WriteFile(chain, []byte(calls(t, "audit", "export", "--data", data, "--chain")), 0o600); err != nil {
		t.Fatal(err)
	}
	calls(t, "audit", "verify", chain, "--key", report.Key, "--head", report.Head)
	if rows, err := csv.NewReader(strings.NewReader(calls(t, "audit", "export", chain, "--csv"))).ReadAll(); err != nil || len(rows) != 11 || len(rows[0]) != len(audit.Columns) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if lines := strings.Count(calls(t, "audit", "export", "--data", data), "\n"); lines != 10 {
		t.Fatalf("%d lines", lines)
	}
	if calls(t, "audit", "ddl") != audit.DDL {
		t.Fatal("another DDL")
	}
	file := filepath.Join(data, "audit", "0000000000000001.aud")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 4
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := call(t, "audit", "verify", "--data", data, "--json")
	if r := decode[auditReport](t, out); code != exitFault || r.OK || r.Fault == nil || r.Fault.File != "0000000000000001.aud" || r.Fault.Byte > int64(len(b)/2) {
		t.Fatalf("%d %s", code, out)
	}
	if code, _, errs := call(t, "audit", "verify", "--data", data); code != exitFault || !strings.Contains(errs, "not as it was written") {
		t.Fatalf("%d %s", code, errs)
	}
	if code, _, errs := call(t, "reconcile", "--data", data); code != exitFault || !strings.Contains(errs, "audit chain") {
		t.Fatalf("%d %s", code, errs)
	}
}

// TestSharedLedger: a journal that is back is posted to a real PostgreSQL, and
// tells there what it tells itself.
func TestSharedLedger(t *testing.T) {
	pg := servers.Postgres(t, "fsync=off")
	data, life := moneyFolder(t)
	calls(t, "ledger", "refund", winText(3, life.Epoch, 0, 1), "--data", data, "--reason", "fraud")
	calls(t, "migrate", "--url", pg.URL)
	life.Epoch++ // the refund was a life of its own
	beginLife(t, pg.URL, life)
	for _, want := range []string{"12 records posted, 11 postings new, 0 known before", "12 records posted, 0 postings new, 11 known before"} {
		if out := calls(t, "ledger", "recover", "--journal", data+"/journal", "--ledger", pg.URL); !strings.Contains(out, want) {
			t.Fatalf("%q, want %q", out, want)
		}
	}
	judgeMoney(t, "--ledger", pg.URL)
	r := decode[admin.Reconciled](t, calls(t, "reconcile", "--data", data, "--ledger", pg.URL, "--json"))
	if r.Compared < 3 || len(r.Drifts) != 0 {
		t.Fatalf("%+v", r)
	}
	calls(t, "reconcile", "--ledger", pg.URL)
	if out := calls(t, "ledger", "write-off", "--ledger", pg.URL); !strings.Contains(out, "last") {
		t.Fatal(out)
	}
	epoch := winText(0, life.Epoch, 0, 0)
	epoch = strings.Split(epoch, "-")[1]
	if code, _, errs := call(t, "ledger", "write-off", "--ledger", pg.URL, "--node", "3", "--epoch", epoch); code != exitFault || !strings.Contains(errs, "--force") {
		t.Fatalf("%d %s", code, errs)
	}
	calls(t, "ledger", "write-off", "--ledger", pg.URL, "--node", "3", "--epoch", epoch, "--force", "--json")
}

// beginLife registers a life, as its node would.
func beginLife(t *testing.T, url string, life joint.Life) {
	t.Helper()
	c := cockroach.Default()
	c.URL, c.Wall = url, wallClock
	g, err := cockroach.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	done := make(chan error, 1)
	g.Begin(joint.Beginning{Life: life, Stamp: 1}, func(_ joint.Began, err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
