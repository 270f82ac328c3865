package blackbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prebid/openrtb/v20/openrtb2"
)

// Verdict is what the rules say about a bid request.
type Verdict uint8

const (
	// Either: the rules leave it open.
	Either Verdict = iota
	// MustAnswer: 200 or 204.
	MustAnswer
	// MustRefuse: 400 with a reason.
	MustRefuse
)

// The documented defaults of limits.depth and limits.imps.
const (
	depthMax = 64
	impsMax  = 100
)

// Judge applies the rules that make a request malformed (OpenRTB 2.6, 3.2, and
// docs/) to the text as encoding/json reads it.
func Judge(body []byte) (Verdict, string) {
	if depth(body) > depthMax {
		return MustRefuse, "nested too deep"
	}
	var root map[string]any
	if err := json.Unmarshal(body, &root); err != nil || root == nil {
		return MustRefuse, "not a JSON object"
	}
	imps, _ := root["imp"].([]any)
	sources := 0
	for _, k := range []string{"site", "app", "dooh"} {
		if _, ok := root[k].(map[string]any); ok {
			sources++
		}
	}
	tmax, _ := number(root["tmax"])
	switch {
	case !isText(root["id"]) && root["id"] != nil:
		return Either, "id is not a string"
	case root["id"] == nil || root["id"] == "":
		return MustRefuse, "no id"
	case len(imps) == 0:
		return MustRefuse, "no imp"
	case len(imps) > impsMax:
		return MustRefuse, "too many imps"
	case sources > 1:
		return MustRefuse, "more than one of site, app and dooh"
	case tmax < 0:
		return MustRefuse, "negative tmax"
	}
	return judgeImps(imps)
}

func judgeImps(imps []any) (Verdict, string) {
	seen := map[any]bool{}
	for _, v := range imps {
		imp, ok := v.(map[string]any)
		if !ok {
			return MustRefuse, "imp is not an object"
		}
		id := imp["id"]
		switch {
		case id == nil || id == "":
			return MustRefuse, "imp without id"
		case !isText(id):
			return Either, "imp.id is not a string"
		case seen[id]:
			return MustRefuse, "imp.id twice"
		}
		seen[id] = true
		media, odd := 0, false
		for _, k := range []string{"banner", "video", "audio", "native"} {
			switch imp[k].(type) {
			case map[string]any:
				media++
			case nil:
			default:
				odd = true
			}
		}
		if media == 0 && odd {
			return Either, "media object of another type"
		}
		if media == 0 {
			return MustRefuse, "imp without media"
		}
	}
	return MustAnswer, ""
}

func isText(v any) bool { _, ok := v.(string); return ok }

// number reads a JSON number, also a quoted one.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return 0, false
}

// depth is how deep arrays and objects nest.
func depth(body []byte) (deepest int) {
	d, inString, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			d++
			deepest = max(deepest, d)
		case c == '}' || c == ']':
			d--
		}
	}
	return deepest
}

// CheckAnswer judges an answer to a request: nil, or everything wrong with it.
func CheckAnswer(request []byte, a Answer) error {
	verdict, why := Judge(request)
	switch a.Status {
	case 200:
		if verdict == MustRefuse {
			return fmt.Errorf("status 200 for a malformed request: %s", why)
		}
		return CheckBids(request, a)
	case 204:
		if verdict == MustRefuse {
			return fmt.Errorf("status 204 for a malformed request: %s", why)
		}
		if len(a.Body) > 0 {
			return fmt.Errorf("status 204 with a body of %d bytes", len(a.Body))
		}
		return nil
	case 400:
		if verdict == MustAnswer {
			return fmt.Errorf("status 400 for a well-formed request: %q", a.Body)
		}
		return checkReason(a.Body)
	}
	return fmt.Errorf("status %d: %q", a.Status, head(a.Body))
}

// checkReason: a refusal says why, briefly and in plain text.
func checkReason(body []byte) error {
	if n := len(bytes.TrimSpace(body)); n < 4 || n > 512 || !utf8.Valid(body) {
		return fmt.Errorf("the reason of a refusal is %d bytes: %q; want a short plain one", n, head(body))
	}
	return nil
}

func head(b []byte) []byte { return b[:min(len(b), 300)] }

// offer is what an imp asks for, read without our own parser.
type offer struct {
	media   map[openrtb2.MarkupType]bool
	sizes   map[[2]int64]bool // of the banner; empty: any
	floor   float64
	cur     string
	secure  bool
	hasDeal map[string]bool
}

// CheckBids judges a 200: strict decoding into types that others wrote, then
// every promise the specification makes about a bid.
func CheckBids(request []byte, a Answer) error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "application/json" {
		return fmt.Errorf("content type %q, want application/json", a.Header.Get("Content-Type"))
	}
	if !utf8.Valid(a.Body) {
		return errors.New("the answer is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(a.Body))
	decoder.DisallowUnknownFields()
	var response openrtb2.BidResponse
	if err := decoder.Decode(&response); err != nil {
		return fmt.Errorf("the answer does not decode: %w\n%s", err, head(a.Body))
	}
	if decoder.More() {
		return errors.New("something follows the answer's JSON")
	}
	var asked map[string]any
	if err := json.Unmarshal(request, &asked); err != nil {
		return err
	}
	return checkResponse(&response, asked)
}

func checkResponse(r *openrtb2.BidResponse, asked map[string]any) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if id, ok := asked["id"].(string); ok && r.ID != id {
		fault("answer id %q, request id %q", r.ID, id)
	}
	cur := r.Cur
	if cur == "" {
		cur = "USD"
	}
	if allowed, ok := asked["cur"].([]any); ok && len(allowed) > 0 && !contains(allowed, cur) {
		fault("answer in %s, the request takes %v", cur, allowed)
	}
	offers := readOffers(asked)
	ids, count := map[string]bool{}, 0
	for _, seat := range r.SeatBid {
		for i := range seat.Bid {
			b := &seat.Bid[i]
			count++
			if b.ID == "" || ids[b.ID] {
				fault("bid id %q is empty or used twice", b.ID)
			}
			ids[b.ID] = true
			o, known := offers[b.ImpID]
			if !known {
				fault("bid for imp %q, which the request does not have", b.ImpID)
				continue
			}
			if err := checkBid(b, o, cur); err != nil {
				faults = append(faults, fmt.Errorf("bid %q: %w", b.ID, err))
			}
		}
	}
	if count == 0 {
		fault("status 200 without a bid; nothing to say is 204")
	}
	return errors.Join(faults...)
}

// insecure finds what a browser would fetch without TLS. XML namespaces are
// names, not fetched.
var insecure = regexp.MustCompile(`http://[^\s"'<>]+`)

func checkBid(b *openrtb2.Bid, o offer, cur string) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !(b.Price >= 0) || b.Price > 1e6 { // a house ad costs nothing
		fault("price %v", b.Price)
	}
	if b.DealID == "" && o.cur == cur && b.Price < o.floor {
		fault("price %v under the floor %v %s", b.Price, o.floor, o.cur)
	}
	if b.DealID != "" && !o.hasDeal[b.DealID] {
		fault("deal %q was not offered", b.DealID)
	}
	if b.AdM == "" && b.NURL == "" {
		fault("neither adm nor nurl")
	}
	if b.CrID == "" || b.CID == "" || len(b.ADomain) == 0 {
		fault("crid %q, cid %q, adomain %v: one is missing", b.CrID, b.CID, b.ADomain)
	}
	if !o.media[b.MType] {
		fault("mtype %d, the imp offers %v", b.MType, o.media)
	}
	if b.MType == openrtb2.MarkupBanner && len(o.sizes) > 0 && !o.sizes[[2]int64{b.W, b.H}] {
		fault("size %d×%d, the imp offers %v", b.W, b.H, o.sizes)
	}
	if o.secure {
		for _, u := range insecure.FindAllString(strings.ReplaceAll(b.AdM, `\/`, `/`), -1) {
			if !strings.HasPrefix(u, "http://www.w3.org/") {
				fault("imp.secure is 1 and the markup has %s", u)
				break
			}
		}
	}
	if tracking := TrackingURLs(b.AdM); len(tracking.Impressions) == 0 {
		fault("no impression URL in the markup: %.300s", b.AdM)
	}
	return errors.Join(faults...)
}

func readOffers(asked map[string]any) map[string]offer {
	offers := map[string]offer{}
	imps, _ := asked["imp"].([]any)
	for _, v := range imps {
		imp, _ := v.(map[string]any)
		id, _ := imp["id"].(string)
		o := offer{media: map[openrtb2.MarkupType]bool{}, sizes: map[[2]int64]bool{}, hasDeal: map[string]bool{}, cur: "USD"}
		for i, k := range []string{"banner", "video", "audio", "native"} {
			if _, ok := imp[k].(map[string]any); ok {
				o.media[openrtb2.MarkupType(i+1)] = true
			}
		}
		if banner, ok := imp["banner"].(map[string]any); ok {
			o.addSizes(banner)
		}
		o.floor, _ = number(imp["bidfloor"])
		if cur, ok := imp["bidfloorcur"].(string); ok && cur != "" {
			o.cur = cur
		}
		secure, _ := number(imp["secure"])
		o.secure = secure == 1
		pmp, _ := imp["pmp"].(map[string]any)
		deals, _ := pmp["deals"].([]any)
		for _, d := range deals {
			deal, _ := d.(map[string]any)
			if id, ok := deal["id"].(string); ok {
				o.hasDeal[id] = true
			}
		}
		offers[id] = o
	}
	return offers
}

func (o *offer) addSizes(banner map[string]any) {
	add := func(of map[string]any) {
		w, okW := number(of["w"])
		h, okH := number(of["h"])
		if okW && okH && w > 0 && h > 0 {
			o.sizes[[2]int64{int64(w), int64(h)}] = true
		}
	}
	add(banner)
	formats, _ := banner["format"].([]any)
	for _, f := range formats {
		if format, ok := f.(map[string]any); ok {
			add(format)
		}
	}
}

func contains(list []any, text string) bool {
	for _, v := range list {
		if s, ok := v.(string); ok && strings.EqualFold(s, text) {
			return true
		}
	}
	return false
}
