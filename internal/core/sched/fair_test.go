package sched

import (
	"math/rand/v2"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func userID(i int) holo.PrincipalID { return holo.PrincipalID{31: byte(i + 1), 30: byte((i + 1) >> 8)} }

// rush is users who always have tasks waiting, of unlike size and number.
type rush struct {
	*testing.T
	fair *Fair
	used map[int]holo.Gas
	of   map[uint64]int
}

func (r *rush) enter(user int) bool {
	ticket, ok := r.fair.Enter(userID(user))
	if ok {
		r.of[ticket] = user
	}
	return ok
}

// serve runs the next task at a cost.
func (r *rush) serve(cost func(user int) holo.Gas) int {
	ticket, ok := r.fair.Next()
	if !ok {
		r.Fatal("nobody waits")
	}
	user := r.of[ticket]
	delete(r.of, ticket)
	r.used[user] += cost(user)
	r.fair.Leave(userID(user), ticket, cost(user))
	return user
}

// Two users, one with tasks nine times as dear and ten times as many of them
// waiting: the gas is shared within a tenth.
func TestUsersShareANodeByGas(t *testing.T) {
	r := &rush{t, NewFair(64), map[int]holo.Gas{}, map[uint64]int{}}
	cost := func(user int) holo.Gas { return holo.Gas(1 + 8*user) }
	for range 40 {
		r.enter(1)
	}
	for range 4 {
		r.enter(0)
	}
	for range 10_000 {
		r.enter(r.serve(cost))
	}
	if a, b := float64(r.used[0]), float64(r.used[1]); a < 0.9*b || b < 0.9*a {
		t.Errorf("the users have used %v and %v gas", a, b)
	}
}

// Who was away has no credit, and who leaves with debts finds them again.
func TestNobodyGainsByComingAndGoing(t *testing.T) {
	r := &rush{t, NewFair(64), map[int]holo.Gas{}, map[uint64]int{}}
	for range 8 {
		r.enter(0)
	}
	for range 1000 {
		r.enter(r.serve(func(int) holo.Gas { return 10 }))
	}
	before := r.used[0]
	for range 8 {
		r.enter(1) // comes after user 0 has used 10,000
	}
	for range 1000 {
		r.enter(r.serve(func(int) holo.Gas { return 10 }))
	}
	if mine, late := r.used[0]-before, r.used[1]; late > mine+20 || mine > late+20 {
		t.Errorf("who came late used %d while the other used %d", late, mine)
	}
	// User 2 has one task at a time, of 100 gas, and is gone before the next.
	before, late := r.used[0]+r.used[1], r.used[2]
	for range 1000 {
		if r.fair.users[userID(2)] == nil || r.fair.users[userID(2)].taken == 0 {
			r.enter(2)
		}
		cost := func(user int) holo.Gas {
			if user == 2 {
				return 100
			}
			return 10
		}
		if user := r.serve(cost); user != 2 {
			r.enter(user)
		}
	}
	if others := r.used[0] + r.used[1] - before; r.used[2]-late > others/2+200 {
		t.Errorf("who comes and goes used %d, the two others together %d", r.used[2], others)
	}
}

// One user enters without end: a bounded number of places is taken, and another
// user still finds one and is served next but for what runs.
func TestOneUserDoesNotFillTheQueue(t *testing.T) {
	r := &rush{t, NewFair(64), map[int]holo.Gas{}, map[uint64]int{}}
	refused := 0
	for range 100_000 {
		if !r.enter(0) {
			refused++
		}
	}
	if r.fair.Taken() != 48 || refused != 100_000-48 {
		t.Errorf("%d places taken, %d refused", r.fair.Taken(), refused)
	}
	r.serve(func(int) holo.Gas { return 1 })
	if !r.enter(1) {
		t.Fatal("another user finds no place")
	}
	if first, second := r.serve(func(int) holo.Gas { return 1 }), r.serve(func(int) holo.Gas { return 1 }); first != 1 && second != 1 {
		t.Errorf("users %d and %d are served before the one who has used nothing", first, second)
	}
}

// Whatever comes and goes, the books are right: a second count agrees.
func TestFairBooksAgree(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		f := NewFair(1 + rng.IntN(40))
		waits, runs := map[uint64]int{}, map[uint64]int{}
		for range 3000 {
			switch rng.IntN(3) {
			case 0:
				user := rng.IntN(12)
				if ticket, ok := f.Enter(userID(user)); ok {
					waits[ticket] = user
				}
			case 1:
				if ticket, ok := f.Next(); ok != (len(waits) > 0) {
					t.Fatalf("seed %d: %d wait, and Next says %t", seed, len(waits), ok)
				} else if ok {
					runs[ticket] = waits[ticket]
					delete(waits, ticket)
				}
			default:
				from := []map[uint64]int{waits, runs}[rng.IntN(2)]
				for ticket, user := range from {
					f.Leave(userID(user), ticket, holo.Gas(rng.IntN(100)))
					delete(from, ticket)
					break
				}
			}
			if f.Waiting() != len(waits) || f.Taken() != len(waits)+len(runs) || f.Taken() > f.limit {
				t.Fatalf("seed %d: %d wait and %d are taken, want %d and %d", seed, f.Waiting(), f.Taken(), len(waits), len(waits)+len(runs))
			}
		}
	}
}

func TestUsersThatAreGoneAreForgotten(t *testing.T) {
	f := NewFair(8)
	stays, _ := f.Enter(userID(0))
	for i := range 3 * maxUsers {
		ticket, ok := f.Enter(userID(1 + i))
		if !ok {
			t.Fatal("no place")
		}
		f.Leave(userID(1+i), ticket, holo.Gas(1+i))
	}
	if len(f.users) > maxUsers+1 {
		t.Errorf("%d users are remembered", len(f.users))
	}
	f.Leave(userID(0), stays, 1)
	if len(f.users) != 0 {
		t.Errorf("%d users are remembered of a queue that is empty", len(f.users))
	}
}
