package key

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/holocompute/holocompute/internal/holo"
)

// redacted is all that a printer gets to see.
const redacted = "[secret]"

// Printers look for these; every one of them must be here, for both types.
var (
	_ = []fmt.Formatter{Secret{}, Signer{}}
	_ = []fmt.Stringer{Secret{}, Signer{}}
	_ = []fmt.GoStringer{Secret{}, Signer{}}
	_ = []slog.LogValuer{Secret{}, Signer{}}
	_ = []interface{ MarshalText() ([]byte, error) }{Secret{}, Signer{}}
	_ = []interface{ MarshalBinary() ([]byte, error) }{Secret{}, Signer{}}
)

// String is "[secret]".
func (Secret) String() string { return redacted }

// GoString is "[secret]".
func (Secret) GoString() string { return redacted }

// Format prints "[secret]" for every verb that looks at the value. (%p prints
// the address of a function, %T the type.)
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue is "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[secret]"; encoding/json and xml use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary refuses: a binary form would be stored, and be useless.
func (Secret) MarshalBinary() ([]byte, error) { return nil, errNotEncodable() }

// String is "[secret]".
func (Signer) String() string { return redacted }

// GoString is "[secret]".
func (Signer) GoString() string { return redacted }

// Format prints "[secret]" for every verb that looks at the value. (%p prints
// the address of a function, %T the type.)
func (Signer) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue is "[secret]".
func (Signer) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[secret]"; encoding/json and xml use it.
func (Signer) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary refuses: a binary form would be stored, and be useless.
func (Signer) MarshalBinary() ([]byte, error) { return nil, errNotEncodable() }

func errNotEncodable() error {
	return holo.Errorf(holo.Invalid, "encode secret: secrets are not encodable")
}
