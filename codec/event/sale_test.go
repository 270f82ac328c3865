package event

import (
	"reflect"
	"strings"
	"testing"

	"millrace/codec/unit"
)

func saleToken(n Notice) Token {
	t := testToken(Impression)
	t.LineAccount, t.CampaignAccount, t.Billable = 0, 0, false
	t.Sale = Sale{Notice: n, Bid: 2_400_000, Currency: unit.USD, Buyer: []byte("acme")}
	return t
}

func TestSaleTokens(t *testing.T) {
	s := testSigner(t, newKey.ID, newKey)
	var scratch []byte
	for n := Billed; n < noticeEnd; n++ {
		in := saleToken(n)
		text := s.Append(nil, &in)
		var out Token
		var st Status
		for asked := Billed; asked < noticeEnd; asked++ {
			scratch, st = s.ParseNotice(text, in.Issued, asked, &out, scratch)
			if want := map[bool]Status{true: OK, false: WrongKind}[asked == n]; st != want || !reflect.DeepEqual(in, out) {
				t.Errorf("%v asked for as %v: %v %+v", n, asked, st, out)
			}
		}
		if scratch, st = s.Parse(text, in.Issued, Impression, &out, scratch); (st == OK) != (n == Billed) {
			t.Errorf("%v as an impression: %v", n, st)
		}
		if scratch, st = s.ParseNotice(text, in.Expires, n, &out, scratch); st != Expired {
			t.Errorf("%v after its end: %v", n, st)
		}
		if kind, ok := NoticeOf([]byte(n.Path())); ok != (n != Billed) || ok && kind != n {
			t.Errorf("%v: path %s is %v", n, n.Path(), kind)
		}
	}
	plain := testToken(Impression)
	text := s.Append(nil, &plain)
	var out Token
	if _, st := s.ParseNotice(text, plain.Issued, WonThere, &out, scratch); st != WrongKind {
		t.Errorf("an impression's token as a notice: %v", st)
	}
}

func TestSaleTokenLimits(t *testing.T) {
	s := testSigner(t, newKey.ID, newKey)
	in := saleToken(WonThere)
	in.Sale.Buyer = []byte(strings.Repeat("b", BuyerMax+1))
	if text := s.Append(nil, &in); text != nil {
		t.Errorf("a buyer's name of %d bytes was signed", len(in.Sale.Buyer))
	}
	in.Sale.Buyer = in.Sale.Buyer[:BuyerMax]
	in.Landing = []byte(strings.Repeat("x", LandingMax))
	in.Win = WinID{^unit.NodeID(0), ^unit.Epoch(0), ^unit.ShardID(0), ^uint64(0)}
	in.Price, in.Sale.Bid = 1<<62, -1<<63
	text := s.Append(nil, &in)
	if len(text) > TextMax {
		t.Fatalf("%d bytes", len(text))
	}
	var out Token
	if _, st := s.ParseNotice(text, in.Issued, WonThere, &out, nil); st != OK || !reflect.DeepEqual(in, out) {
		t.Errorf("%v %+v", st, out)
	}
}

func TestAllocSaleToken(t *testing.T) {
	s := testSigner(t, newKey.ID, newKey)
	in := saleToken(Billed)
	text, scratch := make([]byte, 0, 1024), make([]byte, 0, 1024)
	var out Token
	run := func() {
		text = s.Append(text[:0], &in)
		var st Status
		if scratch, st = s.ParseNotice(text, in.Issued, Billed, &out, scratch); st != OK {
			t.Fatal(st)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
