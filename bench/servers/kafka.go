package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// KafkaBroker is one Apache Kafka process, broker and controller in one.
type KafkaBroker struct {
	// Addr is where clients begin; it stays the same over Kill and Start.
	Addr string
	process
}

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
	k := &KafkaBroker{process: process{t: t, name: "Kafka", dir: t.TempDir()}}
	// A small heap, and no time spent on compiling for a long life.
	run := func(class string, args ...string) *exec.Cmd {
		return exec.Command(java, append([]string{
			"-Xmx256m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(jars, "*"),
			"-Dlog4j2.level=WARN", class,
		}, args...)...)
	}
	k.configure(FreePort(t), FreePort(t))
	format := run("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", k.properties())
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("formatting Kafka's log: %v\n%s", err, out)
	}
	k.command = func() *exec.Cmd { return run("kafka.Kafka", k.properties()) }
	k.ready = func() bool { return listens(k.Addr) }
	k.Start()
	t.Cleanup(k.Kill)
	return k
}

func (k *KafkaBroker) properties() string { return filepath.Join(k.dir, "server.properties") }

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
	if err := os.WriteFile(k.properties(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		k.t.Fatal(err)
	}
}
