package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/format"
	"github.com/holocompute/holocompute/internal/holo"
)

func arrayExport(a *app) *cobra.Command {
	var as string
	var dims []uint
	var f csvFlags
	cmd := &cobra.Command{
		Use:   "export NAME... FILE",
		Short: "Write an array to a raw, .npy or CSV file",
		Long: "Write an array to a raw, .npy or CSV file; - writes to standard output. An export that fails leaves the file as it was.\n\n" +
			"A CSV file takes several arrays of one length, as columns with the arrays' names over them. Floats are written as the\n" +
			"shortest decimal that reads back to the same bits, else as NaN, +Inf or -Inf; which NaN it was is not written. Nor is the\n" +
			"type: give --type when reading floats that have no fraction.\n\n" +
			"--dims 30,40 writes an array of 1200 elements as a .npy file of 30 rows.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[len(args)-1]
			x, err := exportOf(as, f, dims, path, len(args)-1)
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				for _, name := range args[:len(args)-1] {
					array, err := c.OpenRaw(cmd.Context(), name)
					if err != nil {
						return err
					}
					x.arrays = append(x.arrays, array)
				}
				return a.export(cmd.Context(), x, path)
			})
		},
	}
	cmd.Flags().StringVar(&as, "format", "", "raw npy csv (default: npy and csv when FILE ends so, else raw)")
	cmd.Flags().UintSliceVar(&dims, "dims", nil, "the dimensions of a .npy file, up to three, the slowest first (default: one)")
	f.add(cmd, "whether a CSV file begins with the arrays' names: yes no (default yes)")
	return cmd
}

// exported is what is written, and how.
type exported struct {
	arrays []*holocompute.Raw
	format format.Format
	csv    format.CSVOptions
	dims   []uint64 // of a .npy file; none: one, the length
}

func exportOf(as string, f csvFlags, dims []uint, path string, arrays int) (x exported, err error) {
	if x.format, err = exportFormat(as, path); err != nil {
		return x, err
	}
	if x.csv, err = f.options(); err != nil {
		return x, err
	}
	for _, d := range dims {
		x.dims = append(x.dims, uint64(d))
	}
	switch {
	case len(x.dims) > 0 && x.format != format.Npy:
		return x, usage("--dims is for .npy files: say --format npy if it is to be one")
	case x.csv.Header == format.HeaderAuto:
		return x, usage("--header auto: when writing it is yes or no")
	case x.format != format.CSV && f != csvFlags{}:
		return x, usage("--header and --delimiter are for CSV files: say --format csv if it is to be one")
	case x.format != format.CSV && arrays > 1:
		return x, usage("only a CSV file takes several arrays: say --format csv, or write them one by one")
	}
	return x, nil
}

func exportFormat(as, path string) (format.Format, error) {
	if as != "" {
		return format.Parse(as)
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
		return format.Npy, nil
	case ".csv":
		return format.CSV, nil
	}
	return format.Raw, nil
}

func (a *app) export(ctx context.Context, x exported, path string) error {
	done := make([]moved, len(x.arrays))
	write := func(w io.Writer) error { return a.exportTo(ctx, x, w, done) }
	if path == "-" {
		return write(a.out) // the data is the output
	}
	if err := replaceFile(path, write); err != nil {
		return err
	}
	if len(done) == 1 {
		return a.emit("Exported", done[0], done[0].table)
	}
	return a.emit("ExportedList", listOf(done), func(w *tabwriter.Writer) {
		movedHead(w)
		for _, m := range done {
			m.row(w)
		}
	})
}

// exportTo writes the file, and says of each array what was written.
func (a *app) exportTo(ctx context.Context, x exported, dst io.Writer, done []moved) error {
	buffered := bufio.NewWriterSize(dst, 1<<20)
	sums := make([]hash.Hash, len(x.arrays))
	total := int64(0)
	for i, r := range x.arrays {
		sums[i] = sha256.New()
		total += int64(r.Info().Bytes)
	}
	m := a.meter("export "+x.arrays[0].Info().Name, total, bytesUnit)
	defer m.end()
	if err := x.write(ctx, buffered, sums, m); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return holo.Errorf(holo.Internal, "export array %s: %w", x.arrays[0].Info().Name, err)
	}
	for i, r := range x.arrays {
		n := r.Info()
		done[i] = moved{Name: n.Name, Type: n.Type, Rows: n.Length, Bytes: n.Bytes, Pages: n.Pages, SHA256: hex.EncodeToString(sums[i].Sum(nil))}
	}
	return nil
}

// write writes the arrays in their format, and adds their elements to the sums.
func (x exported) write(ctx context.Context, dst io.Writer, sums []hash.Hash, m *meter) error {
	if x.format == format.CSV {
		return x.writeCSV(ctx, dst, sums, m)
	}
	array := x.arrays[0]
	dims, err := x.dimsOf(array)
	if err != nil {
		return err
	}
	w, err := format.NewWriter(dst, x.format, array.Type(), dims...)
	if err != nil {
		return err
	}
	if err := array.Export(ctx, io.MultiWriter(w, sums[0]), func(done uint64) { m.at(int64(done)) }); err != nil {
		return err
	}
	return w.Close()
}

// dimsOf are the dimensions to write, which must have the array's elements.
func (x exported) dimsOf(array *holocompute.Raw) ([]uint64, error) {
	if len(x.dims) == 0 {
		return []uint64{array.Len()}, nil
	}
	if err := holocompute.CheckDims(array, x.dims); err != nil {
		return nil, err
	}
	return x.dims, nil
}

func (x exported) writeCSV(ctx context.Context, dst io.Writer, sums []hash.Hash, m *meter) error {
	columns := make([]format.Column, len(x.arrays))
	for i, r := range x.arrays {
		columns[i] = format.Column{Name: r.Info().Name, Type: r.Type(), Rows: r.Len()}
	}
	w, err := format.NewCSVWriter(dst, columns, x.csv)
	if err != nil {
		return err
	}
	done := int64(0)
	err = holocompute.ExportTogether(ctx, x.arrays, func(block [][]byte) error {
		for i, b := range block {
			sums[i].Write(b)
			done += int64(len(b))
		}
		m.at(done)
		return w.Write(block)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// replaceFile writes a file beside the one that is meant, and puts it in its
// place only when all of it is on disk.
func replaceFile(path string, write func(io.Writer) error) error {
	return replaceWith(path, 0o644, write)
}

// replacePrivate is replaceFile for what nobody else is to read.
func replacePrivate(path string, write func(io.Writer) error) error {
	return replaceWith(path, 0o600, write)
}

func replaceWith(path string, mode os.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".holo-writing-")
	if err != nil {
		return holo.Errorf(holo.Internal, "export to %s: %w", path, err)
	}
	if err := write(f); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	err = errors.Join(f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(holo.Errorf(holo.Internal, "export to %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
