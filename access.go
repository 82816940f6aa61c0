package holocompute

import (
	"context"
	"path/filepath"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
)

// Role is a set of actions that is granted as one.
type Role struct {
	Name    string   `json:"name"`
	Means   string   `json:"means"`
	Actions []string `json:"actions"`
}

// Roles lists the roles, the owner's first, which cannot be granted.
func Roles() []Role {
	var list []Role
	for _, r := range holo.Roles() {
		one := Role{Name: r.String(), Means: r.Means()}
		for _, a := range r.Actions() {
			one.Actions = append(one.Actions, a.String())
		}
		list = append(list, one)
	}
	return list
}

// Scope limits what a grant is good for. Its zero value limits nothing.
type Scope struct {
	Under    string    `json:"under,omitempty"`    // arrays and kernels of this name, or below it by whole segments
	Module   string    `json:"module,omitempty"`   // runner, analyst: this module alone, by its hash
	Nodes    []string  `json:"nodes,omitempty"`    // good only in calls to these nodes
	MaxBytes uint64    `json:"maxBytes,omitempty"` // allocator, user: what their arrays may take, all copies together
	NotAfter time.Time `json:"notAfter,omitzero"`
}

// Grant is a role that a principal has, within a scope.
type Grant struct {
	ID        uint64    `json:"id"`
	Principal string    `json:"principal"` // the public key, hexadecimal
	Label     string    `json:"label,omitempty"`
	Role      string    `json:"role"`
	Scope     Scope     `json:"scope"`
	Release   bool      `json:"release,omitempty"` // analyst: may read what is computed
	By        string    `json:"by"`
	Created   time.Time `json:"created"`
}

// Self is who a client is, and what is granted to it.
type Self struct {
	Principal string  `json:"principal"`
	Owner     bool    `json:"owner"` // the key that founded the cluster
	Grants    []Grant `json:"grants"`
	Epoch     uint64  `json:"epoch"` // counts the changes of who may do what
}

// Explanation says whether something is allowed, and what is missing.
type Explanation struct {
	Principal string   `json:"principal"`
	Allowed   bool     `json:"allowed"`
	Policies  []string `json:"policies,omitempty"`
	Missing   []string `json:"missing,omitempty"`
	Epoch     uint64   `json:"epoch"`
}

// UserKey is the public key of the user whose key lies in the configuration
// folder, hexadecimal: what a role is granted to. Where there is none it is
// made.
func UserKey(o Options) (string, error) {
	config, err := o.config()
	if err != nil {
		return "", err
	}
	if err := identity.PrepareDir(config); err != nil {
		return "", err
	}
	path := filepath.Join(config, identity.UserKeyFile)
	s, err := identity.ReadSigner(path)
	if err != nil && KindOf(err) == NotFound {
		s = key.GenerateSigner()
		err = identity.WriteSigner(path, s)
	}
	if err != nil {
		return "", err
	}
	return holo.PrincipalID(s.Public()).Hex(), nil
}

// WhoAmI asks the node who this client is to it.
func (c *Cluster) WhoAmI(ctx context.Context) (*Self, error) {
	m, err := read(ctx, c.client, "ask who I am", c.access.WhoAmI, &holov1.WhoAmIRequest{})
	if err != nil {
		return nil, err
	}
	return &Self{Principal: m.GetPrincipal(), Owner: m.GetOwner(), Grants: grantsOf(m.GetGrants()), Epoch: m.GetEpoch()}, nil
}

// Explain asks whether a principal may do something, and what is missing if
// not. principal "" is this client; of others it takes AUDIT_READ. module names
// the kernel for COMPUTE.
func (c *Cluster) Explain(ctx context.Context, action, resource, module, principal string) (*Explanation, error) {
	as := c.client
	if principal != "" {
		var err error
		if as, err = c.granter(ctx); err != nil {
			return nil, err
		}
	}
	m, err := read(ctx, as, "explain", c.access.Explain, &holov1.ExplainRequest{Action: action, Resource: resource, Module: module, Principal: principal})
	if err != nil {
		return nil, err
	}
	return &Explanation{Principal: m.GetPrincipal(), Allowed: m.GetAllowed(), Policies: m.GetPolicies(), Missing: m.GetMissing(), Epoch: m.GetEpoch()}, nil
}

// Grants lists all grants. It needs POLICY_WRITE or AUDIT_READ.
func (c *Cluster) Grants(ctx context.Context) ([]Grant, error) {
	as, err := c.granter(ctx)
	if err != nil {
		return nil, err
	}
	m, err := read(ctx, as, "list grants", c.access.ListGrants, &holov1.ListGrantsRequest{})
	if err != nil {
		return nil, err
	}
	return grantsOf(m.GetGrants()), nil
}

// AddGrant grants a role, by the owner's key where it is in the configuration
// folder, else by the user's. ID, By and Created are left out.
func (c *Cluster) AddGrant(ctx context.Context, g Grant) (*Grant, error) {
	return c.changeAccess(ctx, func(ctx context.Context, as *client, cluster holo.ClusterID, epoch uint64) (*holov1.Grant, error) {
		m, proof, err := grantRequest(&g, cluster, epoch)
		if err != nil {
			return nil, err
		}
		m.Signature = as.signer.Sign(proof)
		return change(ctx, as, "grant "+g.Role, holov1connect.AccessServicePutGrantProcedure, c.access.PutGrant, m)
	})
}

// RevokeGrant ends a grant. What it opened is closed on all nodes within a node
// lease, 3 s.
func (c *Cluster) RevokeGrant(ctx context.Context, id uint64) (*Grant, error) {
	return c.changeAccess(ctx, func(ctx context.Context, as *client, cluster holo.ClusterID, epoch uint64) (*holov1.Grant, error) {
		m := &holov1.RevokeGrantRequest{Id: id, Epoch: epoch, Signature: as.signer.Sign(api.RevokeProof(cluster, epoch, id))}
		return change(ctx, as, "revoke grant", holov1connect.AccessServiceRevokeGrantProcedure, c.access.RevokeGrant, m)
	})
}

// staleTries bounds the tries of a change that others keep overtaking.
const staleTries = 8

// changeAccess signs a change over the epoch of now, again when somebody else
// changed something first.
func (c *Cluster) changeAccess(ctx context.Context, try func(context.Context, *client, holo.ClusterID, uint64) (*holov1.Grant, error)) (*Grant, error) {
	as, err := c.granter(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := as.clusterID(ctx)
	if err != nil {
		return nil, err
	}
	for range staleTries {
		now, listed := read(ctx, as, "list grants", c.access.ListGrants, &holov1.ListGrantsRequest{})
		if listed != nil {
			return nil, listed
		}
		var m *holov1.Grant
		if m, err = try(ctx, as, cluster, now.GetEpoch()); err == nil {
			g := grantOf(m)
			return &g, nil
		}
		if ReasonOf(err) != "stale_policy" {
			return nil, err
		}
	}
	return nil, err
}

// granter is the session in which who may do what is changed: the owner's
// where its key is here and this cluster's, else the user's. A link hears no key
// but the one that made it.
func (c *Cluster) granter(ctx context.Context) (*client, error) {
	if c.client.link != nil {
		return c.client, nil
	}
	owner, err := identity.ReadSigner(filepath.Join(c.config, identity.OwnerKeyFile))
	if KindOf(err) == NotFound && err != nil {
		return c.client, nil
	}
	if err != nil {
		return nil, err
	}
	as := c.as(owner)
	if _, err := as.session(ctx, nil); ReasonOf(err) == "unknown_principal" {
		return c.client, nil
	}
	return as, nil
}

// as is a client of the owner's key over the same connections, in a session
// that is kept.
func (c *Cluster) as(owner key.Signer) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.owner == nil || c.mu.owner.signer.Public() != owner.Public() {
		c.mu.owner = &client{http: c.client.http, link: c.client.link, open: c.client.open, signer: owner}
	}
	return c.mu.owner
}
