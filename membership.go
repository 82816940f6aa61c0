package holocompute

import (
	"context"
	"encoding/hex"
	"path/filepath"
	"strings"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
)

// MemberInfo is a node as the membership chain has it.
type MemberInfo struct {
	ID        string `json:"id"` // public key, hexadecimal
	Name      string `json:"name"`
	State     string `json:"state"`     // active, dead
	Admission string `json:"admission"` // hash of the record that admitted it, hexadecimal
	Joined    int64  `json:"joined"`    // seconds since 1970
	Address   string `json:"address"`
}

// Members lists who belongs to the cluster.
func (c *Cluster) Members(ctx context.Context) ([]MemberInfo, error) {
	r, err := c.members(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]MemberInfo, len(r.GetMembers()))
	for i, m := range r.GetMembers() {
		out[i] = MemberInfo{
			ID: hex.EncodeToString(m.GetNode()), Name: m.GetName(), State: m.GetState(), Admission: hex.EncodeToString(m.GetAdmission()),
			Joined: m.GetJoinedUnix(), Address: m.GetAddress(),
		}
	}
	return out, nil
}

func (c *Cluster) members(ctx context.Context) (*holov1.ListMembersResponse, error) {
	r, err := read(ctx, c.client, "list nodes", c.nodes.List, &holov1.ListMembersRequest{})
	if err == nil && len(r.GetHead()) != 32 {
		return nil, holo.Errorf(Corrupt, "list nodes: the node's answer is malformed")
	}
	return r, err
}

// EvictOptions say how far an eviction may go.
type EvictOptions struct {
	LoseData bool // go on though the node holds the last copy of something
}

// Evict removes a node, named by its name or by its whole ID, from the cluster.
// It needs the owner's key in the configuration folder. What is said about the
// node is the local node's word; the ID leaves no doubt.
func (c *Cluster) Evict(ctx context.Context, node string, o EvictOptions) error {
	what := "evict node " + node
	return c.owned(ctx, what, func(r *holov1.ListMembersResponse, owner key.Signer, cluster holo.ClusterID) error {
		m, err := memberNamed(r.GetMembers(), node)
		if err != nil {
			return err
		}
		proof := api.EvictProof(cluster, [32]byte(r.GetHead()), holo.NodeID(m.GetNode()), [32]byte(m.GetAdmission()), o.LoseData)
		req := &holov1.EvictRequest{Node: m.GetNode(), Admission: m.GetAdmission(), LoseData: o.LoseData, OwnerSignature: owner.Sign(proof)}
		_, err = change(ctx, c.client, what, holov1connect.NodeServiceEvictProcedure, c.nodes.Evict, req)
		return err
	})
}

// PendingInfo is a node that waits for votes.
type PendingInfo struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Have    int    `json:"have"` // votes
	Need    int    `json:"need"`
	Expires int64  `json:"expires"` // seconds since 1970
}

// Pending lists the nodes that have a valid invite and wait for votes, and how
// many votes an admission needs.
func (c *Cluster) Pending(ctx context.Context) (waiting []PendingInfo, votes int, err error) {
	r, err := c.members(ctx)
	for _, p := range r.GetPending() {
		waiting = append(waiting, PendingInfo{
			ID: hex.EncodeToString(p.GetNode()), Name: p.GetName(), Have: int(p.GetHave()), Need: int(p.GetNeed()), Expires: p.GetExpiresUnix(),
		})
	}
	return waiting, int(r.GetVotes()), err
}

// Approval is what a vote came to.
type Approval struct {
	Admitted bool `json:"admitted"`
	Have     int  `json:"have"` // votes, while it waits
	Need     int  `json:"need"`
}

// Approve votes for a node that waits, named by its name or its whole ID: as
// the node on this machine, or as the owner.
func (c *Cluster) Approve(ctx context.Context, node string, asOwner bool) (*Approval, error) {
	r, err := c.members(ctx)
	if err != nil {
		return nil, err
	}
	p, err := pendingNamed(r.GetPending(), node)
	if err != nil {
		return nil, err
	}
	req := &holov1.ApproveRequest{Node: p.GetNode()}
	if asOwner {
		if req.OwnerSignature, err = c.ownersVote(ctx, r, p); err != nil {
			return nil, err
		}
	}
	a, err := change(ctx, c.client, "approve node "+node, holov1connect.NodeServiceApproveProcedure, c.nodes.Approve, req)
	return &Approval{Admitted: a.GetAdmitted(), Have: int(a.GetHave()), Need: int(a.GetNeed())}, err
}

func (c *Cluster) ownersVote(ctx context.Context, r *holov1.ListMembersResponse, p *holov1.PendingNode) ([]byte, error) {
	if len(r.GetPolicy()) != 32 || len(p.GetInviteKey()) != 32 || len(p.GetHandshakeHash()) != 32 {
		return nil, holo.Errorf(Corrupt, "list nodes: the node's answer is malformed")
	}
	owner, cluster, err := c.ownerOf(ctx)
	if err != nil {
		return nil, err
	}
	proof := api.VoteProof(cluster, [32]byte(r.GetPolicy()), holo.NodeID(p.GetNode()), [32]byte(p.GetInviteKey()), [32]byte(p.GetHandshakeHash()), p.GetName())
	return owner.Sign(proof), nil
}

// SetPolicy changes how many votes an admission needs; 0: the owner's invite is
// enough. It needs the owner's key in the configuration folder.
func (c *Cluster) SetPolicy(ctx context.Context, votes int) error {
	const what = "set the policy of admission"
	if votes < 0 || votes > maxVotes {
		return holo.Errorf(Invalid, "%s: %d votes, want 0 to %d", what, votes, maxVotes)
	}
	return c.owned(ctx, what, func(r *holov1.ListMembersResponse, owner key.Signer, cluster holo.ClusterID) error {
		sig := owner.Sign(api.PolicyProof(cluster, [32]byte(r.GetHead()), uint8(votes)))
		req := &holov1.PolicyRequest{Votes: uint32(votes), OwnerSignature: sig}
		_, err := change(ctx, c.client, what, holov1connect.NodeServiceSetPolicyProcedure, c.nodes.SetPolicy, req)
		return err
	})
}

// maxVotes is the most that an admission may need.
const maxVotes = 7

// rekeyLook is how often Rekey looks whether the new key is in force.
const rekeyLook = 200 * time.Millisecond

// Rekey replaces the key that the cluster's nodes share, and returns its number
// when the key before it opens nothing any more between the nodes that run. It
// needs the owner's key in the configuration folder.
func (c *Cluster) Rekey(ctx context.Context) (epoch uint64, err error) {
	const what = "replace the cluster key"
	err = c.owned(ctx, what, func(r *holov1.ListMembersResponse, owner key.Signer, cluster holo.ClusterID) error {
		epoch = r.GetKeyEpoch()
		req := &holov1.RekeyRequest{Epoch: epoch, OwnerSignature: owner.Sign(api.RekeyProof(cluster, epoch))}
		_, err := change(ctx, c.client, what, holov1connect.NodeServiceRekeyProcedure, c.nodes.Rekey, req)
		return err
	})
	for err == nil {
		r, err := c.members(ctx)
		if err != nil || r.GetKeyEpoch() > epoch && r.GetKeySettled() {
			return r.GetKeyEpoch(), err
		}
		if stop := sleep(ctx, rekeyLook); stop != nil {
			return 0, holo.Errorf(Cancelled, "%s: %w", what, stop)
		}
	}
	return 0, err
}

// owned does something that the owner signs for the end of the membership chain
// as it is, again when the chain has grown meanwhile.
func (c *Cluster) owned(ctx context.Context, what string, do func(*holov1.ListMembersResponse, key.Signer, holo.ClusterID) error) error {
	owner, cluster, err := c.ownerOf(ctx)
	if err != nil {
		return err
	}
	for head := ""; ; {
		r, err := c.members(ctx)
		if err != nil {
			return err
		}
		if string(r.GetHead()) == head {
			return holo.Errorf(Denied, "%s: the key in the configuration folder is not this cluster's owner's", what)
		}
		head = string(r.GetHead())
		if err := do(r, owner, cluster); ReasonOf(err) != reasonOwnerSig {
			return err
		}
	}
}

// ownerOf reads the owner's key, and says which cluster the node here is of.
func (c *Cluster) ownerOf(ctx context.Context) (owner key.Signer, cluster holo.ClusterID, err error) {
	if owner, err = identity.ReadSigner(filepath.Join(c.config, identity.OwnerKeyFile)); err != nil {
		return owner, cluster, err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return owner, cluster, err
	}
	cluster, err = holo.ParseClusterID(status.Cluster)
	return owner, cluster, err
}

// pendingNamed finds the one node of a name or ID that waits.
func pendingNamed(waiting []*holov1.PendingNode, node string) (*holov1.PendingNode, error) {
	for _, p := range waiting {
		if len(p.GetNode()) == 32 && (p.GetName() == node || strings.EqualFold(hex.EncodeToString(p.GetNode()), node)) {
			return p, nil
		}
	}
	return nil, holo.Errorf(NotFound, "node %s: no node of this name or ID waits for votes", node)
}

// memberNamed finds the one member of a name or ID.
func memberNamed(members []*holov1.Membership, node string) (found *holov1.Membership, err error) {
	for _, m := range members {
		if len(m.GetNode()) != 32 || len(m.GetAdmission()) != 32 {
			return nil, holo.Errorf(Corrupt, "list nodes: the node's answer is malformed")
		}
		if m.GetName() == node || strings.EqualFold(hex.EncodeToString(m.GetNode()), node) {
			if found != nil {
				return nil, holo.Errorf(Conflict, "node %s: two nodes are called so: give the ID", node)
			}
			found = m
		}
	}
	if found == nil {
		return nil, holo.Errorf(NotFound, "node %s: no member has this name or ID", node)
	}
	return found, nil
}
