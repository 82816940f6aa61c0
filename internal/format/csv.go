package format

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// Header says whether the first row of a CSV file holds the columns' names.
type Header string

// The answers. HeaderAuto, which "" means too, takes the first row for names
// if none of its fields is a number, and refuses a first row with numbers: so
// no number is ever dropped unasked.
const (
	HeaderAuto Header = "auto"
	HeaderYes  Header = "yes"
	HeaderNo   Header = "no"
)

// CSVOptions say what a CSV file does not say about itself. The zero value is a
// file as most programs write it.
type CSVOptions struct {
	Header    Header
	Delimiter byte   // 0: a comma
	Empty     string // the number that an empty field stands for; "": there is none, it is an error
	Only      string // the one column that will be asked for, by name or number: others are not looked at; "": any
	// Watch, if there is one, is told from time to time how many bytes the
	// first reading has gone through, of how many. Its error ends it.
	Watch func(done, total uint64) error
}

// set reports whether a file is described by them at all.
func (o CSVOptions) set() bool { return o.Header != "" || o.Delimiter != 0 || o.Empty != "" }

// delimiters are the bytes that can part fields: none is part of a number.
var delimiters = map[string]byte{",": ',', ";": ';', "|": '|', ":": ':', "tab": '\t', "\t": '\t', `\t`: '\t'}

// ParseDelimiter reads a delimiter.
func ParseDelimiter(s string) (byte, error) {
	if d, ok := delimiters[s]; ok {
		return d, nil
	}
	return 0, holo.Errorf(holo.Invalid, "parse delimiter %q: want one of , ; | : tab", s)
}

// ParseHeader reads "auto", "yes" or "no".
func ParseHeader(s string) (Header, error) {
	switch h := Header(s); h {
	case HeaderAuto, HeaderYes, HeaderNo:
		return h, nil
	}
	return "", holo.Errorf(holo.Invalid, "parse header %q: want one of auto yes no", s)
}

// csvFile is a CSV file once its first row is known.
type csvFile struct {
	r      io.ReaderAt
	size   int64
	comma  byte
	empty  []byte // what an empty field stands for; none: nothing
	header bool
	width  int // fields of each row
}

// rows begins a reading of the file.
func (f *csvFile) rows(watch func(done, total uint64) error) (*csvRows, error) {
	var src io.Reader = io.NewSectionReader(f.r, 0, f.size)
	if watch != nil {
		src = &watched{r: src, total: uint64(f.size), watch: watch}
	}
	return newCSVRows(src, f.comma)
}

// text is a field, or what an empty one stands for.
func (f *csvFile) text(rows *csvRows, i int) []byte {
	if b := rows.field(i); len(b) > 0 {
		return b
	}
	return f.empty
}

// readCSV goes through the file once: an array has its length before its first
// element, and nothing of a file is used that is wrong further down.
func readCSV(r io.ReaderAt, size int64, o Options) (*File, error) {
	f := &csvFile{r: r, size: size, comma: o.CSV.Delimiter, empty: []byte(o.CSV.Empty)}
	if f.comma == 0 {
		f.comma = ','
	}
	if _, ok := readFloat(f.empty, 64); len(f.empty) > 0 && !ok {
		return nil, holo.Errorf(holo.Invalid, "%q is not a number and cannot stand for an empty field", cut(f.empty))
	}
	rows, err := f.rows(o.CSV.Watch)
	if err != nil {
		return nil, err
	}
	file, err := f.first(rows, o.CSV.Header)
	if err != nil {
		return nil, err
	}
	kinds, err := f.kinds(file, o)
	if err != nil {
		return nil, err
	}
	count, err := f.examine(rows, kinds)
	if err != nil {
		return nil, err
	}
	f.settle(file, kinds, count)
	return file, nil
}

// first reads the first row: how many columns there are, and what they are
// called.
func (f *csvFile) first(rows *csvRows, h Header) (*File, error) {
	err := rows.next()
	if errors.Is(err, io.EOF) {
		return nil, holo.Errorf(holo.Invalid, "it has no rows")
	}
	if err != nil {
		return nil, err
	}
	if f.header, err = h.decide(rows); err != nil {
		return nil, err
	}
	f.width = rows.width
	file := &File{columns: make([]column, f.width)}
	for i := range file.columns {
		file.columns[i].Number = i + 1
		if f.header {
			file.columns[i].Name = string(rows.field(i))
		}
	}
	return file, nil
}

// decide says whether the row in hand is the header.
func (h Header) decide(rows *csvRows) (bool, error) {
	if h == HeaderYes || h == HeaderNo {
		return h == HeaderYes, nil
	}
	for i := range rows.ends {
		if _, number := readFloat(rows.field(i), 64); number {
			return false, holo.Errorf(holo.Invalid, "row 1 has the number %q in column %d, where names are expected: say --header no if the file has no header, --header yes if that is a name",
				cut(rows.field(i)), i+1)
		}
	}
	if len(rows.row) == 0 {
		return false, holo.Errorf(holo.Invalid, "row 1 is empty, where names are expected: say --header no if the file has no header, --header yes if its columns have no names")
	}
	return true, nil
}

// kinds begins with what each column should be. Of those that will not be
// asked for nothing is wanted.
func (f *csvFile) kinds(file *File, o Options) ([]csvKind, error) {
	kinds := make([]csvKind, f.width)
	asked := file.called(o.CSV.Only)
	if o.CSV.Only != "" && len(asked) == 0 {
		_, err := file.find(o.CSV.Only)
		return nil, err
	}
	for i := range kinds {
		kinds[i].want = o.Type
		if o.CSV.Only != "" && !slices.Contains(asked, &file.columns[i]) {
			kinds[i].why = "it was not asked for"
		}
	}
	return kinds, nil
}

// examine reads the rest of the rows and tells each column what it holds.
func (f *csvFile) examine(rows *csvRows, kinds []csvKind) (count uint64, err error) {
	for ; ; count++ {
		if count > 0 || f.header {
			err = rows.next()
		}
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return 0, err
		}
		for i := range kinds {
			if kinds[i].why == "" {
				kinds[i].see(f.text(rows, i), rows)
			}
		}
	}
}

// settle fills in what was found.
func (f *csvFile) settle(file *File, kinds []csvKind, count uint64) {
	for i := range kinds {
		c := &file.columns[i]
		c.Rows = count
		c.Type, c.why = kinds[i].settle(count)
		t := c.Type
		c.open = func() (io.Reader, error) { return f.read(i, t) }
	}
}

// read is the second reading, of one column. It trusts nothing of the first:
// a file can change.
func (f *csvFile) read(i int, t holo.ElementType) (io.Reader, error) {
	rows, err := f.rows(nil)
	if err != nil {
		return nil, err
	}
	rows.width = f.width
	if f.header {
		if err := rows.next(); err != nil {
			return nil, holo.Errorf(holo.Corrupt, "the file changed while it was read: its header: %w", err)
		}
	}
	buf := make([]byte, 0, csvElements)
	return &batches{next: func() (b []byte, err error) {
		for b = buf; len(b)+8 <= cap(b); {
			err := rows.next()
			if errors.Is(err, io.EOF) && len(b) > 0 {
				break
			}
			if err != nil {
				return nil, err
			}
			text, why := f.text(rows, i), ""
			if b, why = appendElement(b, text, t); why != "" {
				return nil, holo.Errorf(holo.Corrupt, "the file changed while it was read: column %d, %s", i+1, rows.say(text, why))
			}
		}
		return b, nil
	}}, nil
}

// watched tells how far a stream was read, every MiB.
type watched struct {
	r                 io.Reader
	done, told, total uint64
	watch             func(done, total uint64) error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.done += uint64(n)
	if w.done-w.told >= 1<<20 {
		w.told = w.done
		if err := w.watch(w.done, w.total); err != nil {
			return 0, fmt.Errorf("stopped after %d of %d bytes: %w", w.done, w.total, err)
		}
	}
	return n, err
}
