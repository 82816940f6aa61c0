package sched

import (
	"github.com/holocompute/holocompute/internal/holo"
)

// pace is how fast a node works for the job, as its coordinator sees it: the
// gas of its answers over the time in which it had something to do. So the
// network, the other jobs and the processor count alike, and no node's word
// does. Older answers count less.
type pace struct {
	gas     float64
	seconds float64
	last    holo.Time // of the last answer, or since it has something to do
}

// begin notes that a node that had nothing to do has something now.
func (p *pace) begin(now holo.Time) { p.last = now }

// answered notes a result. keep is what the past is worth, below 1. Results of one
// moment are one answer.
func (p *pace) answered(now holo.Time, gas holo.Gas, keep float64) {
	if now == p.last {
		p.gas += float64(gas) + 1
		p.seconds = max(p.seconds, holo.Microsecond.Seconds())
		return
	}
	p.gas = p.gas*keep + float64(gas) + 1
	p.seconds = p.seconds*keep + max(now.Sub(p.last), holo.Microsecond).Seconds()
	p.last = now
}

// rate is gas a second; 0 where nothing was answered.
func (p *pace) rate() float64 {
	if p.seconds == 0 {
		return 0
	}
	return p.gas / p.seconds
}

// keep averages over a few rounds of a node's slots.
func (j *Job) keep() float64 { return 1 - 1/float64(2*j.opt.Slots+2) }

// rateOf is a node's, 0 where it is unknown. Of a node that has not answered it
// is what the speeds of earlier jobs and the rates of others make of it.
func (j *Job) rateOf(n *node) float64 {
	if r := n.pace.rate(); r > 0 {
		return r
	}
	speed := j.opt.Speeds[n.id]
	if speed <= 0 {
		return 0
	}
	sum, of := 0.0, 0
	for _, other := range j.nodes {
		if r, s := other.pace.rate(), j.opt.Speeds[other.id]; r > 0 && s > 0 {
			sum, of = sum+r/s, of+1
		}
	}
	if of == 0 {
		return 0
	}
	return speed * sum / float64(of)
}

// Speeds are those of the nodes that have answered twice at least, as shares of
// the fastest one's: what the next job may begin with.
func (j *Job) Speeds() map[holo.NodeID]float64 {
	best := 0.0
	for _, n := range j.nodes {
		best = max(best, n.pace.rate())
	}
	speeds := map[holo.NodeID]float64{}
	for _, n := range j.nodes {
		if n.work.Committed >= 2 && n.pace.rate() > 0 {
			speeds[n.id] = n.pace.rate() / best
		}
	}
	return speeds
}

// takes is how long a node takes from one answer to the next; 0 where that is
// unknown. What a task costs is the mean of its stage, or of the job.
func (j *Job) takes(n *node, id holo.TaskID) holo.Duration {
	rate, gas := j.rateOf(n), 0.0
	number, _ := j.stageOf(id)
	switch s := &j.stages[number]; {
	case s.done > 0:
		gas = float64(s.gas) / float64(s.done)
	case j.committed > 0:
		gas = float64(j.gas) / float64(j.committed)
	}
	if rate == 0 || j.committed == 0 {
		return 0
	}
	return span((gas + 1) / rate)
}

// longest is the longest time that is reckoned with: a million tasks of it are
// still a duration.
const longest = 4000 * holo.Second

func span(seconds float64) holo.Duration {
	return holo.Duration(min(seconds, longest.Seconds()) * float64(holo.Second))
}

// slow reports whether a node is known to be half as fast as the fastest, or less.
func (j *Job) slow(n *node) bool {
	best, rate := 0.0, j.rateOf(n)
	speed := j.opt.Speeds[n.id]
	fastest := 0.0
	for _, other := range j.nodes {
		best, fastest = max(best, j.rateOf(other)), max(fastest, j.opt.Speeds[other.id])
	}
	if rate > 0 {
		return 2*rate <= best
	}
	return speed > 0 && 2*speed <= fastest
}
