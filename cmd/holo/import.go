package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/format"
	"github.com/holocompute/holocompute/internal/holo"
)

// tidyWithin is how long an import that failed takes to remove what it made.
const tidyWithin = 10 * time.Second

// importFlags say which column of a file becomes the array.
type importFlags struct {
	arrayFlags
	csvFlags
	format string
	column string
	typ    string
	empty  string
	hours  bool
	seal   bool
}

// csvFlags say what a CSV file does not say itself.
type csvFlags struct{ header, delimiter string }

func (f *csvFlags) add(cmd *cobra.Command, header string) {
	cmd.Flags().StringVar(&f.header, "header", "", header)
	cmd.Flags().StringVar(&f.delimiter, "delimiter", "", "between the fields of a CSV file: one of , ; | : tab (default ,)")
}

func (f *csvFlags) options() (o format.CSVOptions, err error) {
	if f.header != "" {
		o.Header, err = format.ParseHeader(f.header)
	}
	if f.delimiter != "" && err == nil {
		o.Delimiter, err = format.ParseDelimiter(f.delimiter)
	}
	return o, err
}

func arrayImport(a *app) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Make an array of a file's column",
		Long: "Make an array of a column of a raw, .npy, Arrow IPC, Parquet or CSV file. - reads standard input, and copies it to a file\n" +
			"without a name in the folder for temporary files first: files are read more than once.\n\n" +
			"--type gives the type of a raw file, and of a CSV file's column; for other files it changes the width of an integer column.\n" +
			"A value that does not fit is an error. --hours takes the time of day of a time column, in hours, as f32. An import that\n" +
			"fails leaves no array.\n\n" +
			"A .npy file may have up to three dimensions: the array is its elements row by row, and the dimensions are printed.\n\n" +
			"A CSV file is read twice. Without --type a column of integers becomes i64 (u64 where that is needed) and any other one f64.\n" +
			"Its first row has the columns' names if none of its fields is a number, else --header must say so. --column takes a name or\n" +
			"a number from 1. An empty field is an error unless --empty gives the number that it stands for. Rows have at most 64 KiB and\n" +
			"1,024 fields.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, name, err := a.openColumn(cmd.Context(), args[1], f)
			if err != nil {
				return err
			}
			defer file.Close()
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				return a.importColumn(cmd.Context(), c, args[0], file, name, f)
			})
		},
	}
	cmd.Flags().StringVar(&f.format, "format", "", "raw npy arrow arrow-stream parquet csv (default: by the name, .raw .bin .csv, else by its first bytes)")
	cmd.Flags().StringVar(&f.column, "column", "", "the column, where there are several: its name, in a CSV file also its number")
	cmd.Flags().StringVar(&f.typ, "type", "", "i8 i16 i32 i64 u8 u16 u32 u64 f32 f64")
	cmd.Flags().BoolVar(&f.hours, "hours", false, "the time of day of a time column, in hours")
	cmd.Flags().BoolVar(&f.seal, "seal", false, "make the array immutable afterwards")
	cmd.Flags().StringVar(&f.empty, "empty", "", "the number that an empty field of a CSV file stands for (default: it is an error)")
	f.csvFlags.add(cmd, "whether the first row of a CSV file is a header: yes no, or auto, which takes a row without numbers for one (default auto)")
	f.arrayFlags.add(cmd)
	return cmd
}

// reading tells how far the first reading of a file is, which can take as long
// as the import, and ends it with the command.
type reading struct {
	a    *app
	ctx  context.Context
	what string
	m    *meter
}

func (r *reading) at(done, total uint64) error {
	if r.m == nil {
		r.m = r.a.meter("read "+holo.Plain(r.what), int64(total), bytesUnit)
	}
	r.m.at(int64(done))
	return r.ctx.Err()
}

func (r *reading) end() {
	if r.m != nil {
		r.m.end()
	}
}

// openColumn opens the file and gives the name of the column to take, which may
// be one derived from another.
func (a *app) openColumn(ctx context.Context, path string, f importFlags) (file *format.File, name string, err error) {
	var o format.Options
	if o.CSV, err = f.csvFlags.options(); err != nil {
		return nil, "", err
	}
	r := &reading{a: a, ctx: ctx, what: path}
	if path == "-" {
		r.what = "standard input"
	}
	defer r.end()
	o.CSV.Empty, o.CSV.Only, o.CSV.Watch = f.empty, f.column, r.at
	if f.format != "" {
		if o.Format, err = format.Parse(f.format); err != nil {
			return nil, "", err
		}
	}
	var typ holo.ElementType
	if f.typ != "" {
		if typ, err = holo.ParseElementType(f.typ); err != nil {
			return nil, "", err
		}
	}
	o.Type = typ
	if path == "-" {
		file, err = a.openStdin(o)
	} else {
		file, err = format.Open(path, o)
	}
	if err != nil {
		return nil, "", err
	}
	if name, err = derive(file, f, typ); err != nil {
		_ = file.Close()
		return nil, "", err
	}
	return file, name, nil
}

// derived is the name of a column that was made of another; it holds a space
// because no column of an import is asked for by such a name.
const derived = "derived column"

func derive(file *format.File, f importFlags, typ holo.ElementType) (string, error) {
	c, err := file.Column(f.column)
	switch {
	case err != nil:
		return "", err
	case f.hours && typ.Valid() && typ != holo.F32:
		return "", usage("--hours makes f32, not %s", typ)
	case f.hours:
		return derived, file.AddHourOfDay(derived, f.column)
	case typ.Valid() && typ != c.Type:
		return derived, file.AddAs(derived, f.column, typ)
	}
	return f.column, nil
}

// openStdin copies standard input into a file that has no name: formats are
// read from both ends and more than once.
func (a *app) openStdin(o format.Options) (*format.File, error) {
	f, err := os.CreateTemp("", "holo-import-")
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "import: %w", err)
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.Copy(f, a.in)
	}
	if err != nil {
		return nil, errors.Join(holo.Errorf(holo.Internal, "import: %w", err), f.Close())
	}
	file, err := format.Read(f, "standard input", o)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return file, nil
}

// moved is what an import or an export says at its end.
type moved struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Rows  uint64 `json:"rows"`
	Bytes uint64 `json:"bytes"`
	Pages uint64 `json:"pages"`
	// Dims are the dimensions of a .npy file, the slowest first. The array is their
	// elements row by row.
	Dims   []uint64 `json:"dims,omitempty"`
	SHA256 string   `json:"sha256"` // of the elements, little endian
}

func (m moved) table(w *tabwriter.Writer) {
	movedHead(w)
	m.row(w)
}

func movedHead(w *tabwriter.Writer) { row(w, "NAME", "TYPE", "ROWS", "BYTES", "PAGES", "SHA256") }

func (m moved) row(w *tabwriter.Writer) {
	rows := fmt.Sprint(m.Rows)
	if len(m.Dims) > 1 {
		rows += " = " + times(m.Dims)
	}
	row(w, m.Name, m.Type, rows, m.Bytes, m.Pages, m.SHA256)
}

// times is dimensions as people write them: 3x4.
func times(dims []uint64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(dims), " ", "x"), "[]")
}

// importColumn makes the array, fills it, and removes it again when that fails.
func (a *app) importColumn(ctx context.Context, c *holocompute.Cluster, name string, file *format.File, from string, f importFlags) error {
	col, err := file.Column(from)
	if err != nil {
		return err
	}
	src, err := file.Reader(from)
	if err != nil {
		return err
	}
	array, err := c.CreateRaw(ctx, name, col.Type, col.Rows, f.o)
	if err != nil {
		return err
	}
	m := a.meter("import "+name, int64(col.Bytes()), bytesUnit)
	sum := sha256.New()
	err = array.Import(ctx, io.TeeReader(src, sum), func(done uint64) { m.at(int64(done)) })
	m.end()
	if err == nil && f.seal {
		err = array.Seal(ctx)
	}
	if err != nil {
		return errors.Join(err, tidy(array))
	}
	i := array.Info()
	done := moved{Name: i.Name, Type: i.Type, Rows: i.Length, Bytes: i.Bytes, Pages: i.Pages, Dims: col.Dims, SHA256: hex.EncodeToString(sum.Sum(nil))}
	return a.emit("Imported", done, done.table)
}

// tidy removes the array of an import that failed, even one that was
// interrupted.
func tidy(array *holocompute.Raw) error {
	ctx, cancel := context.WithTimeout(context.Background(), tidyWithin)
	defer cancel()
	if _, err := array.Delete(ctx); err != nil {
		return holo.Errorf(holo.KindOf(err), "the array %s is left half filled: %w", array.Info().Name, err)
	}
	return nil
}
