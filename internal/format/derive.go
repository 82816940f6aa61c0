package format

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/holocompute/holocompute/internal/holo"
)

const nanosPerHour = 3600 * 1e9

// HourOfDay is the time of day of a count of ticks since 1970 (or since
// midnight), in hours with a fraction: 14:45 is 14.75. It is the f32 nearest
// to the exact quotient, but never one of the next hour: the whole part is the
// hour on the clock.
func HourOfDay(ticks, unitNanos int64) float32 {
	day := 24 * nanosPerHour / unitNanos
	within := ticks % day
	if within < 0 {
		within += day
	}
	if unitNanos > 24*nanosPerHour || day == 0 {
		return 0
	}
	perHour := nanosPerHour / unitNanos
	if perHour == 0 {
		return float32(float64(within) * float64(unitNanos) / nanosPerHour)
	}
	hours := float32(float64(within) / float64(perHour))
	if next := float32(within/perHour + 1); hours >= next {
		return math.Nextafter32(next, 0)
	}
	return hours
}

// AddHourOfDay adds an f32 column of HourOfDay of a column that counts time.
func (f *File) AddHourOfDay(name, of string) error {
	src, err := f.find(of)
	if err != nil {
		return about(f.name, err)
	}
	if src.Unit <= 0 || src.Unit > nanosPerHour || src.Type.Size() < 4 {
		return about(f.name, holo.Errorf(holo.Invalid, "hours of column %q: it is not a time of day", of))
	}
	unit, from := src.Unit, src.Type
	return f.derive(name, src, holo.F32, func(dst, elem []byte) ([]byte, error) {
		ticks, _ := integerOf(elem, from)
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(HourOfDay(ticks, unit))), nil
	})
}

// AddAs adds a column that holds another one's integers in another width. A
// value that does not fit is an error when it is read: nothing is rounded or
// cut.
func (f *File) AddAs(name, of string, to holo.ElementType) error {
	src, err := f.find(of)
	if err != nil {
		return about(f.name, err)
	}
	if src.Type.Float() || to.Float() || !to.Valid() {
		return about(f.name, holo.Errorf(holo.Invalid, "column %q as %s: only integers can change their width", of, to))
	}
	from := src.Type
	return f.derive(name, src, to, func(dst, elem []byte) ([]byte, error) {
		v, huge := integerOf(elem, from)
		if huge && to != holo.U64 || !huge && !fits(v, to) {
			return nil, holo.Errorf(holo.Invalid, "column %q as %s: the value %s does not fit", of, to, printed(v, huge))
		}
		return binary.LittleEndian.AppendUint64(dst, uint64(v))[:len(dst)+int(to.Size())], nil
	})
}

func printed(v int64, huge bool) string {
	if huge {
		return strconv.FormatUint(uint64(v), 10)
	}
	return strconv.FormatInt(v, 10)
}

// derive adds a column whose elements are made one by one of another's.
func (f *File) derive(name string, src *column, to holo.ElementType, make1 func(dst, elem []byte) ([]byte, error)) error {
	if c, err := f.find(name); name == "" || err == nil && c.Name == name {
		return about(f.name, holo.Errorf(holo.Exists, "add column %q: the name is taken", name))
	}
	from := *src
	f.columns = append(f.columns, column{
		Column: Column{Name: name, Type: to, Rows: src.Rows},
		open: func() (io.Reader, error) {
			r, err := from.open()
			if err != nil {
				return nil, err
			}
			m := &mapper{r: r, size: int(from.Type.Size()), make1: make1, in: make([]byte, 64<<10)}
			return &batches{next: m.next}, nil
		},
	})
	return nil
}

// mapper makes a stream of elements of another stream of elements.
type mapper struct {
	r     io.Reader
	size  int
	make1 func(dst, elem []byte) ([]byte, error)
	in    []byte // a whole number of elements
	out   []byte
}

func (m *mapper) next() ([]byte, error) {
	n, err := io.ReadFull(m.r, m.in)
	if n == 0 && err != nil {
		return nil, err
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if n%m.size != 0 {
		return nil, holo.Errorf(holo.Corrupt, "the file is damaged: it ends within an element")
	}
	m.out = m.out[:0]
	for at := 0; at < n; at += m.size {
		if m.out, err = m.make1(m.out, m.in[at:at+m.size]); err != nil {
			return nil, err
		}
	}
	return m.out, nil
}

// integerOf reads an integer element. huge says that it is an u64 beyond i64;
// v then holds its bits.
func integerOf(b []byte, t holo.ElementType) (v int64, huge bool) {
	switch t {
	case holo.I8:
		return int64(int8(b[0])), false
	case holo.U8:
		return int64(b[0]), false
	case holo.I16:
		return int64(int16(binary.LittleEndian.Uint16(b))), false
	case holo.U16:
		return int64(binary.LittleEndian.Uint16(b)), false
	case holo.I32:
		return int64(int32(binary.LittleEndian.Uint32(b))), false
	case holo.U32:
		return int64(binary.LittleEndian.Uint32(b)), false
	}
	u := binary.LittleEndian.Uint64(b)
	return int64(u), t == holo.U64 && u > math.MaxInt64
}

// fits reports whether v can be an element of t, u64 included.
func fits(v int64, t holo.ElementType) bool {
	bits := 8 * t.Size()
	switch {
	case t == holo.I64:
		return true
	case t == holo.U64:
		return v >= 0
	case t < holo.U8: // signed
		return v >= -1<<(bits-1) && v < 1<<(bits-1)
	default:
		return v >= 0 && v < 1<<bits
	}
}
