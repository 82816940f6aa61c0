package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// checkWithin refuses an array with which the owner's arrays of a scope would
// take more than a grant lets them.
func (c *Catalog) checkWithin(m *wire.ArrayCreate, r *wire.ArrayRecord) error {
	if m.Within == 0 {
		return nil
	}
	taken := uint64(0)
	for _, a := range c.arrays {
		if a.Owner == r.Owner && holo.Under(a.Name, m.Under) {
			taken += footprint(&a)
		}
	}
	if want := footprint(r); taken+want > m.Within || taken+want < taken {
		return holo.Refuse(holo.Exhausted, ReasonAmount, "create array %s: %s for its copies, %s of the %s granted to %s are taken",
			r.Name, mib(want), mib(taken), mib(m.Within), r.Owner)
	}
	return nil
}

// bound gives the sources of a job's output after the job: those whose read
// restrictions it inherits.
func (c *Catalog) bound(m *wire.JobPut) ([]string, error) {
	out, ok := c.arrays[m.Job.Output]
	if len(m.Bound) == 0 {
		return out.Sources, nil
	}
	if !ok {
		return nil, holo.Refuse(holo.Denied, ReasonNotReleased, "put job: its result would go to somebody who may not read its inputs")
	}
	if err := c.unread(out.ID); err != nil {
		return nil, err
	}
	sources := slices.Clone(out.Sources)
	for _, id := range m.Bound {
		in, ok := c.arrays[id]
		if !ok {
			return nil, noArray("put job on", id)
		}
		sources = append(append(sources, in.Name), in.Sources...)
	}
	slices.Sort(sources)
	sources = slices.Compact(sources)
	if len(sources) > wire.MaxSources {
		return nil, holo.Refuse(holo.Exhausted, ReasonFull, "put job: array %s would descend from %d restricted arrays, at most %d", out.Name, len(sources), wire.MaxSources)
	}
	return sources, nil
}

// unread refuses to bind an array that a running job reads: that job was allowed
// to read what lies in it now, and would carry out what is to come.
func (c *Catalog) unread(output holo.ArrayID) error {
	for _, id := range sorted(c.jobs, compareIDs) {
		j := c.jobs[id]
		if reads := func(s wire.JobStage) bool { return slices.Contains(s.Inputs, output) }; !j.End.Phase.Ended() && slices.ContainsFunc(j.Stages(), reads) {
			return holo.Refuse(holo.Conflict, ReasonState, "put job: job %d reads array a%d, its output", uint64(id), uint64(output))
		}
	}
	return nil
}

// bind notes them. Who may read the output has changed with them.
func (c *Catalog) bind(output holo.ArrayID, sources []string) {
	if out, ok := c.arrays[output]; ok && !slices.Equal(sources, out.Sources) {
		out.Sources = sources
		c.arrays[out.ID] = out
		c.bumpAccess()
	}
}
