package ledger

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"millrace/codec/event"
	"millrace/codec/unit"
)

const testNode = unit.NodeID(3)

func randomRecord(r *rand.Rand) Record {
	rec := Record{
		Kind: Kind(1 + r.IntN(int(kindEnd)-1)), Node: unit.NodeID(r.Uint32()), Shard: unit.ShardID(r.Uint32()),
		Epoch: unit.Epoch(r.Uint32()), Day: unit.Day(r.Int32()), Seq: r.Uint64(), Wall: unit.WallTime(r.Int64()), Stamp: Stamp(r.Uint64()),
	}
	switch rec.Kind {
	case AccountOpened, Granted, Returned:
		rec.Account, rec.Campaign = unit.AccountID(r.Uint64()), unit.CampaignID(r.Uint64())
		rec.Amount, rec.Daily, rec.Total = unit.Nanos(r.Int64()), unit.Nanos(r.Int64()), unit.Nanos(r.Int64())
		rec.LeaseEpoch, rec.Currency = unit.Epoch(r.Uint32()), unit.USD
		if r.IntN(2) == 0 {
			rec.Name = bytes.Repeat([]byte("ä"), 1+r.IntN(NameMax/2))
		}
	case Posted, Recorded, Refunded:
		rec.Event, rec.Reason, rec.Parts = event.Kind(1+r.IntN(event.Kinds)), Reason(r.IntN(int(reasonEnd))), uint8(r.IntN(3))
		rec.Campaign, rec.Amount, rec.User = unit.CampaignID(r.Uint64()), unit.Nanos(r.Int64()), unit.UserID(r.Uint64())
		rec.Line, rec.Creative, rec.Issued = unit.LineID(r.Uint64()), unit.CreativeID(r.Uint64()), unit.WallTime(r.Int64())
		rec.Win = event.WinID{Node: unit.NodeID(r.Uint32()), Epoch: unit.Epoch(r.Uint32()), Shard: unit.ShardID(r.Uint32()), Seq: r.Uint64()}
		rec.Currency = unit.USD
		if r.IntN(2) == 0 {
			rec.Policy = event.Policy{Model: r.Uint64(), Arm: 2, Epoch: uint16(r.Uint32()), Other: 3, Rung: uint8(r.IntN(4)), Explored: true, Click: 7, Propensity: event.Probability(r.Uint32())}
		}
		for i := range rec.Parts {
			rec.From[i] = Part{unit.AccountID(r.Uint64()), unit.Day(r.Int32()), unit.Epoch(r.Uint32())}
		}
	}
	if rec.Kind == Refunded {
		rec.Policy, rec.Reason, rec.Parts = event.Policy{}, Fraud+Reason(r.IntN(3)), max(rec.Parts, 1)
		for i := range rec.Parts {
			rec.From[i].Account = unit.AccountID(1 + i)
		}
		if r.IntN(2) == 0 {
			rec.Name = bytes.Repeat([]byte("n"), 1+r.IntN(NameMax))
		}
	}
	if rec.Reason == Resold && rec.Kind != Recorded {
		rec.Reason = 0
	} else if rec.Reason == Resold {
		rec.Policy = event.Policy{}
		rec.Sale = Sale{Bid: unit.Nanos(r.Int64()), Reported: unit.Nanos(r.Int64()), Currency: unit.USD, Told: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			rec.Name = bytes.Repeat([]byte("b"), 1+r.IntN(NameMax))
		}
	}
	return rec
}

func TestRecordRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		in := randomRecord(r)
		b := in.Append(nil)
		if len(b) > SizeMax {
			t.Fatalf("%s of %d bytes", in.Kind, len(b))
		}
		var out Record
		if err := out.Decode(b); err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v\n in %+v\nout %+v", err, in, out)
		}
		for n := range b {
			if err := out.Decode(b[:n]); !errors.Is(err, ErrRecord) {
				t.Fatalf("%d of %d bytes decoded: %v", n, len(b), err)
			}
		}
		if err := out.Decode(append(b, 0)); !errors.Is(err, ErrRecord) {
			t.Fatalf("a padded record decoded: %v", err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 12 {
		rec := randomRecord(r)
		f.Add(rec.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var rec Record
		if rec.Decode(b) != nil {
			return
		}
		if got := rec.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x decodes and encodes to %x", b, got)
		}
	})
}

func TestAllocAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	rec := randomRecord(r)
	buf := make([]byte, 0, SizeMax)
	if n := testing.AllocsPerRun(100, func() { buf = rec.Append(buf[:0]) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestStampRises(t *testing.T) {
	var s Stamp
	r := rand.New(rand.NewPCG(5, 6))
	wall := unit.WallFromUnix(1_800_000_000)
	for range 10_000 {
		wall = wall.Add(time.Duration(r.Int64N(int64(5*time.Millisecond))) - 2*time.Millisecond)
		n := s.Next(wall)
		if n <= s || n.Wall() < wall.Add(-time.Millisecond) {
			t.Fatalf("%d after %d at %d", n, s, wall)
		}
		s = n
	}
}

// history is a random journal that keeps the invariants.
func history(r *rand.Rand, n int) []Record {
	h := []Record{{Kind: EpochStarted, Node: testNode, Epoch: 1, Seq: 2, Wall: 1e18}}
	type lease struct {
		part Part
		left unit.Nanos
	}
	var leases []lease
	var posted []Record
	epoch, seq := unit.Epoch(1), uint64(0)
	for range n {
		rec := Record{Node: testNode, Epoch: epoch, Wall: 1e18 + unit.WallTime(len(h))*1e9, Stamp: Stamp(len(h))}
		switch k := r.IntN(20); {
		case k == 0:
			epoch++
			rec.Kind, rec.Epoch, rec.Seq = EpochStarted, epoch, uint64(1+r.IntN(4))
		case k < 5 || len(leases) == 0:
			rec.Kind, rec.Seq, rec.Account = Granted, seq, unit.AccountID(1+r.IntN(5))
			rec.Campaign, rec.Day, rec.Amount = 77, unit.Day(20_000+r.IntN(2)), unit.Nanos(1+r.IntN(1000))
			leases = append(leases, lease{Part{rec.Account, rec.Day, epoch}, rec.Amount})
		case k < 6 && len(posted) > 0:
			at := r.IntN(len(posted))
			stamp, wall := rec.Stamp, rec.Wall
			rec = posted[at]
			rec.Kind, rec.Reason, rec.Stamp, rec.Wall, rec.Epoch = Refunded, Fraud, stamp, wall, epoch
			posted[at] = posted[len(posted)-1]
			posted = posted[:len(posted)-1]
		case k < 8:
			l := &leases[r.IntN(len(leases))]
			rec.Kind, rec.Account, rec.Campaign, rec.Day, rec.LeaseEpoch = Returned, l.part.Account, 77, l.part.Day, l.part.Epoch
			rec.Amount = unit.Nanos(r.Int64N(int64(l.left) + 1))
			l.left -= rec.Amount
		default:
			l := &leases[r.IntN(len(leases))]
			seq++
			rec.Kind, rec.Event, rec.Campaign = Posted, event.Click, 77
			rec.Win = event.WinID{Node: testNode, Epoch: epoch, Shard: unit.ShardID(r.IntN(2)), Seq: seq * 700}
			rec.Amount = unit.Nanos(r.Int64N(int64(l.left) + 1))
			l.left -= rec.Amount
			rec.Parts, rec.From[0], rec.Issued = 1, l.part, rec.Wall/1e9*1e9
			posted = append(posted, rec)
		}
		h = append(h, rec)
	}
	return h
}

func TestBookKeepsInvariants(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := NewBook(testNode, 24*time.Hour)
		var posted, refunded unit.Nanos
		for _, rec := range history(r, 2000) {
			if err := b.Apply(&rec); err != nil {
				t.Fatal(err)
			}
			if rec.Kind == Refunded {
				posted -= rec.Amount
				refunded += rec.Amount
				if err := b.Apply(&rec); !errors.Is(err, ErrBreach) {
					t.Fatalf("the same refund twice: %v", err)
				}
			}
			if rec.Kind == Posted {
				posted += rec.Amount
				if err := b.Apply(&rec); !errors.Is(err, ErrBreach) {
					t.Fatalf("the same posting twice: %v", err)
				}
			}
		}
		if err := b.Check(); err != nil {
			t.Fatal(err)
		}
		var sum, back unit.Nanos
		for _, a := range b.Accounts() {
			sum += a.Posted
			back += a.Refunded
		}
		if sum != posted || back != refunded || back == 0 {
			t.Fatalf("posted %v, refunded %v, the book says %v and %v", posted, refunded, sum, back)
		}
	}
}

func TestCheckpointIsTheBook(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	h := history(r, 3000)
	whole := NewBook(testNode, 24*time.Hour)
	resumed := NewBook(testNode, 24*time.Hour)
	for i := range h {
		_ = whole.Apply(&h[i])
		_ = resumed.Apply(&h[i])
		if i%500 == 7 {
			ck := resumed.AppendCheckpoint(nil)
			var err error
			if resumed, err = DecodeCheckpoint(ck, testNode, 24*time.Hour); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ck, resumed.AppendCheckpoint(nil)) {
				t.Fatal("a checkpoint decoded and encoded differs")
			}
		}
	}
	if !bytes.Equal(whole.AppendCheckpoint(nil), resumed.AppendCheckpoint(nil)) {
		t.Fatal("the book resumed from checkpoints differs from the whole fold")
	}
	ck := whole.AppendCheckpoint(nil)
	for i := 0; i < len(ck); i += 97 {
		if _, err := DecodeCheckpoint(ck[:i], testNode, time.Hour); !errors.Is(err, ErrCheckpoint) {
			t.Fatalf("%d of %d bytes: %v", i, len(ck), err)
		}
	}
	if _, err := DecodeCheckpoint(ck, testNode+1, time.Hour); !errors.Is(err, ErrCheckpoint) {
		t.Fatalf("another node's checkpoint: %v", err)
	}
}

// checkpoint1 is a checkpoint of a node that spent money before there were
// refunds: such are on disk.
const checkpoint1 = "millrace-book-1\n" +
	"\x03\x07\x00\x01\x01\x02\x00\x00" + // node 3, stamp 7, no breaches; one epoch, 1, of 2 shards
	"\x01\x05\x00\x00\x00\x00\x00\x00\x00\x4d\x00\x00\x00\x00\x00\x00\x00EUR\x01a" + // account 5, campaign 77
	"\x00\x00\x14\x0c\x00" + // no limits, committed 10, posted 6
	"\x06\x14\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // on day 3
	"\x01\x05\x00\x00\x00\x00\x00\x00\x00\x4d\x00\x00\x00\x00\x00\x00\x00\x06\x02\x14\x00\x0c" + // its lease
	"\x00" // nothing seen

func TestCheckpointOfBefore(t *testing.T) {
	b, err := DecodeCheckpoint([]byte(checkpoint1), testNode, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := b.Account(5)
	if a.Posted != 6 || a.Committed != 10 || a.Days[0] != (DayBalance{Day: 3, Committed: 10, Posted: 6}) || b.Check() != nil {
		t.Fatalf("%+v, %v", a, b.Check())
	}
}

func FuzzCheckpoint(f *testing.F) {
	b := NewBook(testNode, time.Hour)
	for _, rec := range history(rand.New(rand.NewPCG(1, 1)), 40) {
		_ = b.Apply(&rec)
	}
	f.Add(b.AppendCheckpoint(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := DecodeCheckpoint(data, testNode, time.Hour); err == nil {
			_ = b.Check()
			_ = b.AppendCheckpoint(nil)
		}
	})
}

func TestBreachesAreFound(t *testing.T) {
	grant := Record{Kind: Granted, Node: testNode, Epoch: 1, Account: 1, Day: 5, Amount: 100, Daily: 150}
	cases := map[string]Record{
		"beyond the daily limit": {Kind: Granted, Node: testNode, Epoch: 1, Account: 1, Day: 5, Amount: 51, Daily: 150},
		"beyond the total limit": {Kind: Granted, Node: testNode, Epoch: 1, Account: 1, Day: 6, Amount: 51, Total: 150},
		"return beyond lease":    {Kind: Returned, Node: testNode, Epoch: 1, LeaseEpoch: 1, Account: 1, Day: 5, Amount: 101},
		"return of no lease":     {Kind: Returned, Node: testNode, Epoch: 2, LeaseEpoch: 2, Account: 1, Day: 5, Amount: 1},
		"posting beyond lease":   {Kind: Posted, Event: 1, Node: testNode, Epoch: 1, Win: event.WinID{Node: testNode, Epoch: 1, Seq: 1}, Amount: 101, Parts: 1, From: [2]Part{{1, 5, 1}}},
		"refund of no posting":   {Kind: Refunded, Reason: Fraud, Event: 1, Node: testNode, Epoch: 1, Win: event.WinID{Node: testNode, Epoch: 1, Seq: 1}, Amount: 1, Parts: 1, From: [2]Part{{1, 5, 1}}},
		"another node":           {Kind: EpochStarted, Node: testNode + 1, Epoch: 9},
	}
	for name, bad := range cases {
		b := NewBook(testNode, time.Hour)
		if err := errors.Join(b.Apply(&Record{Kind: EpochStarted, Node: testNode, Epoch: 1}), b.Apply(&grant)); err != nil {
			t.Fatal(err)
		}
		if err := b.Apply(&bad); !errors.Is(err, ErrBreach) || b.Breaches() != 1 {
			t.Errorf("%s: %v, %d breaches", name, err, b.Breaches())
		}
	}
}

func TestSeenIsExactAndBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var s Seen
	want := map[[2]uint64]bool{}
	for range 20_000 {
		seq, k := r.Uint64N(4*PageWins), event.Kind(1+r.IntN(3))
		key := [2]uint64{seq, uint64(k)}
		if s.Has(seq, k) != want[key] || s.Add(seq, k, unit.WallFromUnix(int64(seq))) == want[key] {
			t.Fatalf("seq %d %s: want seen %v", seq, k, want[key])
		}
		want[key] = true
	}
	if s.Pages() != 4 {
		t.Fatalf("%d pages", s.Pages())
	}
	s.expire(2*PageWins+100, 0) // issued = seq here
	if s.Pages() != 2 || !s.Dropped(2*PageWins-1) || s.Dropped(2*PageWins) {
		t.Fatalf("%d pages, first %d", s.Pages(), s.first)
	}
	if !s.Has(5, event.Click) || s.Add(5, event.Click, 0) {
		t.Fatal("an event of a dropped page passed for new")
	}
	if s.Add(1<<60, event.Click, 0) {
		t.Fatal("a nonsensical number was added")
	}
	if n := testing.AllocsPerRun(1000, func() { s.Add(r.Uint64N(4*PageWins), event.Click, 5) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestRecoveredDoesNotFollowTheBook(t *testing.T) {
	b := NewBook(testNode, time.Hour)
	post := func(seq uint64) error {
		return b.Apply(&Record{Kind: Posted, Event: event.Click, Node: testNode, Epoch: 1, Win: event.WinID{Node: testNode, Epoch: 1, Seq: seq}})
	}
	_ = post(1)
	rec := b.Recovered()
	if err := post(2); err != nil {
		t.Fatal(err)
	}
	if w := (event.WinID{Node: testNode, Epoch: 1, Seq: 1}); !rec.Seen(w, event.Click) || rec.Seen(w, event.Impression) {
		t.Fatal("what was posted before the restart is not known exactly")
	}
	if rec.Seen(event.WinID{Node: testNode, Epoch: 1, Seq: 2}, event.Click) {
		t.Fatal("the snapshot changed")
	}
	if post(1) == nil || post(2) == nil {
		t.Fatal("the book forgot")
	}
}

func BenchmarkApplyPosted(b *testing.B) {
	book := NewBook(testNode, time.Hour)
	_ = book.Apply(&Record{Kind: Granted, Node: testNode, Epoch: 1, Account: 1, Day: 5, Amount: 1 << 60})
	rec := Record{Kind: Posted, Event: event.Impression, Node: testNode, Epoch: 1, Amount: 1, Parts: 1, From: [2]Part{{1, 5, 1}}}
	for b.Loop() {
		rec.Win = event.WinID{Node: testNode, Epoch: 1, Seq: rec.Win.Seq + 1}
		if err := book.Apply(&rec); err != nil {
			b.Fatal(err)
		}
	}
}
