package node

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/state/store/kafka/kafkatest"
)

// TestKafkaOutageIsNoOutage: a node whose brokers are down starts, is ready,
// bills, and stops; the next one delivers what the journal kept.
func TestKafkaOutageIsNoOutage(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	address := cluster.ListenAddrs()
	port, err := strconv.Atoi(regexp.MustCompile(`\d+$`).FindString(address[0]))
	if err != nil {
		t.Fatal(err)
	}
	cluster.Close() // its port is free again

	c := testConfig(t)
	c.Kafka.Brokers, c.Kafka.Partitions = address, 3
	n := start(t, c)
	expectStatus(t, n, 200, "GET", "/readyz")
	for range 5 {
		expectStatus(t, n, 204, "GET", paid(t, n, paidBody, "paid-cr")['i'])
	}
	waitMetric(t, n, "millrace_kafka_errors_total", func(v float64) bool { return v > 0 })
	waitMetric(t, n, "millrace_kafka_lag_bytes", func(v float64) bool { return v > 5*100 })
	expectStatus(t, n, 200, "GET", "/readyz")
	stop(t, n)

	cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	n = start(t, c)
	waitMetric(t, n, "millrace_kafka_events_total", func(v float64) bool { return v == 5 })
	waitMetric(t, n, "millrace_kafka_lag_bytes", func(v float64) bool { return v == 0 })
	stop(t, n)
	events, _ := kafkatest.Consume(t, address, c.Kafka.Topic, 5)
	kafkatest.Compare(t, events, kafkatest.Journal(t, nil, c.Data+"/journal"))
}

// waitMetric scrapes until the metric is as wanted.
func waitMetric(t *testing.T, n *Node, name string, ok func(v float64) bool) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`)
	last := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); wait(20) {
		m := line.FindStringSubmatch(ask(t, n, "GET", "http://"+n.AdminAddr().String()+"/metrics", "").body)
		if m == nil {
			t.Fatalf("there is no metric %s", name)
		}
		last = m[1]
		if v, err := strconv.ParseFloat(last, 64); err == nil && ok(v) {
			return
		}
	}
	t.Fatalf("%s stays %s", name, last)
}
