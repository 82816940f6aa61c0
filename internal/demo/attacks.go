package demo

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/attack"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/kernels"
)

// attackGas is what the hostile kernels may burn: a blink.
const attackGas = 50_000_000

// attacks carries out attacks on the live cluster of two from this process,
// which is none of its nodes. Each is an attack that would succeed if its
// mitigation were not there; after all of them the cluster must still answer.
func (s *story) attacks(ctx context.Context, c *cluster) error {
	target, err := c.target(ctx)
	if err != nil {
		return err
	}
	for _, a := range []struct {
		name  string
		carry func() (attack.Outcome, error)
	}{
		{"a stolen cluster key, unknown node key", func() (attack.Outcome, error) { return c.unknownNode(ctx, target) }},
		{"a wrong cluster key", func() (attack.Outcome, error) { return attack.WrongClusterKey(ctx, target) }},
		{"a forged invite", func() (attack.Outcome, error) { return attack.ForgedInvite(ctx, target) }},
		{"a kernel that never ends", func() (attack.Outcome, error) { return s.hostileKernel(ctx, c, "loop") }},
		{"a kernel of 2^48 calls, no loop", func() (attack.Outcome, error) { return s.hostileKernel(ctx, c, "doubling") }},
		{"a member that serves wrong pages", func() (attack.Outcome, error) { return s.tamperedPages(ctx) }},
	} {
		if err := s.attack(ctx, c, a.name, a.carry); err != nil {
			return err
		}
	}
	return nil
}

// attack carries out one attack, and then asks the cluster something: an attack
// that it does not outlive was not refused.
func (s *story) attack(ctx context.Context, c *cluster, name string, carry func() (attack.Outcome, error)) error {
	outcome, err := carry()
	if err != nil {
		return holo.Errorf(holo.KindOf(err), "attack %q: %w", name, err)
	}
	status, err := c.sdk.Status(ctx)
	if err == nil && status.Leader == "" {
		err = holo.Errorf(holo.Unavailable, "nobody leads it")
	}
	if err != nil {
		return holo.Errorf(holo.Internal, "the cluster did not answer after the attack %q: %w", name, err)
	}
	done := Attack{Name: name, Refused: outcome.Refused, Reason: outcome.Reason, Detail: outcome.Detail}
	s.report.Attacks = append(s.report.Attacks, done)
	s.say.attack(done)
	if !outcome.Refused {
		return holo.Errorf(holo.Internal, "the attack %q was not refused: %s", name, outcome.Detail)
	}
	return nil
}

// target is the node that is attacked over the network: the one that the
// session is with, so that its counters can be read.
func (c *cluster) target(ctx context.Context) (t attack.Target, err error) {
	status, err := c.sdk.Status(ctx)
	if err != nil {
		return t, err
	}
	if t.Cluster, err = holo.ParseClusterID(status.Cluster); err != nil {
		return t, err
	}
	if t.Node, err = holo.ParseNodeID(c.at.id); err != nil {
		return t, err
	}
	for _, n := range status.Nodes {
		if n.ID == c.at.id {
			t.Address = n.Address
		}
	}
	t.Refusals = func(ctx context.Context) (map[string]uint64, error) {
		status, err := c.sdk.Status(ctx)
		if err != nil {
			return nil, err
		}
		return status.Refusals, nil
	}
	return t, nil
}

// unknownNode attacks with the cluster's own key, stolen from a node's disk,
// and a node key that nobody admitted.
func (c *cluster) unknownNode(ctx context.Context, target attack.Target) (attack.Outcome, error) {
	stolen, err := identity.ReadSecret(filepath.Join(c.at.dir, "cluster.key"))
	if err != nil {
		return attack.Outcome{}, err
	}
	return attack.UnknownNode(ctx, target, stolen)
}

// hostileKernel pushes a kernel that would run for years and runs it. The mark,
// if there is one, travels as its argument.
func (s *story) hostileKernel(ctx context.Context, c *cluster, name string) (attack.Outcome, error) {
	if _, err := c.sdk.PushKernel(ctx, name, kernels.Get(name)); err != nil {
		return attack.Outcome{}, err
	}
	delay, err := c.sdk.OpenRaw(ctx, "delay")
	if err != nil {
		return attack.Outcome{}, err
	}
	call := holocompute.Call{Kernel: name, Function: "attack", Inputs: []*holocompute.Raw{delay}, Params: []byte(s.Mark), Gas: attackGas}
	job, err := c.sdk.Reduce(ctx, call, 8)
	if err != nil {
		return attack.Outcome{}, err
	}
	_, err = job.Wait(ctx)
	reason := holo.ReasonOf(err)
	return attack.Outcome{Refused: reason == "out_of_gas" || reason == "call_depth", Reason: reason, Detail: fmt.Sprint(err)}, nil
}

// tamperedPages starts a cluster of two of its own, in which nothing lies
// anywhere yet, and lets an attacker join it with a valid invite as a third
// node. It behaves, until it is asked for pages: then one bit is wrong. An array
// spread over the three is read; it must come back right, and the lie must be
// noticed.
func (s *story) tamperedPages(ctx context.Context) (o attack.Outcome, err error) {
	err = s.withCluster(ctx, 2, func(ctx context.Context, c *cluster) error {
		o, err = s.withLiar(ctx, c)
		return err
	})
	return o, err
}

func (s *story) withLiar(ctx context.Context, c *cluster) (attack.Outcome, error) {
	invite, err := c.sdk.Invite(ctx, inviteLifetime)
	if err != nil {
		return attack.Outcome{}, err
	}
	liar, err := attack.JoinLiar(ctx, filepath.Join(c.root, "liar"), invite)
	if err != nil {
		return attack.Outcome{}, err
	}
	defer liar.Close()
	before, err := c.sdk.Status(ctx)
	if err != nil {
		return attack.Outcome{}, err
	}
	right, err := s.readThroughLiar(ctx, c)
	if err != nil {
		return attack.Outcome{}, err
	}
	after, err := c.sdk.Status(ctx)
	if err != nil {
		return attack.Outcome{}, err
	}
	noticed := after.Refusals[corruptPage] - before.Refusals[corruptPage]
	return attack.Outcome{
		Refused: right && noticed > 0 && liar.Served() > 0, Reason: corruptPage,
		Detail: fmt.Sprintf("%d pages served with a flipped bit, %d noticed, the data read is %s", liar.Served(), noticed, pick(right, "right", "WRONG")),
	}, nil
}

// corruptPage is the reason under which a node counts pages that do not match
// their digest.
const corruptPage = "digest_mismatch"

// tamperElements spreads an array over so many shards that some have the liar
// for their home and no copy on the node that reads: 64 extents of one page, of
// two copies on three nodes. (A node that holds a copy reads that.)
const tamperElements = 64 * holo.PageSize

func (s *story) readThroughLiar(ctx context.Context, c *cluster) (right bool, err error) {
	a, err := holocompute.Create[uint8](ctx, c.sdk, "everywhere", tamperElements, holocompute.ArrayOptions{Copies: 2, Extent: holo.PageSize})
	if err != nil {
		return false, err
	}
	want := make([]uint8, tamperElements)
	for i := range want {
		want[i] = uint8(i * 7 >> 3)
	}
	if err := a.Write(ctx, 0, want); err != nil {
		return false, err
	}
	if err := a.Seal(ctx); err != nil {
		return false, err
	}
	got := make([]uint8, tamperElements)
	if err := a.Read(ctx, 0, got); err != nil {
		return false, err
	}
	return bytes.Equal(got, want), nil
}
