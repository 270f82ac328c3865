package node

import (
	"errors"
	"fmt"
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
