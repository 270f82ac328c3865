package kafka

import "time"

// Config of a drain.
type Config struct {
	// Brokers to begin with, host:port; they name the others.
	Brokers []string
	Topic   string
	// Partitions and Replication of the topic if it has to be made; 0 leaves
	// making it to its owner, and the drain waits for it. Replication 0 is the
	// broker's default.
	Partitions, Replication int
	// BufferEvents and BufferBytes bound what is sent and not acknowledged.
	BufferEvents int
	BufferBytes  int
	// Linger is how long an event waits for company in its batch.
	Linger time.Duration
	// Advance is how often the cursor is made durable.
	Advance time.Duration
	// Cursor is its name in the journal's folder.
	Cursor string
}

// Default is a configuration without Brokers.
func Default() Config {
	return Config{
		Topic:        "millrace.spend",
		BufferEvents: 1 << 15,
		BufferBytes:  32 << 20,
		Linger:       20 * time.Millisecond,
		Advance:      time.Second,
		Cursor:       "kafka",
	}
}
