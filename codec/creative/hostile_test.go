package creative

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"millrace/codec/openrtb"
)

// Nothing breaks out: with any text in every field of the catalog and of the
// auction, the markup has the structure that it has with harmless ones, as
// others' parsers read it, and gives the text back where it stands.

// hostile puts the value into every field. A URL has it in its query, less the
// bytes that the catalog refuses.
func hostile(value string) texts {
	inURL := strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, value)
	inURL = strings.NewReplacer("%", "%25", "#", "%23").Replace(inURL)
	return texts{
		plain: func(name string) string { return "x" + value },
		url: func(name string) string {
			return "https://cdn.example/" + name + ".png?q=" + inURL + "&b=${AUCTION_ID}"
		},
	}
}

func hostileVars(value string) *Vars {
	v := testVars(value)
	v.BidID, v.AdID, v.Conversion, v.ImpID = []byte("b"+value), "a"+value, []byte("c"+value), v.AuctionID
	inURL := strings.NewReplacer("%", "%25", "#", "%23").Replace(value)
	v.ClickURL, v.ImpressionURL = []byte("https://ads.example/c?"+inURL), []byte("https://ads.example/i?"+inURL)
	return v
}

// nasties are values that try to leave every place they are put in.
var nasties = []string{
	nasty, `"`, `'`, `]]>`, `]]`, `-->`, `</script><script>alert(1)</script>`, `\`, `\"`, "\u2028", "\xff\xfe", "\uffff", "\x00", `${AUCTION_ID}`, `${MILLRACE_CLICK}`, `${`, `}`, `&quot;`, `&#34;`, `%22%3E`,
	`<![CDATA[`, `<!--`, `{{x}}`, "a\nb\r\nSet-Cookie: x", `","x":"y`, `\u0022`, `' onload='x`, ` onload=x`, `javascript:alert(1)`, "\u202e", strings.Repeat(`"`, 1000), `*/</style>`, `" ];x=[ "`,
}

func TestNothingBreaksOut(t *testing.T) {
	for _, value := range nasties {
		checkMarkup(t, value)
		checkLanding(t, value)
	}
}

// FuzzMarkup does the same for one form at a time, which says which.
func FuzzMarkup(f *testing.F) {
	for i, value := range nasties {
		f.Add(value, byte(i))
	}
	all := len(forms(ordinary()))
	f.Fuzz(func(t *testing.T, value string, which byte) {
		if len(value) > 4096 {
			return
		}
		form := int(which) % (all + 1)
		if form == all {
			checkLanding(t, value)
			return
		}
		checkForm(t, form, int(which)/(all+1)%len(vastVersions), value)
	})
}

func checkMarkup(t *testing.T, value string) {
	t.Helper()
	for form := range forms(ordinary()) {
		for version := range vastVersions {
			checkForm(t, form, version, value)
		}
	}
}

// skeletons of every form with harmless texts, worked out once.
var skeletons = map[[2]int]string{}

func checkForm(t *testing.T, form, version int, value string) {
	t.Helper()
	render := func(x texts, v *Vars) (s Spec, text string) {
		s = forms(x)[form]
		c := compile(t, s)
		return s, adm(t, c, v.fit(t, c, version))
	}
	want, ok := skeletons[[2]int{form, version}]
	if !ok {
		s, text := render(ordinary(), hostileVars("harmless"))
		want = skeleton(t, &s, text)
		skeletons[[2]int{form, version}] = want
	}
	s, text := render(hostile(value), hostileVars(value))
	name := fmt.Sprintf("%v %s in version %d with %.60q", s.Media, s.ID, version, value)
	if !utf8.ValidString(text) {
		t.Fatalf("%s: not UTF-8", name)
	}
	if got := skeleton(t, &s, text); got != want {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		t.Fatalf("%s: its structure is …%.200s, not …%.200s\n%.2000s", name, got[max(0, at-100):], want[max(0, at-100):], text)
	}
	if s.Media == openrtb.VideoMedia && s.ID != "small-1" {
		checkVASTTexts(t, text, value)
	}
	if s.Media == openrtb.NativeMedia {
		checkNativeTexts(t, text, value)
	}
}

// skeleton is what a parser sees, without the texts.
func skeleton(t *testing.T, s *Spec, adm string) string {
	t.Helper()
	switch s.Media {
	case openrtb.BannerMedia:
		return htmlSkeleton(t, adm)
	case openrtb.NativeMedia:
		var value any
		if err := json.Unmarshal([]byte(adm), &value); err != nil {
			t.Fatalf("not JSON: %v\n%s", err, adm)
		}
		return jsonSkeleton(t, "", value)
	}
	root := readVAST(t, adm)
	for _, fault := range judge(root) {
		t.Errorf("%s", fault)
	}
	return xmlSkeleton(t, root)
}

func xmlSkeleton(t *testing.T, n *vastNode) string {
	var b strings.Builder
	b.WriteString("<" + n.name)
	for _, a := range n.attrs {
		b.WriteString(" " + a.Name.Local)
	}
	if n.name == "HTMLResource" {
		b.WriteString(" {" + htmlSkeleton(t, n.text) + "}")
	}
	for _, c := range n.children {
		b.WriteString(xmlSkeleton(t, c))
	}
	return b.String() + ">"
}

func jsonSkeleton(t *testing.T, name string, v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for k, x := range v {
			parts = append(parts, k+":"+jsonSkeleton(t, k, x))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		out := "["
		for _, x := range v {
			out += jsonSkeleton(t, name, x) + ","
		}
		return out + "]"
	case string:
		if name == "jstracker" {
			return htmlSkeleton(t, v)
		}
		return "text"
	}
	return fmt.Sprint(v)
}

func htmlSkeleton(t *testing.T, text string) string {
	z := html.NewTokenizer(strings.NewReader(text))
	var b strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Fatalf("not HTML: %v\n%s", z.Err(), text)
			}
			return b.String()
		case html.TextToken:
			// Of scripts and styles: what is code, and not the inside of a string.
			b.WriteString(code(string(z.Raw())))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			b.WriteString("<" + string(name))
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				b.WriteString(" " + string(key))
				if k := string(key); k == "onclick" || k == "style" {
					b.WriteString("=" + code(string(value)))
				}
				if k := string(key); (k == "href" || k == "src") && !strings.HasPrefix(string(value), "https://") {
					t.Fatalf("%s leads to %q", k, value)
				}
			}
			b.WriteString(">")
		default:
			b.WriteString(string(z.Raw()))
		}
	}
}

// code leaves out what stands in quotes, by the rules of JavaScript and CSS:
// a backslash hides what follows it, a line end breaks a string off.
func code(text string) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == 0 && (c == '"' || c == '\'' || c == '`'):
			quote = c
			b.WriteByte(c)
		case quote == 0:
			if c|0x20 < 'a' || c|0x20 > 'z' {
				b.WriteByte(c)
			}
		case c == '\\':
			i++
		case c == quote || c == '\n' || c == '\r':
			quote = 0
			b.WriteByte(c)
		}
	}
	if !strings.Contains(b.String(), `"`) && !strings.Contains(b.String(), `'`) {
		return "" // a text
	}
	return b.String()
}

// cleaned is the text as XML can hold it.
func cleaned(value string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return r
		case r < ' ', r == 0xFFFE, r == 0xFFFF:
			return utf8.RuneError
		}
		return r
	}, value)
}

func checkVASTTexts(t *testing.T, adm, value string) {
	t.Helper()
	root := readVAST(t, adm)
	want := cleaned("x" + value)
	if strings.Contains(value, "${") {
		return // the catalog's own macros are expanded
	}
	if titles := root.all("AdTitle"); len(titles) == 1 && titles[0].text != want {
		t.Fatalf("the title reads %q, want %q", titles[0].text, want)
	}
	for _, n := range root.all("Verification") {
		if n.attr("vendor") != want {
			t.Fatalf("the vendor reads %q, want %q", n.attr("vendor"), want)
		}
	}
	u, err := url.Parse(root.all("Impression")[1].text)
	if err != nil {
		t.Fatalf("%v: %s", err, root.all("Impression")[1].text)
	}
	// The last parameter is a macro's value: all of it, and nothing else.
	last, err := url.QueryUnescape(u.RawQuery[strings.LastIndex(u.RawQuery, "&b=")+3:])
	if auction := testVars(value).AuctionID.String(); err != nil || last != auction {
		t.Fatalf("%v: b is %q, not %q, in %s", err, last, auction, u)
	}
}

func checkNativeTexts(t *testing.T, adm, value string) {
	t.Helper()
	var doc struct {
		Assets []struct{ Title *struct{ Text string } }
		Native struct {
			Assets []struct{ Title *struct{ Text string } }
		}
	}
	if err := json.Unmarshal([]byte(adm), &doc); err != nil {
		t.Fatal(err)
	}
	for _, a := range append(doc.Assets, doc.Native.Assets...) {
		// Map makes each wrong byte one U+FFFD.
		want := strings.NewReplacer("\ufffe", "\ufffd", "\uffff", "\ufffd").Replace(strings.Map(func(r rune) rune { return r }, "x"+value))
		if strings.Contains(value, "${") {
			continue
		}
		if a.Title != nil && a.Title.Text != want {
			t.Fatalf("the title reads %q, want %q", a.Title.Text, want)
		}
	}
}

func checkLanding(t *testing.T, value string) {
	t.Helper()
	l, faults := CompileLanding(value, "https://shop.example/p/${AUCTION_ID}?conv=${MILLRACE_CONVERSION}&c=${MILLRACE_CREATIVE_ID}&a=${AUCTION_ID}&u=${UNKNOWN}#x${AUCTION_SEAT_ID}")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	v := hostileVars(value)
	got := string(l.Append(nil, v))
	u, err := url.Parse(got)
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	q, err := url.ParseQuery(u.RawQuery)
	auction := v.AuctionID.String()
	if err != nil || q.Get("conv") != "c"+value || q.Get("c") != value || q.Get("a") != auction || q.Get("u") != "${UNKNOWN}" || len(q) != 4 ||
		u.Host != "shop.example" || u.Path != "/p/"+auction || u.Fragment != "x"+value {
		t.Fatalf("%v: %s", err, got)
	}
	for i := range len(got) {
		if got[i] <= ' ' || got[i] > '~' || got[i] == '"' {
			t.Fatalf("a byte %q in %s", got[i], got)
		}
	}
}
