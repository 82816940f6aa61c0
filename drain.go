package holocompute

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// drainLook is how often a drain is looked at.
const drainLook = 250 * time.Millisecond

// Drain has a node, named by its name or its whole ID, give what it holds to
// the others, each part copied before it is given up, and take no new work. It
// returns when that is agreed, and not when it is done (AwaitDrain). It is
// refused where the others cannot hold it all. It needs the right DRAIN, or the
// owner's key in the configuration folder.
func (c *Cluster) Drain(ctx context.Context, node string) error { return c.setDrain(ctx, node, true) }

// Undrain lets a node hold things again.
func (c *Cluster) Undrain(ctx context.Context, node string) error {
	return c.setDrain(ctx, node, false)
}

func (c *Cluster) setDrain(ctx context.Context, node string, on bool) error {
	what := map[bool]string{true: "drain node " + node, false: "undrain node " + node}[on]
	r, err := c.members(ctx)
	if err != nil {
		return err
	}
	m, err := memberNamed(r.GetMembers(), node)
	if err != nil {
		return err
	}
	req := &holov1.SetDrainRequest{Node: m.GetNode(), On: on}
	return c.entitled(ctx, func(as *client) error {
		_, err := change(ctx, as, what, holov1connect.DrainServiceSetProcedure, c.drains.Set, req)
		return err
	})
}

// entitled tries something in the user's name, and where the user has not the
// right to it and the owner's key is here, in the owner's.
func (c *Cluster) entitled(ctx context.Context, try func(as *client) error) error {
	err := try(c.client)
	if ReasonOf(err) != reasonNotGranted {
		return err
	}
	as, _, unowned := c.ownerOf(ctx)
	if unowned != nil {
		return err
	}
	return try(as)
}

// AwaitDrain waits until a node that drains holds nothing any more. It calls
// see, if there is one, with the number of shards that it still holds, at once
// and then now and again.
func (c *Cluster) AwaitDrain(ctx context.Context, node string, see func(held int)) error {
	for {
		m, err := c.Member(ctx, node)
		switch {
		case err != nil:
			return err
		case m.State != "draining" && m.State != "drained":
			return holo.Errorf(Conflict, "await drain of node %s: it is %s", node, m.State)
		}
		if see != nil {
			see(m.Held)
		}
		if m.State == "drained" {
			return nil
		}
		if stop := sleep(ctx, drainLook); stop != nil {
			return holo.Errorf(Cancelled, "await drain of node %s: %d shards are still there: %w", node, m.Held, stop)
		}
	}
}

// Member finds a node by its name or its whole ID.
func (c *Cluster) Member(ctx context.Context, node string) (MemberInfo, error) {
	r, err := c.members(ctx)
	if err != nil {
		return MemberInfo{}, err
	}
	m, err := memberNamed(r.GetMembers(), node)
	if err != nil {
		return MemberInfo{}, err
	}
	return memberInfo(m), nil
}

// Remove takes a node that is drained out of the cluster for good. It needs the
// owner's key in the configuration folder.
func (c *Cluster) Remove(ctx context.Context, node string) error {
	m, err := c.Member(ctx, node)
	if err != nil {
		return err
	}
	if m.State != "drained" {
		return holo.Refuse(Conflict, reasonNotDrained, "remove node %s: it is %s", node, m.State)
	}
	return c.Evict(ctx, m.ID, EvictOptions{})
}

func memberInfo(m *holov1.Membership) MemberInfo {
	return MemberInfo{
		ID: hex.EncodeToString(m.GetNode()), Name: m.GetName(), State: m.GetState(), Admission: hex.EncodeToString(m.GetAdmission()),
		Joined: m.GetJoinedUnix(), Address: m.GetAddress(), Held: int(m.GetHeld()),
	}
}
