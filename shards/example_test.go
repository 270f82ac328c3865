package shards_test

import (
	"context"
	"fmt"

	"millrace/codec/unit"
	"millrace/shards"
)

// visit is a message: a plain value that names its kind.
type visit struct{ user unit.UserID }

func (visit) Kind() uint8 { return 0 }

// visitors is the state of one shard and its handler: no locks, since only the
// holder of the shard's turn calls it.
type visitors struct {
	shard *shards.Shard[visit]
	count map[unit.UserID]int
	total shards.Counter
}

func (v *visitors) Handle(m *visit) {
	v.count[m.user]++
	v.shard.Counters().Inc(v.total)
}

func (v *visitors) Timer(kind uint8, arg uint64) {}

func (v *visitors) EndBatch() {}

func Example() {
	config := shards.Default()
	config.Shards, config.KindNames = 2, []string{"visit"}
	registry := shards.NewRegistry()
	var handlers []*visitors
	group, err := shards.NewGroup(config, shards.SystemClock(), registry,
		func(s *shards.Shard[visit]) shards.Handler[visit] {
			v := &visitors{shard: s, count: map[unit.UserID]int{}}
			v.total = s.Registry().Counter(shards.Desc{Name: "example_visits", Help: "Visits seen."})
			handlers = append(handlers, v)
			return v
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := group.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"ann", "bob", "ann"} {
		user := unit.HashUser(0, []byte(name))
		group.Submit(unit.Owner(uint64(user), group.Len()), &visit{user})
	}
	ann := unit.HashUser(0, []byte("ann"))
	owner := unit.Owner(uint64(ann), group.Len())
	err = group.Invoke(ctx, owner, func(*shards.Shard[visit]) {
		fmt.Println("ann:", handlers[owner].count[ann])
	})
	fmt.Println(err, group.Stop(ctx))
	fmt.Println("all:", registry.ReadCounter(handlers[0].total))
	// Output:
	// ann: 2
	// <nil> <nil>
	// all: 3
}
