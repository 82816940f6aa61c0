package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

func arrayCheckpoint(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint NAME FILE",
		Short: "Write an array to an encrypted file that outlives the cluster",
		Long: "Write an array to an encrypted file that outlives the cluster, and print its root.\n\n" +
			"Of a sealed array it is that array. Of one that is open each page is as it was at some moment while the command ran: seal it,\n" +
			"or let nobody write, for all of it at one moment. It needs the right to READ the array.\n\n" +
			"The file opens with the backup key alone, backup.key in your configuration folder, which the first checkpoint makes. Keep a\n" +
			"copy of it elsewhere: no node has it. A checkpoint that fails leaves the file as it was.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				r, err := c.OpenRaw(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.checkpoint(cmd.Context(), r, args[1])
			})
		},
	}
}

func (a *app) checkpoint(ctx context.Context, r *holocompute.Raw, path string) error {
	m := a.meter("checkpoint "+r.Info().Name, int64(r.Info().Bytes), bytesUnit)
	defer m.end()
	var done holocompute.Checkpoint
	err := replacePrivate(path, func(w io.Writer) (err error) {
		buffered := bufio.NewWriterSize(w, 1<<20)
		if done, err = r.Checkpoint(ctx, buffered, func(n uint64) { m.at(int64(n)) }); err != nil {
			return err
		}
		return buffered.Flush()
	})
	if err != nil {
		return err
	}
	m.end()
	if done.NewKey {
		a.note("holo: made %s: keep a copy of it elsewhere, without it no checkpoint can be opened", done.Key)
	}
	return a.emit("Checkpoint", done, func(w *tabwriter.Writer) { checkpointTable(w, done.Name, done) })
}

func checkpointTable(w *tabwriter.Writer, name string, c holocompute.Checkpoint) {
	row(w, "array", name)
	row(w, "holds", c.Length, c.Type, size(c.Bytes))
	row(w, "root", c.Root)
	row(w, "sealed", yes(c.Sealed))
	row(w, "taken", time.Unix(c.At, 0).UTC().Format(time.DateTime), "in cluster", c.Cluster)
	if c.Key != "" {
		row(w, "opens with", c.Key)
	}
}

func arrayRestore(a *app) *cobra.Command {
	var o holocompute.RestoreOptions
	var verify bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make an array of a checkpoint, in this cluster or another",
		Long: "Make an array of a checkpoint, in this cluster or another, and print its root.\n\n" +
			"The whole file is verified before anything is made, and the array is held against the root afterwards: one that was sealed\n" +
			"is sealed, another is read back. It needs the right to ALLOCATE. A restore that fails leaves no array, and begins anew.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return holo.Errorf(holo.NotFound, "restore: %w", err)
			}
			defer file.Close()
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if verify {
					k, err := c.VerifyCheckpoint(file)
					if err != nil {
						return err
					}
					return a.emit("Checkpoint", k, func(w *tabwriter.Writer) { checkpointTable(w, k.Name, k) })
				}
				return a.restore(cmd.Context(), c, file, o)
			})
		},
	}
	cmd.Flags().StringVar(&o.As, "as", "", "name of the array (default: the one that it had)")
	cmd.Flags().IntVar(&o.Copies, "copies", 0, "nodes that hold each page, 1 to 3 (default: as many as before)")
	cmd.Flags().BoolVar(&verify, "verify", false, "only read the file to its end and say what it holds")
	return cmd
}

func (a *app) restore(ctx context.Context, c *holocompute.Cluster, file *os.File, o holocompute.RestoreOptions) error {
	m := &reading{a: a, ctx: ctx, what: file.Name()}
	defer m.end()
	o.Done = func(done, total uint64) { _ = m.at(done, total) } // the restore looks at the context itself
	r, k, err := c.Restore(ctx, file, o)
	if err != nil {
		return err
	}
	m.end()
	return a.emit("Checkpoint", k, func(w *tabwriter.Writer) { checkpointTable(w, r.Info().Name, k) })
}
