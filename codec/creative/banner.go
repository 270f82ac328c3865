package creative

import (
	"fmt"
	"strconv"
	"strings"
)

func (c *Compiler) compileBanner(t *Template, s *Spec) {
	b := &s.Banner
	t.w, t.h = b.W, b.H
	m := builder{c: c}
	switch {
	case b.HTML != "":
		t.secure, t.kind = secureHTML(b.HTML), htmlKind(b.HTML)
		c.html(&m, "html", b.HTML, false)
	case b.Image != "":
		t.kind, t.mime = ImageBanner, imageMime(b.Image)
		c.url(t, "image", b.Image)
		c.sized("image", b.W, b.H)
		c.imageBanner(&m, b)
	case b.Frame != "":
		t.kind = FrameBanner
		c.url(t, "iframe", b.Frame)
		c.sized("page", b.W, b.H)
		frameBanner(&m, b)
	default:
		c.fault("", "a banner without content", "write one of html, image, iframe")
	}
	c.urls(t, "trackers", b.Trackers)
	if !m.fills(impressionURL) {
		pixel(&m).hole(inHTML, impressionURL)
		pixelEnd(&m)
	}
	for _, u := range b.Trackers {
		pixel(&m).url(inHTML, u)
		pixelEnd(&m)
	}
	t.banner = m.program()
}

func (c *Compiler) sized(noun string, w, h int32) {
	if w <= 0 || h <= 0 {
		c.fault("size", "missing", "write the "+noun+"'s size: 300x250")
	}
}

// html adds HTML of the advertiser's, nested in XML or not, each of its macros
// escaped for the place where it stands.
func (c *Compiler) html(m *builder, field, text string, inside bool) {
	literal := jsonText
	if inside {
		literal = inXML
	}
	var scan htmlScan
	for from := 0; from < len(text); {
		start, end, h, b64 := findMacro(text, from)
		m.text = appendEscaped(m.text, literal, text[from:start])
		scan.feed(text[from:start])
		if h != noHole {
			x, problem := scan.hole(h)
			if problem != "" {
				line := strconv.Itoa(1 + strings.Count(text[:start], "\n"))
				c.fault(field, text[start:end]+" in its line "+line+" "+problem, "give it a text, or the quoted value of an attribute, to stand in")
			}
			if x == inHTML && inside {
				x = htmlInXML
			}
			m.put(op{hole: h, ctx: x, b64: b64})
		}
		from = end
	}
	if inner := scan.open(); inner != "" {
		c.fault(field, "ends inside of "+inner, "close it: what follows would be swallowed")
	}
}

func htmlKind(text string) BannerKind {
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "<script"):
		return ScriptBanner
	case strings.Contains(lower, "<iframe"):
		return FrameBanner
	}
	return ImageBanner
}

func (c *Compiler) imageBanner(m *builder, b *Banner) {
	m.markup(`<a href="`).hole(inHTML, clickURL).markup(`" target="_blank" rel="noopener"><img src="`).url(inHTML, b.Image)
	m.markup(fmt.Sprintf(`" width="%d" height="%d" border="0" alt="`, b.W, b.H)).value(inHTML, b.Alt).markup(`"></a>`)
}

// frameBanner shows a page that can run scripts and open the landing page, and
// can do nothing to the page around it: no same origin, no navigation of the
// top unless the user asks for it.
func frameBanner(m *builder, b *Banner) {
	m.markup(`<iframe src="`).url(inHTML, b.Frame)
	m.markup(fmt.Sprintf(`" width="%d" height="%d" title="`, b.W, b.H))
	if b.Alt != "" {
		m.value(inHTML, b.Alt)
	} else {
		m.markup("Advertisement")
	}
	m.markup(`" sandbox="allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"` +
		` frameborder="0" scrolling="no" marginwidth="0" marginheight="0" style="border:0"></iframe>`)
}

// pixel begins the tag of an invisible image.
func pixel(m *builder) *builder { return m.markup(`<img src="`) }

func pixelEnd(m *builder) {
	m.markup(`" width="1" height="1" alt="" style="position:absolute;left:-1px;top:-1px">`)
}
