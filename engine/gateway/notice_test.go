package gateway

import (
	"math/big"
	"testing"

	"millrace/codec/event"
	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

func TestReadLoss(t *testing.T) {
	for query, want := range map[string]openrtb.LossReason{
		"t=x&l=102": 102, "l=0": 0, "l=65535": 65535, "l=65536": openrtb.LostToHigherBid, "l=999999999999": openrtb.LostToHigherBid,
		"l=${AUCTION_LOSS}": openrtb.LostToHigherBid, "l=": openrtb.LostToHigherBid, "": openrtb.LostToHigherBid, "l=-1": openrtb.LostToHigherBid,
	} {
		if got := readLoss([]byte(query)); got != want {
			t.Errorf("%q: %d, want %d", query, got, want)
		}
	}
}

func TestReadPrice(t *testing.T) {
	for query, want := range map[string]unit.Nanos{
		"p=1.5": 1_500_000, "t=x&p=0.000001": 1, "p=2": 2_000_000, "p=0.1234567": 123_456, "p=.5": 500_000, "p=0": 0, "p=7.": 7_000_000,
		"p=${AUCTION_PRICE}": -1, "p=": -1, "p=.": -1, "p=-1": -1, "p=1e3": -1, "p=1.2.3": -1, "p=99999999999999999999": -1, "": -1,
	} {
		tok := event.Token{Sale: event.Sale{Notice: event.Billed}}
		readPrice(&tok, []byte(query))
		if got := tok.Sale.Reported; tok.Sale.Told != (want >= 0) || tok.Sale.Told && got != want {
			t.Errorf("%q: %v %v, want %d", query, tok.Sale.Told, got, want)
		}
	}
	plain := event.Token{}
	if readPrice(&plain, []byte("p=1")); plain.Sale.Told {
		t.Error("a price of what is no sale")
	}
}

// FuzzPrice: a price that is read is the number that is written, cut to micros.
func FuzzPrice(f *testing.F) {
	for _, s := range []string{"1.5", "0.0000019", "922337203685.477580", "00.1", "1..", "9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		price, ok := parsePrice([]byte(text))
		if !ok {
			return
		}
		exact, valid := new(big.Rat).SetString("0" + text)
		if !valid {
			if exact, valid = new(big.Rat).SetString("0" + text + "0"); !valid {
				t.Fatalf("%q was read", text)
			}
		}
		exact.Mul(exact, big.NewRat(1_000_000, 1))
		if want := new(big.Int).Quo(exact.Num(), exact.Denom()); price < 0 || want.Cmp(big.NewInt(int64(price))) != 0 {
			t.Fatalf("%q is %d, want %v", text, price, want)
		}
	})
}
