package format

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// TestHostileCSVIsRefusedInOneLine has, for each way in which a file can be
// wrong, the whole line that is said.
func TestHostileCSVIsRefusedInOneLine(t *testing.T) {
	long := strings.Repeat("9", 100)
	for _, c := range []struct {
		what, text string
		t          holo.ElementType
		o          CSVOptions
		want       string
		kind       holo.Kind // Internal: Invalid
	}{
		{what: "nothing", text: "", want: "it has no rows"},
		{what: "a mark and nothing", text: "\xef\xbb\xbf", want: "it has no rows"},
		{what: "a header alone", text: "x\n", want: `column "x" cannot be an array: it has no rows to tell its type by: give --type`},
		{what: "UTF-16", text: "\xff\xfex\x00\n\x00", want: "it is UTF-16, want UTF-8 (iconv -f UTF-16 -t UTF-8)"},
		{what: "UTF-16, the other end first", text: "\xfe\xff\x00x", want: "it is UTF-16, want UTF-8 (iconv -f UTF-16 -t UTF-8)"},
		{what: "too few fields", text: "x,y\n1,2\n3\n", want: "row 3 has 1 field, the first row 2 fields"},
		{what: "too many", text: "x\n1\n2,3\n", want: "row 3 has 2 fields, the first row 1 field"},
		{what: "an empty line", text: "x,y\n1,2\n\n3,4\n", want: "row 3 is an empty line, want 2 fields as in the first row"},
		{what: "an empty line at the end", text: "x,y\n1,2\n\n", want: "row 3 is an empty line, want 2 fields as in the first row"},
		{what: "an empty line in one column", text: "x\n1\n\n2\n", want: `column "x" cannot be an array: row 3 is empty: --empty gives the number that empty fields stand for`},
		{what: "an empty field", text: "x,y\n1,2\n3,\n", want: `column "y" cannot be an array: row 3 is empty: --empty gives the number that empty fields stand for`},
		{what: "an open quote", text: "x\n\"1\n2\n", want: "row 2 begins a field with a quote that is never closed"},
		{what: "a quote inside", text: "x\n1\"\n", want: "row 2 has a quote inside a field that does not begin with one: put the field in quotes, and write the quote twice"},
		{what: "text behind a quote", text: "x\n\"1\"2\n", want: "row 2 has text behind the quote that closes a field: a quote in a field is written twice"},
		{what: "a return inside", text: "x\n1\r2\n", want: "row 2 has a carriage return that no line feed follows: lines end with LF or CR LF"},
		{what: "a return at the end", text: "x\n1\r", want: "row 2 has a carriage return that no line feed follows: lines end with LF or CR LF"},
		{what: "old lines", text: "x\r1\r2\r", want: "row 1 has a carriage return that no line feed follows: lines end with LF or CR LF"},
		{what: "lines in quotes", text: "x,y\n\"a\nb\nc\",1\nd,e\n", want: `column "y" cannot be an array: row 3 (line 5) is "e", which is not a number: correct it, or leave it empty and give --empty`},
		{what: "another delimiter", text: "x;y\n1;2\n", want: `column "x;y" cannot be an array: row 2 is "1;2", which is not a number: --delimiter says what is between fields`},
		{what: "spaces", text: "x\n 1\n", want: `column "x" cannot be an array: row 2 is " 1", which is not a number: take the spaces away`},
		{what: "a NUL", text: "x\n1\x00\n", want: `column "x" cannot be an array: row 2 is "1\x00", which is not a number: correct it, or leave it empty and give --empty`},
		{what: "an escape", text: "x\n\x1b[2J\n", want: `column "x" cannot be an array: row 2 is "\x1b[2J", which is not a number: correct it, or leave it empty and give --empty`},
		{what: "an escape for a name", text: "\x1b[2J\u202e,y\n1,2\n", want: `no column "x"; there are: "\x1b[2J\u202e" "y"`, o: CSVOptions{Only: "x"}, kind: holo.NotFound},
		{what: "Go's syntax", text: "x\n1_000\n", want: `column "x" cannot be an array: row 2 is "1_000", which is not a number: correct it, or leave it empty and give --empty`},
		{what: "hexadecimal", text: "x\n0x10\n", t: holo.I64, want: `column "x" cannot be an array: row 2 is "0x10", which is not a number: correct it, or leave it empty and give --empty`},
		{what: "i8", text: "x\n1\n128\n", t: holo.I8, want: `column "x" cannot be an array: row 3 is "128", which is out of range: i8 goes from -128 to 127`},
		{what: "i64", text: "x\n9223372036854775808\n", t: holo.I64, want: `column "x" cannot be an array: row 2 is "9223372036854775808", which is out of range: i64 goes from -9223372036854775808 to 9223372036854775807`},
		{what: "u16", text: "x\n-1\n", t: holo.U16, want: `column "x" cannot be an array: row 2 is "-1", which is out of range: u16 goes from 0 to 65535`},
		{what: "u64", text: "x\n18446744073709551616\n", t: holo.U64, want: `column "x" cannot be an array: row 2 is "18446744073709551616", which is out of range: u64 goes from 0 to 18446744073709551615`},
		{what: "f32", text: "x\n-1e39\n", t: holo.F32, want: `column "x" cannot be an array: row 2 is "-1e39", which is out of range: f32 ends at 3.4e38`},
		{what: "f64", text: "x\n1e309\n", want: `column "x" cannot be an array: row 2 is "1e309", which is out of range: f64 ends at 1.8e308`},
		{what: "a fraction", text: "x\n1.5\n", t: holo.I32, want: `column "x" cannot be an array: row 2 is "1.5", which is not written as a whole number, which i32 needs: --type f64 takes it`},
		{what: "a long text", text: "x\n" + long + "x\n", want: `column "x" cannot be an array: row 2 is "` + long[:40] + `...", which is not a number: correct it, or leave it empty and give --empty`},
		{what: "no integer type", text: "x\n18446744073709551616\n", want: `column "x" cannot be an array: row 2 is "18446744073709551616", which neither i64 nor u64 holds: --type f64 takes what an f64 gives back`},
		{what: "both ends", text: "x\n-1\n9223372036854775808\n", want: `column "x" cannot be an array: row 3 is "9223372036854775808", which is beyond i64, and other rows are below 0: --type f64 takes what an f64 gives back`},
		{what: "2^53+1 among floats", text: "x\n9007199254740993\n.5\n", want: `column "x" cannot be an array: row 2 is "9007199254740993", which is an integer that no f64 holds: write 9007199254740993.0 to take the nearest; other rows are no integers`},
		{what: "2^53+1 as f64", text: "x\n-9007199254740993\n", t: holo.F64, want: `column "x" cannot be an array: row 2 is "-9007199254740993", which is an integer that no f64 holds: write -9007199254740993.0 to take the nearest`},
		{what: "2^24+1 as f32", text: "x\n16777217\n", t: holo.F32, want: `column "x" cannot be an array: row 2 is "16777217", which is an integer that no f32 holds: write 16777217.0 to take the nearest`},
		{what: "a bad number for nothing", text: "x\n1\n", o: CSVOptions{Empty: "none"}, want: `"none" is not a number and cannot stand for an empty field`},
		{what: "nothing fits", text: "x\n\n", t: holo.U8, o: CSVOptions{Empty: "300"}, want: `column "x" cannot be an array: row 2 is "300", which is out of range: u8 goes from 0 to 255`},
		{what: "a million columns", text: strings.Repeat(",", 2000) + "\n", want: "row 1 has more than 1024 fields"},
		{what: "no numbers at all", text: "x,y\na,b\n", want: `none of its 2 columns can be an array; column "x": row 2 is "a", which is not a number: correct it, or leave it empty and give --empty`},
	} {
		f, err := openCSV(t, c.text, Options{Type: c.t, CSV: c.o})
		if err == nil {
			name := ""
			for i := range f.columns { // the first that cannot be read
				if f.columns[i].why != "" && !strings.Contains(c.want, "none of") && name == "" {
					name = f.columns[i].Name
				}
			}
			if strings.Contains(c.want, `"y"`) {
				name = "y"
			}
			_, err = f.Reader(name)
		}
		if err == nil || err.Error() != "read f.csv: "+c.want {
			t.Errorf("%s:\n got %v\nwant read f.csv: %s", c.what, err, c.want)
		}
		if kind := holo.KindOf(err); kind != max(c.kind, holo.Invalid) {
			t.Errorf("%s: kind %s", c.what, kind)
		}
	}
}

// endless is a file that goes on with one byte, and counts what is read of it.
type endless struct {
	head string
	then byte
	size int64
	read int64
}

func (e *endless) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), e.size-off))
	for i := range p[:n] {
		if at := off + int64(i); at < int64(len(e.head)) {
			p[i] = e.head[at]
			continue
		}
		p[i] = e.then
	}
	e.read += int64(n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// allocated are the bytes that f allocates, those that it gives back included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestRowsThatDoNotEndAreStoppedAtTheLimit: what is held and what is read of a
// row without an end is bounded by the row's limit and not by the file.
func TestRowsThatDoNotEndAreStoppedAtTheLimit(t *testing.T) {
	for what, e := range map[string]*endless{
		"a quote that is not closed": {head: "x\n\"", then: 'a'},
		"a number without an end":    {head: "x\n", then: '9'},
		"a name without an end":      {head: "\"", then: '\n'},
		"fields without an end":      {head: "x\n", then: ','},
		"quotes without an end":      {head: "x\n", then: '"'},
	} {
		e.size = 32 << 20
		var err error
		took := allocated(func() { _, err = ReadAt(e, e.size, "f.csv", Options{}) })
		if holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "is longer than 65536 bytes") && !strings.Contains(err.Error(), "more than 1024 fields") {
			t.Errorf("%s: %v", what, err)
		}
		if e.read > 3*holo.PageSize {
			t.Errorf("%s: %d bytes were read", what, e.read)
		}
		if took > 8*holo.PageSize {
			t.Errorf("%s: %d bytes were allocated", what, took)
		}
	}
	// A row of just the limit is a row.
	row := strings.Repeat("0", 64<<10-1) + "\n"
	if f, err := openCSV(t, "x\n"+row+row, Options{}); err != nil || len(column1(t, f, "x")) != 16 {
		t.Errorf("rows of the limit: %v", err)
	}
	if _, err := openCSV(t, "x\n0"+row, Options{}); err == nil {
		t.Error("a row of a byte more is taken")
	}
}

// repeating is a file of one row, many times, behind a head.
type repeating struct {
	row  string
	size int64
	read int64
}

func (r *repeating) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), r.size-off))
	for i := range p[:n] {
		p[i] = r.row[(off+int64(i))%int64(len(r.row))]
	}
	r.read += int64(n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestCSVLargerThanTheMemoryIsReadInEightPages counts all that is allocated,
// so what is held at any time is less still, and that no byte is read more
// than twice.
func TestCSVLargerThanTheMemoryIsReadInEightPages(t *testing.T) {
	row := "20010101,-17,33.942536,\"LAX, the airport\",1.5e-3\n"
	r := &repeating{row: row, size: int64(len(row)) * 400_000} // 20 MB, and 3.2 MB of elements
	took := allocated(func() {
		f, err := ReadAt(r, r.size, "f.csv", Options{CSV: CSVOptions{Header: HeaderNo}})
		if err != nil {
			t.Fatal(err)
		}
		src, err := f.Reader("3")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, src, make([]byte, 1<<10))
		if err != nil || n != 400_000*8 {
			t.Fatalf("%d bytes: %v", n, err)
		}
	})
	if took > 8*holo.PageSize {
		t.Errorf("%d bytes were allocated for a file of %d, want at most 8 pages", took, r.size)
	}
	if r.read != 2*r.size {
		t.Errorf("%d bytes were read of a file of %d, want each twice", r.read, r.size)
	}
}

// TestCSVOfTheMostColumnsIsBoundedToo: a thousand columns, each with a name and
// something to say about it.
func TestCSVOfTheMostColumnsIsBoundedToo(t *testing.T) {
	names := strings.Repeat(strings.Repeat("n", 60)+",", maxCSVColumns-1) + "n\n"
	bad := strings.Repeat(strings.Repeat("9", 60)+",", maxCSVColumns-1) + "9\n"
	ugly := strings.Repeat(strings.Repeat("\x01", 50)+",", maxCSVColumns-1) + "\x01\n"
	took := allocated(func() {
		if _, err := openCSV(t, names+bad+ugly, Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if took > 64*holo.PageSize {
		t.Errorf("%d bytes were allocated, want at most 64 pages", took)
	}
}

// TestCSVThatChangesBetweenItsReadingsIsNoticed: the second reading trusts
// nothing of the first.
func TestCSVThatChangesBetweenItsReadingsIsNoticed(t *testing.T) {
	for after, want := range map[string]string{
		"x,y\n1,2\n3,400\n":  `read f.csv: the file changed while it was read: column 2, row 3 is "400", which is out of range: i8 goes from -128 to 127`,
		"x,y\n1,2\n3,4":      ``,
		"x,y\n1,2\n":         `read f.csv: column "y" ends 1 bytes early`,
		"x\n1\n2\n3\n":       `read f.csv: the file changed while it was read: its header: row 1 has 1 field, the first row 2 fields`,
		"x,y\n1\n2,3\n":      `read f.csv: row 2 has 1 field, the first row 2 fields`,
		"":                   `read f.csv: the file changed while it was read: its header: EOF`,
		"x,y\n1,2\n3,4\n5,6": `read f.csv: column "y" is longer than the file says`,
	} {
		r := &changing{text: "x,y\n1,2\n3,4\n"}
		f, err := ReadAt(r, 100, "f.csv", Options{Type: holo.I8})
		if err != nil {
			t.Fatal(err)
		}
		r.text = after
		src, err := f.Reader("y")
		if err == nil {
			_, err = io.Copy(io.Discard, src)
		}
		if (err != nil || want != "") && (err == nil || err.Error() != want) {
			t.Errorf("%q: %v, want %s", after, err, want)
		}
	}
}

type changing struct{ text string }

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	return strings.NewReader(c.text).ReadAt(p, off)
}

func TestFirstReadingIsWatchedAndCanBeStopped(t *testing.T) {
	r := &repeating{row: "1\n", size: 5 << 20}
	var last uint64
	o := CSVOptions{Header: HeaderNo, Watch: func(done, total uint64) error {
		if last = done; done > 3<<20 {
			return context.Canceled
		}
		return nil
	}}
	_, err := ReadAt(r, r.size, "f.csv", Options{CSV: o})
	if !errors.Is(err, context.Canceled) || last > 4<<20 || r.read > 4<<20 {
		t.Errorf("after %d bytes, %d read: %v", last, r.read, err)
	}
}

func TestOptionsOfCSVAreForCSV(t *testing.T) {
	for _, o := range []CSVOptions{{Header: HeaderAuto}, {Delimiter: ';'}, {Empty: "0"}} {
		if _, err := open(t, npyHead(holo.I8, 0), Options{CSV: o}); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "for CSV files") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, s := range []string{"", "x", "1", ".", "-", `"`, "\n", ",,", "é"} {
		if _, err := ParseDelimiter(s); holo.KindOf(err) != holo.Invalid {
			t.Errorf("delimiter %q: %v", s, err)
		}
	}
	if _, err := ParseHeader("maybe"); holo.KindOf(err) != holo.Invalid {
		t.Errorf("header maybe: %v", err)
	}
}
