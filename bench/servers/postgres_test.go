package servers_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/bench/servers"
)

// TestPostgresKeepsData over a kill and an orderly stop.
func TestPostgresKeepsData(t *testing.T) {
	p := servers.Postgres(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows := func(sql string) (n int) {
		c, err := pgx.Connect(ctx, p.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(ctx) }()
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
		if err := c.QueryRow(ctx, "select count(*) from kept").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	rows("create table kept (i int)")
	for i, end := range []func(){p.Kill, p.Stop, p.Kill} {
		if n := rows("insert into kept values (1)"); n != i+1 {
			t.Fatalf("%d rows, want %d", n, i+1)
		}
		end()
		p.Start()
	}
}
