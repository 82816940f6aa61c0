package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
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
	format string
	column string
	typ    string
	hours  bool
	seal   bool
}

func arrayImport(a *app) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Make an array of a file's column",
		Long: "Make an array of a column of a raw, .npy, Arrow IPC or Parquet file; - reads standard input.\n\n" +
			"--type gives the type of a raw file; for other files it changes the width of an integer column, and a value that\n" +
			"does not fit is an error. --hours takes the time of day of a time column, in hours, as f32. An import that fails leaves no array.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, name, err := a.openColumn(args[1], f)
			if err != nil {
				return err
			}
			defer file.Close()
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				return a.importColumn(cmd.Context(), c, args[0], file, name, f)
			})
		},
	}
	cmd.Flags().StringVar(&f.format, "format", "", "raw npy arrow arrow-stream parquet (default: by its first bytes)")
	cmd.Flags().StringVar(&f.column, "column", "", "the column, where there are several")
	cmd.Flags().StringVar(&f.typ, "type", "", "i8 i16 i32 i64 u8 u16 u32 u64 f32 f64")
	cmd.Flags().BoolVar(&f.hours, "hours", false, "the time of day of a time column, in hours")
	cmd.Flags().BoolVar(&f.seal, "seal", false, "make the array immutable afterwards")
	f.add(cmd)
	return cmd
}

// openColumn opens the file and gives the name of the column to take, which may
// be one derived from another.
func (a *app) openColumn(path string, f importFlags) (file *format.File, name string, err error) {
	var o format.Options
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
	Name   string `json:"name"`
	Type   string `json:"type"`
	Rows   uint64 `json:"rows"`
	Bytes  uint64 `json:"bytes"`
	Pages  uint64 `json:"pages"`
	SHA256 string `json:"sha256"` // of the elements, little endian
}

func (m moved) table(w *tabwriter.Writer) {
	row(w, "NAME", "TYPE", "ROWS", "BYTES", "PAGES", "SHA256")
	row(w, m.Name, m.Type, m.Rows, m.Bytes, m.Pages, m.SHA256)
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
	done := moved{Name: i.Name, Type: i.Type, Rows: i.Length, Bytes: i.Bytes, Pages: i.Pages, SHA256: hex.EncodeToString(sum.Sum(nil))}
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
