package sched

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// Work counts what one node has done for the job.
type Work struct {
	Node       holo.NodeID
	Committed  uint32
	Running    uint32 // handed out, and neither answered nor given up
	Failed     uint32 // attempts that ended without a commit
	Gas        holo.Gas
	BytesLocal uint64
	BytesMoved uint64
}

// Progress is a copy of the job's counters.
type Progress struct {
	Tasks, Committed, Running uint32
	Retried                   uint32 // attempts beyond each task's first
	Stolen                    uint32 // attempts on a node that had nothing to do, not on the home
	Speculated                uint32 // attempts while another of the same task was out
	Nodes                     []Work // in order of node ID
	Gas                       holo.Gas
	BytesProcessed            uint64
	BytesMoved                uint64
	Waiting                   error // the last refusal, while nothing was committed since
}

// Progress tells what has been done. It costs a few hundred bytes per node.
func (j *Job) Progress() Progress {
	p := Progress{
		Tasks: uint32(len(j.tasks)), Committed: j.committed, Retried: uint32(j.assigned - uint64(j.started)),
		Stolen: j.stolen, Speculated: j.seconded,
		Gas: j.gas, BytesProcessed: j.processed, BytesMoved: j.movedByte, Waiting: j.refusal,
	}
	for _, n := range j.nodes {
		w := n.work
		w.Running = uint32(len(n.out))
		p.Running += w.Running
		p.Nodes = append(p.Nodes, w)
	}
	slices.SortFunc(p.Nodes, func(a, b Work) int { return a.Node.Compare(b.Node) })
	return p
}
