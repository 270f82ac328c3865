package creative

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

// nasty is a value that tries to leave every place it is put in.
const nasty = "a\"b'c<d>e&f]]>g\\h`i</script>${AUCTION_PRICE}\n\x01é\u2028"

func testVars(value string) *Vars {
	var r openrtb.BidRequest
	id, _ := json.Marshal(value)
	if e := openrtb.Parse([]byte(`{"id":"a","imp":[{"id":"imp1","tagid":`+string(id)+`,"banner":{}}]}`), &r); !e.OK() {
		panic(e)
	}
	return &Vars{
		ImpressionURL: []byte("https://ads.example/e/i?t=abc_-1&x=2"), ClickURL: []byte("https://ads.example/e/c?t=def&u=1"), Conversion: []byte("tok-_1"), CacheBuster: 35,
		Macros: Macros{AuctionID: r.Imp[0].TagID, ImpID: r.Imp[0].ID, BidID: []byte("bid1"), SeatID: value, AdID: "ad1", Price: 2_500_000, HasPrice: true, Currency: unit.USD},
	}
}

func TestRule16Macros(t *testing.T) {
	m := testVars(nasty).Macros
	m.Loss, m.HasLoss, m.MinToWin, m.HasMinToWin, m.MarketBidRatio, m.Multiplier, m.ImpTS = 102, true, 3_000_001, true, 950_000, 14_200_000, 1_700_000_000_123
	cases := map[string]string{
		"${AUCTION_ID}": nasty, // plain, and not expanded again
		"p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&i=${AUCTION_IMP_ID}&b=${AUCTION_BID_ID}&ad=${AUCTION_AD_ID}": "p=2.5&c=USD&i=imp1&b=bid1&ad=ad1",
		"${AUCTION_LOSS} ${AUCTION_MIN_TO_WIN} ${AUCTION_MBR} ${AUCTION_MULTIPLIER} ${AUCTION_IMP_TS}":         "102 3.000001 0.95 14.2 1700000000123",
		"${AUCTION_PRICE:B64}": "Mi41", "${AUCTION_NEW} ${auction_id} ${} ${AUCTION_ID $": "${AUCTION_NEW} ${auction_id} ${} ${AUCTION_ID $",
		"${MILLRACE_CLICK}": "${MILLRACE_CLICK}", "": "", "${${AUCTION_PRICE}}": "${2.5}", "${AUCTION_PRICE": "${AUCTION_PRICE", "é${AUCTION_PRICE}é": "é2.5é",
	}
	for text, want := range cases {
		if got := string(AppendMacros(nil, []byte(text), &m)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := string(AppendMacros(nil, []byte("[${AUCTION_PRICE}${AUCTION_LOSS:B64}]"), &Macros{})); got != "[]" {
		t.Errorf("known but empty: %q", got)
	}
	if got := string(AppendMacros(nil, []byte("${AUCTION_PRICE},${AUCTION_SEAT_ID:B64}"), &Macros{Audit: true})); got != "AUDIT,AUDIT" {
		t.Errorf("audit: %q", got)
	}
}

// FuzzMacros holds the substitution against a naive one.
func FuzzMacros(f *testing.F) {
	f.Add("https://x/?p=${AUCTION_PRICE}&i=${AUCTION_ID:B64}${", nasty)
	f.Add("${${AUCTION_ID}}", "${AUCTION_PRICE}")
	f.Add("$${AUCTION_SEAT_ID}", "]]>")
	f.Fuzz(func(t *testing.T, text, value string) {
		m := Macros{SeatID: value}
		got := AppendMacros(nil, []byte(text), &m)
		if want := naive(text, value); string(got) != want {
			t.Fatalf("%q with %q: %q, want %q", text, value, got, want)
		}
	})
}

// naive knows one macro with a value, in two forms, and that the others are
// empty.
func naive(text, seat string) string {
	out := ""
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			return out + text
		}
		j := strings.IndexByte(text[i:], '}')
		if j < 0 {
			return out + text
		}
		name, value := text[i+2:i+j], ""
		if name == "AUCTION_SEAT_ID" {
			value = seat
		} else if name == "AUCTION_SEAT_ID:B64" {
			value = base64.StdEncoding.EncodeToString([]byte(seat))
		}
		if h := holeNames[strings.TrimSuffix(name, ":B64")]; h == noHole || h >= impressionURL {
			out, text = out+text[:i+1], text[i+1:]
			continue
		}
		out, text = out+text[:i]+value, text[i+j+1:]
	}
}
