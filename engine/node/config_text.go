package node

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Secret is text that no print, log line or JSON answer shows.
type Secret struct{ text string }

// hidden is what is shown in a secret's place.
const hidden = "(hidden)"

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the text itself.
func (s Secret) Reveal() string { return s.text }

// String hides the text.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return hidden
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the text as it stands.
func (s *Secret) UnmarshalText(b []byte) error { s.text = string(b); return nil }

// from is the secret itself, or what stands in the file without the line's end.
func (s Secret) from(file string) (string, error) {
	if file == "" {
		return s.text, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// DatabaseURL names a database; no print shows the password in it.
type DatabaseURL string

// Reveal is the URL itself.
func (u DatabaseURL) Reveal() string { return string(u) }

// String hides the password.
func (u DatabaseURL) String() string {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return hidden
	}
	if passwordOf(parsed) == "" {
		return string(u)
	}
	setPassword(parsed, hidden)
	return parsed.String()
}

// with is the URL with the password, if there is one.
func (u DatabaseURL) with(password string) string {
	parsed, err := url.Parse(string(u))
	if err != nil || password == "" {
		return string(u)
	}
	setPassword(parsed, password)
	return parsed.String()
}

// passwordParameter is where a database's URL may have its password, too.
const passwordParameter = "password"

func passwordOf(u *url.URL) string {
	if password, given := u.User.Password(); given {
		return password
	}
	return u.Query().Get(passwordParameter)
}

func setPassword(u *url.URL, password string) {
	if query := u.Query(); query.Has(passwordParameter) {
		query.Del(passwordParameter)
		u.RawQuery = query.Encode()
	}
	u.User = url.UserPassword(u.User.Username(), password)
}

// GoString hides the password from %#v.
func (u DatabaseURL) GoString() string { return strconv.Quote(u.String()) }

// MarshalText hides the password.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText takes the text as it stands.
func (u *DatabaseURL) UnmarshalText(b []byte) error { *u = DatabaseURL(b); return nil }

// ParseCPUs reads a CPU list as taskset writes it: "0,2,4-7".
func ParseCPUs(s string) ([]int, error) {
	var cpus []int
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.ParseUint(from, 10, 16)
		b := a
		if err == nil && ranged {
			b, err = strconv.ParseUint(to, 10, 16)
		}
		if err != nil || b < a || b-a > 4096 {
			return nil, fmt.Errorf("%q is not a CPU list; write e.g. 0,1 or 0-3", s)
		}
		for ; a <= b; a++ {
			cpus = append(cpus, int(a))
		}
	}
	return cpus, nil
}

// parseKeys reads the environment's form of signing keys: "1:secret,2:secret".
func parseKeys(s string) ([]TokenKey, error) {
	var keys []TokenKey
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		id, secret, ok := strings.Cut(part, ":")
		n, err := strconv.Atoi(strings.TrimSpace(id))
		if !ok || err != nil {
			// The text is not repeated: it may hold a secret.
			return nil, errors.New("not a list of keys; write id:secret,id:secret")
		}
		keys = append(keys, TokenKey{ID: n, Secret: NewSecret(secret)})
	}
	return keys, nil
}
