package holocompute

import (
	"context"
	"encoding/binary"
	"unsafe"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
)

// Element is what arrays hold: every fixed-width number, and bool, which is a uint8
// of 0 or 1 in the cluster and true of any other. Bytes of a fixed number are the
// rows of a Grid of uint8.
type Element interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64 | bool
}

// Array is an array of T in the cluster's memory.
type Array[T Element] struct{ raw *Raw }

// Create makes an array of length elements, all zero. Names are letters,
// digits and . _ - / and begin with a letter or digit.
func Create[T Element](ctx context.Context, c *Cluster, name string, length uint64, o ArrayOptions) (*Array[T], error) {
	raw, err := c.CreateRaw(ctx, name, TypeFor[T](), length, o)
	if err != nil {
		return nil, err
	}
	return &Array[T]{raw: raw}, nil
}

// Open finds an array by its name. It fails when the array does not hold T.
func Open[T Element](ctx context.Context, c *Cluster, name string) (*Array[T], error) {
	raw, err := c.OpenRaw(ctx, name)
	if err != nil {
		return nil, err
	}
	return As[T](raw)
}

// As gives a raw array its type. It fails when the array does not hold T.
func As[T Element](raw *Raw) (*Array[T], error) {
	if raw.typ != TypeFor[T]() {
		return nil, holo.Errorf(Invalid, "open array %s: it holds %s, not %s", raw.info.Name, raw.typ, TypeFor[T]())
	}
	return &Array[T]{raw: raw}, nil
}

// Raw is the same array without its type, as Map and Reduce take it.
func (a *Array[T]) Raw() *Raw { return a.raw }

// Info describes the array.
func (a *Array[T]) Info() ArrayInfo { return a.raw.info }

// Len is the number of elements.
func (a *Array[T]) Len() uint64 { return a.raw.info.Length }

// Write writes values from element first on. Each page is written whole or not
// at all; a long range is not one atomic step.
func (a *Array[T]) Write(ctx context.Context, first uint64, values []T) error {
	return a.raw.WriteBytes(ctx, first, Bytes(values))
}

// Read fills dst from element first on.
func (a *Array[T]) Read(ctx context.Context, first uint64, dst []T) error {
	if bools, ok := any(dst).([]bool); ok {
		return a.readBools(ctx, first, bools)
	}
	if littleEndian {
		return a.raw.ReadBytes(ctx, first, view(dst))
	}
	b := make([]byte, len(dst)*int(a.raw.typ.Size()))
	if err := a.raw.ReadBytes(ctx, first, b); err != nil {
		return err
	}
	_, err := binary.Decode(b, binary.LittleEndian, dst)
	return err
}

// readBools takes the bytes as they come for numbers, for a bool has only two.
func (a *Array[T]) readBools(ctx context.Context, first uint64, dst []bool) error {
	b := make([]byte, min(len(dst), api.MaxUpload))
	for len(dst) > 0 {
		n := min(len(dst), len(b))
		if err := a.raw.ReadBytes(ctx, first, b[:n]); err != nil {
			return err
		}
		for i, v := range b[:n] {
			dst[i] = v != 0
		}
		first, dst = first+uint64(n), dst[n:]
	}
	return nil
}

// Fill sets count elements from first to value.
func (a *Array[T]) Fill(ctx context.Context, first, count uint64, value T) error {
	return a.raw.Fill(ctx, first, count, Bytes([]T{value}))
}

// Seal makes the array immutable for ever.
func (a *Array[T]) Seal(ctx context.Context) error { return a.raw.Seal(ctx) }

// Delete removes the array.
func (a *Array[T]) Delete(ctx context.Context) error {
	_, err := a.raw.Delete(ctx)
	return err
}

// Pages tells where the array lies.
func (a *Array[T]) Pages(ctx context.Context) ([]ExtentInfo, error) { return a.raw.Pages(ctx) }

// TypeFor is the element type that stands for T.
func TypeFor[T Element]() ElementType {
	var zero T
	switch any(zero).(type) {
	case int8:
		return I8
	case int16:
		return I16
	case int32:
		return I32
	case int64:
		return I64
	case uint8, bool:
		return U8
	case uint16:
		return U16
	case uint32:
		return U32
	case uint64:
		return U64
	case float32:
		return F32
	default:
		return F64
	}
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Bytes is a slice's elements as they lie in pages: little endian. It may
// share the slice's memory.
func Bytes[T Element](values []T) []byte {
	if littleEndian {
		return view(values)
	}
	b, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic("bug: an element of no fixed width: " + err.Error())
	}
	return b
}

// Values reads elements from bytes, such as the result of a reduce.
func Values[T Element](b []byte) ([]T, error) {
	size := int(TypeFor[T]().Size())
	if len(b)%size != 0 {
		return nil, holo.Errorf(Invalid, "%d bytes are not whole %s elements", len(b), TypeFor[T]())
	}
	values := make([]T, len(b)/size)
	if _, err := binary.Decode(b, binary.LittleEndian, values); err != nil {
		return nil, holo.Errorf(Internal, "decode elements: %w", err)
	}
	return values, nil
}

// view is the memory of a slice of numbers as bytes.
func view[T Element](values []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(*new(T))))
}
