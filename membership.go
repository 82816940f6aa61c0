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
)

// MemberInfo is a node as the membership chain has it.
type MemberInfo struct {
	ID        string `json:"id"` // public key, hexadecimal
	Name      string `json:"name"`
	State     string `json:"state"`     // active, draining, drained, dead
	Admission string `json:"admission"` // hash of the record that admitted it, hexadecimal
	Joined    int64  `json:"joined"`    // seconds since 1970
	Address   string `json:"address"`
	Held      int    `json:"held"` // of a node that drains: shards that it still holds
}

// Members lists who belongs to the cluster.
func (c *Cluster) Members(ctx context.Context) ([]MemberInfo, error) {
	r, err := c.members(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]MemberInfo, len(r.GetMembers()))
	for i, m := range r.GetMembers() {
		out[i] = memberInfo(m)
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
	return c.owned(ctx, what, func(as *client, r *holov1.ListMembersResponse, cluster holo.ClusterID) error {
		m, err := memberNamed(r.GetMembers(), node)
		if err != nil {
			return err
		}
		proof := api.EvictProof(cluster, [32]byte(r.GetHead()), holo.NodeID(m.GetNode()), [32]byte(m.GetAdmission()), o.LoseData)
		req := &holov1.EvictRequest{Node: m.GetNode(), Admission: m.GetAdmission(), LoseData: o.LoseData, OwnerSignature: as.signer.Sign(proof)}
		_, err = change(ctx, as, what, holov1connect.NodeServiceEvictProcedure, c.nodes.Evict, req)
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
// the node on this machine, which takes the right NODE_APPROVE, or as the owner.
func (c *Cluster) Approve(ctx context.Context, node string, asOwner bool) (*Approval, error) {
	r, err := c.members(ctx)
	if err != nil {
		return nil, err
	}
	p, err := pendingNamed(r.GetPending(), node)
	if err != nil {
		return nil, err
	}
	req, as := &holov1.ApproveRequest{Node: p.GetNode()}, c.client
	if asOwner {
		if as, err = c.ownersVote(ctx, r, p, req); err != nil {
			return nil, err
		}
	}
	a, err := change(ctx, as, "approve node "+node, holov1connect.NodeServiceApproveProcedure, c.nodes.Approve, req)
	return &Approval{Admitted: a.GetAdmitted(), Have: int(a.GetHave()), Need: int(a.GetNeed())}, err
}

// ownersVote adds the owner's vote to a request, and gives the owner's client.
func (c *Cluster) ownersVote(ctx context.Context, r *holov1.ListMembersResponse, p *holov1.PendingNode, req *holov1.ApproveRequest) (*client, error) {
	if len(r.GetPolicy()) != 32 || len(p.GetInviteKey()) != 32 || len(p.GetHandshakeHash()) != 32 {
		return nil, holo.Errorf(Corrupt, "list nodes: the node's answer is malformed")
	}
	as, cluster, err := c.ownerOf(ctx)
	if err != nil {
		return nil, err
	}
	proof := api.VoteProof(cluster, [32]byte(r.GetPolicy()), holo.NodeID(p.GetNode()), [32]byte(p.GetInviteKey()), [32]byte(p.GetHandshakeHash()), p.GetName())
	req.OwnerSignature = as.signer.Sign(proof)
	return as, nil
}

// SetPolicy changes how many votes an admission needs; 0: the owner's invite is
// enough. It needs the owner's key in the configuration folder.
func (c *Cluster) SetPolicy(ctx context.Context, votes int) error {
	const what = "set the policy of admission"
	if votes < 0 || votes > maxVotes {
		return holo.Errorf(Invalid, "%s: %d votes, want 0 to %d", what, votes, maxVotes)
	}
	return c.owned(ctx, what, func(as *client, r *holov1.ListMembersResponse, cluster holo.ClusterID) error {
		sig := as.signer.Sign(api.PolicyProof(cluster, [32]byte(r.GetHead()), uint8(votes)))
		req := &holov1.PolicyRequest{Votes: uint32(votes), OwnerSignature: sig}
		_, err := change(ctx, as, what, holov1connect.NodeServiceSetPolicyProcedure, c.nodes.SetPolicy, req)
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
	err = c.owned(ctx, what, func(as *client, r *holov1.ListMembersResponse, cluster holo.ClusterID) error {
		epoch = r.GetKeyEpoch()
		req := &holov1.RekeyRequest{Epoch: epoch, OwnerSignature: as.signer.Sign(api.RekeyProof(cluster, epoch))}
		_, err := change(ctx, as, what, holov1connect.NodeServiceRekeyProcedure, c.nodes.Rekey, req)
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

// owned does, in a session of the owner's, something that the owner signs for the end of the membership chain
// as it is, again when the chain has grown meanwhile.
func (c *Cluster) owned(ctx context.Context, what string, do func(*client, *holov1.ListMembersResponse, holo.ClusterID) error) error {
	as, cluster, err := c.ownerOf(ctx)
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
		if err := do(as, r, cluster); ReasonOf(err) != reasonOwnerSig {
			return err
		}
	}
}

// ownerOf is a client with the owner's key, and which cluster the node here is
// of.
func (c *Cluster) ownerOf(ctx context.Context) (as *client, cluster holo.ClusterID, err error) {
	owner, err := c.keys.ReadSigner(filepath.Join(c.config, identity.OwnerKeyFile))
	if err != nil {
		return nil, cluster, err
	}
	as = c.as(owner)
	cluster, err = as.clusterID(ctx)
	return as, cluster, err
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
