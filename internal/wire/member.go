package wire

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

// ChainKind is what a membership record does.
type ChainKind uint8

// The kinds.
const (
	ChainGenesis ChainKind = iota + 1 // the owner founds the cluster with its first node
	ChainAdmit                        // an invite made a node a member
	ChainEvict                        // the owner removed a node
	ChainPolicy                       // the owner said how many votes an admission needs
	ChainOwner                        // another key took the place of the owner's
	chainKinds
)

// ChainRecord is one step of the membership chain. Each names the hash of the
// one before, and holds the evidence by which anybody who knows the cluster's
// owner can verify it; no node's word counts.
type ChainRecord struct {
	Prev [32]byte // SHA-256 of the record before; zero for the genesis
	Kind ChainKind
	Time int64 // seconds since 1970, by the leader's clock
	Node holo.NodeID

	Name  string           // of the node: genesis, admit
	Owner holo.PrincipalID // genesis: the first; owner: the next

	InviteKey     [32]byte // admit: the invite's public key
	Expires       int64    // admit: of the invite, seconds since 1970
	HandshakeHash [32]byte // admit: of the session in which the node asked
	InviteSig     [64]byte // admit: by the invite key, over AdmitProof
	Votes         []Vote   // admit: as many as the policy wants, by voter; none where it wants none

	Admission [32]byte // evict: hash of the record that admitted the node
	LoseData  bool     // evict: the owner accepts the loss of what only this node holds
	Need      uint8    // policy: votes that an admission needs from here on; 0: the invite is enough
	Stands    [32]byte // owner: hash of the admissions of those who are members then
	NextSig   [64]byte // owner: by the next owner, over api.OwnerProof
	OwnerSig  [64]byte // over GenesisProof, api.InviteProof, api.EvictProof, api.PolicyProof or api.OwnerProof
}

// MaxVotes is how many votes an admission may need: records stay small enough
// for the whole chain to fit one message.
const MaxVotes = 7

// Vote is the word of a member, or of the owner, that a node may join. The
// signature is over api.VoteProof.
type Vote struct {
	Voter [32]byte
	Sig   [64]byte
}

// GenesisProof is what the owner signs to found a cluster.
func GenesisProof(cluster holo.ClusterID, owner holo.PrincipalID, node holo.NodeID, name string, unix int64) []byte {
	b := proof("holo/genesis/1", cluster, owner[:], node[:])
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(uint64(unix)>>shift))
	}
	return append(b, name...)
}

// AdmitProof is what the invite key signs in a join session: who joins, and in
// which handshake, so that the signature is of no use to anybody else.
func AdmitProof(cluster holo.ClusterID, node holo.NodeID, handshakeHash [32]byte) []byte {
	return proof("holo/admit/1", cluster, node[:], handshakeHash[:])
}

func proof(label string, cluster holo.ClusterID, parts ...[]byte) []byte {
	b := append([]byte(label), 0)
	b = append(b, cluster[:]...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// ClusterInit begins the catalogue: the signed genesis, where its node is and
// what it speaks, and the cluster's first key.
type ClusterInit struct {
	Genesis ChainRecord
	Place   Place
	Speaks  protocol.Range // the cluster begins at the newest
	Key     key.Secret     // 32 bytes
}

// Place is where a node is reached and what it offers.
type Place struct {
	Addresses []string // host:port, the best first
	Capacity  uint64   // bytes of page memory
	Spill     uint64   // bytes of spill space, 0: off
}

// InvitePut records an invite that the owner has signed (api.InviteProof over
// its public key). The pre-shared key opens join sessions, no others.
type InvitePut struct {
	InviteKey [32]byte
	PSKID     [8]byte
	PSK       key.Secret // 32 bytes
	Expires   int64
	OwnerSig  [64]byte

	// For a client on another machine, and not for a node: OwnerSig is then over
	// api.ClientInviteProof, and Role is the client's.
	Client bool

	// What the user of the machine that joins may do, with the owner's
	// signature (api.InviteRoleProof); zero: nothing, until somebody grants it.
	Role    holo.Role
	RoleSig [64]byte
}

// InviteRecord is an invite and the node, or client, it is bound to since its
// first use.
type InviteRecord struct {
	Invite InvitePut
	Bound  [32]byte // public key; zero: not used yet
}

// Admit makes a node a member. The evidence is checked by everybody who
// applies it. The answer is the ChainRecord, also when the same node asks
// again with the same invite.
type Admit struct {
	Node          holo.NodeID
	Name          string
	Place         Place
	InviteKey     [32]byte
	HandshakeHash [32]byte
	InviteSig     [64]byte
	User          holo.PrincipalID // of the machine, who gets the invite's role; zero: nobody
	UserSig       [64]byte         // by the invite key, over JoinUserProof
}

// ClientEnrol gives a client the role of an invite for clients. The evidence is
// checked by everybody who applies it. The answer is the GrantRecord, also when
// the same client asks again with the same invite.
type ClientEnrol struct {
	Client        holo.PrincipalID
	Label         string // what its machine calls itself
	InviteKey     [32]byte
	HandshakeHash [32]byte // of the session in which it asked
	InviteSig     [64]byte // by the invite key, over EnrolProof
}

// EnrolProof is what the invite key signs in a join session: which client, and
// in which handshake, so that the signature is of no use to anybody else.
func EnrolProof(cluster holo.ClusterID, client holo.PrincipalID, handshakeHash [32]byte) []byte {
	return proof("holo/enrol/1", cluster, client[:], handshakeHash[:])
}

// Evict removes a node. The owner's signature is for the end of the chain as
// it is then. The answer is the ChainRecord.
type Evict struct {
	Node      holo.NodeID
	Admission [32]byte
	LoseData  bool // go on though the last copy of something is lost
	OwnerSig  [64]byte
}

// AdmitVote is a vote for a node that waits. The answer is the ChainRecord when
// it was the last one needed, else the PendingRecord.
type AdmitVote struct {
	Node holo.NodeID
	Vote Vote
}

// PendingRecord is a node with a valid invite that waits for votes. Nothing of
// the cluster is told to it.
type PendingRecord struct {
	Admit   Admit    // what it asked first: the votes are about this
	Expires int64    // of its invite, seconds since 1970
	Since   int64    // seconds since 1970
	Policy  [32]byte // hash of the policy's record, under which the votes were given
	Need    uint8    // votes
	Votes   []Vote   // by voter
}

// PolicyPut changes how many votes an admission needs. The answer is the
// ChainRecord.
type PolicyPut struct {
	Need     uint8
	OwnerSig [64]byte
}

// NodeAddress tells where a member now is, what it offers and speaks.
type NodeAddress struct {
	Node   holo.NodeID
	Place  Place
	Speaks protocol.Range // the versions of the protocol that its program speaks
}

// NodeRecord is a member as the catalogue knows it.
type NodeRecord struct {
	Node        holo.NodeID
	Name        string
	Place       Place
	Speaks      protocol.Range // as it said last, also of one that is off; zero: it has not yet
	Joined      int64
	Admission   [32]byte // hash of its chain record
	Incarnation holo.Incarnation
	Alive       bool
	Draining    bool
	Held        uint32 // of a node that drains: shards that it still holds
	Changed     uint64 // catalogue index of the last change of name or place
}

// CatalogFeed tells a node that does not vote what changed since a version:
// the chain from a position on, and the nodes whose record changed. Nodes that
// left are known by their evictions.
type CatalogFeed struct {
	Version uint64
	First   uint32 // position of the first record in the chain
	Chain   []ChainRecord
	Nodes   []NodeRecord
	Epoch   uint64           // of the newest cluster key; who lacks it asks for it
	Access  uint64           // the access epoch: who knows an older one asks for an TokenFeed
	Settled bool             // whether the keys before it open nothing any more
	Speaks  protocol.Version // that the cluster is at
}

// Farewell tells a node the end of the membership chain in which it is a member
// no more. It is the last thing that the leader says to it; the node verifies
// the records for itself.
type Farewell struct {
	First uint32 // position of the first record in the chain
	Chain []ChainRecord
}

const (
	typeChainRecord  = Type(0x0410)
	typeClusterInit  = Type(0x0434) // 0x0411 had no versions
	typeInvitePut    = Type(0x040d) // 0x0402 could not be for a client
	typeInviteRecord = Type(0x040e)
	typeClientEnrol  = Type(0x040f)
	typeAdmit        = Type(0x0404)
	typeEvict        = Type(0x0412)
	typeNodeAddress  = Type(0x0430) // 0x0406 and 0x0407 had no versions
	typeNodeRecord   = Type(0x0431)
	typeCatalogFeed  = Type(0x0432)
	typeFarewell     = Type(0x0409)
	typeAdmitVote    = Type(0x040a)
	typePending      = Type(0x040b)
	typePolicyPut    = Type(0x040c)

	// MaxChain bounds the membership chain: nodes keep and verify all of it.
	MaxChain = maxRecords

	chainRecordBytes = 32 + 1 + 8 + 32
	nodeRecordBytes  = 32 + 4 + 4 + 8 + 8 + 2 + 8 + 32 + 8 + 1 + 1 + 4 + 8
)

// Type is the number on the wire.
func (*ChainRecord) Type() Type   { return typeChainRecord }
func (*ClusterInit) Type() Type   { return typeClusterInit }
func (*InvitePut) Type() Type     { return typeInvitePut }
func (*InviteRecord) Type() Type  { return typeInviteRecord }
func (*ClientEnrol) Type() Type   { return typeClientEnrol }
func (*Admit) Type() Type         { return typeAdmit }
func (*Evict) Type() Type         { return typeEvict }
func (*NodeAddress) Type() Type   { return typeNodeAddress }
func (*NodeRecord) Type() Type    { return typeNodeRecord }
func (*CatalogFeed) Type() Type   { return typeCatalogFeed }
func (*Farewell) Type() Type      { return typeFarewell }
func (*AdmitVote) Type() Type     { return typeAdmitVote }
func (*PendingRecord) Type() Type { return typePending }
func (*PolicyPut) Type() Type     { return typePolicyPut }

var _ = []struct{}{
	register[ChainRecord](), register[ClusterInit](), register[InvitePut](), register[InviteRecord](), register[ClientEnrol](), register[Admit](),
	register[Evict](), register[NodeAddress](), register[NodeRecord](), register[CatalogFeed](), register[Farewell](), register[AdmitVote](), register[PendingRecord](), register[PolicyPut](),
}
