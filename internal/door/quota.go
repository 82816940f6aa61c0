package door

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/holocompute/holocompute/internal/holo"
)

// class is the kind of call that a quota counts.
type class uint8

const (
	classRead class = iota
	classChange
	classBulk
	classOpen    // of a session, on a link
	classRefused // with a record of its own
	classes
)

// perSecond is how many calls of each class one principal may make each
// second, and burst how many at once. A bulk call moves up to 4 MiB, or is an
// atomic operation; a change goes through Raft, which orders some hundreds a
// second. A session costs two signatures and whatever its token does. A refusal
// that is recorded costs its disk some hundred bytes for good.
var perSecond, burst = [classes]rate.Limit{classRead: 500, classChange: 250, classBulk: 20_000, classOpen: 5, classRefused: 10}, [classes]int{1000, 500, 40_000, 40, 400}

// maxCounted bounds the principals that are counted at once.
const maxCounted = 1024

// quotas counts the calls of each principal.
type quotas struct {
	mu struct {
		sync.Mutex
		of map[holo.PrincipalID]*[classes]*rate.Limiter
	}
}

func newQuotas() *quotas {
	q := &quotas{}
	q.mu.of = map[holo.PrincipalID]*[classes]*rate.Limiter{}
	return q
}

// take counts a call, or refuses it: the client waits and asks again.
func (q *quotas) take(p holo.PrincipalID, c class, now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.mu.of[p]
	if l == nil {
		q.makeRoom(now)
		l = &[classes]*rate.Limiter{}
		for i := range l {
			l[i] = rate.NewLimiter(perSecond[i], burst[i])
		}
		q.mu.of[p] = l
	}
	if !l[c].AllowN(now, 1) {
		return holo.Refuse(holo.Unavailable, "rate_limited", "%s makes more than %g calls of this kind a second", p, float64(perSecond[c]))
	}
	return nil
}

// makeRoom forgets those who have all their calls left: they lose nothing.
// Where everybody is busy all begin anew.
func (q *quotas) makeRoom(now time.Time) {
	if len(q.mu.of) < maxCounted {
		return
	}
	for p, l := range q.mu.of {
		idle := true
		for i := range l {
			idle = idle && l[i].TokensAt(now) >= float64(burst[i])
		}
		if idle {
			delete(q.mu.of, p)
		}
	}
	if len(q.mu.of) >= maxCounted {
		clear(q.mu.of)
	}
}
