// Package format reads files of numbers as typed columns, and writes them. It
// knows raw little-endian elements, NumPy's .npy, Arrow IPC (file and stream),
// Parquet and CSV, hides their libraries, and holds no more than a batch in
// memory: a column is a stream of bytes, as an array's elements lie in pages.
//
// A file is refused, with the reason in one line, when it does not say exactly
// what it holds: nulls, big-endian numbers, more than three dimensions, bytes left
// over. Nothing is guessed. A CSV file says least: it is read twice, first to
// count its rows and to find out what its columns are, and then for the column
// that is asked for; no integer of it is rounded or wraps around, and no number
// is taken for a name.
//
// Errors name the file, and hold nothing of it that a terminal would obey.
package format

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
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
	CSV         Format = "csv"
)

// MaxDims is how many dimensions a .npy file may have.
const MaxDims = 3

// names lists the formats for messages.
const names = "raw npy arrow arrow-stream parquet csv"

// Parse reads a format's name.
func Parse(s string) (Format, error) {
	switch f := Format(s); f {
	case Raw, Npy, Arrow, ArrowStream, Parquet, CSV:
		return f, nil
	}
	return "", holo.Errorf(holo.Invalid, "parse format %q: want one of %s", s, names)
}

// Options say what a file does not say about itself.
type Options struct {
	Format Format // "": by the name (.raw .bin .csv), then by the first bytes
	// Type is that of a raw file's elements, and what the texts of a CSV file
	// are read as, 0 for what they look like. Others say theirs themselves.
	Type holo.ElementType
	CSV  CSVOptions
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
	if o.CSV.set() && o.Format != CSV {
		return nil, about(name, holo.Errorf(holo.Invalid, "header, delimiter and empty fields are for CSV files: give the format csv if it is one"))
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
	case CSV:
		file, err = readCSV(r, size, o)
	default:
		err = holo.Errorf(holo.Invalid, "its format cannot be told from it: give one of %s", names)
	}
	if err != nil {
		return nil, about(name, err)
	}
	file.Format, file.name = o.Format, name
	return file, nil
}

// maxError bounds what an error says: names in files have megabytes to
// themselves.
const maxError = 4 << 10

// about makes an error one of the file. What it says is made plain and cut,
// because files hold names, and libraries repeat them.
func about(name string, err error) error {
	text := holo.Plain(cutAt(maxError, "read "+name+": "+err.Error()))
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
	case ".csv":
		return CSV
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
