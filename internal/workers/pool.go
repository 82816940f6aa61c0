package workers

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/holocompute/holocompute/internal/confine"
	"github.com/holocompute/holocompute/internal/holo"
)

// acquire gives a worker that has served nobody but this owner, nil for nobody
// at all. It waits while all are busy.
func (p *Pool) acquire(ctx context.Context, owner *holo.PrincipalID) (*process, error) {
	select {
	case p.busy <- struct{}{}:
	case <-p.closed:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, holo.Errorf(holo.Cancelled, "wait for a worker: %w", context.Cause(ctx))
	}
	w, old, err := p.pick(owner)
	if err != nil {
		<-p.busy
		return nil, err
	}
	if old != nil {
		p.bury(old)
	}
	if w == nil {
		w, err = p.startOne()
	}
	if err == nil {
		err = p.strict()
	}
	if err != nil {
		p.discard(w)
		return nil, err
	}
	if w.owner == nil && owner != nil {
		theirs := *owner
		w.owner = &theirs
	}
	return w, nil
}

func errClosed() error {
	return holo.Refuse(holo.Unavailable, "stopping", "run a kernel: the node is stopping")
}

// pick takes an idle worker of the owner, or a blank one. Where there is none
// it makes room for another: old has to go.
func (p *Pool) pick(owner *holo.PrincipalID) (w, old *process, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return nil, nil, errClosed()
	}
	for i := len(p.mu.idle) - 1; i >= 0; i-- {
		if w := p.mu.idle[i]; w.serves(owner) && w.alive() {
			return p.takeIdle(i), nil, nil
		}
	}
	if p.mu.total < p.opt.Max {
		p.mu.total++
		return nil, nil, nil
	}
	return nil, p.takeIdle(0), nil // of Max workers at least this one is idle: busy has a token for every other
}

func (w *process) serves(owner *holo.PrincipalID) bool {
	return w.owner == nil || owner != nil && *w.owner == *owner
}

// takeIdle takes an idle worker. The caller holds the lock.
func (p *Pool) takeIdle(i int) *process {
	w := p.mu.idle[i]
	p.mu.idle = append(p.mu.idle[:i:i], p.mu.idle[i+1:]...)
	w.idle.Stop()
	return w
}

// startOne starts a worker in the strongest way that this system has, which the
// first one finds.
func (p *Pool) startOne() (*process, error) {
	if os.Args[0] == name { // else each worker would start further ones
		return nil, holo.Errorf(holo.Internal, "start a worker: this program is one, and did not call workers.Main first")
	}
	p.finding.Lock()
	defer p.finding.Unlock()
	ways := confine.Ways()
	for {
		p.mu.Lock()
		way, tried := p.mu.way, p.mu.tried
		p.mu.Unlock()
		w, missing, err := p.start(ways[way])
		if err == nil {
			p.began(append(ways[way].Why(tried), missing...))
			return w, nil
		}
		p.mu.Lock()
		// What has worked once fails for another reason, and so does what was slow.
		last := p.mu.checked || way == len(ways)-1 || errors.Is(err, os.ErrDeadlineExceeded)
		if !last {
			p.mu.way, p.mu.tried = way+1, err
		}
		p.mu.Unlock()
		if last {
			return nil, holo.Refuse(holo.Unavailable, WorkerDied, "run a kernel: %w", err)
		}
	}
}

func (p *Pool) began(missing []confine.Gap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.started++
	if p.mu.checked {
		return
	}
	p.mu.checked, p.mu.report = true, confine.Report{Missing: missing}
	if level := p.mu.report.Level(); level != confine.Full {
		p.opt.Logger.Warn("kernels are not fully isolated", "level", string(level), "missing", p.mu.report.String())
	}
}

// release gives a worker back. One that is not good any more is killed, as is
// one that has compiled or run for long: what piles up in it ends with it.
func (p *Pool) release(w *process, good bool) {
	p.mu.Lock()
	keep := good && !p.mu.closed && w.alive() && len(w.loaded) < maxModules && time.Since(w.born) < wallMost
	if keep {
		p.mu.idle = append(p.mu.idle, w)
		p.rest(w)
	}
	p.mu.Unlock()
	if keep {
		<-p.busy
		return
	}
	p.discard(w)
}

// rest has an idle worker expire in a while. The caller holds the lock.
func (p *Pool) rest(w *process) {
	if w.idle == nil {
		w.idle = time.AfterFunc(idleLimit, func() { p.expire(w) })
		return
	}
	w.idle.Reset(idleLimit)
}

// discard ends a worker, if there is one, and what it counted for.
func (p *Pool) discard(w *process) {
	if w != nil {
		p.bury(w)
	}
	p.mu.Lock()
	p.mu.total--
	p.mu.Unlock()
	<-p.busy
}

// bury kills a worker and gives back what the node holds of it.
func (p *Pool) bury(w *process) {
	w.kill()
	<-w.ended
	w.free()
}

// expire ends a worker that has been idle for long.
func (p *Pool) expire(w *process) {
	p.mu.Lock()
	found := -1
	for i, idle := range p.mu.idle {
		if idle == w {
			found = i
		}
	}
	if found >= 0 {
		p.takeIdle(found)
		p.mu.total--
	}
	p.mu.Unlock()
	if found >= 0 {
		p.bury(w)
	}
}
