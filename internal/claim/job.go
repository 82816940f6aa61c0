package claim

import (
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// submit gives a job whose kernels are what the request calls them: a name, or
// a module's hash.
func submit(request []byte) (wire.Message, error) {
	m, err := decode(submitJob, request, &holov1.SubmitRequest{})
	if err != nil {
		return nil, err
	}
	first, err := StageOf(m)
	if err != nil {
		return nil, err
	}
	j := wire.JobRecord{
		Kernel: first.Kernel, Function: first.Function, Kind: first.Kind, Inputs: first.Inputs, Output: first.Output, Params: first.Params,
		AccBytes: first.AccBytes, Gas: first.Gas, Halo: first.Halo, Keep: m.GetKeepSeconds(), End: wire.JobEnd{Phase: wire.JobRunning},
	}
	if len(first.Results) > 0 {
		return nil, holo.Errorf(holo.Invalid, "submit job: its first stage is given results, and there are none before it")
	}
	if len(m.GetThen()) >= wire.MaxStages {
		return nil, holo.Errorf(holo.Invalid, "submit job: a graph of %d stages, at most %d", len(m.GetThen())+1, wire.MaxStages)
	}
	for i, then := range m.GetThen() {
		s, err := later(i+1, then)
		if err != nil {
			return nil, err
		}
		j.Then = append(j.Then, s)
	}
	return &wire.JobPut{Job: j}, nil
}

// later reads a stage after the first. It has no stages of its own.
func later(number int, m *holov1.SubmitRequest) (wire.JobStage, error) {
	if len(m.GetThen()) > 0 || m.GetKeepSeconds() != 0 || len(m.ProtoReflect().GetUnknown()) > 0 {
		return wire.JobStage{}, holo.Errorf(holo.Invalid, "submit job: stage %d has stages, a time to live, or fields that are not known", number)
	}
	s, err := StageOf(m)
	if err != nil {
		return s, holo.Errorf(holo.Invalid, "submit job: stage %d: %w", number, err)
	}
	return s, nil
}

// StageOf reads one stage of a graph, or a job of one stage.
func StageOf(m *holov1.SubmitRequest) (wire.JobStage, error) {
	kind, ok := wire.ParseTaskKind(m.GetKind())
	if !ok {
		return wire.JobStage{}, holo.Errorf(holo.Invalid, "submit job: kind %.20q, want map, reduce or task", m.GetKind())
	}
	s := wire.JobStage{
		Kernel: m.GetKernel(), Function: m.GetFunction(), Kind: kind, Output: holo.ArrayID(m.GetOutput()), Params: m.GetParams(),
		AccBytes: m.GetAccBytes(), Gas: holo.Gas(m.GetGasPerTask()),
	}
	edge, ok := wire.ParseEdge(m.GetEdge())
	if s.Halo = (wire.Halo{Width: m.GetHalo(), Edge: edge}); !ok && m.GetEdge() != "" || !s.Halo.Valid(wire.MaxHalo) || s.Halo.Width > 0 && kind != wire.TaskMap {
		return s, holo.Errorf(holo.Invalid, "submit job: a halo of %d elements with the edge %.20q, want a map with 1 to %d and clamp, zero or wrap, or none of both", m.GetHalo(), m.GetEdge(), wire.MaxHalo)
	}
	for _, id := range m.GetInputs() {
		s.Inputs = append(s.Inputs, holo.ArrayID(id))
	}
	for _, i := range m.GetResults() {
		if i >= wire.MaxStages {
			return s, holo.Errorf(holo.Invalid, "submit job: it is given the result of stage %d, and there are at most %d", i, wire.MaxStages)
		}
		s.Results = append(s.Results, uint16(i))
	}
	return s, nil
}
