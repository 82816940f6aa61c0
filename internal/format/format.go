// Package format reads files of numbers as typed columns, and writes them. It
// knows raw little-endian elements, NumPy's .npy, Arrow IPC (file and stream)
// and Parquet, hides their libraries, and holds no more than a batch in memory:
// a column is a stream of bytes, as an array's elements lie in pages.
//
// A file is refused, with the reason in one line, when it does not say exactly
// what it holds: nulls, big-endian numbers, more than one dimension, bytes left
// over. Nothing is guessed.
package format

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// Format names a kind of file.
type Format string

// The formats. ArrowStream is Arrow IPC without the footer.
const (
	Raw         Format = "raw"
	Npy         Format = "npy"
	Arrow       Format = "arrow"
	ArrowStream Format = "arrow-stream"
	Parquet     Format = "parquet"
)

// Parse reads a format's name.
func Parse(s string) (Format, error) {
	switch f := Format(s); f {
	case Raw, Npy, Arrow, ArrowStream, Parquet:
		return f, nil
	}
	return "", holo.Errorf(holo.Invalid, "parse format %q: want one of raw npy arrow arrow-stream parquet", s)
}

// Column is a column that can be read.
type Column struct {
	Name string // "" for the only column of raw and .npy
	Type holo.ElementType
	Rows uint64
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

// Options say what a file does not say about itself.
type Options struct {
	Format Format           // "": by the name (.raw, .bin), then by the first bytes
	Type   holo.ElementType // of a raw file's elements; a file that names its own takes no notice
}

// Open opens a file. Close it after its readers.
func Open(path string, o Options) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &holo.Error{Kind: openKind(err), Text: holo.Plain("open file: " + err.Error()), Err: err}
	}
	file, err := Read(f, path, o)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	file.closers = append(file.closers, f)
	return file, nil
}

func openKind(err error) holo.Kind {
	if os.IsNotExist(err) {
		return holo.NotFound
	}
	if os.IsPermission(err) {
		return holo.Denied
	}
	return holo.Internal
}

// Read reads an open regular file, which it does not close. The name serves
// messages, and the guess of a format that has no mark of its own.
func Read(f *os.File, name string, o Options) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, about(name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, about(name, holo.Errorf(holo.Invalid, "not a regular file, which is read more than once: give it as - on standard input, which is copied first"))
	}
	return ReadAt(f, info.Size(), name, o)
}

// ReadAt reads size bytes behind an io.ReaderAt, such as a file that is
// embedded in the program.
func ReadAt(r io.ReaderAt, size int64, name string, o Options) (*File, error) {
	if o.Format == "" {
		o.Format = detect(r, name)
	}
	var file *File
	var err error
	switch o.Format {
	case Raw:
		file, err = readRaw(r, size, o.Type)
	case Npy:
		file, err = readNpy(r, size)
	case Arrow, ArrowStream:
		file, err = guarded(func() (*File, error) { return readArrow(r, size, o.Format) })
	case Parquet:
		file, err = guarded(func() (*File, error) { return readParquet(r, size) })
	default:
		err = holo.Errorf(holo.Invalid, "its format cannot be told from it: give one of raw npy arrow arrow-stream parquet")
	}
	if err != nil {
		return nil, about(name, err)
	}
	file.Format, file.name = o.Format, name
	return file, nil
}

// about makes an error one of the file. What it says is made plain, because
// files hold names, and libraries repeat them.
func about(name string, err error) error {
	text := holo.Plain("read " + name + ": " + err.Error())
	return &holo.Error{Kind: holo.KindOf(err), Reason: holo.ReasonOf(err), Text: text, Err: err}
}

// marks are the bytes that files of each format begin with.
var marks = []struct {
	bytes  string
	format Format
}{{npyMagic, Npy}, {"ARROW1", Arrow}, {"PAR1", Parquet}, {"\xff\xff\xff\xff", ArrowStream}}

func detect(r io.ReaderAt, name string) Format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".raw", ".bin":
		return Raw
	}
	head := make([]byte, 8)
	n, _ := r.ReadAt(head, 0) // a short file is no format's
	for _, m := range marks {
		if bytes.HasPrefix(head[:n], []byte(m.bytes)) {
			return m.format
		}
	}
	return ""
}

// guarded turns a panic of a library on a damaged file into an error.
func guarded[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = holo.Errorf(holo.Corrupt, "the file is damaged: %v", r)
		}
	}()
	return f()
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

// Column finds a column by name; "" is the only one of a file with one.
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
	return &exact{r: r, left: c.Bytes(), name: c.Name, file: f.name}, nil
}

// find looks among the readable columns first, so that a name which only one
// of them has is that one's.
func (f *File) find(name string) (*column, error) {
	readable := f.readable()
	if name == "" {
		if len(readable) == 1 {
			return readable[0], nil
		}
		return nil, holo.Errorf(holo.Invalid, "the file has %d columns that can be an array, choose one of: %s", len(readable), listed(readable))
	}
	for _, c := range readable {
		if c.Name == name {
			return c, nil
		}
	}
	for _, c := range f.columns {
		if c.Name == name {
			return nil, holo.Errorf(holo.Invalid, "column %q cannot be an array: %s", name, c.why)
		}
	}
	if len(readable) == 1 && readable[0].Name == "" {
		return nil, holo.Errorf(holo.NotFound, "no column %q: the file has one column, without a name", name)
	}
	return nil, holo.Errorf(holo.NotFound, "no column %q; there are: %s", name, listed(readable))
}

// maxListed is how many names of columns an error lists.
const maxListed = 20

// listed quotes the names of columns, the first of many.
func listed(cs []*column) string {
	var names []string
	for _, c := range cs[:min(len(cs), maxListed)] {
		names = append(names, strconv.Quote(c.Name))
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
