package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// bootstrapSeed makes the replicates the same in every run.
const bootstrapSeed = 20010101

// table asks how late flights are by hour: the kernel by_hour, run where the
// pages lie, combined in a fixed order.
func (s *story) table(ctx context.Context, c *cluster, data *dataset) ([]Hour, error) {
	call := holocompute.Call{Kernel: "flights", Function: "by_hour", Inputs: data.inputs()}
	job, err := c.sdk.Reduce(ctx, call, hoursPerDay*hourBytes)
	if err != nil {
		return nil, err
	}
	acc, err := job.Wait(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.count(ctx, c, job); err != nil {
		return nil, err
	}
	return decodeHours(acc)
}

// count adds a job's figures to the report, for the cluster of three.
func (s *story) count(ctx context.Context, c *cluster, job *holocompute.Job) error {
	if len(c.nodes) != 3 {
		return nil
	}
	info, err := job.Info(ctx)
	p := info.Progress
	s.report.Jobs = append(s.report.Jobs, JobFigures{
		Name: info.Function, Tasks: p.Tasks, BytesProcessed: p.BytesProcessed, BytesMoved: p.BytesMoved, Gas: p.Gas,
	})
	s.report.BytesProcessed += p.BytesProcessed
	s.report.BytesMoved += p.BytesMoved
	s.report.Gas += p.Gas
	return err
}

// bootstrapParams are the seed, the number of replicates, a reserved 0, and 0
// ticks: the time column is a decimal hour.
func (s *story) bootstrapParams() (params []byte, accBytes uint64) {
	n := replicatesFor(int(s.flights.rows))
	params = binary.LittleEndian.AppendUint64(nil, bootstrapSeed)
	params = binary.LittleEndian.AppendUint32(params, uint32(n))
	params = append(params, make([]byte, 4+8)...)
	return params, uint64(n) * hoursPerDay * cellBytes
}

func (s *story) bootstrap(ctx context.Context, c *cluster, data *dataset) (*holocompute.Job, error) {
	params, accBytes := s.bootstrapParams()
	call := holocompute.Call{Kernel: "flights", Function: "bootstrap", Inputs: data.inputs(), Params: params, Gas: bootstrapGas}
	return c.sdk.Reduce(ctx, call, accBytes)
}

// bootstrapGas is ample: 32,768 flights, 4,000 replicates, some ten instructions
// each, and room.
const bootstrapGas = 100_000_000_000

// surviveDeath runs the bootstrap, kills a node that has a task committed and
// another running, waits for the result, and runs the same job again without a
// death: both must agree to the bit.
func (s *story) surviveDeath(ctx context.Context, c *cluster, data *dataset) error {
	job, err := s.bootstrap(ctx, c, data)
	if err != nil {
		return err
	}
	dead, err := s.killInMidJob(ctx, c, job)
	if err != nil {
		return err
	}
	acc, err := job.Wait(ctx)
	if err != nil {
		return err
	}
	if err := s.evidence(ctx, c, job, dead); err != nil {
		return err
	}
	if err := addIntervals(s.report.Hours, acc); err != nil {
		return err
	}
	return s.compareTwin(ctx, c, data, acc)
}

// killInMidJob watches the job's progress and sends SIGKILL to a node, not the
// one that the session is with, the moment it has at least one committed and
// one running task.
func (s *story) killInMidJob(ctx context.Context, c *cluster, job *holocompute.Job) (*process, error) {
	var dead *process
	err := job.Watch(ctx, func(p holocompute.Progress) error {
		if dead != nil {
			return nil
		}
		for _, w := range p.Nodes {
			victim := c.byID(w.Node)
			if victim == nil || victim == c.at || w.Committed < 1 || w.Running < 1 {
				continue
			}
			s.report.KilledWhile = &KilledWhile{Committed: uint32(w.Committed), Running: uint32(w.Running)}
			s.report.KilledNode, dead = victim.id, victim
			s.say.killing(victim, w)
			return victim.kill()
		}
		return nil
	})
	if err == nil && dead == nil {
		err = holo.Errorf(holo.Internal, "the job ended before a node had one task committed and another running")
	}
	return dead, err
}

// evidence records where the tasks of the interrupted job were done.
func (s *story) evidence(ctx context.Context, c *cluster, job *holocompute.Job, dead *process) error {
	p, err := job.Progress(ctx)
	if err != nil {
		return err
	}
	s.report.RetriedTasks = uint32(p.Retried)
	for _, w := range p.Nodes {
		s.report.TasksByNode = append(s.report.TasksByNode, TasksByNode{
			Node: w.Node, Committed: uint32(w.Committed), Failed: uint32(w.Failed), Killed: w.Node == dead.id,
		})
		if w.Node != dead.id && w.Committed > 0 {
			s.report.FinishedOn = append(s.report.FinishedOn, w.Node)
		}
	}
	s.say.survived(c, p, dead)
	if p.Retried == 0 || slices.Contains(s.report.FinishedOn, dead.id) {
		return holo.Errorf(holo.Internal, "no task ran again although node %s died in the middle", dead.name)
	}
	return s.count(ctx, c, job)
}

func (s *story) compareTwin(ctx context.Context, c *cluster, data *dataset, acc []byte) error {
	job, err := s.bootstrap(ctx, c, data)
	if err != nil {
		return err
	}
	twin, err := job.Wait(ctx)
	if err != nil {
		return err
	}
	s.report.SameAsTwin = bytes.Equal(acc, twin)
	s.say.twin(s.report.SameAsTwin)
	if !s.report.SameAsTwin {
		return holo.Errorf(holo.Corrupt, "the interrupted job and its twin differ")
	}
	return s.count(ctx, c, job)
}
