package memory

import (
	"context"
	"errors"
	"time"

	"github.com/holocompute/holocompute/internal/buffer"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// errEnough ends the looks at other homes when one has something.
var errEnough = errors.New("a lane has what is waited for")

// looked is the lanes of one home, by their places in a list.
type looked struct {
	home  holo.NodeID
	at    []int
	lanes []wire.LaneAt
}

// LookLanes asks the home of each lane, all homes at once: see buffer.Memory.
func (n *Node) LookLanes(ctx context.Context, a *wire.ArrayRecord, numbers []int, patience time.Duration, room uint64) []buffer.Seen {
	seen := make([]buffer.Seen, len(numbers))
	homes := n.homesOf(ctx, a, numbers, seen)
	_ = wait.Parallel(ctx, len(homes), len(homes), func(ctx context.Context, i int) error {
		h := homes[i]
		req := &wire.LaneLook{Array: a.ID, Lanes: h.lanes, Wait: holo.Duration(patience), Room: room, Pages: uint32(a.Shape.ExtentPages())}
		states, err := n.lookOnce(ctx, h.home, req)
		if err != nil && errors.Is(context.Cause(ctx), errEnough) {
			return nil // not waited for any more
		}
		for k, at := range h.at {
			if seen[at].Err = err; err == nil {
				seen[at].State = &states[k]
			}
		}
		if err == nil && patience > 0 && enough(states, req) {
			return errEnough
		}
		return nil
	})
	return seen
}

// homesOf sorts lanes by their homes.
func (n *Node) homesOf(ctx context.Context, a *wire.ArrayRecord, numbers []int, seen []buffer.Seen) (list []*looked) {
	of := map[holo.NodeID]*looked{}
	for i, number := range numbers {
		run := RunOf(a, uint64(number))
		if a.LostIn(run.Shard) {
			seen[i].Err = lostLane(a, number)
			continue
		}
		home, err := n.HomeOf(ctx, a.ID, run.Shard)
		if err != nil {
			seen[i].Err = err
			continue
		}
		if of[home] == nil {
			of[home] = &looked{home: home}
			list = append(list, of[home])
		}
		of[home].at = append(of[home].at, i)
		of[home].lanes = append(of[home].lanes, wire.LaneAt{Shard: run.Shard, Page: run.First})
	}
	return list
}

// enough reports whether one of the lanes has what is waited for.
func enough(states []lane.State, m *wire.LaneLook) bool {
	for i := range states {
		if m.Room == 0 && states[i].Ready() || m.Room > 0 && states[i].Room(int(m.Pages)) >= m.Room {
			return true
		}
	}
	return false
}

// lookDeadline bounds one look at another node's lanes, the wait for one included.
const lookDeadline = 4 * time.Second

func (n *Node) lookOnce(ctx context.Context, home holo.NodeID, m *wire.LaneLook) ([]lane.State, error) {
	if home == n.self {
		return n.lanesHere(ctx, m)
	}
	ctx, cancel := context.WithTimeout(ctx, lookDeadline)
	defer cancel()
	answer, err := n.links.Ask(ctx, home, transport.Data, m)
	if err != nil {
		return nil, err
	}
	list, ok := answer.(*wire.LaneList)
	if !ok || len(list.Heads) != len(m.Lanes) {
		return nil, n.links.Unexpected(home, answer)
	}
	states := make([]lane.State, len(list.Heads))
	for i := range states {
		if states[i], err = lane.ParseState(list.Heads[i][:]); err != nil {
			return nil, n.links.Blame(home, err)
		}
	}
	return states, nil
}

// lookPause is the least between two looks of one who waits: what happens
// meanwhile is seen at once.
const lookPause = 2 * time.Millisecond

// lanesHere says how lanes are of which this node is home. It looks again after
// each operation on any lane here.
func (n *Node) lanesHere(ctx context.Context, m *wire.LaneLook) ([]lane.State, error) {
	over := time.NewTimer(time.Duration(m.Wait))
	defer over.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		wake := n.laneChanged.Wait()
		states, err := n.readLanes(ctx, m)
		if err != nil || m.Wait == 0 || enough(states, m) {
			return states, err
		}
		select {
		case <-wake:
			if !wait.Sleep(ctx, pause, lookPause) {
				return states, ctx.Err()
			}
		case <-over.C:
			return states, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-n.group.Done():
			return nil, n.turns.Gone(ctx)
		}
	}
}

func (n *Node) readLanes(ctx context.Context, m *wire.LaneLook) ([]lane.State, error) {
	states := make([]lane.State, len(m.Lanes))
	var head [wire.LaneHead]byte
	for i, l := range m.Lanes {
		read, err := n.readHere(ctx, shard.ReadRequest{Shard: l.Shard, Pages: []holo.PageID{{Array: m.Array, Index: l.Page}}})
		if err != nil {
			return nil, err
		}
		v := &read.Pages[0]
		Content{v.Kind, v.Data, v.Digest, v.Hashed}.copyTo(head[:], 0)
		if states[i], err = lane.ParseState(head[:]); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// ServeLook answers another node about lanes.
func (n *Node) ServeLook(ctx context.Context, r *Request) error {
	states, err := n.lanesHere(ctx, r.Msg.(*wire.LaneLook))
	if err != nil {
		return err
	}
	list := &wire.LaneList{Heads: make([][wire.LaneHead]byte, len(states))}
	for i := range states {
		states[i].Put(list.Heads[i][:])
	}
	return r.Answer(list)
}
