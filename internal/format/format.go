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
	columns []column
	skipped map[string]string // name: why it cannot be read
	closers []io.Closer
}

// column adds to a Column how to read it from its beginning.
type column struct {
	Column
	open func() (io.Reader, error)
}

// Options say what a file does not say about itself.
type Options struct {
	Format Format           // "": by the first bytes, then by the name
	Type   holo.ElementType // of a raw file
}

// Open opens a file. Close it after its readers.
func Open(path string, o Options) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, holo.Errorf(openKind(err), "open file: %w", err)
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
		return nil, holo.Errorf(holo.Internal, "read %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, holo.Errorf(holo.Invalid, "read %s: not a regular file", name)
	}
	return ReadAt(f, info.Size(), name, o)
}

// ReadAt reads size bytes behind an io.ReaderAt, such as a file that is
// embedded in the program.
func ReadAt(r io.ReaderAt, size int64, name string, o Options) (*File, error) {
	if o.Format == "" {
		o.Format = detect(r, name, o)
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
		return nil, holo.Errorf(holo.KindOf(err), "read %s: %w", name, err)
	}
	file.Format = o.Format
	return file, nil
}

// marks are the bytes that files of each format begin with.
var marks = []struct {
	bytes  string
	format Format
}{{npyMagic, Npy}, {"ARROW1", Arrow}, {"PAR1", Parquet}, {"\xff\xff\xff\xff", ArrowStream}}

func detect(r io.ReaderAt, name string, o Options) Format {
	if strings.HasSuffix(name, ".raw") || strings.HasSuffix(name, ".bin") || o.Type != 0 {
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
	cs := make([]Column, len(f.columns))
	for i, c := range f.columns {
		cs[i] = c.Column
	}
	return cs
}

// Column finds a column by name; "" is the only one of a file with one.
func (f *File) Column(name string) (Column, error) {
	c, err := f.find(name)
	if err != nil {
		return Column{}, err
	}
	return c.Column, nil
}

// Reader streams the elements of a column, little endian, from its beginning.
func (f *File) Reader(name string) (io.Reader, error) {
	c, err := f.find(name)
	if err != nil {
		return nil, err
	}
	r, err := guarded(c.open)
	if err != nil {
		return nil, err
	}
	return &exact{r: r, left: c.Bytes(), name: c.Name}, nil
}

func (f *File) find(name string) (*column, error) {
	if name == "" && len(f.columns) == 1 {
		return &f.columns[0], nil
	}
	var names []string
	for i := range f.columns {
		if f.columns[i].Name == name && name != "" {
			return &f.columns[i], nil
		}
		names = append(names, f.columns[i].Name)
	}
	if why, ok := f.skipped[name]; ok {
		return nil, holo.Errorf(holo.Invalid, "column %q cannot be an array: %s", name, why)
	}
	if name == "" {
		return nil, holo.Errorf(holo.Invalid, "the file has %d columns, choose one of: %s", len(names), strings.Join(names, " "))
	}
	if len(names) == 1 && names[0] == "" {
		return nil, holo.Errorf(holo.NotFound, "no column %q: the file has one column, without a name", name)
	}
	return nil, holo.Errorf(holo.NotFound, "no column %q; there are: %s", name, strings.Join(names, " "))
}

func (f *File) skip(name, format string, args ...any) {
	if f.skipped == nil {
		f.skipped = map[string]string{}
	}
	f.skipped[name] = fmt.Sprintf(format, args...)
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
