package main

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

const asUsage = "element type of the result: i8 ... f64, or hex"

// runFlags are the flags of job run.
type runFlags struct {
	inputs     []string
	output     string
	outputType string
	accBytes   uint64
	paramsHex  string
	paramsFile string
	gas        uint64
	halo       uint32
	edge       string
	as         string
	detach     bool
	task       bool
	keep       time.Duration
}

func jobRun(a *app) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run KERNEL FUNCTION --input ARRAY... (--output-array ARRAY | --acc-bytes N)",
		Short: "Run a function of a kernel over arrays, where they lie",
		Long: "Run a function of a kernel over arrays, where they lie.\n\n" +
			"With --output-array it is a map that writes an array; with --output-type the array is made first. With --acc-bytes it is a\n" +
			"reduce, and the accumulator is the result. Interrupting the command cancels the job.\n\n" +
			"With --task it is general tasks, one for each extent of the output array: they ask for the elements that they need of the\n" +
			"inputs, which are sealed and may be of any length.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (f.output == "") == (f.accBytes == 0) {
				return usage("job run: want --output-array for a map, or --acc-bytes for a reduce")
			}
			if f.task && (f.output == "" || f.halo != 0) {
				return usage("job run: --task wants --output-array, and asks for what lies around it: it has no --halo")
			}
			if f.keep != 0 && f.output == "" {
				return usage("job run: --ttl says how long the output array is kept, and a reduce has none")
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				job, err := submit(cmd.Context(), c, args[0], args[1], f)
				if err != nil {
					return err
				}
				return a.follow(cmd.Context(), job, f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.inputs, "input", "i", nil, "an input array; again for more")
	flags.StringVar(&f.output, "output-array", "", "the output array of a map or of tasks")
	flags.BoolVar(&f.task, "task", false, "FUNCTION is a general task, which asks for what it reads")
	flags.StringVar(&f.outputType, "output-type", "", "make the output array, of this type and like the first input")
	flags.Uint64Var(&f.accBytes, "acc-bytes", 0, "size of the accumulator of a reduce")
	flags.StringVar(&f.paramsHex, "params", "", "parameters, in hexadecimal")
	flags.StringVar(&f.paramsFile, "params-file", "", "parameters, from a file")
	flags.DurationVar(&f.keep, "ttl", 0, "delete the output array so long after the job is done, and at once if it fails or is cancelled (default: never)")
	flags.Uint64Var(&f.gas, "gas", 0, "gas budget of each task (default: the cluster's)")
	flags.Uint32Var(&f.halo, "halo", 0, "how many elements before and after each a map sees of its inputs")
	flags.StringVar(&f.edge, "edge", "", "with --halo, what it sees beyond the ends: clamp, zero, wrap")
	flags.StringVar(&f.as, "as", "i64", asUsage)
	flags.BoolVar(&f.detach, "detach", false, "print the job's number and leave it running")
	_ = cmd.MarkFlagRequired("input") // the flag exists
	return cmd
}

func submit(ctx context.Context, c *holocompute.Cluster, kernel, function string, f runFlags) (*holocompute.Job, error) {
	call := holocompute.Call{Kernel: kernel, Function: function, Gas: f.gas, Halo: f.halo, Edge: f.edge, Keep: f.keep}
	var err error
	if call.Params, err = f.params(); err != nil {
		return nil, err
	}
	for _, name := range f.inputs {
		in, err := c.OpenRaw(ctx, name)
		if err != nil {
			return nil, err
		}
		call.Inputs = append(call.Inputs, in)
	}
	if f.output == "" {
		return c.Reduce(ctx, call, f.accBytes)
	}
	out, err := outputOf(ctx, c, call.Inputs[0].Info(), f)
	if err != nil {
		return nil, err
	}
	if f.task {
		return c.RunTasks(ctx, call, out)
	}
	return c.Map(ctx, call, out)
}

func (f runFlags) params() ([]byte, error) {
	switch {
	case f.paramsHex != "" && f.paramsFile != "":
		return nil, usage("job run: --params and --params-file exclude each other")
	case f.paramsFile != "":
		b, err := os.ReadFile(f.paramsFile)
		if err != nil {
			return nil, holo.Errorf(holo.NotFound, "job run: %w", err)
		}
		return b, nil
	}
	b, err := hex.DecodeString(f.paramsHex)
	if err != nil {
		return nil, usage("job run: --params: %v", err)
	}
	return b, nil
}

// outputOf opens the output array, or makes it beside the input.
func outputOf(ctx context.Context, c *holocompute.Cluster, in holocompute.ArrayInfo, f runFlags) (*holocompute.Raw, error) {
	if f.outputType == "" {
		return c.OpenRaw(ctx, f.output)
	}
	if f.task && strings.HasPrefix(in.Affinity, "#") {
		in.Affinity = "" // the output of tasks lies where it likes
	}
	if strings.HasPrefix(in.Affinity, "#") {
		return nil, holo.Errorf(holo.Invalid, "make output array %s: the input %s lies by itself; import it with --affinity GROUP so that others can lie beside it", f.output, in.Name)
	}
	t, err := holo.ParseElementType(f.outputType)
	if err != nil {
		return nil, err
	}
	o := holocompute.ArrayOptions{Extent: in.Extent, Copies: in.Copies, Affinity: in.Affinity}
	return c.CreateRaw(ctx, f.output, t, in.Length, o)
}

// follow waits for the job, and cancels it when the command is interrupted.
func (a *app) follow(ctx context.Context, job *holocompute.Job, f runFlags) error {
	if f.detach {
		value := map[string]any{"job": job.ID(), "state": "running"}
		return a.emit("Job", value, func(w *tabwriter.Writer) { row(w, job.ID()) })
	}
	var m *meter
	err := job.Watch(ctx, func(p holocompute.Progress) error {
		if m == nil && p.Tasks > 0 {
			m = a.meter("job", int64(p.Tasks), countUnit)
		}
		if m != nil {
			m.at(int64(p.Committed))
		}
		return nil
	})
	if m != nil {
		m.end()
	}
	if err != nil && ctx.Err() != nil {
		return errors.Join(err, abandon(job))
	}
	if err != nil {
		return err
	}
	info, err := job.Info(ctx)
	if err != nil {
		return err
	}
	if err := a.emitJob(info, f.as); err != nil {
		return err
	}
	return info.Err()
}

func abandon(job *holocompute.Job) error {
	ctx, cancel := context.WithTimeout(context.Background(), tidyWithin)
	defer cancel()
	return job.Cancel(ctx)
}

// jobDetail is a job, and its result as numbers where it has one.
type jobDetail struct {
	holocompute.JobInfo
	Values any `json:"values"`
}

func (a *app) emitJob(info holocompute.JobInfo, as string) error {
	values, err := decodeResult(info.Result, as)
	if err != nil {
		return err
	}
	return a.emit("Job", jobDetail{info, values}, func(w *tabwriter.Writer) {
		jobTable(w, info)
		if len(info.Result) > 0 {
			row(w)
			row(w, "result", values)
		}
	})
}

// decodeResult reads the accumulator as numbers.
func decodeResult(b []byte, as string) (any, error) {
	if as == "hex" {
		return hex.EncodeToString(b), nil
	}
	t, err := holo.ParseElementType(as)
	if err != nil {
		return nil, err
	}
	if uint64(len(b))%t.Size() != 0 {
		return hex.EncodeToString(b), nil
	}
	switch t {
	case holo.I8:
		return holocompute.Values[int8](b)
	case holo.I16:
		return holocompute.Values[int16](b)
	case holo.I32:
		return holocompute.Values[int32](b)
	case holo.I64:
		return holocompute.Values[int64](b)
	case holo.U8:
		v, err := holocompute.Values[uint8](b)
		return wide(v), err
	case holo.U16:
		return holocompute.Values[uint16](b)
	case holo.U32:
		return holocompute.Values[uint32](b)
	case holo.U64:
		return holocompute.Values[uint64](b)
	case holo.F32:
		v, err := holocompute.Values[float32](b)
		return numbers(v), err
	default:
		v, err := holocompute.Values[float64](b)
		return numbers(v), err
	}
}

// numbers makes floats printable as JSON, which has no name for what is not a
// number or not finite: those become strings.
func numbers[T float32 | float64](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			out[i] = strconv.FormatFloat(f, 'g', -1, 64)
		}
	}
	return out
}

// wide makes bytes a list of numbers: JSON would print them as a string.
func wide(b []uint8) []uint16 {
	out := make([]uint16, len(b))
	for i, v := range b {
		out[i] = uint16(v)
	}
	return out
}
