// Package catalog is the state that Raft replicates: members and their chain
// of admissions, invites, grants, shard configurations, arrays, kernels, jobs,
// token keys and revocations. It
// is a machine that applies commands one after another; equal commands in
// equal order make equal catalogues, byte for byte, on every processor.
//
// It checks evidence (signatures, invites, compare-and-set), not links. What acts
// for a client counts only with the request that the client signed (asked.go),
// what a node says with that node's signature (attested.go). Lives of nodes,
// shards and cluster keys are whoever leads to say. It reads no clock: commands carry the leader's time. Pages, page tables, leases
// and tasks are not in it. Every table has a bound.
package catalog

import (
	"maps"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// Bounds of the tables. With all of them full a snapshot is about 60 MiB: 25 of
// jobs, 16 of answers (answers.go), 9 of kernels.
const (
	MaxArrays   = 16384
	MaxKernels  = 1024
	MaxJobs     = 128  // the oldest that ended gives way
	MaxInvites  = 64   // expired ones give way
	MaxAnswered = 2048 // requests that are remembered for those who ask again
	MaxTokens   = 4096 // issued and listed; expired ones give way
)

// Reasons of this package's refusals.
const (
	ReasonQuota            = "quota"
	ReasonFull             = "catalog_full"
	ReasonBadChain         = "bad_chain"
	ReasonUnknownInvite    = "unknown_invite"
	ReasonInviteExpired    = "invite_expired"
	ReasonInviteBound      = "invite_bound"
	ReasonInviteSig        = "bad_invite_signature"
	ReasonInviteKind       = "invite_kind" // of a node, used by a client, or the other way round
	ReasonOwnerSig         = "bad_owner_signature"
	ReasonState            = "wrong_state"
	ReasonFewNodes         = "under_replicated"
	ReasonStaleJob         = "stale_job_epoch"
	ReasonGrantSig         = "bad_grant_signature"
	ReasonStaleAccess      = "stale_policy"
	ReasonNotGranted       = "not_granted"
	ReasonWider            = "grant_too_wide"
	ReasonAmount           = "amount"
	ReasonNotReleased      = "not_released"
	ReasonNameTaken        = "name_taken"
	ReasonDataLoss         = "data_loss"
	ReasonKeyEpoch         = "stale_key_epoch"
	ReasonTokenKeySig      = "bad_token_key_signature"
	ReasonOwnerOnly        = "owner_only"
	ReasonVote             = "bad_vote"
	ReasonVoteTwice        = "voted_already"
	ReasonUnsigned         = "unsigned_command"
	ReasonRequestSig       = "bad_request_signature"
	ReasonSession          = "foreign_session"
	ReasonReplayed         = "request_replayed"
	ReasonStaleStamp       = "stale_stamp"
	ReasonToken            = "bad_request_token"
	ReasonClaim            = "unknown_claim" // a signed request that asks for no command
	ReasonNodeSig          = "bad_node_signature"
	ReasonNotTheirs        = "not_theirs" // of a node to say
	ReasonSuccessionSig    = "bad_succession_signature"
	ReasonStaleChain       = "stale_chain" // signed for another end of it
	ReasonInviteSuperseded = "invite_superseded"
	ReasonKeyInUse         = "key_in_use" // a next key that is somebody's already
)

// Catalog is the machine. It belongs to one goroutine, or to a lock of its
// owner's. Records are never changed once made, so what queries hand out stays
// as it is.
type Catalog struct {
	cluster holo.ClusterID
	version uint64
	speaks  protocol.Version // of the protocol; never falls

	table    *placement.Table
	chain    *chain
	nodes    map[holo.NodeID]wire.NodeRecord // Incarnation and Alive are the table's
	invites  map[[32]byte]wire.InviteRecord
	pending  map[holo.NodeID]wire.PendingRecord
	programs map[holo.NodeID]wire.NodeProgram
	keys     *clusterKeys

	arrays     map[holo.ArrayID]wire.ArrayRecord
	loads      loads // of arrays
	arrayNames map[string]holo.ArrayID
	lastArray  holo.ArrayID
	kernels    map[string]wire.KernelRecord
	jobs       map[holo.JobID]wire.JobRecord
	lastJob    holo.JobID

	access access

	tokenKeys   map[holo.Thumbprint]wire.TokenKeyRecord
	tokens      map[holo.TokenID]wire.TokenRecord
	revocations map[revoked]wire.Revocation

	answers answers // to requests

	reader Reader
	stamps stamps // under clients' requests
	words  stamps // under what nodes say: a node that says much pushes out no client's
}

// New makes an empty catalogue of the cluster that a key has founded, which reads
// clients' requests with the help of r. Nothing but ClusterInit, or Restore, begins it.
func New(cluster holo.ClusterID, founder holo.PrincipalID, r Reader) *Catalog {
	return &Catalog{
		reader: r, stamps: newStamps(), words: newStamps(), speaks: protocol.First, programs: map[holo.NodeID]wire.NodeProgram{},
		cluster: cluster, table: placement.NewTable(), chain: newChain(cluster, founder),
		nodes: map[holo.NodeID]wire.NodeRecord{}, invites: map[[32]byte]wire.InviteRecord{},
		arrays: map[holo.ArrayID]wire.ArrayRecord{}, arrayNames: map[string]holo.ArrayID{},
		kernels: map[string]wire.KernelRecord{}, jobs: map[holo.JobID]wire.JobRecord{},
		access: newAccess(), answers: newAnswers(), pending: map[holo.NodeID]wire.PendingRecord{},
		keys:      &clusterKeys{confirmed: map[holo.NodeID]uint64{}},
		tokenKeys: map[holo.Thumbprint]wire.TokenKeyRecord{}, tokens: map[holo.TokenID]wire.TokenRecord{},
		revocations: map[revoked]wire.Revocation{},
	}
}

// Apply applies the command at a place in Raft's log. An error means that
// nothing changed, but that a client's signature is used up. A request that was answered before gets the same answer,
// or an error that says that it is not kept.
// The result is nil where a command has nothing to tell.
func (c *Catalog) Apply(index uint64, msg wire.Message) (wire.Message, error) {
	if index <= c.version {
		return nil, holo.Errorf(holo.Internal, "apply index %d: the catalogue is at %d", index, c.version)
	}
	c.version = index
	c.table.Begin(index)
	cmd, ok := msg.(*wire.Command)
	if !ok {
		cmd = &wire.Command{Body: msg}
	}
	if err := c.inVersion(cmd); err != nil {
		return nil, err // and it is not remembered: who cannot read it does not either
	}
	if a, again := c.answers.given[cmd.Request]; again {
		return recall(a)
	}
	result, err := c.dispatch(cmd)
	if cmd.Request != (wire.RequestID{}) {
		c.answers.remember(cmd.Request, result, err)
	}
	return result, err
}

func (c *Catalog) dispatch(cmd *wire.Command) (wire.Message, error) {
	if len(c.chain.records) == 0 {
		if m, ok := cmd.Body.(*wire.ClusterInit); ok {
			return c.clusterInit(m)
		}
		return nil, holo.Refuse(holo.Unavailable, ReasonState, "apply command %#04x: the cluster has no genesis yet", uint16(cmd.Body.Type()))
	}
	switch m := cmd.Body.(type) {
	case *wire.ClusterInit:
		return nil, holo.Errorf(holo.Exists, "init cluster %s: it exists", c.cluster)
	case *wire.InvitePut:
		return nil, c.invitePut(m, cmd.Time)
	case *wire.ClientEnrol:
		return c.clientEnrol(m, cmd.Time)
	case *wire.Admit:
		return c.admit(m, cmd.Time)
	case *wire.AdmitVote:
		return c.admitVote(m, cmd.Time)
	case *wire.PolicyPut:
		return c.policyPut(m, cmd.Time)
	case *wire.Evict:
		return c.evict(m, cmd.Time)
	case *wire.GrantPut:
		return c.grantPut(m, cmd.Time)
	case *wire.GrantRevoke:
		return c.grantRevoke(m, cmd.Time)
	case *wire.Succession:
		return c.succession(m, cmd.Time)
	case *wire.OwnerSuccession:
		return c.ownerSuccession(m, cmd.Time)
	case *wire.ClusterKeyPut:
		return nil, c.clusterKeyPut(m)
	case *wire.ClusterKeySettle:
		return nil, c.clusterKeySettle(m)
	case *wire.ClusterRekey:
		return nil, c.clusterRekey(m)
	case *wire.Asked:
		return c.asked(m, cmd.Time)
	case *wire.Attested:
		return c.attested(m, cmd.Time)
	case *wire.ArrayCreate, *wire.ArraySealing, *wire.ArrayDelete, *wire.NodeDrain, *wire.Rebalance, *wire.KernelPut, *wire.JobPut,
		*wire.NodeAddress, *wire.NodeProgram, *wire.ClusterKeyConfirm, *wire.ArraySealed, *wire.ArrayPurge, *wire.ArrayExpire, *wire.JobTake, *wire.JobState:
		return nil, holo.Refuse(holo.Denied, ReasonUnsigned, "apply command %#04x: nobody has signed for it", uint16(cmd.Body.Type()))
	case *wire.TokenKeyChange:
		return c.tokenKeyChange(m, cmd.Time)
	case *wire.TokenIssued:
		return nil, c.tokenIssued(m, cmd.Time)
	case *wire.TokenRevoke:
		return c.tokenRevoke(m, cmd.Time)
	}
	return nil, c.place(cmd.Body)
}

// place applies what concerns shards and lives only.
func (c *Catalog) place(msg wire.Message) error {
	switch m := msg.(type) {
	case *wire.NodeRegister:
		lost, err := c.table.Register(m)
		c.markLost(lost)
		return err
	case *wire.NodeDead:
		return c.table.NodeDead(m)
	case *wire.ShardLearner:
		return c.table.SetLearner(m)
	case *wire.ShardShrink:
		return c.table.Shrink(m)
	case *wire.ShardPromote:
		return c.table.Promote(m)
	case *wire.ShardTransfer:
		return c.table.Transfer(m)
	case *wire.ShardRecover:
		return c.table.Recover(m.Shard)
	}
	return holo.Errorf(holo.Invalid, "apply message %#04x: not a command", uint16(msg.Type()))
}

// full reports whether a table has reached its bound.
func full[K comparable, V any](what string, m map[K]V, bound int) error {
	if len(m) < bound {
		return nil
	}
	return holo.Refuse(holo.Exhausted, ReasonFull, "%s: the catalogue holds %d, its limit", what, len(m))
}

// sorted gives the keys of a table in order: nothing depends on a map's.
func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}
