package format

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// ourRows are the rows as the machine reads them.
func ourRows(b []byte, comma byte) (out [][]string, err error) {
	rows, err := newCSVRows(bytes.NewReader(b), comma)
	if err != nil {
		return nil, err
	}
	for {
		if err := rows.next(); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, err
		}
		var row []string
		for i := range rows.ends {
			row = append(row, string(rows.field(i)))
		}
		out = append(out, row)
	}
}

// theirRows are those of the standard library.
func theirRows(b []byte, comma byte) ([][]string, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	r.Comma = rune(comma)
	return r.ReadAll()
}

// filled leaves out empty lines, which the standard library drops.
func filled(rows [][]string) [][]string {
	return slices.DeleteFunc(slices.Clone(rows), func(row []string) bool { return len(row) == 1 && row[0] == "" })
}

// asTheirs ends lines within quotes as the standard library does.
func asTheirs(rows [][]string) [][]string {
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "\r\n", "\n")
		}
	}
	return rows
}

// compare reads a file twice: what we take the standard library takes, and
// sees the same in it; what it takes we take, unless it is stricter here.
func compare(t *testing.T, b []byte, comma byte) {
	t.Helper()
	ours, ourErr := ourRows(b, comma)
	theirs, theirErr := theirRows(b, comma)
	if ourErr == nil {
		if theirErr != nil {
			t.Fatalf("%q: taken, and the standard library says %v", b, theirErr)
		}
		if a, b := filled(asTheirs(ours)), filled(theirs); !slices.EqualFunc(a, b, slices.Equal[[]string]) {
			t.Fatalf("%q and %q", a, b)
		}
		return
	}
	text := "\n" + string(b)
	strict := strings.Contains(text, "\n\n") || strings.ContainsRune(text, '\r') || strings.HasPrefix(string(b), "\xef\xbb\xbf") ||
		len(b) >= 2 && (string(b[:2]) == "\xff\xfe" || string(b[:2]) == "\xfe\xff") || len(b) > maxCSVRow || bytes.Count(b, []byte{comma}) >= maxCSVColumns
	if theirErr == nil && !strict {
		t.Fatalf("%q: %v, and the standard library takes it", b, ourErr)
	}
}

// TestCSVRowsAreThoseOfTheStandardLibrary draws files of the few bytes that
// mean something, so that all turns are taken.
func TestCSVRowsAreThoseOfTheStandardLibrary(t *testing.T) {
	chance := rand.New(rand.NewPCG(3, 4))
	const alphabet = `,,""1a` + "\n\n\r;"
	taken := 0
	for range 30_000 {
		b := make([]byte, chance.IntN(12))
		for i := range b {
			b[i] = alphabet[chance.IntN(len(alphabet))]
		}
		compare(t, b, ',')
		if _, err := ourRows(b, ','); err == nil {
			taken++
		}
	}
	if taken < 5_000 {
		t.Errorf("only %d files were taken, the rest proves little", taken)
	}
}

// FuzzCSV: whatever the bytes, an outcome of ours, with the same rows as the
// standard library sees; and each column that is read is written so that it
// reads back to the same bits.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("a,b\n1,2.5\n-3,NaN\n"), byte(0), byte(0), byte(0), "")
	f.Add([]byte("1;\"2\"\r\n3;\"4\"\"\n\"\r\n"), byte(1), byte(2), byte(9), "0")
	f.Add([]byte("\xef\xbb\xbfx\ty\n18446744073709551615\t1e-5\n,"), byte(2), byte(1), byte(8), "-1")
	f.Fuzz(func(t *testing.T, b []byte, comma, header, typ byte, empty string) {
		o := Options{Format: CSV, Type: holo.ElementType(typ % 11), CSV: CSVOptions{
			Delimiter: []byte{',', ';', '\t', '|', ':'}[comma%5], Header: []Header{HeaderAuto, HeaderYes, HeaderNo}[header%3], Empty: empty,
		}}
		compare(t, b, o.CSV.Delimiter)
		file, err := ReadAt(bytes.NewReader(b), int64(len(b)), "fuzz", o)
		if err != nil {
			if holo.KindOf(err) != holo.Invalid {
				t.Fatalf("kind %s: %v", holo.KindOf(err), err)
			}
			plain(t, "the file", err)
			return
		}
		for i := range file.columns {
			again(t, &file.columns[i])
		}
	})
}

// again writes a column and reads it back.
func again(t *testing.T, c *column) {
	t.Helper()
	if c.why != "" {
		return
	}
	r, err := c.open()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(&exact{r: r, left: c.Bytes(), name: "c", file: "fuzz"})
	if err != nil {
		t.Fatal(err)
	}
	o := CSVOptions{Header: HeaderYes}
	file := writeCSV(t, []Column{c.Column}, [][]byte{data}, o)
	same, err := ReadAt(bytes.NewReader(file), int64(len(file)), "again", Options{Format: CSV, Type: c.Type, CSV: o})
	if err != nil {
		if int64(len(file)) > maxCSVRow {
			return // a name of the limit, in quotes that it did not have
		}
		t.Fatal(err)
	}
	if got := column1(t, same, "1"); c.Name != "1" && !bytes.Equal(got, data) {
		t.Fatalf("%x, was %x", got, data)
	}
}

func TestCSVWriterWantsExactlyWhatItPromised(t *testing.T) {
	column := Column{Name: "x", Type: holo.I16, Rows: 2}
	var out bytes.Buffer
	w, err := NewCSVWriter(&out, []Column{column}, CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if w.Write([][]byte{i16s(1, 2, 3)}) == nil || w.Write([][]byte{{1, 2, 3}}) == nil || w.Write(nil) == nil {
		t.Error("rows beyond the promise, half a row or no columns are taken")
	}
	if err := w.Write([][]byte{i16s(1)}); err != nil || out.String() != "x\n1\n" {
		t.Errorf("%q: %v", out.String(), err)
	}
	if w.Close() == nil {
		t.Error("a row too few is taken")
	}
	for what, columns := range map[string][]Column{
		"none":     {},
		"too many": slices.Repeat([]Column{column}, maxCSVColumns+1),
		"uneven":   {column, {Name: "y", Type: holo.I8, Rows: 3}},
		"no type":  {{Name: "x", Rows: 2}},
		"a header": {{Name: strings.Repeat("x", maxCSVRow), Type: holo.I8}},
	} {
		if _, err := NewCSVWriter(&out, columns, CSVOptions{}); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCSVIsWrittenAsProgramsReadIt(t *testing.T) {
	columns := []Column{{Name: "delay", Type: holo.I8, Rows: 3}, {Name: `a,"b"`, Type: holo.F32, Rows: 3}, {Name: "", Type: holo.U64, Rows: 3}}
	nan := []byte{1, 0, 0xc0, 0xff} // a signalling one, negative
	data := [][]byte{elements(holo.I8, -1, 0, 127), append(elements(holo.F32, 0.1, 1e21), nan...), elements(holo.U64, 0, 1e18, -1)}
	got := writeCSV(t, columns, data, CSVOptions{})
	const want = "delay,\"a,\"\"b\"\"\",\"\"\n-1,0.1,0\n0,1e+21,1000000000000000000\n127,NaN,18446744073709551615\n"
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	if rows, err := theirRows(got, ','); err != nil || len(rows) != 4 || rows[0][1] != `a,"b"` {
		t.Errorf("the standard library: %q %v", rows, err)
	}
}
