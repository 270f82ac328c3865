package creative

import (
	"fmt"
	"net/url"
	"strings"

	"millrace/codec/openrtb"
)

// macroBrackets puts letters for the brackets of macros, which url.Parse refuses.
// Without them two slashes could come together.
var macroBrackets = strings.NewReplacer("${", "m", "}", "m")

// checkURL finds what keeps a text from being an absolute web address. Macros
// are allowed in it.
func checkURL(text string) (problem, remedy string) {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == 0x7f {
			return fmt.Sprintf("%q has a space or control character", text), "percent-encode it"
		}
	}
	plain := text
	if strings.Contains(text, "${") {
		plain = macroBrackets.Replace(text)
	}
	u, err := url.Parse(plain)
	switch {
	case text == "":
		return "missing", "write an absolute https URL"
	case err != nil:
		return fmt.Sprintf("%q is not a URL", text), "write an absolute https URL"
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Sprintf("%q is not an absolute URL", text), "begin it with https:// and a host"
	case u.User != nil:
		return fmt.Sprintf("%q has a user before its host", text), "remove what stands before @"
	}
	return "", ""
}

// url checks a URL of the creative. A template of which one part loads without
// TLS is not secure.
func (c *Compiler) url(t *Template, field, text string) {
	if problem, remedy := checkURL(text); problem != "" {
		c.fault(field, problem, remedy)
	}
	t.secure = t.secure && isSecure(text)
}

func (c *Compiler) urls(t *Template, field string, texts []string) {
	for i, text := range texts {
		c.url(t, fmt.Sprintf("%s[%d]", field, i), text)
	}
}

func isSecure(u string) bool { return len(u) > 8 && strings.EqualFold(u[:8], "https://") }

// secureHTML: nothing in it is loaded without TLS. The names of XML namespaces
// look like addresses and are none.
func secureHTML(text string) bool {
	return !strings.Contains(strings.ReplaceAll(strings.ToLower(text), "http://www.w3.org/", ""), "http://")
}

// imageMime guesses the type of an image from its URL; "" if it can't.
func imageMime(u string) string {
	path, _, _ := strings.Cut(u, "?")
	switch strings.ToLower(path[strings.LastIndexByte(path, '.')+1:]) {
	case "jpg", "jpeg":
		return "image/jpeg"
	case "png":
		return "image/png"
	case "gif":
		return "image/gif"
	case "webp":
		return "image/webp"
	case "svg":
		return "image/svg+xml"
	case "avif":
		return "image/avif"
	}
	return ""
}

// validMime: a type and a subtype.
func validMime(text string) bool {
	kind, sub, ok := strings.Cut(text, "/")
	return ok && kind != "" && sub != "" && !strings.ContainsAny(text, " \t\r\n")
}

// mimeAllowed reports whether a list of MIME types allows one; an empty list
// allows all.
func mimeAllowed(list []openrtb.Str, mime string) bool {
	for i := range list {
		if list[i].EqualFold(mime) || mime == "image/jpeg" && list[i].EqualFold("image/jpg") {
			return true
		}
	}
	return len(list) == 0
}
