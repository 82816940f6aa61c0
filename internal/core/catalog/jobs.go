package catalog

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// kernelPut names a module. A name may be given to a newer module: jobs name
// modules by hash, so those under way are not touched.
func (c *Catalog) kernelPut(m *wire.KernelPut) (wire.Message, error) {
	r := m.Kernel
	if err := checkName("kernel", r.Name); err != nil {
		return nil, err
	}
	if holo.IsStandardKernel(r.Name) {
		return nil, holo.Errorf(holo.Invalid, "put kernel %s: names under %s/ are those of the standard kernels, which every node has: choose another", r.Name, holo.StandardKernels)
	}
	if _, known := c.kernels[r.Name]; !known {
		if err := full("put kernel "+r.Name, c.kernels, MaxKernels); err != nil {
			return nil, err
		}
	}
	if r.Size == 0 || r.Module == (holo.ModuleID{}) {
		return nil, holo.Errorf(holo.Invalid, "put kernel %s: it names no module", r.Name)
	}
	c.kernels[r.Name] = r
	return &r, nil
}

func (c *Catalog) jobPut(m *wire.JobPut, now int64) (wire.Message, error) {
	r := m.Job
	if err := c.checkJob(&r); err != nil {
		return nil, err
	}
	sources, err := c.bound(m)
	if err != nil {
		return nil, err
	}
	if err := c.checkResults(&r); err != nil {
		return nil, err
	}
	if err := c.roomForJob(); err != nil {
		return nil, err
	}
	c.bind(r.Output, sources)
	c.lastJob++
	r.ID, r.Epoch, r.Created, r.End = c.lastJob, 1, now, wire.JobEnd{Phase: wire.JobRunning}
	c.jobs[r.ID] = r
	c.beginResults(&r)
	return &r, nil
}

func (c *Catalog) checkJob(r *wire.JobRecord) error {
	if c.chain.find(r.Coordinator) < 0 {
		return holo.Errorf(holo.Invalid, "put job: its coordinator %s is not a member", r.Coordinator)
	}
	for _, s := range r.Stages() {
		if err := c.checkStage(&s); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) checkStage(s *wire.JobStage) error {
	if !s.Kind.Valid() || s.Module == (holo.ModuleID{}) {
		return holo.Errorf(holo.Invalid, "put job: it names no kernel")
	}
	if v := s.Kind.Since(); v > c.speaks { // who does not know the kind cannot read the request, either
		return holo.Refuse(holo.Denied, ReasonVersion, "put job: general tasks are of version %d of the protocol, and the cluster is at %d: upgrade the programs of all nodes", v, c.speaks)
	}
	for _, id := range s.Arrays() {
		if a, ok := c.arrays[id]; !ok || a.State == wire.ArrayDeleted {
			return noArray("put job on", id)
		} else if a.Buffer {
			return holo.Errorf(holo.Invalid, "put job on array %s: it is a buffer, and kernels read and write arrays", a.Name)
		}
	}
	return nil
}

// roomForJob lets the oldest job that ended give way when the list is full.
func (c *Catalog) roomForJob() error {
	if len(c.jobs) < MaxJobs {
		return nil
	}
	for _, id := range sorted(c.jobs, compareIDs) {
		if c.jobs[id].End.Phase.Ended() {
			delete(c.jobs, id)
			return nil
		}
	}
	return full("put job", c.jobs, MaxJobs)
}

func (c *Catalog) jobTake(m *wire.JobTake) (wire.Message, error) {
	r, err := c.runningJob("take", m.Job, m.Epoch)
	if err != nil {
		return nil, err
	}
	if c.chain.find(m.Coordinator) < 0 {
		return nil, holo.Errorf(holo.Invalid, "take job %d: node %s is not a member", uint64(m.Job), m.Coordinator)
	}
	r.Coordinator = m.Coordinator
	r.Epoch++
	c.jobs[r.ID] = r
	return &r, nil
}

func (c *Catalog) jobState(m *wire.JobState, now int64) (wire.Message, error) {
	r, err := c.runningJob("end", m.Job, m.Epoch)
	if err != nil {
		return nil, err
	}
	if !m.End.Phase.Ended() {
		return nil, holo.Errorf(holo.Invalid, "end job %d: phase %s is no end", uint64(m.Job), m.End.Phase)
	}
	r.End = m.End
	c.jobs[r.ID] = r
	c.endResults(&r, now)
	return &r, nil
}

func (c *Catalog) runningJob(what string, id holo.JobID, epoch uint64) (wire.JobRecord, error) {
	r, ok := c.jobs[id]
	switch {
	case !ok:
		return r, holo.Errorf(holo.NotFound, "%s job %d: no such job", what, uint64(id))
	case r.Epoch != epoch:
		return r, holo.Refuse(holo.Stale, ReasonStaleJob, "%s job %d: stale epoch %d, now %d", what, uint64(id), epoch, r.Epoch)
	case r.End.Phase.Ended():
		return r, holo.Refuse(holo.Conflict, ReasonState, "%s job %d: it is %s", what, uint64(id), r.End.Phase)
	}
	return r, nil
}
