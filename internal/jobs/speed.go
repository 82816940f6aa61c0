package jobs

import (
	"maps"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
)

// maxSpeeds bounds the nodes whose speeds are remembered; a cluster has fewer.
const maxSpeeds = 1024

// schedule are the options of the next job: with what earlier ones found out.
func (r *Runner) schedule() sched.Options {
	o := r.opt.Schedule
	r.mu.Lock()
	defer r.mu.Unlock()
	o.Speeds, o.Self = r.mu.speeds, r.cluster.Self()
	return o
}

// learn takes in how fast the nodes of a job were. What was known before counts
// as much as the new.
func (r *Runner) learn(found map[holo.NodeID]float64) {
	if len(found) < 2 {
		return // a node is as fast as itself
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	speeds := maps.Clone(r.mu.speeds)
	if speeds == nil || len(speeds) > maxSpeeds {
		speeds = map[holo.NodeID]float64{}
	}
	for id, s := range found {
		if old, known := speeds[id]; known {
			s = (s + old) / 2
		}
		speeds[id] = s
	}
	r.mu.speeds = speeds
}
