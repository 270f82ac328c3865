package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// KafkaBroker is one Apache Kafka process, broker and controller in one.
type KafkaBroker struct {
	// Addr is where clients begin; it stays the same over Kill and Start.
	Addr string

	t    testing.TB
	dir  string
	java []string // command line up to the class
	cmd  *exec.Cmd
	done chan struct{} // the process ended
}

// kafkaStartMax bounds the wait for a broker that starts: some 3 s when idle.
const kafkaStartMax = 60 * time.Second

// Kafka starts a broker with an empty log, and stops it with the test.
func Kafka(t testing.TB) *KafkaBroker {
	t.Helper()
	if testing.Short() {
		t.Skip("a real Kafka is not started in -short")
	}
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("no java: install a Java 17 runtime, and run make deps, to test with Apache Kafka")
	}
	jars, err := filepath.Abs(filepath.Join(root(t), ".deps", "kafka"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(jars, "pom.xml")); err != nil {
		t.Skip("no Apache Kafka in .deps/kafka: make deps fetches it where Maven is")
	}
	k := &KafkaBroker{t: t, dir: t.TempDir()}
	// A small heap, and no time spent on compiling for a long life.
	k.java = []string{
		java, "-Xmx256m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(jars, "*"),
		"-Dlog4j2.level=WARN",
	}
	k.configure(freePort(t), freePort(t))
	format := exec.Command(k.java[0], append(k.java[1:], "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", k.file())...)
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("formatting Kafka's log: %v\n%s", err, out)
	}
	k.Start()
	t.Cleanup(k.Kill)
	return k
}

func (k *KafkaBroker) file() string { return filepath.Join(k.dir, "server.properties") }

func (k *KafkaBroker) configure(port, controller int) {
	k.Addr = fmt.Sprintf("127.0.0.1:%d", port)
	lines := []string{
		"process.roles=broker,controller",
		"node.id=1",
		fmt.Sprintf("controller.quorum.voters=1@127.0.0.1:%d", controller),
		fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d", k.Addr, controller),
		"advertised.listeners=PLAINTEXT://" + k.Addr,
		"controller.listener.names=CONTROLLER",
		"log.dirs=" + filepath.Join(k.dir, "log"),
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"auto.create.topics.enable=false",
		// A broker that was killed is fenced until its session ends.
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=500",
		"num.network.threads=2",
		"num.io.threads=2",
		"log.cleaner.enable=false",
	}
	if err := os.WriteFile(k.file(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// Start starts the broker, again after Kill, and waits until it answers.
func (k *KafkaBroker) Start() {
	k.t.Helper()
	out, err := os.OpenFile(filepath.Join(k.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		k.t.Fatal(err)
	}
	k.cmd = exec.Command(k.java[0], append(k.java[1:], "kafka.Kafka", k.file())...)
	k.cmd.Stdout, k.cmd.Stderr = out, out
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	done := make(chan struct{})
	k.done = done
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		_ = out.Close()
		close(done)
	}(k.cmd)
	ctx, cancel := context.WithTimeout(context.Background(), kafkaStartMax)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", k.Addr)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
			continue
		case <-done:
		case <-ctx.Done():
			k.Kill()
		}
		text, _ := os.ReadFile(filepath.Join(k.dir, "out"))
		k.t.Fatalf("Kafka did not start:\n%s", text)
	}
}

// Kill ends the broker as a crash does.
func (k *KafkaBroker) Kill() {
	_ = k.cmd.Process.Kill()
	<-k.done
}

// freePort is a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// root is the repository: the nearest folder above with go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = os.ErrNotExist
		}
	}
	t.Fatalf("no go.mod above the test: %v", err)
	return ""
}
