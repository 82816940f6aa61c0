package holocompute

import (
	"context"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// Graph is a job of several stages: maps and reduces, each over all extents of
// its inputs. A stage waits, extent by extent, for those before it that write
// what it reads; nothing needs to be declared. Each array is written by one
// stage at most, and read by none before it. A graph needs READ on all that it
// reads.
//
// The zero value is an empty graph. One goroutine may build it.
type Graph struct {
	// Keep makes the arrays that the graph writes its results, as Call.Keep does.
	Keep   time.Duration
	stages []*holov1.SubmitRequest
	err    error // the first mistake, told by Submit
}

// Stage is a stage of a graph.
type Stage struct {
	graph  *Graph
	number int
}

// Map adds a map. The results of the reduces that it is given follow the call's
// parameters, in their order; it waits for them.
func (g *Graph) Map(call Call, output *Raw, given ...Stage) Stage {
	req := &holov1.SubmitRequest{}
	if output == nil {
		g.wrong("stage %d: map %s: no output array", len(g.stages), call.Function)
	} else {
		req.Output = output.info.ID
	}
	return g.add("map", call, req, given)
}

// Reduce adds a reduce with an accumulator of accBytes. It is given results as
// Map is.
func (g *Graph) Reduce(call Call, accBytes uint64, given ...Stage) Stage {
	if accBytes == 0 || accBytes > api.MaxAcc {
		g.wrong("stage %d: reduce %s: an accumulator of %d bytes, want 1 to %d", len(g.stages), call.Function, accBytes, api.MaxAcc)
	}
	return g.add("reduce", call, &holov1.SubmitRequest{AccBytes: accBytes}, given)
}

func (g *Graph) add(kind string, call Call, req *holov1.SubmitRequest, given []Stage) Stage {
	call.ask(kind, req)
	if call.Keep != 0 {
		g.wrong("stage %d: it is to keep its output for %s: a graph keeps all that it writes alike", len(g.stages), call.Keep)
	}
	for _, s := range given {
		if s.graph != g || g.stages[s.number].Kind != "reduce" {
			g.wrong("stage %d: it is given a result of what is no reduce of this graph", len(g.stages))
			continue
		}
		req.Results = append(req.Results, uint32(s.number))
	}
	g.stages = append(g.stages, req)
	return Stage{g, len(g.stages) - 1}
}

func (g *Graph) wrong(format string, args ...any) {
	if g.err == nil {
		g.err = holo.Errorf(Invalid, "graph: "+format, args...)
	}
}

// Result cuts a stage's result out of what the job came to: of a map it is
// empty.
func (s Stage) Result(result []byte) ([]byte, error) {
	first := uint64(0)
	for _, before := range s.graph.stages[:s.number] {
		first += before.AccBytes
	}
	last := first + s.graph.stages[s.number].AccBytes
	if uint64(len(result)) < last {
		return nil, holo.Errorf(Invalid, "result of stage %d: %d bytes are not the result of its graph", s.number, len(result))
	}
	return result[first:last:last], nil
}

// Submit starts a graph as one job, and leaves the graph as it is.
func (c *Cluster) Submit(ctx context.Context, g *Graph) (*Job, error) {
	if g.err == nil && (len(g.stages) == 0 || len(g.stages) > api.MaxStages) {
		return nil, holo.Errorf(Invalid, "graph: %d stages, want 1 to %d", len(g.stages), api.MaxStages)
	}
	if g.err != nil {
		return nil, g.err
	}
	first := g.stages[0]
	req := &holov1.SubmitRequest{
		Kernel: first.Kernel, Function: first.Function, Kind: first.Kind, Inputs: first.Inputs, Output: first.Output,
		Params: first.Params, AccBytes: first.AccBytes, GasPerTask: first.GasPerTask, Halo: first.Halo, Edge: first.Edge, Then: g.stages[1:],
	}
	var err error
	if req.KeepSeconds, err = keepOf(g.Keep); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("submit a graph of %d stages", len(g.stages))
	j, err := change(ctx, c.client, what, holov1connect.JobServiceSubmitProcedure, c.jobs.Submit, req)
	if err != nil {
		return nil, err
	}
	return &Job{c: c, id: j.GetId()}, nil
}
