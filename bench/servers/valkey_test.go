package servers_test

import (
	"strings"
	"testing"

	"millrace/bench/servers"
)

func TestValkeyIsEmptyAfterKill(t *testing.T) {
	v := servers.Valkey(t)
	get := func() string {
		text, err := v.Do("GET", "k")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if _, err := v.Do("SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	v.Pause()
	v.Resume()
	if got := get(); got != "v" {
		t.Fatalf("%q after a pause", got)
	}
	v.Kill()
	if _, err := v.Do("PING"); err == nil {
		t.Fatal("a killed server answers")
	}
	v.Start()
	if got := get(); got != "" {
		t.Fatalf("%q after a restart", got)
	}
}

func TestValkeyCluster(t *testing.T) {
	nodes := servers.ValkeyCluster(t, 3)
	moved := 0
	for _, v := range nodes {
		if _, err := v.Do("SET", "{a}", "1"); err != nil {
			if !strings.Contains(err.Error(), "MOVED") {
				t.Fatal(err)
			}
			moved++
		}
	}
	if moved != 2 {
		t.Fatalf("%d of 3 masters send a key elsewhere", moved)
	}
}
