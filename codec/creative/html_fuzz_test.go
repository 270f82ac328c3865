package creative

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"millrace/codec/openrtb"
)

// tags is what a browser's tokenizer sees but for texts and values: tags, names
// of attributes, and where comments are.
func tags(text string) string {
	z := html.NewTokenizer(strings.NewReader(text))
	var b strings.Builder
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
		case html.CommentToken, html.DoctypeToken:
			b.WriteString("!")
		default:
			name, more := z.TagName()
			b.WriteString("<" + string(name))
			for more {
				var key []byte
				key, _, more = z.TagAttr()
				b.WriteString(" " + string(key))
			}
			if kind == html.EndTagToken {
				b.WriteString("/")
			}
			b.WriteString(">")
		}
	}
}

// FuzzHTML: in whatever HTML an advertiser writes, if it is accepted, no value
// changes what a browser's tokenizer sees; alone, and as a companion in VAST.
func FuzzHTML(f *testing.F) {
	for _, text := range []string{
		`<p title="${AUCTION_ID}">${AUCTION_ID}</p>`, `<a href=https://x/?${AUCTION_ID} b>`, `<script>a="${AUCTION_ID}"</script>`, `<!-- x --><style>a{b:"${AUCTION_ID}"}</style>`, `<textarea>${AUCTION_ID}</textarea><title>${AUCTION_ID}</title>`,
		`<p a='${AUCTION_ID}'b="${AUCTION_ID}"/>`, `<svg><title>${AUCTION_ID}</title><style>${AUCTION_ID}</style></svg>`, `<![CDATA[${AUCTION_ID}]]>`, `<p =${AUCTION_ID}>`, `<p a/=${AUCTION_ID}>`, `<noscript>${AUCTION_ID}</noscript><plaintext>${AUCTION_ID}`, `<!--->${AUCTION_ID}-->`,
	} {
		for _, value := range []string{`"><script>`, ` onload=x `, `</textarea></title></script></style>`, `-->`, "'"} {
			f.Add(text, value)
		}
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		if len(text) > 2048 || len(value) > 512 || text == "" {
			return
		}
		s := Spec{ID: "h", Media: openrtb.BannerMedia, Banner: Banner{HTML: text}}
		c, faults := Compile(&s)
		if len(faults) > 0 {
			return
		}
		render := func(value string) string { return adm(t, c, testVars("x"+value)) }
		want := tags(render("harmless"))
		if got := tags(render(value)); got != want {
			t.Fatalf("%q with %q: %s, not %s\n%s", text, value, got, want, render(value))
		}
		vast := small()
		vast.Linear.Companions = []Companion{{W: 1, H: 1, HTML: text}}
		c, faults = Compile(&vast)
		if len(faults) > 0 {
			t.Fatalf("%q is fine alone, and as a companion: %v", text, faults)
		}
		companion := func(value string) string {
			return readVAST(t, adm(t, c, testVars("x"+value))).all("HTMLResource")[0].text
		}
		want = tags(companion("harmless"))
		if got := tags(companion(value)); got != want {
			t.Fatalf("companion %q with %q: %s, not %s", text, value, got, want)
		}
	})
}

// FuzzLanding: a landing page that is accepted stays the page that it is,
// whatever the values of its macros.
func FuzzLanding(f *testing.F) {
	f.Add("https://shop.example/p/${AUCTION_ID}?conv=${MILLRACE_CONVERSION}&a=${AUCTION_ID:B64}#${AUCTION_SEAT_ID}", "a&b=c#d/../?\r\n%")
	f.Add("https://${AUCTION_ID}/", "evil.example")
	f.Add("httpS://shop.example", "evil.example")
	f.Add("https://shop.example/${${AUCTION_ID}}", "${AUCTION_ID}")
	marks := func(text string) (n [8]int) {
		for i, mark := range []string{"/", "?", "#", "&", "=", ":", "@", "${"} {
			n[i] = strings.Count(text, mark)
		}
		return n
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		l, faults := CompileLanding("cr", text)
		if len(faults) > 0 {
			return
		}
		harmless, got := string(l.Append(nil, testVars("harmless"))), string(l.Append(nil, testVars(value)))
		if marks(harmless) != marks(got) {
			t.Fatalf("%q with %q: %q, not like %q", text, value, got, harmless)
		}
		if strings.ContainsAny(got, " \r\n\t\x00\x7f") {
			t.Fatalf("%q with %q: %q", text, value, got)
		}
		// Where no macro is in it, the host is what it is.
		_, behind, _ := strings.Cut(text, "://")
		host, _, _ := strings.Cut(behind, "/")
		if u, err := url.Parse(got); err == nil && !strings.Contains(host, "$") && !strings.ContainsAny(host, "?#%") && !strings.EqualFold(u.Host, host) && strings.HasPrefix(text, "http") {
			t.Fatalf("%q with %q leads to %q", text, value, u.Host)
		}
	})
}
