package workers

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// mostTogether bounds how many tasks go to a worker in one trip, and with it how
// long its answer can be; batchBytes bounds what is handed over.
const mostTogether = 64

// Together runs tasks of one owner and one module, of a single call each, in few
// trips to a worker: of tasks as light as to add two small accumulators up, or to
// look at one page, the trip is most of what they cost. Each has an instance of its own, as in Run. They
// run in their order until one fails. done are the results of those before it, failed
// is what it used itself. Where the worker failed, the tasks that are not done have
// changed nothing, and may be run again.
func (p *Pool) Together(ctx context.Context, tasks []*Task) (done []sandbox.Result, failed sandbox.Result, err error) {
	for err == nil && len(tasks) > 0 {
		n := 1
		for size := tasks[0].room(); n < min(len(tasks), mostTogether) && size+tasks[n].room() <= batchBytes; n++ {
			size += tasks[n].room()
		}
		var some []sandbox.Result
		some, failed, err = p.trip(ctx, tasks[:n])
		done, tasks = append(done, some...), tasks[n:]
	}
	return done, failed, err
}

// room is how much of the hand-over a task of one call takes, at most.
func (t *Task) room() uint64 {
	return (align*uint64(3+len(t.Inputs)+len(t.Outputs)) + t.callBytes(t.Count)) / align * align
}

func (p *Pool) trip(ctx context.Context, tasks []*Task) (done []sandbox.Result, failed sandbox.Result, err error) {
	if len(tasks) == 1 {
		r, err := p.Run(ctx, tasks[0])
		if err != nil {
			return nil, r, err
		}
		return []sandbox.Result{r}, failed, nil
	}
	for _, t := range tasks {
		if t.Owner != tasks[0].Owner || t.Module.ID != tasks[0].Module.ID || t.Count > t.Run || len(t.Handles) > 0 {
			return nil, failed, holo.Errorf(holo.Invalid, "run %s: it has not one call, or is another's", t.who())
		}
	}
	w, err := p.ready(ctx, tasks[0])
	if err != nil {
		return nil, failed, err
	}
	c := company{worker: w, began: time.Now()}
	err = p.during(w, func() (bool, error) {
		for _, t := range tasks {
			c.add(t)
			c.limit += p.wall(w.engine, t.Gas)
		}
		return c.do(ctx)
	})
	return c.done, c.failed, p.counted(err)
}

// company is some tasks in their worker, side by side in the hand-over.
type company struct {
	worker *process
	began  time.Time
	limit  time.Duration // of all of them
	runs   []*run
	asks   []*batch
	free   uint32

	done   []sandbox.Result
	failed sandbox.Result
}

func (c *company) add(t *Task) {
	r := &run{Task: t, worker: c.worker, began: c.began, free: c.free}
	r.acc, r.params = r.take(uint64(len(t.Acc))), r.take(uint64(len(t.Params)))
	b := r.message(0, t.Count)
	r.views(b, t.Count)
	c.runs, c.asks = append(c.runs, r), append(c.asks, b)
	c.free += uint32(t.room())
}

// do hands the tasks over, and takes back what those that ran made.
func (c *company) do(ctx context.Context) (usable bool, err error) {
	region := c.worker.region
	err = region.guarded(func() {
		for i, r := range c.runs {
			copy(r.acc.in(region), r.Acc)
			copy(r.params.in(region), r.Params)
			for k, in := range r.Inputs {
				in.Read(c.asks[i].inputs[k].in(region), 0)
			}
		}
	})
	if err != nil {
		return false, err
	}
	first := c.runs[0]
	first.deadline = c.began.Add(c.limit)
	body, err := c.worker.trip(ctx, first.deadline, frameRuns, encodeBatches(c.asks), mostTogether*(maxAnswer+4), nil)
	if err != nil {
		return false, first.explain(ctx, err)
	}
	answers, ok := decodeAnswers(body)
	if !ok || len(answers) > len(c.runs) || len(answers) < len(c.runs) && answers[len(answers)-1].err == nil {
		return false, first.fault("it answered with what are no answers")
	}
	return c.take(ctx, answers)
}

// take believes of the answers what can be true, of one after the other.
func (c *company) take(ctx context.Context, answers []answer) (usable bool, err error) {
	for i, a := range answers {
		if err := c.runs[i].account(a); err != nil {
			return false, err
		}
	}
	for i, a := range answers {
		r := c.runs[i]
		if a.err != nil {
			c.failed = r.result
			return true, r.cancelled(ctx, a.err)
		}
		if err := r.worker.region.guarded(func() { r.made(c.asks[i]) }); err != nil {
			return false, err
		}
		c.done = append(c.done, r.result)
	}
	return true, nil
}

// made takes what a task of one call made.
func (r *run) made(b *batch) {
	copy(r.Acc, r.acc.in(r.worker.region))
	for k, out := range r.Outputs {
		out.Write(b.outputs[k].in(r.worker.region), 0)
	}
}

// runs answers batches that are a task each, until one fails.
func (s *server) runs(ctx *request, list []*batch) (body []byte) {
	for _, b := range list {
		a := s.run(ctx, b)
		body = appendLong(body, a.encode())
		if a.err != nil {
			break
		}
	}
	return body
}

func appendLong(b, more []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(more))), more...)
}

func encodeBatches(list []*batch) (body []byte) {
	for _, b := range list {
		body = appendLong(body, b.encode())
	}
	return body
}

func decodeBatches(body []byte) (list []*batch, ok bool) {
	c := cursor{rest: body}
	for ok = true; ok && len(c.rest) > 0; {
		var b *batch
		b, ok = decodeBatch(c.long())
		list = append(list, b)
	}
	return list, ok && !c.bad
}

// decodeAnswers takes one answer or more, of which the last alone may be an error.
func decodeAnswers(body []byte) (list []answer, ok bool) {
	c := cursor{rest: body}
	for ok = len(body) > 0; ok && len(c.rest) > 0; {
		var a answer
		a, ok = decodeAnswer(c.long())
		list = append(list, a)
		ok = ok && (a.err == nil || len(c.rest) == 0)
	}
	return list, ok && !c.bad
}
