package jobs

import (
	"slices"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// A graph is a job of several stages. Its edges are not declared: a stage
// waits for the stages before it that write what it reads, extent by extent or,
// if it has a halo, as a whole, and for the reduces whose results it is given. So what a stage reads is
// always what the graph says, and never what happened to lie there.
//
// A graph runs again from its beginning when its coordinator dies, and its
// maps take effect once. That gives the same only if nothing that a stage reads
// was changed by a later stage meanwhile: an array is written by one stage at
// most, and before it nobody reads it.

// graph gives the stages of a job, each as a job of its own, and its edges.
func (s *Spec) graph() ([]Spec, []sched.Stage, error) {
	specs := []Spec{*s}
	specs[0].Then = nil
	for _, then := range s.Then {
		then.Owner = s.Owner
		specs = append(specs, then)
	}
	if len(specs) > wire.MaxStages {
		return nil, nil, s.bad("a graph of %d stages, at most %d", len(specs), wire.MaxStages)
	}
	flow := make([]sched.Stage, len(specs))
	for i := range specs {
		err := specs[i].check()
		if err == nil {
			flow[i], err = flowOf(specs, i)
		}
		if err != nil {
			return nil, nil, inStage(i, len(specs), err)
		}
		if specs[i].Gas == 0 {
			specs[i].Gas = DefaultGas
		}
	}
	return specs, flow, s.checkResults(specs)
}

// flowOf finds what a stage waits for, and checks that what it writes is its own.
func flowOf(specs []Spec, number int) (flow sched.Stage, err error) {
	s := &specs[number]
	for i, before := range specs[:number] {
		switch {
		case before.Output != 0 && before.Output == s.Output:
			return flow, s.bad("it writes array a%d, which stage %d writes: a graph writes an array once", uint64(s.Output), i)
		case s.Output != 0 && slices.Contains(before.Inputs, s.Output):
			return flow, s.bad("it writes array a%d, which stage %d reads before it: write another array", uint64(s.Output), i)
		case before.Output != 0 && slices.Contains(s.Inputs, before.Output) && s.Halo.Width > 0:
			flow.All = append(flow.All, i) // it may read of extents that others write
		case before.Output != 0 && slices.Contains(s.Inputs, before.Output):
			flow.Each = append(flow.Each, i)
		}
	}
	size := uint64(len(s.Params))
	for _, i := range s.Results {
		if i < 0 || i >= number || specs[i].Kind != wire.TaskReduce {
			return flow, s.bad("it is given the result of stage %d, which is no reduce before it", i)
		}
		size += specs[i].AccBytes
		if !slices.Contains(flow.All, i) {
			flow.All = append(flow.All, i)
		}
	}
	if size > wire.MaxParams {
		return flow, s.bad("%d bytes of parameters and results, at most %d", size, wire.MaxParams)
	}
	return flow, nil
}

// checkResults bounds what the job comes to.
func (s *Spec) checkResults(specs []Spec) error {
	size := uint64(0)
	for i := range specs {
		size += specs[i].AccBytes
	}
	if size > wire.MaxAcc {
		return s.bad("accumulators of %d bytes in all, at most %d", size, wire.MaxAcc)
	}
	return nil
}

// inStage says in which stage of a graph something is wrong.
func inStage(number, stages int, err error) error {
	if stages == 1 {
		return err
	}
	return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "stage %d: %w", number, err)
}
