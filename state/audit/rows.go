package audit

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"millrace/codec/unit"
	"millrace/state/ledger"
	"millrace/state/outbox"
)

// DDL makes the tables and views of the chain's analytical copy in ClickHouse.
//
//go:embed clickhouse.sql
var DDL string

// Columns are the names of a row's cells, in the order of the table of DDL.
var Columns = []string{
	"node", "position", "link", "kind", "event", "reason", "epoch", "shard", "seq", "time", "hlc", "campaign", "account", "day", "lease_epoch",
	"amount", "daily", "total", "currency", "win_node", "win_epoch", "win_shard", "win_seq", "issued", "user", "line", "creative",
	"from_account", "from_day", "from_epoch", "sale_bid", "sale_price", "sale_currency", "model", "name",
}

// Cells writes an entry as the texts that ClickHouse reads into DDL's columns.
func (e *Entry) Cells(dst []string) []string {
	r := e.Record
	number := func(v uint64) string { return strconv.FormatUint(v, 10) }
	event := ""
	if r.Event.Valid() {
		event = r.Event.String()
	}
	reason := ""
	if r.Reason != 0 {
		reason = r.Reason.String()
	}
	accounts, days, epochs := partCells(r)
	issued := unit.WallTime(0)
	if r.Win.Epoch != 0 {
		issued = r.Issued
	}
	return append(dst,
		number(uint64(r.Node)), number(e.Position), hex.EncodeToString(e.Hash[:]), r.Kind.String(), event, reason,
		number(uint64(r.Epoch)), number(uint64(r.Shard)), number(r.Seq), r.Wall.Time().Format("2006-01-02 15:04:05.000000000"), number(uint64(r.Stamp)),
		number(uint64(r.Campaign)), number(uint64(r.Account)), day(r.Day), number(uint64(r.LeaseEpoch)),
		strconv.FormatInt(int64(r.Amount), 10), strconv.FormatInt(int64(r.Daily), 10), strconv.FormatInt(int64(r.Total), 10), r.Currency.String(),
		number(uint64(r.Win.Node)), number(uint64(r.Win.Epoch)), number(uint64(r.Win.Shard)), number(r.Win.Seq), issued.Time().Format(time.DateTime),
		number(uint64(r.User)), number(uint64(r.Line)), number(uint64(r.Creative)), accounts, days, epochs,
		strconv.FormatInt(int64(r.Sale.Bid), 10), strconv.FormatInt(int64(r.Sale.Reported), 10), r.Sale.Currency.String(),
		number(r.Policy.Model), strings.ToValidUTF8(string(r.Name), "\uFFFD"),
	)
}

// Object is a row for JSONEachRow. Numbers are texts, which ClickHouse reads as
// numbers and others without losing digits.
func (e *Entry) Object() map[string]any {
	cells := e.Cells(nil)
	row := make(map[string]any, len(cells))
	for i, name := range Columns {
		row[name] = cells[i]
		if strings.HasPrefix(name, "from_") {
			row[name] = json.RawMessage(strings.ReplaceAll(cells[i], "'", `"`))
		}
	}
	return row
}

// day is a date; of records without one, the first there is.
func day(d unit.Day) string { return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly) }

// partCells are the leases a posting was taken from, as ClickHouse's arrays.
func partCells(r *ledger.Record) (accounts, days, epochs string) {
	accounts, days, epochs = "[", "[", "["
	for i, p := range r.From[:r.Parts] {
		if i > 0 {
			accounts, days, epochs = accounts+",", days+",", epochs+","
		}
		accounts += strconv.FormatUint(uint64(p.Account), 10)
		days += "'" + day(p.Day) + "'"
		epochs += strconv.FormatUint(uint64(p.Epoch), 10)
	}
	return accounts + "]", days + "]", epochs + "]"
}

// Copy writes a chain's files, up to a head that Verify found, one behind the
// other: what Options.Exported reads.
func Copy(w io.Writer, files outbox.FS, dir string, head Head) error {
	numbers, err := listFiles(files, dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n > head.File {
			break
		}
		data, err := outbox.ReadFile(files, filepath.Join(dir, fileName(n)))
		if err != nil {
			return fmt.Errorf("audit: reading %s: %w", fileName(n), err)
		}
		if n == head.File {
			data = data[:head.Offset]
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}
