package event

import (
	"bytes"
	"encoding/base64"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/codec/unit"
)

var (
	oldKey = Key{ID: 3, Secret: []byte("0123456789abcdef-old")}
	newKey = Key{ID: 9, Secret: []byte("fedcba9876543210-new")}
)

func testSigner(t testing.TB, active uint8, keys ...Key) *Signer {
	t.Helper()
	kr, err := NewKeyring(keys, active)
	if err != nil {
		t.Fatal(err)
	}
	return kr.NewSigner()
}

func testToken(kind Kind) Token {
	return Token{
		Kind: kind, Billable: true, Win: WinID{Node: 7, Epoch: 41, Shard: 1, Seq: 1 << 40},
		User: 0xfeedfacecafebeef, Campaign: 11, Line: 12, Creative: 13, CampaignAccount: 14, LineAccount: 15,
		Price: 2_500_000, Reserved: 2_500_001, Currency: unit.USD, Day: 20_000,
		Issued: unit.WallFromUnix(1_800_000_000), Expires: unit.WallFromUnix(1_800_086_400),
		Landing: []byte("https://shop.example/?a=1&b=2"),
	}
}

func TestTokenRoundTrip(t *testing.T) {
	s := testSigner(t, newKey.ID, oldKey, newKey)
	r := rand.New(rand.NewPCG(1, 7))
	var scratch []byte
	for i := range 2_000 {
		in := Token{
			Kind: Kind(1 + r.IntN(3)), Test: r.IntN(2) == 0, Billable: r.IntN(2) == 0,
			Win:  WinID{unit.NodeID(r.Uint32()), unit.Epoch(r.Uint32()), unit.ShardID(r.Uint32()), r.Uint64() >> r.IntN(64)},
			User: unit.UserID(r.Uint64()), Campaign: unit.CampaignID(r.Uint64()), Line: unit.LineID(r.Uint64()),
			Creative: unit.CreativeID(r.Uint64()), CampaignAccount: unit.AccountID(r.Uint64()),
			Price: unit.Nanos(r.Int64()) >> r.IntN(63), Reserved: -unit.Nanos(r.Int64()) >> r.IntN(63),
			Currency: unit.USD, Day: unit.Day(r.Int32()) - 1000,
			Issued: unit.WallFromUnix(r.Int64N(4e9)), Expires: unit.WallFromUnix(5e9 + r.Int64N(4e9)),
		}
		if i%2 == 0 {
			in.LineAccount = unit.AccountID(r.Uint64() | 1)
			in.Landing = []byte(strings.Repeat("x", 1+r.IntN(LandingMax)))
		}
		if i%3 == 0 {
			in.Policy = Policy{
				Model: r.Uint64() >> r.IntN(64), Arm: uint8(r.IntN(4)), Rung: uint8(r.IntN(4)), Explored: r.IntN(2) == 0,
				Epoch: uint16(r.Uint32()), Click: Probability(r.Uint32()), Conversion: Probability(r.Uint32()), Other: Probability(r.Uint32()), Propensity: Probability(1 + r.IntN(100)),
			}
		}
		if i%5 < 2 {
			in.Group = Group(1 + r.IntN(int(GroupMax)))
		}
		text := s.Append([]byte("t="), &in)
		if !bytes.HasPrefix(text, []byte("t=")) || len(text) > TextMax {
			t.Fatalf("text of %d bytes: %q", len(text), text[:10])
		}
		var out Token
		var st Status
		scratch, st = s.Parse(text[2:], unit.WallFromUnix(4e9), in.Kind, &out, scratch)
		if st != OK || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v\n in %+v\nout %+v", st, in, out)
		}
	}
}

// TestTokenWithoutPolicyStaysAsItWas: tokens of earlier builds are read, and
// what has no policy is written as they wrote it.
func TestTokenWithoutPolicyStaysAsItWas(t *testing.T) {
	const text = "CSkHKQGAgICAgCDvvv7Kzvrt_gsAAAAAAAAADAAAAAAAAAANAAAAAAAAAA4AAAAAAAAAwJaxAsKWsQJVU0TAuAKAyM60DYCO2bQNswv6oeTTk3n86m7BVVuRPQ"
	s := testSigner(t, newKey.ID, newKey)
	in := testToken(Impression)
	in.LineAccount, in.Landing = 0, nil
	if got := string(s.Append(nil, &in)); got != text {
		t.Errorf("%s, want %s", got, text)
	}
}

// TestTokenWithPolicyStaysAsItWas: so are those with a policy and no group.
func TestTokenWithPolicyStaysAsItWas(t *testing.T) {
	const text = "CUkHKQGAgICAgCDvvv7Kzvrt_gsAAAAAAAAADAAAAAAAAAANAAAAAAAAAA4AAAAAAAAAwJaxAsKWsQJVU0TAuAKAyM60DYCO2bQNrAIZBwAoI0AfWBsBCM-WM-aNSyV2CUjvCcG_J1U"
	s := testSigner(t, newKey.ID, newKey)
	in := testToken(Impression)
	in.LineAccount, in.Landing = 0, nil
	in.Policy = Policy{Model: 300, Epoch: 7, Arm: 1, Rung: 2, Explored: true, Click: 9000, Conversion: 8000, Other: 7000, Propensity: 2049}
	if got := string(s.Append(nil, &in)); got != text {
		t.Errorf("%s, want %s", got, text)
	}
}

func TestProbability(t *testing.T) {
	for _, p := range []float64{1, 0.5, 0.0123, 1e-6, 1.0 / 3} {
		if got := NewProbability(p).Float(); math.Abs(got/p-1) > 2e-4 {
			t.Errorf("%v is kept as %v", p, got)
		}
	}
	for p, want := range map[float64]Probability{0: 0, -1: 0, 1: 1, 7: 1, 0.5: 2049, 1e-30: math.MaxUint16} {
		if got := NewProbability(p); got != want {
			t.Errorf("%v: %d, want %d", p, got, want)
		}
	}
	if NewProbability(math.NaN()) != 0 {
		t.Error("NaN is a probability")
	}
}

func TestTokenStatus(t *testing.T) {
	s := testSigner(t, oldKey.ID, oldKey)
	in := testToken(Click)
	text := s.Append(nil, &in)
	now := in.Issued
	parse := func(s *Signer, text []byte, now unit.WallTime, kind Kind) Status {
		var out Token
		_, st := s.Parse(text, now, kind, &out, nil)
		return st
	}
	rotated := testSigner(t, newKey.ID, oldKey, newKey)
	retired := testSigner(t, newKey.ID, newKey)
	reused := testSigner(t, oldKey.ID, Key{ID: oldKey.ID, Secret: newKey.Secret})
	cases := []struct {
		name string
		got  Status
		want Status
	}{
		{"fresh", parse(s, text, now, Click), OK},
		{"last second", parse(s, text, in.Expires-1, Click), OK},
		{"expired", parse(s, text, in.Expires, Click), Expired},
		{"other kind", parse(s, text, now, Impression), WrongKind},
		{"old key after rotation", parse(rotated, text, now, Click), OK},
		{"new key before rotation", parse(s, rotated.Append(nil, &in), now, Click), UnknownKey},
		{"old key after retirement", parse(retired, text, now, Click), UnknownKey},
		{"same id, other secret", parse(reused, text, now, Click), Forged},
		{"empty", parse(s, nil, now, Click), Malformed},
		{"short", parse(s, text[:20], now, Click), Malformed},
		{"cut", parse(s, text[:len(text)/4*4-4], now, Click), Forged},
		{"not base64url", parse(s, append([]byte("+"), text[1:]...), now, Click), Malformed},
		{"line break", parse(s, append(append([]byte{}, text...), '\n'), now, Click), Malformed},
		{"padded", parse(s, append(append([]byte{}, text...), '='), now, Click), Malformed},
		{"too long", parse(s, bytes.Repeat([]byte("A"), TextMax+1), now, Click), Malformed},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestTokenEveryFlippedBitIsRefused(t *testing.T) {
	s := testSigner(t, oldKey.ID, oldKey)
	in := testToken(Impression)
	raw, err := base64.RawURLEncoding.DecodeString(string(s.Append(nil, &in)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		raw[i/8] ^= 1 << (i % 8)
		var out Token
		if _, st := s.Parse([]byte(base64.RawURLEncoding.EncodeToString(raw)), in.Issued, Impression, &out, nil); st != Forged && st != UnknownKey {
			t.Fatalf("bit %d flipped: %v", i, st)
		}
		raw[i/8] ^= 1 << (i % 8)
	}
}

func TestTokenSecondsRoundOutwards(t *testing.T) {
	s := testSigner(t, oldKey.ID, oldKey)
	in := testToken(Conversion)
	in.Issued = in.Issued.Add(999 * time.Millisecond)
	in.Expires = in.Expires.Add(time.Millisecond)
	var out Token
	if _, st := s.Parse(s.Append(nil, &in), in.Expires-1, Conversion, &out, nil); st != OK {
		t.Fatal(st)
	}
	if out.Issued != unit.WallFromUnix(1_800_000_000) || out.Expires != unit.WallFromUnix(1_800_086_401) {
		t.Fatalf("issued %v, expires %v", out.Issued.Time(), out.Expires.Time())
	}
}

func TestTokenAppendRefusesWhatCannotBeRead(t *testing.T) {
	s := testSigner(t, oldKey.ID, oldKey)
	long := testToken(Click)
	long.Landing = make([]byte, LandingMax+1)
	kindless := testToken(0)
	for _, in := range []*Token{&long, &kindless} {
		if out := s.Append([]byte("x"), in); string(out) != "x" {
			t.Errorf("kind %v with %d bytes of landing page: %d bytes", in.Kind, len(in.Landing), len(out))
		}
	}
}

func TestKeyringFaults(t *testing.T) {
	cases := []struct {
		keys   []Key
		active uint8
		want   string
	}{
		{nil, 0, "keys: none"},
		{[]Key{{ID: 1, Secret: []byte("short")}}, 1, "keys[0].secret: 5 bytes; give at least 16"},
		{[]Key{oldKey, oldKey}, oldKey.ID, "keys[1].id: 3 is used twice"},
		{[]Key{oldKey}, 200, "active: 200 is no key's id"},
	}
	for _, c := range cases {
		if _, err := NewKeyring(c.keys, c.active); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestKindPaths(t *testing.T) {
	for k := Impression; k.Valid(); k++ {
		if got, ok := KindOf([]byte(k.Path())); !ok || got != k || k.Index() >= Kinds {
			t.Errorf("%v: path %q is of kind %v", k, k.Path(), got)
		}
	}
	if _, ok := KindOf([]byte("/e/x")); ok {
		t.Error("/e/x is of a kind")
	}
}

func TestAllocToken(t *testing.T) {
	s := testSigner(t, newKey.ID, oldKey, newKey)
	in := testToken(Click)
	text := s.Append(make([]byte, 0, 512), &in)
	scratch := make([]byte, 0, 512)
	var out Token
	if n := testing.AllocsPerRun(200, func() { text = s.Append(text[:0], &in) }); n != 0 {
		t.Errorf("Append: %v allocations", n)
	}
	var st Status
	if n := testing.AllocsPerRun(200, func() { scratch, st = s.Parse(text, in.Issued, Click, &out, scratch) }); n != 0 || st != OK {
		t.Errorf("Parse: %v allocations, %v", n, st)
	}
	text[30] ^= 1
	if n := testing.AllocsPerRun(200, func() { scratch, st = s.Parse(text, in.Issued, Click, &out, scratch) }); n != 0 || st == OK {
		t.Errorf("Parse of a forged token: %v allocations, %v", n, st)
	}
}

func FuzzToken(f *testing.F) {
	s := testSigner(f, newKey.ID, oldKey, newKey)
	for k := Impression; k.Valid(); k++ {
		in := testToken(k)
		f.Add(s.Append(nil, &in))
		in.Policy = Policy{Model: 1_800_000_000, Arm: 1, Click: 900, Propensity: 1}
		f.Add(s.Append(nil, &in))
	}
	f.Add([]byte(""))
	f.Add(bytes.Repeat([]byte("A"), 200))
	f.Fuzz(func(t *testing.T, text []byte) {
		var out Token
		for k := Impression; k.Valid(); k++ {
			_, st := s.Parse(text, 0, k, &out, nil)
			if st == OK {
				// Authentic text has one spelling.
				if again := s.Append(nil, &out); !bytes.Equal(again, text) && text[0] == again[0] {
					t.Fatalf("%q reads as %+v, which writes %q", text, out, again)
				}
			}
		}
		// Any field bytes under a good code must be read without a panic.
		raw := append(append([]byte{newKey.ID}, text...), make([]byte, macBytes)...)
		signed := raw[:len(raw)-macBytes]
		s.mac(s.macs[newKey.ID], signed)
		copy(raw[len(signed):], s.sum)
		s.Parse([]byte(base64.RawURLEncoding.EncodeToString(raw)), 0, Click, &out, nil)
	})
}

func BenchmarkAppend(b *testing.B) {
	s := testSigner(b, newKey.ID, newKey)
	in := testToken(Impression)
	in.Landing = nil
	text := s.Append(nil, &in)
	b.ReportAllocs()
	for b.Loop() {
		in.Win.Seq++
		text = s.Append(text[:0], &in)
	}
	b.ReportMetric(float64(len(text)), "bytes/token")
}

func BenchmarkParse(b *testing.B) {
	s := testSigner(b, newKey.ID, newKey)
	in := testToken(Impression)
	in.Landing = nil
	text := s.Append(nil, &in)
	var scratch []byte
	var out Token
	b.ReportAllocs()
	for b.Loop() {
		scratch, _ = s.Parse(text, in.Issued, Impression, &out, scratch)
	}
}
