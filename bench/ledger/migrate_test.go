package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"millrace/codec/unit"
	"millrace/state/store/cockroach"
)

func migrator(t *testing.T, address string) *cockroach.Migrator {
	t.Helper()
	m, err := cockroach.NewMigrator(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m
}

func exec(t *testing.T, address, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// migrations: several at once do the work once; one that was cut off is done
// again; a lock whose holder is gone opens; a changed text is refused.
func migrations(t *testing.T, p *server) {
	template := p.template
	p.template = ""
	address := p.database(t)
	p.template = template
	if err := cockroach.Check(t.Context(), address); !errors.Is(err, cockroach.ErrSchema) || !strings.Contains(err.Error(), "millrace migrate") {
		t.Error(err)
	}
	if _, version, err := migrator(t, address).Status(t.Context()); err != nil || version != 0 {
		t.Error(version, err)
	}
	const many = 4
	var applied [many]int
	var running sync.WaitGroup
	for i := range many {
		m := migrator(t, address)
		running.Go(func() {
			done, _, err := m.Run(t.Context(), unit.WallFromUnix(1_700_000_000))
			if err != nil {
				t.Error(err)
			}
			applied[i] = len(done)
		})
	}
	running.Wait()
	list, version, err := migrator(t, address).Status(t.Context())
	sum := 0
	for _, n := range applied {
		sum += n
	}
	if err != nil || version != len(list) || sum != len(list) {
		t.Fatalf("version %d of %d, applied %v, %v", version, len(list), applied, err)
	}
	if err := cockroach.Check(t.Context(), address); err != nil {
		t.Error(err)
	}
	// Cut off behind the last statement, and the lock left behind long ago.
	exec(t, address, "DELETE FROM migrations; INSERT INTO migration_lock VALUES (1, 'gone', now() - INTERVAL '1 second')")
	done, partitions, err := migrator(t, address).Run(t.Context(), unit.WallFromUnix(1_705_000_000))
	if err != nil || len(done) != len(list) || len(partitions) != 2 || partitions[1] != "postings_2024_04" {
		t.Errorf("%+v, %v, %v", done, partitions, err)
	}
	exec(t, address, "INSERT INTO migration_lock VALUES (1, 'a live one', now() + INTERVAL '1 hour')")
	ctx, cancel := context.WithCancel(t.Context())
	m := migrator(t, address)
	m.Say = func(format string, args ...any) {
		if strings.Contains(format, "waiting") {
			cancel()
		}
	}
	if _, _, err := m.Run(ctx, 0); err == nil {
		t.Error("migrated beside another")
	}
	exec(t, address, "DELETE FROM migration_lock; UPDATE migrations SET checksum = 'another'")
	if _, _, err := migrator(t, address).Run(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "another text") {
		t.Error(err)
	}
	if err := cockroach.Check(t.Context(), address); !errors.Is(err, cockroach.ErrSchema) {
		t.Error(err)
	}
}
