package format

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// head makes a .npy head of version 1.0 around a text.
func head(text string) []byte {
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

func open(t *testing.T, b []byte, o Options) (*File, error) {
	t.Helper()
	return ReadAt(bytes.NewReader(b), int64(len(b)), "test", o)
}

func column1(t *testing.T, f *File, name string) []byte {
	t.Helper()
	r, err := f.Reader(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNpyOfEveryTypeComesBack(t *testing.T) {
	for typ := holo.I8; typ <= holo.F64; typ++ {
		data := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 100)
		rows := uint64(len(data)) / typ.Size()
		var out bytes.Buffer
		w, err := NewWriter(&out, Npy, typ, rows)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if start := out.Len() - len(data); start%npyAlign != 0 {
			t.Errorf("%s: the data begins at %d", typ, start)
		}
		f, err := open(t, out.Bytes(), Options{})
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if c := f.Columns(); f.Format != Npy || len(c) != 1 || c[0].Type != typ || c[0].Rows != rows {
			t.Errorf("%s: %+v", typ, c)
		}
		if !bytes.Equal(column1(t, f, ""), data) {
			t.Errorf("%s: other bytes", typ)
		}
	}
}

// The bytes that NumPy 1.24 writes for numpy.array([1, -2, 300], dtype='<i2').
func TestNpyAsNumPyWritesIt(t *testing.T) {
	numpy := head("{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }" + strings.Repeat(" ", 60) + "\n")
	numpy = append(numpy, 1, 0, 0xfe, 0xff, 0x2c, 1)
	f, err := open(t, numpy, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := column1(t, f, ""); !bytes.Equal(got, numpy[len(numpy)-6:]) {
		t.Errorf("%v", got)
	}
	if want := npyHead(holo.I16, 3); !bytes.Equal(numpy[:len(numpy)-6], want) {
		t.Errorf("we write %q, NumPy %q", want, numpy[:len(numpy)-6])
	}
}

// The bytes that NumPy 1.24 writes for numpy.arange(6, dtype='|i1').reshape(1, 2, 3)
// and for an array of no rows.
func TestNpyOfSeveralDimensions(t *testing.T) {
	for text, dims := range map[string][]uint64{"(1, 2, 3)": {1, 2, 3}, "(0, 4)": {0, 4}} {
		numpy := "{'descr': '|i1', 'fortran_order': False, 'shape': " + text + ", }"
		numpy += strings.Repeat(" ", 128-10-1-len(numpy)) + "\n"
		n, _ := volume(dims)
		data := []byte{0, 1, 2, 3, 4, 5}[:n]
		f, err := open(t, append(head(numpy), data...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := column1(t, f, ""); !bytes.Equal(got, data) || !slices.Equal(f.Columns()[0].Dims, dims) {
			t.Errorf("%s: %v of dimensions %d", text, got, f.Columns()[0].Dims)
		}
		if got := npyHead(holo.I8, dims...); !bytes.Equal(got, head(numpy)) {
			t.Errorf("%s: we write %q, NumPy %q", text, got, numpy)
		}
	}
}

func TestNpyVersionTwo(t *testing.T) {
	text := "{'shape': (2,), 'fortran_order': False, 'descr': '|u1'}\n"
	b := append([]byte(npyMagic), 2, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = append(append(b, text...), 7, 9)
	f, err := open(t, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := column1(t, f, ""); !bytes.Equal(got, []byte{7, 9}) {
		t.Errorf("%v", got)
	}
}

func TestNpyThatSaysTooMuchIsRefusedWithTheReason(t *testing.T) {
	for text, why := range map[string]string{
		"{'descr': '>i2', 'fortran_order': False, 'shape': (0,), }\n":                     "big-endian",
		"{'descr': '<i2', 'fortran_order': True, 'shape': (0,), }\n":                      "Fortran order",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (0, 3, 1, 1), }\n":             "1 to 3 dimensions",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (3), }\n":                      "1 to 3 dimensions",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (), }\n":                       "1 to 3 dimensions",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (3,,4), }\n":                   "the length",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n": "more than",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (007,), }\n":                   "the length",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (-1,), }\n":                    "the length",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (99999999999999999999,)}\n":    "the length",
		"{'descr': '<c8', 'fortran_order': False, 'shape': (0,), }\n":                     "fixed-width",
		"{'descr': '|b1', 'fortran_order': False, 'shape': (0,), }\n":                     "fixed-width",
		"{'descr': '|O', 'fortran_order': False, 'shape': (0,), }\n":                      "fixed-width",
		"{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (0,), }\n":            "several fields",
		"{'descr': '<i2', 'descr': '<i2', 'fortran_order': False, 'shape': (0,), }\n":     "twice",
		"{'descr': '<i2', 'shape': (0,), }\n":                                             "2 keys",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (0,), 'x': 1}\n":               "the key",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (0,), } import os\n":           "after the dict",
		"{'descr': '<i2', 'fortran_order': False, 'shape': (0,), }":                       "after the dict",
		"{'descr': '<i2', 'fortran_order': False 'shape': (0,), }\n":                      "no comma",
		"{'descr': '<i2":                      "does not end",
		"":                                    "want \"{\"",
		"__import__('os').system('true')\n\n": "want \"{\"",
	} {
		_, err := open(t, head(text), Options{})
		if err == nil || holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", text, err, why)
		}
	}
}

func TestNpyOfTheWrongLengthIsRefused(t *testing.T) {
	good := append(npyHead(holo.I16, 3), 1, 2, 3, 4, 5, 6)
	for n := range len(good) {
		if _, err := open(t, good[:n], Options{Format: Npy}); err == nil {
			t.Errorf("cut after %d bytes: accepted", n)
		}
	}
	if _, err := open(t, append(good, 0), Options{}); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("a byte too many: %v", err)
	}
	long := append([]byte(npyMagic), 2, 0, 0xff, 0xff, 0xff, 0x7f)
	if _, err := open(t, long, Options{}); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("a head of 2 GiB: %v", err)
	}
}

func TestWriterWantsExactlyWhatItPromised(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, Raw, holo.I32, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 9)); err == nil {
		t.Error("a byte too many is taken")
	}
	if _, err := w.Write(make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	if w.Close() == nil {
		t.Error("a byte too few is taken")
	}
	if _, err := NewWriter(&out, Parquet, holo.I32, 2); holo.KindOf(err) != holo.Invalid {
		t.Errorf("parquet: %v", err)
	}
}

func TestRawFilesNeedATypeThatFits(t *testing.T) {
	if _, err := open(t, make([]byte, 8), Options{Format: Raw}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("no type: %v", err)
	}
	if _, err := open(t, make([]byte, 7), Options{Format: Raw, Type: holo.I16}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("7 bytes of i16: %v", err)
	}
	f, err := ReadAt(bytes.NewReader([]byte{1, 0, 2, 0}), 4, "f.RAW", Options{Type: holo.I16})
	if err != nil {
		t.Fatal(err)
	}
	if got := column1(t, f, ""); !bytes.Equal(got, []byte{1, 0, 2, 0}) {
		t.Errorf("%v", got)
	}
	if _, err := open(t, []byte("hello, world"), Options{Type: holo.U8}); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a text: %v", err)
	}
}

// What the parser takes, the writer's head says again: so two readers never see
// two things.
func FuzzNpy(f *testing.F) {
	f.Add(append(npyHead(holo.I16, 3), 1, 2, 3, 4, 5, 6))
	f.Add(head("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }\n"))
	f.Add(head("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3), }\n"))
	f.Add(head("{\"descr\":\"|u1\",'shape':(0 , ),'fortran_order':False}   \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := ReadAt(bytes.NewReader(b), int64(len(b)), "fuzz", Options{Format: Npy})
		if err != nil {
			if k := holo.KindOf(err); k != holo.Invalid && k != holo.Corrupt {
				t.Fatalf("kind %s: %v", k, err)
			}
			return
		}
		c := file.Columns()[0]
		r, err := file.Reader("")
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || uint64(len(data)) != c.Bytes() {
			t.Fatalf("%d bytes of %d: %v", len(data), c.Bytes(), err)
		}
		again := append(npyHead(c.Type, c.Dims...), data...)
		same, err := ReadAt(bytes.NewReader(again), int64(len(again)), "again", Options{Format: Npy})
		if err != nil || !reflect.DeepEqual(same.Columns()[0], c) {
			t.Fatalf("written again: %v", err)
		}
	})
}

// A file of elements alone is read once, byte for byte, and with the memory of eight
// pages, however large it is.
func TestFilesOfElementsAreReadOnce(t *testing.T) {
	const elements = 2 << 20
	for name, front := range map[string]string{"a.npy": string(npyHead(holo.I64, elements)), "a.raw": ""} {
		r := &counted{front: front, size: int64(len(front)) + 8*elements}
		var n int64
		took := allocated(func() {
			o := Options{}
			if front == "" {
				o.Format, o.Type = Raw, holo.I64
			}
			f, err := ReadAt(r, r.size, name, o)
			if err != nil {
				t.Fatal(err)
			}
			src, err := f.Reader("")
			if err != nil {
				t.Fatal(err)
			}
			if n, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, src, make([]byte, 4<<10)); err != nil {
				t.Fatal(err)
			}
		})
		if n != 8*elements || r.elements != n {
			t.Errorf("%s: %d bytes of elements came, and %d were read", name, n, r.elements)
		}
		if took > 8*holo.PageSize {
			t.Errorf("%s: %d bytes were allocated for a file of %d, want at most 8 pages", name, took, r.size)
		}
	}
}

// counted is a file of zeros behind a front, and counts what is read behind it.
type counted struct {
	front          string
	size, elements int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), c.size-off))
	clear(p[:n])
	if off < int64(len(c.front)) {
		copy(p[:n], c.front[off:])
	}
	c.elements += max(0, off+int64(n)-max(off, int64(len(c.front))))
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
