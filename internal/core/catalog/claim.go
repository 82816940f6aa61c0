package catalog

import (
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// claim reads the command out of a request, in the asker's name, if the asker
// has the right to it.
func (c *Catalog) claim(who asker, m *wire.Asked) (wire.Message, error) {
	cmd, err := c.reader.Read(m.Procedure, m.Request)
	if err != nil {
		return nil, holo.Refuse(holo.Denied, ReasonClaim, "signed request: %w", err)
	}
	who.grants = c.grantsOf(who.principal)
	switch cmd := cmd.(type) {
	case *wire.ArrayCreate:
		return cmd, c.claimArray(who, cmd)
	case *wire.ArraySealing:
		return cmd, c.allowedOn(who, holo.ActionWrite, cmd.Array)
	case *wire.ArrayDelete:
		return cmd, c.allowedOn(who, holo.ActionFree, cmd.Array)
	case *wire.KernelPut:
		cmd.Kernel.Owner = who.principal
		_, err := c.allowed(who, holo.ActionModulePut, cmd.Kernel.Name, "@kernels/"+cmd.Kernel.Name)
		return cmd, err
	case *wire.JobPut:
		return cmd, c.claimJob(who, cmd)
	case *wire.NodeDrain:
		return cmd, c.claimDrain(who, cmd.Node)
	case *wire.Rebalance:
		return cmd, c.claimRebalance(who, cmd)
	}
	return nil, unclaimed(cmd)
}

func unclaimed(cmd wire.Message) error {
	return holo.Refuse(holo.Denied, ReasonClaim, "signed request: it asks for command %#04x, which no client may ask for", uint16(cmd.Type()))
}

func (c *Catalog) claimArray(who asker, m *wire.ArrayCreate) error {
	r, err := c.allowed(who, holo.ActionAllocate, m.Name, m.Name)
	m.Owner, m.Under, m.Within = who.principal, r.under, r.within
	return err
}

// claimDrain: a grant may name the nodes at which it is good, so a node is
// drained by who may ask that node.
func (c *Catalog) claimDrain(who asker, node holo.NodeID) error {
	if node != who.node {
		return holo.Refuse(holo.Denied, ReasonSession, "drain node %s: it was asked of node %s", node, who.node)
	}
	_, err := c.allowed(who, holo.ActionDrain, "", "@cluster")
	return err
}

// claimRebalance: who may have one node's copies moved may have all nodes' evened
// out. The command is younger than the others.
func (c *Catalog) claimRebalance(who asker, m *wire.Rebalance) error {
	if err := c.inVersion(m); err != nil {
		return err
	}
	_, err := c.allowed(who, holo.ActionDrain, "", "@cluster")
	return err
}

// kernelCalled finds a kernel by its name or its module's hash, the standard ones
// first: nothing that was pushed takes their place.
func (c *Catalog) kernelCalled(name string) (wire.KernelRecord, bool) {
	if called, module, ok := c.reader.Standard(name); ok {
		return wire.KernelRecord{Name: called, Module: module}, true
	}
	id, err := holo.ParseModuleID(name)
	if err != nil {
		return c.KernelByName(name)
	}
	for _, k := range c.Kernels() {
		if k.Module == id {
			return k, true
		}
	}
	return wire.KernelRecord{}, false
}

// readable decides about an input and all that it descends from. It is bound
// where the asker may compute on it only, and what is computed is held back.
func (c *Catalog) readable(who asker, id holo.ArrayID) (bound bool, err error) {
	a, ok := c.arrays[id]
	if !ok || a.State == wire.ArrayDeleted {
		return false, noArray("find", id)
	}
	for _, name := range append([]string{a.Name}, a.Sources...) {
		_, unread := c.allowed(who, holo.ActionRead, name, name)
		if unread == nil {
			continue
		}
		r, err := c.allowed(who, holo.ActionCompute, name, name)
		if err != nil {
			return false, onArray(who, holo.ActionRead, id, unread)
		}
		bound = bound || !r.releases
	}
	return bound, nil
}

// allowedOn is allowed for an array by its ID.
func (c *Catalog) allowedOn(who asker, action holo.Action, id holo.ArrayID) error {
	a, ok := c.arrays[id]
	if !ok || a.State == wire.ArrayDeleted {
		return noArray("find", id)
	}
	if _, err := c.allowed(who, action, a.Name, a.Name); err != nil {
		return onArray(who, action, id, err)
	}
	return nil
}

// onArray is a refusal that does not say what the array is called.
func onArray(who asker, action holo.Action, id holo.ArrayID, err error) error {
	return holo.Refuse(holo.Denied, holo.ReasonOf(err), "array a%d: %s may not %s it", uint64(id), who.principal, action)
}

// grantsOf lists what is granted to a principal, by number. A job asks about
// hundreds of names: the others' grants are looked through once.
func (c *Catalog) grantsOf(p holo.PrincipalID) (list []wire.Access) {
	var ids []uint64
	for id, r := range c.access.grants {
		if r.Access.Principal == p {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		list = append(list, c.access.grants[id].Access)
	}
	return list
}

// granted is what the grants that allow an action give besides.
type granted struct {
	under    string // whose arrays count against the amount
	within   uint64 // the largest amount; 0 is no limit
	releases bool   // what is computed need not be held back
}

// allowed decides about one right by the grants, as internal/policy does, and
// narrows it by the token, which has its own name for a resource.
func (c *Catalog) allowed(who asker, action holo.Action, name, resource string) (g granted, err error) {
	free := who.principal == c.chain.owner && holo.RoleOwner.May(action)
	found := free
	for i := range who.grants {
		a := &who.grants[i]
		if !a.Role.May(action) || !a.Scope.Reaches(action, name, who.module, who.node, who.now) {
			continue
		}
		found, free = true, free || a.Scope.MaxBytes == 0
		g.releases = g.releases || a.Release
		if a.Scope.MaxBytes > g.within {
			g.under, g.within = a.Scope.Under, a.Scope.MaxBytes
		}
	}
	if free {
		g.under, g.within = "", 0
	}
	switch {
	case !found || who.now <= 0 || who.principal == (holo.PrincipalID{}):
		return granted{}, holo.Refuse(holo.Denied, ReasonNotGranted, "%s may not %s %s", who.principal, action, strings.TrimPrefix(resource, "@"))
	case who.covers != nil && !who.covers(action.String(), resource):
		return granted{}, holo.Refuse(holo.Denied, ReasonToken, "the token does not cover %s:%s", action, resource)
	}
	return g, nil
}
