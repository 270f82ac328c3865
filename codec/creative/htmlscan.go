package creative

import "strings"

// htmlScan follows HTML with macros in it, to know what the value of each will
// be read as. It is fed the text between the macros:
//
//	<a href="…" onclick="f('${…}')">${…}</a><script>x='${…}'</script>
//	                        script      HTML            script
//
// It knows what a browser's tokenizer does with well-formed tags, comments and
// raw text. Where a value could become part of a tag it says so: no escaping
// is right there.
type htmlScan struct {
	state  htmlState
	tag    []byte // name, in lower case
	attr   []byte // name, in lower case
	value  []byte // the beginning of the attribute's value
	match  int    // bytes of "</tag" seen in raw text
	dashes int    // in a row, in a comment
	bang   bool   // "--!" was seen
}

type htmlState uint8

const (
	htmlText  htmlState = iota
	htmlOpen            // after "<"
	htmlClose           // after "</"
	htmlDeclaration
	htmlBogus // a comment up to ">"
	htmlComment
	htmlTagName
	htmlEndTag
	htmlBeforeAttr
	htmlAttrName
	htmlAfterAttr
	htmlBeforeValue
	htmlValueDouble
	htmlValueSingle
	htmlValueBare
	htmlRaw // script, style and the like, up to their end tag
)

// rawTags hold text that ends only with the tag's own end.
var rawTags = map[string]bool{
	"script": true, "style": true, "textarea": true, "title": true, "xmp": true, "iframe": true, "noembed": true, "noframes": true,
}

// urlAttrs hold a URL.
var urlAttrs = map[string]bool{
	"href": true, "src": true, "action": true, "formaction": true, "data": true, "poster": true, "background": true, "cite": true,
	"ping": true, "srcset": true, "xlink:href": true, "longdesc": true, "manifest": true,
}

const valueKept = 16

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func lower(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

func (s *htmlScan) feed(text string) {
	for i := 0; i < len(text); {
		if s.step(text[i]) {
			i++
		}
	}
}

// step takes a byte, or changes the state for it and is false: then it comes
// again.
func (s *htmlScan) step(c byte) bool {
	switch s.state {
	case htmlText:
		if c == '<' {
			s.state = htmlOpen
		}
	case htmlRaw:
		s.raw(c)
	case htmlBogus, htmlComment, htmlDeclaration:
		return s.comment(c)
	case htmlBeforeAttr, htmlAttrName, htmlAfterAttr:
		return s.attribute(c)
	case htmlBeforeValue, htmlValueDouble, htmlValueSingle, htmlValueBare:
		return s.inValue(c)
	default:
		return s.name(c)
	}
	return true
}

// name reads what follows "<" and the tag's name.
func (s *htmlScan) name(c byte) bool {
	switch s.state {
	case htmlOpen:
		switch {
		case letter(c):
			s.state, s.tag = htmlTagName, s.tag[:0]
			return false
		case c == '/':
			s.state = htmlClose
		case c == '!':
			s.state, s.dashes = htmlDeclaration, 0
		case c == '?':
			s.state = htmlBogus
		default:
			s.state = htmlText
			return false
		}
	case htmlClose:
		switch {
		case letter(c):
			s.state = htmlEndTag
		case c == '>':
			s.state = htmlText
		default:
			s.state = htmlBogus
		}
	case htmlEndTag:
		if c == '>' {
			s.state = htmlText
		}
	case htmlTagName:
		switch {
		case c == '>':
			s.endTag()
		case blank(c) || c == '/':
			s.state = htmlBeforeAttr
		default:
			s.tag = append(s.tag, lower(c))
		}
	}
	return true
}

func (s *htmlScan) endTag() {
	s.state = htmlText
	if rawTags[string(s.tag)] {
		s.state, s.match = htmlRaw, 0
	}
}

// raw looks for "</tag" and what may follow it.
func (s *htmlScan) raw(c byte) {
	end := len(s.tag) + 2
	switch {
	case s.match == end && (c == '>' || c == '/' || blank(c)):
		s.state = htmlEndTag
		if c == '>' {
			s.state = htmlText
		}
	case s.match == 0 && c == '<', s.match == 1 && c == '/', s.match >= 2 && s.match < end && lower(c) == s.tag[s.match-2]:
		s.match++
	case c == '<':
		s.match = 1
	default:
		s.match = 0
	}
}

func (s *htmlScan) comment(c byte) bool {
	switch s.state {
	case htmlBogus:
		if c == '>' {
			s.state = htmlText
		}
		return true
	case htmlDeclaration:
		if c != '-' {
			s.state = htmlBogus
			return false
		}
		if s.dashes++; s.dashes == 2 {
			s.state, s.bang = htmlComment, false
		}
		return true
	}
	switch {
	case c == '>' && (s.dashes >= 2 || s.bang):
		s.state = htmlText
	case c == '-':
		s.dashes, s.bang = s.dashes+1, false
	default:
		s.bang = c == '!' && s.dashes >= 2
		s.dashes = 0
	}
	return true
}

func (s *htmlScan) attribute(c byte) bool {
	switch s.state {
	case htmlBeforeAttr, htmlAfterAttr:
		switch {
		case c == '>':
			s.endTag()
		case blank(c):
		case c == '/':
			s.state = htmlBeforeAttr // what follows is another attribute, "=" too
		case c == '=' && s.state == htmlAfterAttr:
			s.state, s.value = htmlBeforeValue, s.value[:0]
		default:
			s.state, s.attr = htmlAttrName, append(s.attr[:0], lower(c))
		}
	case htmlAttrName:
		switch {
		case c == '=':
			s.state, s.value = htmlBeforeValue, s.value[:0]
		case blank(c), c == '/', c == '>':
			s.state = htmlAfterAttr
			return false
		default:
			s.attr = append(s.attr, lower(c))
		}
	}
	return true
}

func (s *htmlScan) inValue(c byte) bool {
	switch {
	case s.state == htmlBeforeValue:
		switch {
		case c == '"':
			s.state = htmlValueDouble
		case c == '\'':
			s.state = htmlValueSingle
		case c == '>':
			s.endTag()
		case !blank(c):
			s.state = htmlValueBare
			return false
		}
		return true
	case s.state == htmlValueDouble && c == '"', s.state == htmlValueSingle && c == '\'', s.state == htmlValueBare && blank(c):
		s.state = htmlBeforeAttr
		return true
	case s.state == htmlValueBare && c == '>':
		s.endTag()
		return true
	}
	if len(s.value) < valueKept {
		s.value = append(s.value, lower(c))
	}
	return true
}

// hole is the context of a macro at this place, or what is wrong with it there.
func (s *htmlScan) hole(h hole) (x context, problem string) {
	switch s.state {
	case htmlText:
		return inHTML, ""
	case htmlBogus, htmlComment, htmlDeclaration:
		return 0, "stands in a comment"
	case htmlRaw:
		switch string(s.tag) {
		case "script":
			return inScript, ""
		case "style":
			return inStyle, ""
		}
		return inHTML, ""
	case htmlBeforeValue:
		s.state = htmlValueBare
		return s.valueHole(h)
	case htmlValueDouble, htmlValueSingle, htmlValueBare:
		return s.valueHole(h)
	}
	return 0, "stands in a tag, outside of an attribute's value"
}

func (s *htmlScan) valueHole(h hole) (x context, problem string) {
	begun := len(s.value) > 0
	if len(s.value) < valueKept {
		s.value = append(s.value, 'x')
	}
	script := strings.HasPrefix(string(s.attr), "on") || strings.HasPrefix(strings.TrimSpace(string(s.value)), "javascript:")
	switch {
	case string(s.attr) == "srcdoc":
		return 0, "stands in srcdoc, which is a document of its own"
	case (script || string(s.attr) == "style") && s.state == htmlValueBare:
		return 0, "stands in an attribute without quotes"
	case script:
		return inScript, ""
	case string(s.attr) == "style":
		return inStyle, ""
	case !begun && urlAttrs[string(s.attr)] && h != clickURL && h != impressionURL:
		return 0, "begins a URL"
	}
	return inHTML, ""
}

// open is what the text ends inside of; "" is nothing.
func (s *htmlScan) open() string {
	switch s.state {
	case htmlText, htmlOpen:
		return ""
	case htmlRaw:
		return "<" + string(s.tag) + ">"
	case htmlBogus, htmlComment, htmlDeclaration:
		return "a comment"
	}
	return "a tag"
}
