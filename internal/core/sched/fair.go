package sched

import (
	"bytes"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// Fair is one node's queue of tasks, shared between the users whose tasks they
// are: whoever has used the least gas of those that wait has the next slot, and
// of one user's the task that came first. A node alone can keep this: a task waits
// at one node only, where its pages lie or where it was taken to help.
//
// A user who was away is no better off for it: the clock of who comes back is
// set to that of the user who is furthest behind. And no better off for going:
// what somebody used beyond that is remembered until the others have caught up.
//
// It follows start-time fair queueing, with the cost known only at the end: a
// task is charged its gas when it is done, so users differ by a task at most, or by
// some light ones that have one turn.
type Fair struct {
	limit   int // places
	spare   int // of those, for users who have none
	waiting int
	taken   int // places: waiting and running
	users   map[holo.PrincipalID]*user
	order   uint64
}

// user is one of those that have a task here, or have used more than those.
type user struct {
	used    holo.Gas
	waiting []uint64 // tickets, the oldest first
	taken   int
}

// maxUsers bounds those that are remembered without having a task here: whoever
// is the least ahead of the others is forgotten.
const maxUsers = 1024

// NewFair makes a queue of some places, a quarter of which nobody takes who has
// another already.
func NewFair(places int) *Fair {
	return &Fair{limit: places, spare: places / 4, users: map[holo.PrincipalID]*user{}}
}

// Enter takes a place for a task of a user and gives its ticket, or refuses it.
func (f *Fair) Enter(who holo.PrincipalID) (ticket uint64, ok bool) {
	u, known := f.users[who]
	if f.taken >= f.limit || known && u.taken > 0 && f.taken >= f.limit-f.spare {
		return 0, false
	}
	if !known {
		u = &user{}
		f.users[who] = u
	}
	if u.taken == 0 {
		u.used = max(u.used, f.behind())
	}
	f.order++
	u.waiting = append(u.waiting, f.order)
	u.taken++
	f.taken++
	f.waiting++
	return f.order, true
}

// Next takes the next ticket that has a slot; false where none waits. Of users
// who have used alike, the oldest ticket goes first.
func (f *Fair) Next() (ticket uint64, ok bool) {
	var best *user
	for _, u := range f.users {
		if len(u.waiting) > 0 && (best == nil || u.used < best.used || u.used == best.used && u.waiting[0] < best.waiting[0]) {
			best = u
		}
	}
	if best == nil {
		return 0, false
	}
	ticket = best.waiting[0]
	best.waiting = best.waiting[1:]
	f.waiting--
	return ticket, true
}

// Leave gives a place back: of a task that ran, for so much gas, or of one that
// was abandoned while it waited.
func (f *Fair) Leave(who holo.PrincipalID, ticket uint64, gas holo.Gas) {
	u, known := f.users[who]
	invariant.Check(known && u.taken > 0, "user %s leaves and is not here", who)
	if i := slices.Index(u.waiting, ticket); i >= 0 {
		u.waiting = slices.Delete(u.waiting, i, i+1)
		f.waiting--
	}
	u.used += gas
	u.taken--
	f.taken--
	f.forget()
}

// behind is what the user has used who is here and has used the least.
func (f *Fair) behind() holo.Gas {
	least, any := holo.Gas(0), false
	for _, u := range f.users {
		if u.taken > 0 && (!any || u.used < least) {
			least, any = u.used, true
		}
	}
	return least
}

// forget drops the users who are not here and not ahead of those who are, and
// the least ahead of too many.
func (f *Fair) forget() {
	behind := f.behind()
	var least holo.PrincipalID
	away := 0
	for id, u := range f.users {
		if u.taken > 0 {
			continue
		}
		if f.taken == 0 || u.used <= behind {
			delete(f.users, id)
			continue
		}
		if l := f.users[least]; away == 0 || u.used < l.used || u.used == l.used && bytes.Compare(id[:], least[:]) < 0 {
			least = id
		}
		away++
	}
	if away > maxUsers {
		delete(f.users, least)
	}
}

// Waiting is the number of tasks that wait, Taken that of places taken.
func (f *Fair) Waiting() int { return f.waiting }

// Taken is the number of places that are taken.
func (f *Fair) Taken() int { return f.taken }
