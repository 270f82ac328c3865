package gateway

import (
	"testing"

	"millrace/codec/openrtb"
	"millrace/codec/unit"
)

func identify(t *testing.T, body string) (unit.UserID, bool) {
	t.Helper()
	var r openrtb.BidRequest
	if err := openrtb.Parse([]byte(body), &r); !err.OK() {
		t.Fatalf("%s: %v", body, err)
	}
	var id Identity
	return id.Of(&r)
}

const imp = `"imp":[{"id":"1","banner":{"w":300,"h":250}}]`

func TestStrongestIdDecides(t *testing.T) {
	same := [][2]string{
		{`{"id":"a",` + imp + `,"user":{"id":"u","buyeruid":"b"},"device":{"ifa":"x"}}`, `{"id":"b",` + imp + `,"user":{"id":"u"}}`},
		{`{"id":"a",` + imp + `,"user":{"buyeruid":"b"},"device":{"ifa":"x"}}`, `{"id":"b",` + imp + `,"user":{"buyeruid":"b"}}`},
		{`{"id":"a",` + imp + `,"device":{"ifa":"AB-1","ip":"1.1.1.1"}}`, `{"id":"b",` + imp + `,"device":{"ifa":"ab-1"}}`},
		{`{"id":"a",` + imp + `,"device":{"ifa":"00000000-0000-0000-0000-000000000000","ip":"1.1.1.1","ua":"m"}}`, `{"id":"b",` + imp + `,"device":{"ip":"1.1.1.1","ua":"m"}}`},
		{`{"id":"a",` + imp + `,"user":{"id":"u\u0041"}}`, `{"id":"b",` + imp + `,"user":{"id":"uA"}}`},
	}
	for _, c := range same {
		a, knownA := identify(t, c[0])
		b, knownB := identify(t, c[1])
		if a != b || !knownA || !knownB {
			t.Errorf("not one known user:\n%s\n%s", c[0], c[1])
		}
	}
}

func TestSpacesOfIdsAreApart(t *testing.T) {
	seen := map[unit.UserID]string{}
	for _, body := range []string{
		`{"id":"x",` + imp + `,"user":{"id":"x"}}`,
		`{"id":"x",` + imp + `,"user":{"buyeruid":"x"}}`,
		`{"id":"x",` + imp + `,"device":{"ifa":"x"}}`,
		`{"id":"x",` + imp + `,"device":{"ip":"x"}}`,
		`{"id":"x",` + imp + `,"device":{"ip":"x","ua":"x"}}`,
		`{"id":"x",` + imp + `}`,
	} {
		id, _ := identify(t, body)
		if other, ok := seen[id]; ok {
			t.Errorf("one user for\n%s\n%s", body, other)
		}
		seen[id] = body
	}
}

func TestAnonymousIsNotAUser(t *testing.T) {
	a, known := identify(t, `{"id":"r1",`+imp+`,"device":{"ifa":"0000-00"}}`)
	b, _ := identify(t, `{"id":"r2",`+imp+`}`)
	if known || a == b {
		t.Errorf("two requests without ids: known %v, same owner key %v", known, a == b)
	}
}
