package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// claimJob makes a job the asker's, coordinated by the node that was asked. All
// its stages must be within the asker's rights.
//
// A job of one stage may read what may only be computed on, and binds its
// output. A graph may not: what its later stages read would be bound by the
// earlier ones only after their rights were decided.
func (c *Catalog) claimJob(who asker, m *wire.JobPut) error {
	j := &m.Job
	j.Owner, j.Coordinator = who.principal, who.node
	first := j.Stages()[0]
	bound, err := c.claimStage(who, &first)
	if err != nil {
		return err
	}
	j.Kernel, j.Module, m.Bound = first.Kernel, first.Module, bound
	for i := range j.Then {
		more, err := c.claimStage(who, &j.Then[i])
		if err != nil {
			return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "stage %d: %w", i+1, err)
		}
		bound = append(bound, more...)
	}
	if err := c.claimResults(who, j); err != nil {
		return err
	}
	if len(j.Then) > 0 && len(bound) > 0 {
		return holo.Refuse(holo.Denied, ReasonNotReleased, "put job: it is a graph, and array a%d may only be computed on: a graph needs READ on all that it reads", uint64(bound[0]))
	}
	return nil
}

// claimResults: what deletes an array when it ends needs the right to.
func (c *Catalog) claimResults(who asker, j *wire.JobRecord) error {
	if j.Keep == 0 {
		return nil
	}
	for _, id := range outputs(j) {
		if err := c.allowedOn(who, holo.ActionFree, id); err != nil {
			return err
		}
	}
	return nil
}

// claimStage makes a stage one of the module that its kernel's name means now.
// It needs RUN on that, WRITE on the output, and of each input READ, or COMPUTE
// with that module; of the latter it tells the arrays.
func (c *Catalog) claimStage(who asker, s *wire.JobStage) (bound []holo.ArrayID, err error) {
	k, ok := c.kernelCalled(s.Kernel)
	if !ok {
		return nil, holo.Errorf(holo.NotFound, "put job: there is no kernel %s", s.Kernel)
	}
	who.module = k.Module
	s.Kernel, s.Module = k.Name, k.Module
	if _, err := c.allowed(who, holo.ActionRun, k.Name, k.Module.Hex()); err != nil {
		return nil, err
	}
	for _, id := range s.Inputs {
		only, err := c.readable(who, id)
		if err != nil {
			return nil, err
		}
		if only && !slices.Contains(bound, id) {
			bound = append(bound, id)
		}
	}
	if s.Output == 0 {
		return bound, nil
	}
	return bound, c.allowedOn(who, holo.ActionWrite, s.Output)
}
