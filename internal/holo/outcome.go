package holo

import "slices"

// Outcome is a set of errors to ask for with errors.Is: those of its kinds, and of
// its reason if it names one. It is nobody's error itself.
type Outcome struct {
	Text   string
	Kinds  []Kind
	Reason string
}

// Error is the text.
func (c *Outcome) Error() string { return c.Text }

// Is reports whether the error belongs to an outcome.
func (e *Error) Is(target error) bool {
	c, ok := target.(*Outcome)
	return ok && slices.Contains(c.Kinds, e.Kind) && (c.Reason == "" || c.Reason == e.Reason)
}
