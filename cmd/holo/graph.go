package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// graphFile is a graph as people write it down, in JSON. There are no edges: a
// stage waits for those before it that write what it reads or whose results it
// is given.
type graphFile struct {
	TTL    string       `json:"ttl"` // such as 1h: what it writes is deleted so long after it is done
	Stages []graphStage `json:"stages"`
}

// graphStage is a map where it has an output, else a reduce.
type graphStage struct {
	Kernel   string   `json:"kernel"`
	Function string   `json:"function"`
	Inputs   []string `json:"inputs"`    // arrays by name
	Output   string   `json:"output"`    // array by name; it exists
	AccBytes uint64   `json:"acc_bytes"` // of a reduce
	Params   string   `json:"params"`    // hexadecimal
	Gas      uint64   `json:"gas"`       // of each task; 0: the cluster's
	Given    []int    `json:"given"`     // reduces before it, from 0, whose results follow the parameters
}

// maxGraphFile bounds what is read: 256 stages of 4 KiB.
const maxGraphFile = 1 << 20

func jobGraph(a *app) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "graph FILE",
		Short: "Run a graph of maps and reduces, written down as JSON (- is standard input)",
		Long: "Run a graph of maps and reduces as one job. FILE is JSON:\n\n" +
			`  {"ttl": "1h", "stages": [` + "\n" +
			`    {"kernel": "basic", "function": "scale", "inputs": ["a"], "output": "b", "params": "02000000"},` + "\n" +
			`    {"kernel": "basic", "function": "stats", "inputs": ["b"], "acc_bytes": 120}]}` + "\n\n" +
			"A stage waits, extent by extent, for those before it that write what it reads, and for the reduces that it is \"given\": their\n" +
			"results follow its parameters. The result is those of all reduces, in their order. Interrupting the command cancels the job.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := readGraph(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				job, err := g.submit(cmd.Context(), c)
				if err != nil {
					return err
				}
				return a.follow(cmd.Context(), job, f)
			})
		},
	}
	cmd.Flags().StringVar(&f.as, "as", "i64", asUsage)
	cmd.Flags().BoolVar(&f.detach, "detach", false, "print the job's number and leave it running")
	return cmd
}

// readGraph reads a file strictly: one value, no fields that are not known.
func readGraph(path string, stdin io.Reader) (g graphFile, err error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return g, holo.Errorf(holo.NotFound, "job graph: %w", err)
		}
		defer file.Close()
		in = file
	}
	d := json.NewDecoder(io.LimitReader(in, maxGraphFile))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		return g, usage("job graph: %s: %v", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return g, usage("job graph: %s: something follows the graph, or it is longer than %d bytes", path, maxGraphFile)
	}
	return g, nil
}

func (f *graphFile) submit(ctx context.Context, c *holocompute.Cluster) (*holocompute.Job, error) {
	b := graphBuild{cluster: c, arrays: map[string]*holocompute.Raw{}}
	if f.TTL != "" {
		var err error
		if b.graph.Keep, err = time.ParseDuration(f.TTL); err != nil {
			return nil, usage("job graph: ttl: %v", err)
		}
	}
	for i := range f.Stages {
		if err := b.add(ctx, i, &f.Stages[i]); err != nil {
			return nil, err
		}
	}
	return c.Submit(ctx, &b.graph)
}

// graphBuild is a graph that is being put together.
type graphBuild struct {
	cluster *holocompute.Cluster
	graph   holocompute.Graph
	stages  []holocompute.Stage
	arrays  map[string]*holocompute.Raw // that were opened, by name
}

func (b *graphBuild) add(ctx context.Context, number int, s *graphStage) error {
	if (s.Output == "") == (s.AccBytes == 0) {
		return usage("job graph: stage %d: want an output for a map, or acc_bytes for a reduce", number)
	}
	given, err := b.given(number, s.Given)
	if err != nil {
		return err
	}
	params, err := hex.DecodeString(s.Params)
	if err != nil {
		return usage("job graph: stage %d: params: %v", number, err)
	}
	inputs, err := b.open(ctx, s.Inputs...)
	if err != nil {
		return err
	}
	call := holocompute.Call{Kernel: s.Kernel, Function: s.Function, Inputs: inputs, Params: params, Gas: s.Gas}
	if s.Output == "" {
		b.stages = append(b.stages, b.graph.Reduce(call, s.AccBytes, given...))
		return nil
	}
	out, err := b.open(ctx, s.Output)
	if err == nil {
		b.stages = append(b.stages, b.graph.Map(call, out[0], given...))
	}
	return err
}

func (b *graphBuild) given(number int, list []int) (given []holocompute.Stage, err error) {
	for _, i := range list {
		if i < 0 || i >= number {
			return nil, usage("job graph: stage %d is given the result of stage %d, which is not before it", number, i)
		}
		given = append(given, b.stages[i])
	}
	return given, nil
}

// open opens arrays, each once.
func (b *graphBuild) open(ctx context.Context, names ...string) (list []*holocompute.Raw, err error) {
	for _, name := range names {
		if b.arrays[name] == nil {
			if b.arrays[name], err = b.cluster.OpenRaw(ctx, name); err != nil {
				return nil, err
			}
		}
		list = append(list, b.arrays[name])
	}
	return list, nil
}
