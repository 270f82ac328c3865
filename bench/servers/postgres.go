package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresServer is one PostgreSQL cluster with an empty database.
type PostgresServer struct {
	// URL is where clients connect, without a password; it stays the same over
	// Kill, Stop and Start, and so do the data.
	URL string
	process
}

// Postgres makes a cluster and starts its server, with further settings
// ("fsync=off"), and stops it with the test.
func Postgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	if testing.Short() {
		t.Skip("a real PostgreSQL is not started in -short")
	}
	initdb, env, found := program(t, "initdb", "/usr/lib/postgresql/*/bin")
	if !found {
		t.Skip("no PostgreSQL: make deps fetches it where Debian's packages can be had")
	}
	user := unprivileged(t)
	initdb, env = reachable(t, initdb, env, user)
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(filepath.Dir(initdb), name), args...)
		cmd.Dir = "/"
		cmd.Env = append(append(os.Environ(), "LC_ALL=C", "TZ=UTC"), env...)
		if user != nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
		}
		return cmd
	}
	port := FreePort(t)
	p := &PostgresServer{URL: fmt.Sprintf("postgres://millrace@127.0.0.1:%d/postgres?sslmode=disable", port)}
	p.process = process{t: t, name: "PostgreSQL", dir: t.TempDir()}
	data := dataFolder(t, user)
	out, err := run("initdb", "--no-sync", "--auth=trust", "--username=millrace", "--encoding=UTF8", "--locale=C", "--pgdata", data).CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	args := []string{"-D", data, "-p", fmt.Sprint(port)}
	for _, s := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=64MB", "timezone=UTC", "jit=off"}, settings...) {
		args = append(args, "-c", s)
	}
	p.command = func() *exec.Cmd { return run("postgres", args...) }
	p.ready = p.answers
	// A server that was killed leaves its children behind for a moment, and they
	// its shared memory.
	p.again = func(out string) bool {
		return strings.Contains(out, "shared memory block") || strings.Contains(out, "lock file")
	}
	p.Start()
	t.Cleanup(p.Stop)
	return p
}

// Stop ends the server in an orderly way, its clients cut off.
func (p *PostgresServer) Stop() { p.end(syscall.SIGINT) }

func (p *PostgresServer) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, p.URL)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close(ctx) }()
	return c.Ping(ctx) == nil
}

// nobody is who servers run as that refuse to be root.
const nobody = 65534

// unprivileged is whom the server runs as: nil is this process's own user. Root
// becomes nobody.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody}
}

// reachable is a binary that the user can run: itself or, where it stands in a
// folder that is closed to others, as a checkout of root's may, a copy.
func reachable(t testing.TB, binary string, env []string, user *syscall.Credential) (string, []string) {
	t.Helper()
	runs := func(binary string, env []string) error {
		probe := exec.Command(binary, "--version")
		probe.Dir, probe.Env = "/", append(os.Environ(), env...)
		if user != nil {
			probe.SysProcAttr = &syscall.SysProcAttr{Credential: user}
		}
		return probe.Run()
	}
	err := runs(binary, env)
	if err == nil {
		return binary, env
	}
	deps := filepath.Join(root(t), ".deps", "debian")
	inside, found := strings.CutPrefix(binary, deps)
	if !found {
		t.Skipf("PostgreSQL refuses to run as root, and nobody cannot run %s: %v", binary, err)
	}
	dir := dataFolder(t, user)
	// Hard links where they can be: the tree is large.
	copied := exec.Command("cp", "-al", deps+"/.", dir)
	if copied.Run() != nil {
		if out, err := exec.Command("cp", "-a", deps+"/.", dir).CombinedOutput(); err != nil {
			t.Fatalf("copying %s: %v %s", deps, err, out)
		}
	}
	binary = filepath.Join(dir, inside)
	for i := range env {
		env[i] = strings.ReplaceAll(env[i], deps, dir)
	}
	if err := runs(binary, env); err != nil {
		t.Skipf("PostgreSQL refuses to run as root, and nobody cannot run %s: %v", binary, err)
	}
	return binary, env
}

// dataFolder is an empty folder that the user owns. It is not one of the test's
// own: those that lead there may be closed to others.
func dataFolder(t testing.TB, user *syscall.Credential) string {
	t.Helper()
	if user == nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("", "millrace-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, int(user.Uid), int(user.Gid)); err != nil {
		t.Fatal(err)
	}
	return dir
}
