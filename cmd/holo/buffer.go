package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

func bufferCommand(a *app) *cobra.Command {
	return group("buffer", "Buffers: queues of records in the memory of all nodes",
		bufferCreate(a), bufferAppend(a), bufferRead(a), bufferList(a), bufferStat(a), bufferDrop(a))
}

func bufferCreate(a *app) *cobra.Command {
	var o holocompute.BufferOptions
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an empty buffer",
		Long: "Make an empty buffer of a number of lanes. Each lane lies on its own, so that many are spread over the nodes; a producer's records are all in\n" +
			"one. A buffer takes its memory as an array of its size does.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				b, err := c.CreateBuffer(cmd.Context(), args[0], o)
				if err != nil {
					return err
				}
				return a.emitArray(b.Info())
			})
		},
	}
	cmd.Flags().IntVar(&o.Lanes, "lanes", 0, "1 to 256 (default 8)")
	cmd.Flags().Uint64Var(&o.LaneBytes, "lane-bytes", 0, "of a lane, whole pages, 256 KiB to 4 MiB (default 2 MiB)")
	cmd.Flags().IntVar(&o.Copies, "copies", 0, "nodes that hold each lane, 1 to 3 (default: the cluster's)")
	return cmd
}

// withBuffer opens a buffer.
func (a *app) withBuffer(ctx context.Context, name string, f func(*holocompute.Cluster, *holocompute.Buffer) error) error {
	return a.withCluster(ctx, func(c *holocompute.Cluster) error {
		b, err := c.OpenBuffer(ctx, name)
		if err != nil {
			return err
		}
		return f(c, b)
	})
}

func bufferAppend(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "append NAME [FILE]",
		Short: "Append the lines of a file, or of standard input, each as a record",
		Long: "Append the lines of a file, or of standard input, each as a record, in their order. Where the buffer is full it waits until something is\n" +
			"consumed. It says how many records are certainly there, also where it fails.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if len(args) == 2 && args[1] != "-" {
				file, err := os.Open(args[1])
				if err != nil {
					return holo.Errorf(holo.Invalid, "append %s: %w", args[1], err)
				}
				defer file.Close()
				in = file
			}
			return a.withBuffer(cmd.Context(), args[0], func(_ *holocompute.Cluster, b *holocompute.Buffer) error {
				n, err := appendLines(cmd.Context(), b, in)
				return errors.Join(err, a.emit("Appended", map[string]int{"records": n}, func(w *tabwriter.Writer) { row(w, "appended", n) }))
			})
		},
	}
}

// linesAtOnce is how many lines are read before they are appended, at most: those
// of one batch.
const linesAtOnce = 1024

func appendLines(ctx context.Context, b *holocompute.Buffer, in io.Reader) (total int, err error) {
	p, err := b.Producer(ctx)
	if err != nil {
		return 0, err
	}
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 4096), holocompute.MaxRecord+2)
	var lines [][]byte
	flush := func() error {
		n, err := p.Append(ctx, lines...)
		total, lines = total+n, lines[:0]
		return err
	}
	size := 0
	for s.Scan() {
		lines = append(lines, append([]byte(nil), s.Bytes()...))
		if size += len(s.Bytes()); len(lines) == linesAtOnce || size > holocompute.MaxRecord {
			if err := flush(); err != nil {
				return total, err
			}
			size = 0
		}
	}
	if err := s.Err(); err != nil {
		return total, holo.Errorf(holo.Invalid, "read line %d: %w (a record has at most %d bytes)", total+len(lines)+1, err, holocompute.MaxRecord)
	}
	if err := flush(); err != nil {
		return total, err
	}
	return total, p.Close(ctx)
}

func bufferRead(a *app) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "read NAME",
		Short: "Take the records of a buffer and print them, each on a line",
		Long: "Take records until there are none that nobody has, and print each on a line; with -o json, each as an object. What was printed is consumed:\n" +
			"it is gone from the buffer. What is not printed because this command dies is handed out to others half a minute later.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBuffer(cmd.Context(), args[0], func(_ *holocompute.Cluster, b *holocompute.Buffer) error {
				return a.consume(cmd.Context(), b.Consumer(0), follow)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more")
	return cmd
}

func (a *app) consume(ctx context.Context, c *holocompute.Consumer, follow bool) error {
	next := c.TryNext
	if follow {
		next = c.Next
	}
	for {
		batch, err := next(ctx)
		if err != nil || batch == nil {
			return err
		}
		if err := a.printRecords(batch.Records); err != nil {
			return errors.Join(holo.Errorf(holo.Invalid, "print records: %w", err), batch.Release(ctx))
		}
		if err := batch.Commit(ctx); err != nil {
			return err
		}
	}
}

func (a *app) printRecords(records []holocompute.Record) error {
	w := bufio.NewWriter(a.out)
	for _, r := range records {
		line := r.Data
		if a.output == "json" {
			b, err := json.Marshal(r)
			if err != nil {
				return err
			}
			line = b
		}
		_, _ = w.Write(line)  // Flush tells
		_ = w.WriteByte('\n') // the same
	}
	return w.Flush()
}

func bufferList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all buffers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				all, err := c.Arrays(cmd.Context())
				if err != nil {
					return err
				}
				var buffers []holocompute.ArrayInfo
				for _, i := range all {
					if i.Buffer {
						buffers = append(buffers, i)
					}
				}
				return a.emit("BufferList", listOf(buffers), func(w *tabwriter.Writer) {
					row(w, "ID", "NAME", "LANES", "BYTES", "COPIES", "STATE")
					for _, i := range buffers {
						row(w, fmt.Sprintf("#%d", i.ID), i.Name, i.Length/i.Extent, size(i.Bytes), i.Copies, i.State)
					}
				})
			})
		},
	}
}

func bufferStat(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "stat NAME",
		Short: "Show how full the lanes of a buffer are",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBuffer(cmd.Context(), args[0], func(_ *holocompute.Cluster, b *holocompute.Buffer) error {
				lanes, err := b.Lanes(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("Buffer", listOf(lanes), func(w *tabwriter.Writer) {
					row(w, "LANE", "APPENDED", "CONSUMED", "HANDED OUT", "BYTES", "CAPACITY", "STATE")
					for i, l := range lanes {
						row(w, i, l.Appended, l.Consumed, l.HandedOut, size(l.Bytes), size(l.Capacity), l.State)
					}
				})
			})
		},
	}
}

func bufferDrop(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "drop NAME",
		Short: "Delete a buffer and what is in it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBuffer(cmd.Context(), args[0], func(_ *holocompute.Cluster, b *holocompute.Buffer) error {
				freed, err := b.Delete(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("Removed", map[string]any{"name": args[0], "freed_bytes": freed}, func(w *tabwriter.Writer) { row(w, "deleted", args[0], size(freed)) })
			})
		},
	}
}
