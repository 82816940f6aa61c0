package holo

import (
	"errors"
	"fmt"
)

// Kind sorts errors by what the caller can do about them. Every error that
// crosses a package and that a caller branches on has one.
type Kind uint8

// The kinds. The comment says what a caller can do.
const (
	Internal      Kind = iota // a bug: report it
	Invalid                   // the request is malformed: correct it
	NotFound                  // the thing named does not exist
	Exists                    // the name is taken
	Denied                    // not allowed
	Stale                     // an older epoch, lease or incarnation: learn the new one
	Conflict                  // somebody else changed it first: read and try again
	Unavailable               // refused, not applied: safe to try again, perhaps elsewhere
	Indeterminate             // may have been applied: retry with the same operation ID
	DataLost                  // no holder of the data is left
	Exhausted                 // a quota, budget or memory limit is reached
	Corrupt                   // a checksum, signature or encoding is wrong
	Cancelled                 // the caller gave up
	KernelTrapped             // the kernel failed; trying again gives the same
	kindCount
)

var kindNames = [...]string{
	"internal", "invalid", "not_found", "exists", "denied", "stale", "conflict", "unavailable",
	"indeterminate", "data_lost", "exhausted", "corrupt", "cancelled", "kernel_trapped",
}

// String is the kind's stable name.
func (k Kind) String() string {
	if k >= kindCount {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// ParseKind reads the stable name.
func ParseKind(s string) (Kind, bool) {
	for i, name := range kindNames {
		if name == s {
			return Kind(i), true
		}
	}
	return Internal, false
}

// Valid reports whether k is one of the kinds above.
func (k Kind) Valid() bool { return k < kindCount }

// Error is an error with a kind and, where a reader branches or counts on it,
// a reason: a short constant such as "under_replicated" or "out_of_gas".
type Error struct {
	Kind   Kind
	Reason string // constant in snake_case, may be empty
	Text   string // lower case: what was being done and to what, then the cause
	Err    error  // the cause, may be nil
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error. Its verbs are fmt.Errorf's, %w included.
func Errorf(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Text: err.Error(), Err: errors.Unwrap(err)}
}

// Refuse makes an *Error with a reason.
func Refuse(kind Kind, reason, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Reason: reason, Text: err.Error(), Err: errors.Unwrap(err)}
}

// KindOf finds the kind of an error: that of the first *Error in its chain,
// Internal where there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// ReasonOf finds the reason of an error, "" where there is none. Of joined
// errors the first that has one counts, as it does for KindOf.
func ReasonOf(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*Error); ok && e.Reason != "" {
			return e.Reason
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				if reason := ReasonOf(e); reason != "" {
					return reason
				}
			}
		}
	}
	return ""
}
