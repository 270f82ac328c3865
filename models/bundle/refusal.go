package bundle

import "fmt"

// Reason is why a bundle was refused, for counters and tests; the words are in
// the Refusal.
type Reason uint8

// Reasons, in the order in which Open checks.
const (
	// TooLarge: the file, or a part of it, is over its limit.
	TooLarge Reason = iota
	// NotABundle: it does not begin as a bundle does.
	NotABundle
	// UnknownFormat: written by a version of this program that is newer.
	UnknownFormat
	// Truncated: the file ends before, or goes on after, what it declares.
	Truncated
	// Unsigned: the place of the signature is empty.
	Unsigned
	// UnknownKey: signed by a key that is not among those trusted.
	UnknownKey
	// BadSignature: the signature is not that key's over this manifest.
	BadSignature
	// BadManifest: signed, but not in the manifest's form.
	BadManifest
	// ChecksumMismatch: a part is not the one that was signed.
	ChecksumMismatch
	// WrongSchema: made for features that this build does not compute.
	WrongSchema
	// Downgraded: not newer than the version in force.
	Downgraded
	// BadModel: a part can not be loaded.
	BadModel
	// GoldenMismatch: it loads, but does not predict what its trainer did.
	GoldenMismatch
	reasonCount
)

// Reasons is how many there are.
const Reasons = int(reasonCount)

var reasonNames = [reasonCount]string{
	"too large", "not a bundle", "unknown format", "truncated", "unsigned", "unknown key", "bad signature", "bad manifest",
	"checksum mismatch", "wrong schema", "downgraded", "bad model", "golden mismatch",
}

func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "unknown"
}

// Refusal is the error of a bundle that must not serve: the reason, what was
// found, and what to do.
type Refusal struct {
	Reason Reason
	Detail string
}

func (r *Refusal) Error() string { return "bundle refused: " + r.Reason.String() + ": " + r.Detail }

func refuse(r Reason, format string, args ...any) error {
	return &Refusal{Reason: r, Detail: fmt.Sprintf(format, args...)}
}
