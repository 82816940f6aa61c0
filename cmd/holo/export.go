package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/format"
	"github.com/holocompute/holocompute/internal/holo"
)

func arrayExport(a *app) *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use:   "export NAME FILE",
		Short: "Write an array to a raw or .npy file",
		Long:  "Write an array to a raw or .npy file; - writes to standard output. An export that fails leaves the file as it was.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := exportFormat(as, args[1])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				array, err := c.OpenRaw(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.export(cmd.Context(), array, f, args[1])
			})
		},
	}
	cmd.Flags().StringVar(&as, "format", "", "raw or npy (default: npy when FILE ends with .npy, else raw)")
	return cmd
}

func exportFormat(as, path string) (format.Format, error) {
	switch {
	case as != "":
		return format.Parse(as)
	case strings.HasSuffix(path, ".npy"):
		return format.Npy, nil
	}
	return format.Raw, nil
}

func (a *app) export(ctx context.Context, array *holocompute.Raw, f format.Format, path string) error {
	i := array.Info()
	done := moved{Name: i.Name, Type: i.Type, Rows: i.Length, Bytes: i.Bytes, Pages: i.Pages}
	write := func(w io.Writer) (err error) {
		done.SHA256, err = a.exportTo(ctx, array, f, w)
		return err
	}
	if path == "-" {
		return write(a.out) // the data is the output
	}
	if err := replaceFile(path, write); err != nil {
		return err
	}
	return a.emit("Exported", done, done.table)
}

// exportTo writes the file and gives the SHA-256 of the elements.
func (a *app) exportTo(ctx context.Context, array *holocompute.Raw, f format.Format, dst io.Writer) (string, error) {
	buffered := bufio.NewWriterSize(dst, 1<<20)
	w, err := format.NewWriter(buffered, f, array.Type(), array.Len())
	if err != nil {
		return "", err
	}
	i := array.Info()
	m := a.meter("export "+i.Name, int64(i.Bytes), bytesUnit)
	defer m.end()
	sum := sha256.New()
	if err := array.Export(ctx, io.MultiWriter(w, sum), func(done uint64) { m.at(int64(done)) }); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	if err := buffered.Flush(); err != nil {
		return "", holo.Errorf(holo.Internal, "export array %s: %w", i.Name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// replaceFile writes a file beside the one that is meant, and puts it in its
// place only when all of it is on disk.
func replaceFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".holo-export-")
	if err != nil {
		return holo.Errorf(holo.Internal, "export to %s: %w", path, err)
	}
	if err := write(f); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	err = errors.Join(f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(holo.Errorf(holo.Internal, "export to %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
