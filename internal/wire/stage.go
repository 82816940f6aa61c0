package wire

import "github.com/holocompute/holocompute/internal/holo"

// MaxStages bounds a graph. A request of so many stages, of 16 inputs each,
// would not fit into an Asked; of two inputs each it takes some 25 KB.
const MaxStages = 256

// JobStage is one stage of a job that is a graph: a kernel over the extents of
// some arrays. It waits, extent by extent, for the stages before it that write
// what it reads, and for the results that it is given.
type JobStage struct {
	Kernel   string
	Module   holo.ModuleID
	Function string
	Kind     TaskKind
	Inputs   []holo.ArrayID
	Output   holo.ArrayID // 0: none
	Params   []byte
	AccBytes uint64
	Gas      holo.Gas // per task
	Halo     Halo     // of all inputs, for a map
	Results  []uint16 // reduces before it, whose results follow the parameters
}

// Stages are all stages of a job in their order, the first one included.
func (r *JobRecord) Stages() []JobStage {
	first := JobStage{
		Kernel: r.Kernel, Module: r.Module, Function: r.Function, Kind: r.Kind, Inputs: r.Inputs, Output: r.Output,
		Params: r.Params, AccBytes: r.AccBytes, Gas: r.Gas, Halo: r.Halo,
	}
	return append([]JobStage{first}, r.Then...)
}

// Arrays are the arrays of a stage, the output last.
func (s *JobStage) Arrays() []holo.ArrayID {
	if s.Output == 0 {
		return s.Inputs
	}
	return append(s.Inputs[:len(s.Inputs):len(s.Inputs)], s.Output)
}

func (s *JobStage) encode(e *Encoder) {
	e.String(s.Kernel)
	e.Fixed(s.Module[:])
	e.String(s.Function)
	e.U8(uint8(s.Kind))
	e.Count(len(s.Inputs))
	for _, a := range s.Inputs {
		e.U64(uint64(a))
	}
	e.U64(uint64(s.Output))
	e.Bytes(s.Params)
	e.U64(s.AccBytes)
	e.U64(uint64(s.Gas))
	s.Halo.encode(e)
	e.Count(len(s.Results))
	for _, i := range s.Results {
		e.U16(i)
	}
}

// decode reads the stage of a number: it may name those before it only.
func (s *JobStage) decode(d *Decoder, number int) {
	s.Kernel = d.String(MaxName)
	d.Fixed(s.Module[:])
	s.Function = d.String(MaxFunctionName)
	s.Kind = TaskKind(d.U8())
	d.Valid(s.Kind.Valid(), "kind of stage")
	for range d.Count(MaxTaskInputs, 8) {
		s.Inputs = append(s.Inputs, holo.ArrayID(d.U64()))
	}
	s.Output = holo.ArrayID(d.U64())
	s.Params = d.Bytes(MaxParams)
	s.AccBytes = d.U64()
	d.Valid(s.AccBytes <= MaxAcc, "size of the accumulator")
	s.Gas = holo.Gas(d.U64())
	s.Halo = decodeHalo(d)
	for range d.Count(MaxStages-1, 2) {
		i := d.U16()
		d.Valid(int(i) < number, "stage that a stage waits for")
		s.Results = append(s.Results, i)
	}
}

func (r *JobRecord) encodeStages(e *Encoder) {
	e.Count(len(r.Then))
	for i := range r.Then {
		r.Then[i].encode(e)
	}
}

// minStage is the least a stage takes: its fixed fields and six lengths.
const minStage = 32 + 1 + 5 + 3*8

func (r *JobRecord) decodeStages(d *Decoder) {
	for i := range d.Count(MaxStages-1, minStage) {
		r.Then = append(r.Then, JobStage{})
		r.Then[i].decode(d, i+1)
	}
}
