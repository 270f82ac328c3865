package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/netio/admin"
	"millrace/state/audit"
	"millrace/state/ledger"
	"millrace/state/outbox"
	"millrace/state/store/embedded"
)

// TestRefundAndAudit: what was billed is refunded by an operator, is out of the
// figures at once and after a restart, and stands in the audit chain.
func TestRefundAndAudit(t *testing.T) {
	c := testConfig(t)
	n := start(t, c)
	for range 3 {
		expectStatus(t, n, 204, "GET", paid(t, n, paidBody, "paid-cr")['i'])
	}
	was, line := spent(t, n)
	list, err := n.Campaigns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refund := func(body string) (admin.RefundAnswer, int) {
		t.Helper()
		r := ask(t, n, "POST", "http://"+n.AdminAddr().String()+"/refunds", body)
		var a admin.RefundAnswer
		if err := json.Unmarshal([]byte(r.body), &a); err != nil {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return a, r.status
	}
	query := `{"campaign":"` + list[0].ID + `","reason":"fraud","note":"click farm"`
	dry, status := refund(query + `,"dry_run":true}`)
	if status != 200 || dry.Refunded != 3 || len(dry.Items) != 3 || !dry.Whole {
		t.Fatalf("%d %+v", status, dry)
	}
	if now, _ := spent(t, n); now != was {
		t.Fatalf("a dry run changed what was spent from %s to %s", was, now)
	}
	one, status := refund(`{"wins":["` + dry.Items[0].Win + `","9-1-1-1"],"reason":"mistake"}`)
	if status != 200 || one.Refunded != 1 || one.OtherNode != 1 {
		t.Fatalf("%d %+v", status, one)
	}
	all, _ := refund(query + "}")
	if all.Refunded != 2 || all.Before != 1 {
		t.Fatalf("%+v", all)
	}
	for range 100 { // the shard is told by message
		if now, _ := spent(t, n); now == "0" {
			break
		}
		wait(10)
	}
	if now, l := spent(t, n); now != "0" || l.Impressions != line.Impressions {
		t.Fatalf("%s is still spent", now)
	}
	refuseFaulty(t, n)
	stop(t, n)

	n = start(t, c)
	if now, _ := spent(t, n); now != "0" {
		t.Fatalf("after a restart %s is spent", now)
	}
	if again, _ := refund(query + "}"); again.Refunded != 0 || again.Before != 3 {
		t.Fatalf("after a restart: %+v", again)
	}
	stop(t, n)

	expectRefundsInChain(t, c.Data, 3)
}

// expectRefundsInChain verifies a stopped node's chain, and counts its refunds.
func expectRefundsInChain(t *testing.T, data string, want int) {
	t.Helper()
	key, err := AuditPublicKey(data)
	if err != nil {
		t.Fatal(err)
	}
	refunds := 0
	r, err := audit.Read(data+"/audit", audit.Options{Key: key}, func(e *audit.Entry) error {
		if e.Record.Kind == ledger.Refunded {
			refunds++
		}
		return nil
	})
	if err != nil || refunds != want || r.Records == 0 {
		t.Fatalf("%d refunds, %+v, %v", refunds, r, err)
	}
	if r, err := audit.Verify(data+"/audit", audit.Options{Key: key, Journal: data + "/journal"}); err != nil || r.Compared != r.Records {
		t.Fatalf("%+v, %v", r, err)
	}
}

// refuseFaulty asks for refunds that can't be.
func refuseFaulty(t *testing.T, n *Node) {
	t.Helper()
	for body, want := range map[string]string{
		`{`:                                   "not a refund",
		`{"reason":"fraud"}`:                  "wins: none",
		`{"wins":["x"],"reason":"fraud"}`:     "node-epoch-shard-seq",
		`{"campaign":"5","reason":"because"}`: "use fraud, mistake or goodwill",
		`{"campaign":"zz","from":"now","event":"sale","reason":"fraud"}`: "hexadecimal",
	} {
		if r := ask(t, n, "POST", "http://"+n.AdminAddr().String()+"/refunds", body); r.status != 400 || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
}

// TestBrokenAuditIsNoOutage: a node whose chain can't go on serves and bills, and
// says so.
func TestBrokenAuditIsNoOutage(t *testing.T) {
	c := testConfig(t)
	stop(t, start(t, c))
	if err := os.Remove(filepath.Join(c.Data, "audit", "head")); err != nil {
		t.Fatal(err)
	}
	n := start(t, c)
	expectStatus(t, n, 204, "GET", paid(t, n, paidBody, "paid-cr")['i'])
	waitMetric(t, n, "millrace_audit_broken", func(v float64) bool { return v == 1 })
	stop(t, n)
	if _, err := audit.Verify(c.Data+"/audit", audit.Options{}); err == nil {
		t.Fatal("it verifies")
	}
	if pos, err := outbox.ReadCursor(outbox.ReadFS(), c.Data+"/journal", audit.CursorName); err != nil || pos == 0 {
		t.Fatalf("the journal does not hold its records: %d, %v", pos, err)
	}
}

// TestReconcile: a node on its own finds its store equal to its journal, and puts
// right what is not.
func TestReconcile(t *testing.T) {
	c := testConfig(t)
	n := start(t, c)
	for range 3 {
		expectStatus(t, n, 204, "GET", paid(t, n, paidBody, "paid-cr")['i'])
	}
	look := func(query string) (a admin.Reconciled) {
		t.Helper()
		r := ask(t, n, "POST", "http://"+n.AdminAddr().String()+"/reconcile"+query, "")
		if err := json.Unmarshal([]byte(r.body), &a); err != nil || r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return a
	}
	if a := look(""); a.Compared == 0 || len(a.Drifts) != 0 {
		t.Fatalf("%+v", a)
	}
	own := any(n.budgets).(*embedded.Store)
	own.Correct(own.Balances()[0].Account, 0, 500)
	if a := look("?dry-run=true"); len(a.Drifts) != 1 || a.Repaired != 0 || a.Drifts[0].Other-a.Drifts[0].True != 500 {
		t.Fatalf("%+v", a)
	}
	if a := look(""); a.Repaired != 1 {
		t.Fatalf("%+v", a)
	}
	if a := look(""); len(a.Drifts) != 0 {
		t.Fatalf("%+v", a)
	}
	waitMetric(t, n, "millrace_reconcile_repairs_total", func(v float64) bool { return v == 1 })
	if r := ask(t, n, "POST", "http://"+n.AdminAddr().String()+"/reconcile?dry-run=x", ""); r.status != 400 {
		t.Fatalf("%d %s", r.status, r.body)
	}
}
