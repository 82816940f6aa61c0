package door

import (
	"context"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/token"
)

// Caller is who asks. For a request that changes something it holds the proof
// that they did: Signature is Key's, over Proof().
type Caller struct {
	Principal holo.PrincipalID // whose rights apply
	Key       holo.PrincipalID // what proves and signs: the principal's own key, or the client key of a token
	Token     *token.Grant     // narrows what the principal may do; nil: nothing does
	Procedure string           // the RPC's full name, or "PUT path?query"
	Session   [api.SessionSize]byte
	Request   []byte // as it was signed; nil of bulk bytes
	Stamp     api.Stamp
	Attached  []byte     // bytes that the request names by their hash
	Chain     string     // the text of the token; "": none
	Digest    [32]byte   // api.RequestDigest, or the SHA-256 of bulk bytes
	Signature []byte     // 64 bytes; nil where nothing is changed, or it does not verify
	Action    string     // the right that it needs first, in small letters
	Resource  string     // what a signed request is about, in words
	Under     holo.Token // the write lease that bulk bytes are written under, if any
	Verdict   Verdict    // by which the call was let in

	in *session
}

// Allows reports whether the caller's token, if there is one, covers an action
// on a resource. It says nothing of what the principal may do.
func (c Caller) Allows(action, resource string) bool {
	return c.Token == nil || c.Token.Allows(action, resource)
}

// Proof is what the caller signed.
func (c Caller) Proof() []byte { return api.RequestProof(c.Procedure, c.Session[:], c.Digest) }

// Identity is what the door tells a client about the node, and asks about
// clients.
type Identity interface {
	Cluster() holo.ClusterID
	Self() holo.NodeID
	// Addresses are where members are, host:port: where a client on another
	// machine goes on when this node dies.
	Addresses() []string
	// CatalogVersion is how far the catalogue is, as far as the node knows:
	// what the stamps of signed requests begin with.
	CatalogVersion() uint64
	Policy
}

// Backend is the node, as the door sees it. Errors are *holo.Error: kind and
// reason travel to the client, and of Internal ones nothing else does.
// Requests are checked for what a message alone can tell (lengths, names,
// known types); whether they make sense in the cluster is the backend's
// question.
type Backend interface {
	Identity
	Audit
	Status(context.Context, Caller) (*holov1.StatusResponse, error)
	// ReadAudit reads this node's audit log.
	ReadAudit(context.Context, Caller, *holov1.ReadAuditRequest) (*holov1.ReadAuditResponse, error)
	CreateInvite(context.Context, Caller, *holov1.CreateInviteRequest) (*holov1.CreateInviteResponse, error)
	Nodes
	Drains
	Balances
	Keys
	Arrays
	Atomics
	Leases
	Buffers
	Kernels
	Jobs
	Receipts
	Traces
	Grants
	Tokens
}

// Verifier judges tokens. Its errors wrap token.ErrRefused; the client is told
// that, and their reason is counted here.
type Verifier interface {
	VerifyToken(chain string) (*token.Grant, error)
	// TokenStands tells why a grant that was verified before is good no more.
	// It is asked at every call.
	TokenStands(*token.Grant) error
	// TokensChanged is closed when the answer of TokenStands may have changed.
	TokensChanged() <-chan struct{}
}

// Tokens are the calls about tokens.
type Tokens interface {
	Verifier
	ListTokens(context.Context, Caller) (*holov1.ListTokensResponse, error)
	ChangeTokenKey(context.Context, Caller, *holov1.ChangeTokenKeyRequest) (*holov1.TokenKey, error)
	RecordToken(context.Context, Caller, *holov1.RecordTokenRequest) error
	RevokeTokens(context.Context, Caller, *holov1.RevokeTokensRequest) (*holov1.Revocation, error)
}

// Nodes are the calls about membership. What the owner decides is proved by the
// owner's signature inside the request, whoever sends it.
type Nodes interface {
	ListMembers(context.Context, Caller) (*holov1.ListMembersResponse, error)
	EvictNode(context.Context, Caller, *holov1.EvictRequest) error
	Rekey(context.Context, Caller, *holov1.RekeyRequest) error
	Approve(context.Context, Caller, *holov1.ApproveRequest) (*holov1.ApproveResponse, error)
	SetPolicy(context.Context, Caller, *holov1.PolicyRequest) error
}

// Arrays are the calls about arrays.
type Arrays interface {
	CreateArray(context.Context, Caller, *holov1.CreateArrayRequest) (*holov1.Array, error)
	// GetArray finds an array by its name, or by "#" and its ID.
	GetArray(ctx context.Context, c Caller, name string) (*holov1.Array, error)
	ListArrays(context.Context, Caller) ([]*holov1.Array, error)
	// Fill sets count elements from first to value, one element little endian.
	Fill(ctx context.Context, c Caller, id holo.ArrayID, first, count uint64, value []byte) error
	SealArray(context.Context, Caller, holo.ArrayID) (*holov1.Array, error)
	DeleteArray(context.Context, Caller, holo.ArrayID) (freedBytes uint64, err error)
	Pages(context.Context, Caller, holo.ArrayID) ([]*holov1.Extent, error)
	// Shape is the geometry of an array that Authorize was just asked about.
	Shape(context.Context, holo.ArrayID) (holo.Shape, error)

	// ReadBytes fills dst with the array's bytes from offset. The range is
	// whole elements, lies inside the array and inside one extent, and is at
	// most ChunkBytes long.
	ReadBytes(ctx context.Context, c Caller, id holo.ArrayID, offset uint64, dst []byte) error
	// WriteBytes writes src at offset, under ReadBytes' promises. It may keep
	// no reference to src after it returns. The door calls it for several
	// disjoint ranges at once.
	WriteBytes(ctx context.Context, c Caller, id holo.ArrayID, offset uint64, src []byte) error
}

// Kernels are the calls about modules.
type Kernels interface {
	// PushKernel takes a module, the caller's attachment: its hash and size are
	// what the request says.
	PushKernel(context.Context, Caller, *holov1.PushKernelRequest) (*holov1.Kernel, error)
	// GetKernel finds a kernel by its name or its module's hash.
	GetKernel(ctx context.Context, c Caller, name string) (*holov1.Kernel, error)
	ListKernels(context.Context, Caller) ([]*holov1.Kernel, error)
}

// Jobs are the calls about jobs.
type Jobs interface {
	SubmitJob(context.Context, Caller, *holov1.SubmitRequest) (*holov1.Job, error)
	GetJob(context.Context, Caller, holo.JobID) (*holov1.Job, error)
	ListJobs(context.Context, Caller) ([]*holov1.Job, error)
	CancelJob(context.Context, Caller, holo.JobID) (*holov1.Job, error)
	// WatchJob calls send with the progress now, with each change after it
	// (perhaps several in one), and with the final one; then it returns nil.
	// It returns send's error when there is one.
	WatchJob(ctx context.Context, c Caller, id holo.JobID, send func(*holov1.JobProgress) error) error
}

// Grants are the calls about who may do what.
type Grants interface {
	ListGrants(context.Context, Caller) (*holov1.ListGrantsResponse, error)
	PutGrant(context.Context, Caller, *holov1.PutGrantRequest) (*holov1.Grant, error)
	RevokeGrant(context.Context, Caller, *holov1.RevokeGrantRequest) (*holov1.Grant, error)
	WhoAmI(context.Context, Caller) (*holov1.WhoAmIResponse, error)
	Explain(context.Context, Caller, *holov1.ExplainRequest) (*holov1.ExplainResponse, error)
}

// ChunkBytes is the most that one ReadBytes or WriteBytes moves: 16 pages.
const ChunkBytes = 16 * holo.PageSize
