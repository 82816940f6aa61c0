package holo

import "math"

// ElementType is the type of an array's elements. All are fixed width and
// little endian, which is also WebAssembly's layout.
type ElementType uint8

// The element types. Zero is none of them.
const (
	I8 ElementType = iota + 1
	I16
	I32
	I64
	U8
	U16
	U32
	U64
	F32
	F64
)

var elementNames = map[ElementType]string{
	I8: "i8", I16: "i16", I32: "i32", I64: "i64", U8: "u8", U16: "u16", U32: "u32", U64: "u64", F32: "f32", F64: "f64",
}

var elementSizes = [...]uint64{I8: 1, I16: 2, I32: 4, I64: 8, U8: 1, U16: 2, U32: 4, U64: 8, F32: 4, F64: 8}

// String is "i16", "f64", ...
func (t ElementType) String() string {
	if name, ok := elementNames[t]; ok {
		return name
	}
	return "invalid"
}

// Valid reports whether t is one of the types above.
func (t ElementType) Valid() bool { return t >= I8 && t <= F64 }

// Size is the width of an element in bytes. t must be valid.
func (t ElementType) Size() uint64 { return elementSizes[t] }

// Float reports whether t is a floating-point type.
func (t ElementType) Float() bool { return t == F32 || t == F64 }

// Signed reports whether it is a signed integer.
func (t ElementType) Signed() bool { return t >= I8 && t <= I64 }

// ParseElementType reads "i16", "f64", ...
func ParseElementType(s string) (ElementType, error) {
	for t, name := range elementNames {
		if name == s {
			return t, nil
		}
	}
	return 0, Errorf(Invalid, "parse element type %q: want one of i8 i16 i32 i64 u8 u16 u32 u64 f32 f64", s)
}

// Limits of an array's shape.
const (
	// DefaultExtent is the number of elements in an extent when none is
	// given: 4 MiB of 8-byte elements, and 8 whole pages of 1-byte ones.
	DefaultExtent = 8 * PageSize
	// MaxExtentPages bounds an extent in pages of its widest type. One
	// extent's output is one log entry, hence one message of 4 MiB.
	MaxExtentPages = 64
	// MaxElements keeps every byte offset below 2^62.
	MaxElements = 1 << 58
)

// Shape is the geometry of an array: what it holds and how it is cut. An
// extent is a number of elements, the same for all arrays of one affinity
// group, and a whole number of pages of each; it is the unit of tasks and lies
// in one shard. Arrays of one group and extent are co-located element by
// element, whatever their types.
type Shape struct {
	Type   ElementType
	Length uint64 // elements
	Extent uint64 // elements in an extent
}

// Check reports whether the shape can be.
func (s Shape) Check() error {
	switch {
	case !s.Type.Valid():
		return Errorf(Invalid, "array shape: element type %d is not known", s.Type)
	case s.Length > MaxElements:
		return Errorf(Invalid, "array shape: %d elements, at most %d", s.Length, uint64(MaxElements))
	case s.Extent == 0 || s.Extent > math.MaxUint32 || s.Extent*s.Type.Size()%PageSize != 0:
		return Errorf(Invalid, "array shape: an extent of %d %s is not a whole number of 64 KiB pages", s.Extent, s.Type)
	case s.ExtentPages() > MaxExtentPages:
		return Errorf(Invalid, "array shape: an extent of %d %s is %d pages, at most %d", s.Extent, s.Type, s.ExtentPages(), MaxExtentPages)
	}
	return nil
}

// PageElements is the number of elements in a page.
func (s Shape) PageElements() uint64 { return PageSize / s.Type.Size() }

// ExtentPages is the number of pages in an extent.
func (s Shape) ExtentPages() uint64 { return s.Extent * s.Type.Size() / PageSize }

// Bytes is the number of bytes of the elements.
func (s Shape) Bytes() uint64 { return s.Length * s.Type.Size() }

// Pages is the number of pages, the last one perhaps partly used.
func (s Shape) Pages() uint64 { return (s.Bytes() + PageSize - 1) / PageSize }

// Extents is the number of extents, the last one perhaps partly used.
func (s Shape) Extents() uint64 { return (s.Length + s.Extent - 1) / s.Extent }

// ExtentOf is the extent that a page lies in.
func (s Shape) ExtentOf(p PageIndex) uint64 { return uint64(p) / s.ExtentPages() }

// ShardCount is the number of shards of each replication class: fixed, so that
// membership never changes which shard a page belongs to.
const ShardCount = 256

// Class is a replication class: the number of copies wanted, R. Each class has
// its own ShardCount shards.
type Class uint8

// MaxClass is the largest number of copies.
const MaxClass = 3

// Valid reports whether c is 1, 2 or 3.
func (c Class) Valid() bool { return c >= 1 && c <= MaxClass }

// ShardID names a shard: (class-1)*ShardCount + its number in the class.
type ShardID uint16

// MakeShardID names shard number n of a class.
func MakeShardID(c Class, n uint64) ShardID {
	return ShardID(uint64(c-1)*ShardCount + n%ShardCount)
}

// Class is the shard's replication class.
func (s ShardID) Class() Class { return Class(s/ShardCount) + 1 }

// Number is the shard's number within its class.
func (s ShardID) Number() int { return int(s % ShardCount) }

// Valid reports whether the ID names a shard of a valid class.
func (s ShardID) Valid() bool { return s < MaxClass*ShardCount }
