package format

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// Column is a column that can be read.
type Column struct {
	Name string // "" for the only column of raw and .npy, and where a CSV file gives none
	// Number is the column's place in a CSV file, from 1: it can be asked for
	// by its number. 0 in other files.
	Number int
	Type   holo.ElementType
	Rows   uint64
	// Dims are the dimensions of a .npy file, the slowest first: its elements are
	// read row by row. Empty for other files.
	Dims []uint64
	// Unit is the length of a tick in nanoseconds where the column counts time,
	// 0 where it does not.
	Unit int64
}

// Bytes is the length of the column's stream.
func (c Column) Bytes() uint64 { return c.Rows * c.Type.Size() }

// File is an opened file: its columns, and for those that cannot be read why.
type File struct {
	Format  Format
	name    string
	columns []column
	closers []io.Closer
}

// column adds to a Column how to read it from its beginning, or why it cannot
// be read.
type column struct {
	Column
	open func() (io.Reader, error)
	why  string // not empty: it cannot be read
}

// Columns lists what can be read.
func (f *File) Columns() []Column {
	var cs []Column
	for _, c := range f.readable() {
		cs = append(cs, c.Column)
	}
	return cs
}

func (f *File) readable() []*column {
	var cs []*column
	for i := range f.columns {
		if f.columns[i].why == "" {
			cs = append(cs, &f.columns[i])
		}
	}
	return cs
}

// Column finds a column by name, one of a CSV file also by number; "" is the
// only one of a file with one.
func (f *File) Column(name string) (Column, error) {
	c, err := f.find(name)
	if err != nil {
		return Column{}, about(f.name, err)
	}
	return c.Column, nil
}

// Reader streams the elements of a column, little endian, from its beginning.
func (f *File) Reader(name string) (io.Reader, error) {
	c, err := f.find(name)
	if err != nil {
		return nil, about(f.name, err)
	}
	r, err := guarded(c.open)
	if err != nil {
		return nil, about(f.name, err)
	}
	return &exact{r: r, left: c.Bytes(), name: c.label(), file: f.name}, nil
}

func (f *File) find(name string) (*column, error) {
	readable := f.readable()
	found := f.called(name)
	switch {
	case name == "" && len(readable) == 1:
		return readable[0], nil
	case name == "" && len(f.columns) == 1:
		return f.columns[0].check()
	case name == "" && len(readable) == 0 && len(f.columns) > 0:
		c := &f.columns[0]
		return nil, holo.Errorf(holo.Invalid, "none of its %d columns can be an array; column %s: %s", len(f.columns), c.label(), c.why)
	case name == "":
		return nil, holo.Errorf(holo.Invalid, "the file has %d columns that can be an array, choose one of: %s", len(readable), listed(readable))
	case len(found) == 1:
		return found[0].check()
	case len(found) > 1 && found[0].Number > 0:
		return nil, holo.Errorf(holo.Invalid, "%d columns are called %q, choose one by its number: %d or %d", len(found), name, found[0].Number, found[1].Number)
	case len(found) > 1:
		return nil, holo.Errorf(holo.Invalid, "column %q cannot be an array: there are several columns of this name", name)
	case len(readable) == 1 && readable[0].Name == "" && readable[0].Number == 0:
		return nil, holo.Errorf(holo.NotFound, "no column %q: the file has one column, without a name", name)
	}
	return nil, holo.Errorf(holo.NotFound, "no column %q; there are: %s", name, listed(readable))
}

// called finds the columns of a name, or the one of a number where none is
// called so.
func (f *File) called(name string) (found []*column) {
	for i := range f.columns {
		if c := &f.columns[i]; c.Name == name {
			found = append(found, c)
		}
	}
	if n, err := strconv.Atoi(name); len(found) == 0 && err == nil && n > 0 && n <= len(f.columns) && f.columns[n-1].Number == n {
		return []*column{&f.columns[n-1]}
	}
	return found
}

// check refuses a column that cannot be read.
func (c *column) check() (*column, error) {
	if c.why != "" {
		return nil, holo.Errorf(holo.Invalid, "column %s cannot be an array: %s", c.label(), c.why)
	}
	return c, nil
}

// maxLabel is how much of a column's name an error repeats.
const maxLabel = 80

// label is how an error names the column.
func (c *column) label() string {
	if c.Name == "" && c.Number > 0 {
		return strconv.Itoa(c.Number)
	}
	return strconv.Quote(cutAt(maxLabel, c.Name))
}

// maxListed is how many names of columns an error lists.
const maxListed = 20

// listed quotes the names of columns, the first of many.
func listed(cs []*column) string {
	var names []string
	for _, c := range cs[:min(len(cs), maxListed)] {
		names = append(names, c.label())
	}
	if more := len(cs) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// skip notes a column that cannot be read.
func (f *File) skip(name, format string, args ...any) {
	f.columns = append(f.columns, column{Column: Column{Name: name}, why: fmt.Sprintf(format, args...)})
}

// Close closes what Open opened.
func (f *File) Close() error {
	var first error
	for _, c := range f.closers {
		if err := c.Close(); first == nil {
			first = err
		}
	}
	return first
}
