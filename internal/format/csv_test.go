package format

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// openCSV opens a text as the file f.csv.
func openCSV(t *testing.T, text string, o Options) (*File, error) {
	t.Helper()
	return ReadAt(strings.NewReader(text), int64(len(text)), "f.csv", o)
}

// elements packs numbers as elements of a type.
func elements(t holo.ElementType, values ...float64) (b []byte) {
	for _, v := range values {
		bits := uint64(int64(v))
		switch t {
		case holo.F32:
			bits = uint64(math.Float32bits(float32(v)))
		case holo.F64:
			bits = math.Float64bits(v)
		}
		b = binary.LittleEndian.AppendUint64(b, bits)[:len(b)+int(t.Size())]
	}
	return b
}

// randomElements are bits drawn at random, with the edges among them; of NaNs
// there is only the one that a text can mean.
func randomElements(chance *rand.Rand, t holo.ElementType, rows uint64) []byte {
	edges := []uint64{0, 1, math.MaxUint64, 1 << 63, 1<<63 - 1, 0x80, 0x7f, 0x8000, 0x7fff, 1 << 31, 1<<31 - 1, nan32, nan64,
		math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)), 0x7f800000, 0xff800000, math.Float64bits(1 << 53), 5}
	var b []byte
	for range rows {
		bits := chance.Uint64()
		if chance.IntN(3) == 0 {
			bits = edges[chance.IntN(len(edges))]
		}
		if t == holo.F32 && math.IsNaN(float64(math.Float32frombits(uint32(bits)))) {
			bits = nan32
		}
		if t == holo.F64 && math.IsNaN(math.Float64frombits(bits)) {
			bits = nan64
		}
		b = binary.LittleEndian.AppendUint64(b, bits)[:len(b)+int(t.Size())]
	}
	return b
}

func writeCSV(t *testing.T, columns []Column, data [][]byte, o CSVOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewCSVWriter(&out, columns, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestCSVOfEveryTypeComesBackToTheBit writes columns of all types side by side
// and reads each of them with its type.
func TestCSVOfEveryTypeComesBackToTheBit(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	const rows = 3000
	for _, o := range []CSVOptions{{}, {Delimiter: ';'}, {Delimiter: '\t', Header: HeaderNo}, {Delimiter: '|', Header: HeaderYes}} {
		var columns []Column
		var data [][]byte
		for typ := holo.I8; typ <= holo.F64; typ++ {
			columns = append(columns, Column{Name: "the " + typ.String() + `; "x"`, Type: typ, Rows: rows})
			data = append(data, randomElements(chance, typ, rows))
		}
		file := writeCSV(t, columns, data, o)
		for i, c := range columns {
			f, err := ReadAt(bytes.NewReader(file), int64(len(file)), "f.csv", Options{Type: c.Type, CSV: o})
			if err != nil {
				t.Fatalf("%s: %v", c.Type, err)
			}
			name := c.Name
			if o.Header == HeaderNo {
				name = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}[i]
			}
			if !bytes.Equal(column1(t, f, name), data[i]) {
				t.Errorf("%s, delimiter %q: other bits", c.Type, o.Delimiter)
			}
		}
	}
}

func TestCSVTypesAreThoseOfWhatIsThere(t *testing.T) {
	for text, want := range map[string]holo.ElementType{
		"x\n1\n-2\n":                     holo.I64,
		"x\n007\n+5\n":                   holo.I64,
		"x\n-9223372036854775808\n":      holo.I64,
		"x\n9223372036854775808\n0\n":    holo.U64,
		"x\n18446744073709551615":        holo.U64,
		"x\n1\n2.0\n":                    holo.F64,
		"x\n1e3\n":                       holo.F64,
		"x\nNaN\n":                       holo.F64,
		"x\n-inf\n3\n":                   holo.F64,
		"x\n9007199254740992\n0.5\n":     holo.F64,
		"x\n123456789012345680000\n.5":   holo.F64, // as JavaScript writes a float
		"x\n99999999999999991611392\n1.": holo.F64, // as C's %.0f does
		"x\r\n\"1\"\r\n\"-2\"\r\n":       holo.I64,
		"\xef\xbb\xbfx\n1\n":             holo.I64,
	} {
		f, err := openCSV(t, text, Options{})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if c, err := f.Column("x"); err != nil || c.Type != want || f.Format != CSV {
			t.Errorf("%q: %+v %v, want %s", text, c, err, want)
		}
	}
}

func TestCSVElementsAreWhatTheTextSays(t *testing.T) {
	for _, c := range []struct {
		text string
		t    holo.ElementType
		want []byte
	}{
		{"-128\n127\n-0\n+5\n", holo.I8, elements(holo.I8, -128, 127, 0, 5)},
		{"255\n-0\n+007\n", holo.U8, elements(holo.U8, 255, 0, 7)},
		{"-32768\n32767", holo.I16, elements(holo.I16, -32768, 32767)},
		{"18446744073709551615", holo.U64, []byte{255, 255, 255, 255, 255, 255, 255, 255}},
		{"1\n-0\n0.1\n1e-400\n", holo.F64, elements(holo.F64, 1, math.Copysign(0, -1), 0.1, 0)},
		{"16777216\n0.1\ninfinity", holo.F32, elements(holo.F32, 16777216, 0.1, math.Inf(1))},
		{"9007199254740993.0", holo.F64, elements(holo.F64, 9007199254740992)},
		{"nan\nNaN", holo.F64, bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, 2)},
		{"NAN", holo.F32, []byte{0, 0, 0xc0, 0x7f}},
		{"", holo.F32, nil},
	} {
		f, err := openCSV(t, "x\n"+c.text, Options{Type: c.t})
		if err != nil {
			t.Fatalf("%q: %v", c.text, err)
		}
		if got := column1(t, f, "x"); !bytes.Equal(got, c.want) {
			t.Errorf("%q as %s: % x, want % x", c.text, c.t, got, c.want)
		}
	}
}

func TestCSVColumnsHaveNamesAndNumbers(t *testing.T) {
	f, err := openCSV(t, "\"arrival, late\",city,,same,same,2\n1,LAX,3,4,5,6\n", Options{CSV: CSVOptions{Header: HeaderYes}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"arrival, late": 1, "1": 1, "3": 3, "4": 4, "5": 5, "6": 6, "2": 6} {
		if got := column1(t, f, name); !bytes.Equal(got, elements(holo.I64, want)) {
			t.Errorf("column %q: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"same": `read f.csv: 2 columns are called "same", choose one by its number: 4 or 5`,
		"city": `read f.csv: column "city" cannot be an array: row 2 is "LAX", which is not a number: correct it, or leave it empty and give --empty`,
		"":     `read f.csv: the file has 5 columns that can be an array, choose one of: "arrival, late" 3 "same" "same" "2"`,
		"7":    `read f.csv: no column "7"; there are: "arrival, late" 3 "same" "same" "2"`,
		"0":    `read f.csv: no column "0"; there are: "arrival, late" 3 "same" "same" "2"`,
	} {
		if _, err := f.Reader(name); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	one, err := openCSV(t, "7\n8\n", Options{CSV: CSVOptions{Header: HeaderNo}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "1"} {
		if got := column1(t, one, name); !bytes.Equal(got, elements(holo.I64, 7, 8)) {
			t.Errorf("the only column as %q: %v", name, got)
		}
	}
}

// TestCSVHeaderIsNeverGuessed: the first row is taken for names only when no
// number is lost that way.
func TestCSVHeaderIsNeverGuessed(t *testing.T) {
	const numbers = "row 1 has the number %s, where names are expected: say --header no if the file has no header, --header yes if that is a name"
	for _, c := range []struct {
		text   string
		header Header
		rows   uint64
		names  bool
		refuse string
	}{
		{"a,b\n1,2\n", "", 1, true, ""},
		{"a,b\n1,2\n", HeaderAuto, 1, true, ""},
		{",b\n1,2\n", "", 1, true, ""},
		{"1,2\n3,4\n", HeaderNo, 2, false, ""},
		{"2019,2020\n3,4\n", HeaderYes, 1, true, ""},
		{",\n3,4\n", HeaderYes, 1, true, ""},
		{"1,2\n3,4\n", "", 0, false, strings.Replace(numbers, "%s", `"1" in column 1`, 1)},
		{"a,2\n3,4\n", "", 0, false, strings.Replace(numbers, "%s", `"2" in column 2`, 1)},
		{"NaN,b\n3,4\n", "", 0, false, strings.Replace(numbers, "%s", `"NaN" in column 1`, 1)},
		{",\n3,4\n", "", 0, false, "row 1 is empty, where names are expected: say --header no if the file has no header, --header yes if its columns have no names"},
	} {
		f, err := openCSV(t, c.text, Options{CSV: CSVOptions{Header: c.header}})
		if c.refuse != "" {
			if err == nil || err.Error() != "read f.csv: "+c.refuse {
				t.Errorf("%q: %v, want %q", c.text, err, c.refuse)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		col, err := f.Column("2")
		if c.names && strings.HasPrefix(c.text, "2019") {
			col, err = f.Column("2020")
		}
		if err != nil || col.Rows != c.rows || (col.Name != "") != (c.names && c.text[:2] != ",\n") {
			t.Errorf("%q with header %q: %+v %v", c.text, c.header, col, err)
		}
	}
}

func TestCSVEmptyFieldsStandForWhatIsSaid(t *testing.T) {
	const text = "a,b\n1,\n,2\n\"\",3\n"
	for empty, want := range map[string][]byte{
		"0": elements(holo.I64, 1, 0, 0), "-1": elements(holo.I64, 1, -1, -1), "0.5": elements(holo.F64, 1, 0.5, 0.5),
	} {
		f, err := openCSV(t, text, Options{CSV: CSVOptions{Empty: empty}})
		if err != nil {
			t.Fatal(err)
		}
		if got := column1(t, f, "a"); !bytes.Equal(got, want) {
			t.Errorf("--empty %s: %v", empty, got)
		}
	}
}
