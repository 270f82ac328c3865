package cockroach

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/codec/unit"
)

// Dialect is which of the two databases it is.
type Dialect string

// Dialects.
const (
	Postgres  Dialect = "postgres"
	Cockroach Dialect = "cockroach"
)

// dialectOf asks the server.
func dialectOf(ctx context.Context, conn *pgx.Conn) (Dialect, error) {
	var text string
	if err := conn.QueryRow(ctx, statement("version")).Scan(&text); err != nil {
		return "", err
	}
	if strings.Contains(text, "CockroachDB") {
		return Cockroach, nil
	}
	return Postgres, nil
}

// Migration is one step of the schema. Steps only go forward; each of their
// statements can run again, and none locks out a running node.
type Migration struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Checksum string `json:"checksum"` // of the file
	// Statements for the dialect at hand.
	Statements []string `json:"-"`
	// Applied is when, the zero time if it was not yet; Changed: what was applied
	// was another text.
	Applied time.Time `json:"applied,omitzero"`
	Changed bool      `json:"changed,omitempty"`
}

// Migrations are those in the binary, in order.
func Migrations(d Dialect) ([]Migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var list []Migration
	for i, name := range names {
		text, err := fs.ReadFile(migrationFiles, name)
		if err != nil {
			return nil, err
		}
		number, title, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(name, "migrations/"), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != i+1 {
			return nil, fmt.Errorf("%s: a migration is named NNNN_what.sql, numbered without gaps", name)
		}
		sum := sha256.Sum256(text)
		list = append(list, Migration{Version: version, Name: title, Checksum: hex.EncodeToString(sum[:]), Statements: split(string(text), d)})
	}
	return list, nil
}

// split gives the statements of a file for a dialect. A line that ends with
// "-- only: X" is for X alone; other comments are left out. No text in quotes
// holds a semicolon or a comment.
func split(text string, d Dialect) (statements []string) {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		code, comment, _ := strings.Cut(strings.TrimRight(line, "\n"), "--")
		if only, is := strings.CutPrefix(strings.TrimSpace(comment), "only: "); is && Dialect(only) != d {
			continue
		}
		if code = strings.TrimRight(code, " "); code != "" {
			kept.WriteString(code + "\n")
		}
	}
	for s := range strings.SplitSeq(kept.String(), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			statements = append(statements, s)
		}
	}
	return statements
}

const (
	// lockFor is how long a migrator that is not heard of keeps others out.
	lockFor = time.Minute
	// lockWait is how long another waits for it.
	lockWait = 2 * time.Minute
)

// Migrator brings a database's schema up to the binary's. One goroutine's.
type Migrator struct {
	conn    *pgx.Conn
	dialect Dialect
	holder  string
	// Say, if set, is told of each step.
	Say func(format string, args ...any)
}

// NewMigrator connects.
func NewMigrator(ctx context.Context, url string) (*Migrator, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("ledger.url: %w; write postgres://user:password@host:port/database", err)
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	// A statement that would wait long for a lock gives up: behind it everybody
	// else would wait too.
	c.RuntimeParams["lock_timeout"] = "5000"
	c.RuntimeParams["application_name"] = "millrace migrate"
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	d, err := dialectOf(ctx, conn)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: %w", err), conn.Close(ctx))
	}
	host, _ := os.Hostname()
	return &Migrator{
		conn: conn, dialect: d, Say: func(string, ...any) {},
		holder: fmt.Sprintf("%s pid %d at %s", host, os.Getpid(), time.Now().UTC().Format(time.RFC3339Nano)),
	}, nil
}

// Dialect is the database's.
func (m *Migrator) Dialect() Dialect { return m.dialect }

// Close ends the connection.
func (m *Migrator) Close(ctx context.Context) error { return m.conn.Close(ctx) }

// Status lists the binary's migrations with what the database has of them, and
// the highest version that the database has, which an older binary may not know.
func (m *Migrator) Status(ctx context.Context) (list []Migration, version int, err error) {
	if list, err = Migrations(m.dialect); err != nil {
		return nil, 0, err
	}
	var number int32
	var checksum string
	var at time.Time
	rows, err := m.conn.Query(ctx, statement("migrations"))
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&number, &checksum, &at}, func() error {
			version = max(version, int(number))
			if n := int(number); n >= 1 && n <= len(list) {
				list[n-1].Applied, list[n-1].Changed = at.UTC(), checksum != list[n-1].Checksum
			}
			return nil
		})
	}
	if server := (*pgconn.PgError)(nil); errors.As(err, &server) && server.Code == "42P01" {
		return list, 0, nil // the table is not there: none was applied
	}
	return list, version, err
}

// Run applies what is missing, one process at a time, and makes partitions. It
// gives what it did. It refuses when a migration that was applied is not the one
// in the binary.
func (m *Migrator) Run(ctx context.Context, now unit.WallTime) (done []Migration, partitions []string, err error) {
	for _, name := range []string{"make_migrations", "make_lock"} {
		if _, err := m.conn.Exec(ctx, statement(name)); err != nil && !duplicate(err) {
			return nil, nil, fmt.Errorf("ledger: %w; the role must be allowed to create tables in this database", err)
		}
	}
	if err := m.lock(ctx); err != nil {
		return nil, nil, err
	}
	ctx, release, err := m.keepLock(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		release()
		if cause := context.Cause(ctx); err != nil && errors.Is(cause, errLockLost) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		if _, e := m.conn.Exec(context.WithoutCancel(ctx), statement("unlock"), m.holder); e != nil && err == nil {
			err = fmt.Errorf("ledger: giving the lock back: %w; it opens by itself after %v", e, lockFor)
		}
	}()
	list, _, err := m.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range list {
		if s.Changed {
			return nil, nil, fmt.Errorf("ledger: migration %d (%s) was applied with another text than this binary's; use the binary that it came from, or a later one", s.Version, s.Name)
		}
	}
	for _, s := range list {
		if !s.Applied.IsZero() {
			continue
		}
		if err := m.apply(ctx, &s); err != nil {
			return done, nil, err
		}
		done = append(done, s)
	}
	if m.dialect == Postgres {
		partitions, err = keepMonths(ctx, m.conn, now)
	}
	return done, partitions, err
}

// errLockLost: this migrator was not heard of for too long.
var errLockLost = errors.New("ledger: the migration lock was lost to another process; run it again to see what is left")

// keepLock renews the lock on a connection of its own while a statement takes its
// time. The context ends when the lock is lost.
func (m *Migrator) keepLock(parent context.Context) (ctx context.Context, release func(), err error) {
	conn, err := pgx.ConnectConfig(parent, m.conn.Config().Copy())
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	ctx, lost := context.WithCancelCause(parent)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(lockFor / 4)
		defer tick.Stop()
		for heard := time.Now(); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			var holder string
			err := conn.QueryRow(ctx, statement("lock"), m.holder, int64(lockFor/time.Second)).Scan(&holder)
			if err == nil {
				heard = time.Now()
			} else if errors.Is(err, pgx.ErrNoRows) || time.Since(heard) > lockFor/2 {
				lost(errLockLost)
				return
			}
		}
	}()
	return ctx, func() {
		close(stop)
		<-stopped
		_ = conn.Close(context.WithoutCancel(ctx))
	}, nil
}

// apply runs a migration's statements, each in a transaction of its own: what
// CockroachDB does with DDL in any case. One that is cut off begins again at the
// first statement.
func (m *Migrator) apply(ctx context.Context, s *Migration) error {
	m.Say("migration %d (%s): %d statements", s.Version, s.Name, len(s.Statements))
	for i, sql := range s.Statements {
		if _, err := m.conn.Exec(ctx, sql); err != nil {
			first, _, _ := strings.Cut(sql, "\n")
			return fmt.Errorf("ledger: migration %d (%s), statement %d (%s …): %w; mend the cause and run it again", s.Version, s.Name, i+1, first, err)
		}
	}
	if err := m.conn.QueryRow(ctx, statement("record_migration"), s.Version, s.Name, s.Checksum).Scan(&s.Applied); err != nil {
		return fmt.Errorf("ledger: noting migration %d: %w", s.Version, err)
	}
	s.Applied = s.Applied.UTC()
	return nil
}

// lock takes or renews the one row that lets one migrator at a time through: it
// works in both databases, through poolers, and opens when its holder is gone.
func (m *Migrator) lock(ctx context.Context) error {
	for end := time.Now().Add(lockWait); ; {
		var holder string
		err := m.conn.QueryRow(ctx, statement("lock"), m.holder, int64(lockFor/time.Second)).Scan(&holder)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, pgx.ErrNoRows):
			// Taken: by whom stands in the row.
			if err := m.conn.QueryRow(ctx, statement("lock_holder")).Scan(&holder); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return fmt.Errorf("ledger: %w", err)
			}
			if time.Now().After(end) {
				return fmt.Errorf("ledger: %s is migrating this database; wait for it, or for its lock to open %v after it was last heard", holder, lockFor)
			}
			m.Say("waiting for %s, who is migrating this database", holder)
		case judge(err) != conflict:
			return fmt.Errorf("ledger: %w", err)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ErrSchema: the database has not what this binary needs.
var ErrSchema = errors.New("the ledger's schema is not this binary's")

// Check asks whether the database's schema serves this binary: one that is
// behind, or was made with other texts, does not; one that is ahead does, since
// migrations only add.
func Check(ctx context.Context, url string) error {
	m, err := NewMigrator(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close(ctx) }()
	list, _, err := m.Status(ctx)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	for _, s := range list {
		if s.Applied.IsZero() {
			return fmt.Errorf("ledger: %w: migration %d (%s) is missing; run millrace migrate", ErrSchema, s.Version, s.Name)
		}
		if s.Changed {
			return fmt.Errorf("ledger: %w: migration %d (%s) was applied with another text", ErrSchema, s.Version, s.Name)
		}
	}
	return nil
}
