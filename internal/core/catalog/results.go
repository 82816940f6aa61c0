package catalog

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// The arrays that a job writes are its results if it was asked to keep them for
// a time only. They are deleted with the command that ends the job as failed or
// cancelled, so nobody takes a half for the whole; and when they were kept for
// their time after it was done.

// outputs are the arrays that a job writes.
func outputs(r *wire.JobRecord) (list []holo.ArrayID) {
	for _, s := range r.Stages() {
		if s.Output != 0 {
			list = append(list, s.Output)
		}
	}
	return list
}

// checkResults refuses what cannot be a job's result.
func (c *Catalog) checkResults(r *wire.JobRecord) error {
	list := outputs(r)
	switch {
	case r.Keep == 0:
		return nil
	case r.Keep > wire.MaxKeep:
		return holo.Errorf(holo.Invalid, "put job: its results are to be kept for %d seconds, at most %d", r.Keep, wire.MaxKeep)
	case len(list) == 0:
		return holo.Errorf(holo.Invalid, "put job: its results are to be kept for %d seconds, and it writes no array", r.Keep)
	}
	for _, id := range list {
		a := c.arrays[id]
		if of, ok := c.jobs[a.Result]; ok && !of.End.Phase.Ended() {
			return holo.Refuse(holo.Conflict, ReasonState, "put job: array %s is the result of job %d, which runs: write another array", a.Name, uint64(a.Result))
		}
		if a.State != wire.ArrayOpen {
			return holo.Refuse(holo.Conflict, ReasonState, "put job: array %s is %s: write another array", a.Name, a.State)
		}
	}
	return nil
}

// beginResults makes what a job writes its own.
func (c *Catalog) beginResults(r *wire.JobRecord) {
	if r.Keep == 0 {
		return
	}
	for _, id := range outputs(r) {
		a := c.arrays[id]
		a.Result, a.Expires = r.ID, 0
		c.arrays[id] = a
	}
}

// endResults says until when they are kept, or deletes them. What somebody seals
// or sealed is no half any more that could be taken for the whole: it stays.
func (c *Catalog) endResults(r *wire.JobRecord, now int64) {
	for _, id := range outputs(r) {
		a, ok := c.arrays[id]
		switch {
		case r.Keep == 0 || !ok || a.Result != r.ID || a.State == wire.ArrayDeleted:
		case r.End.Phase == wire.JobDone:
			a.Expires = now + int64(r.Keep)
			c.arrays[id] = a
		case a.State == wire.ArrayOpen:
			c.arrayDelete(&wire.ArrayDelete{Array: id}) // it exists
		}
	}
}

// arrayExpire deletes a result whose time is over, by the command's time.
func (c *Catalog) arrayExpire(m *wire.ArrayExpire, now int64) (wire.Message, error) {
	r, ok := c.arrays[m.Array]
	switch {
	case !ok || r.State == wire.ArrayDeleted:
		return nil, noArray("expire", m.Array)
	case r.Expires == 0 || now < r.Expires:
		return nil, holo.Refuse(holo.Conflict, ReasonState, "expire array %s: its time is not over", r.Name)
	}
	return c.arrayDelete(&wire.ArrayDelete{Array: m.Array})
}

// Expired lists the arrays whose time is over.
func (c *Catalog) Expired(now int64) (list []holo.ArrayID) {
	for _, id := range sorted(c.arrays, compareIDs) {
		if a := c.arrays[id]; a.State != wire.ArrayDeleted && a.Expires != 0 && a.Expires <= now {
			list = append(list, id)
		}
	}
	return list
}
