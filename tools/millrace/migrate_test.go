package main

import (
	"encoding/json"
	"strings"
	"testing"

	"millrace/bench/servers"
)

// TestMigrate takes a database from nothing to this version, by every flag.
func TestMigrate(t *testing.T) {
	t.Setenv("MILLRACE_LEDGER_URL", "")
	for _, args := range [][]string{{"migrate"}, {"migrate", "--status", "--dry-run", "--url", "x"}, {"migrate", "now"}} {
		if code, _, stderr := call(t, args...); code != exitUsage || stderr == "" {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
	if code, _, stderr := call(t, "migrate", "--url", "postgres://u@127.0.0.1:1/d"); code != exitFault || !strings.Contains(stderr, "refused") {
		t.Errorf("nobody there: exit %d, %s", code, stderr)
	}
	p := servers.Postgres(t, "fsync=off")
	t.Setenv("MILLRACE_LEDGER_URL", p.URL)
	if code, stdout, _ := call(t, "migrate", "--status"); code != exitFault || !strings.Contains(stdout, "missing") {
		t.Errorf("an empty database: exit %d, %s", code, stdout)
	}
	if code, stdout, _ := call(t, "migrate", "--dry-run"); code != exitOK || !strings.Contains(stdout, "CREATE TABLE IF NOT EXISTS postings") {
		t.Errorf("--dry-run: exit %d, %s", code, stdout)
	}
	if code, stdout, _ := call(t, "migrate", "--status"); code != exitFault || !strings.Contains(stdout, "missing") {
		t.Errorf("--dry-run changed something: exit %d, %s", code, stdout)
	}
	if code, stdout, stderr := call(t, "migrate"); code != exitOK || !strings.Contains(stdout, "made partition postings_") {
		t.Errorf("exit %d, %s, %s", code, stdout, stderr)
	}
	code, stdout, _ := call(t, "migrate", "--json")
	var report migrateReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitOK || report.Version != report.Latest || len(report.Applied) != 0 || report.Dialect != "postgres" {
		t.Errorf("exit %d, %+v, %v", code, report, err)
	}
	if code, stdout, _ := call(t, "migrate", "--status", "--url", p.URL); code != exitOK || !strings.Contains(stdout, "applied") {
		t.Errorf("exit %d, %s", code, stdout)
	}
}
