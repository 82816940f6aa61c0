package node

import (
	"encoding/binary"
	"sync"

	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// replica is this node's copy of the catalogue, driven by Raft. A voter's copy
// follows the leader's; on a node that is no voter it stays empty. Raft applies
// on a goroutine of its own, so the catalogue lies behind a lock here.
type replica struct {
	changed wait.Signal
	stopped func(error) // told once, when the replica stands still for good
	refused func(error) // told of each signed command that the catalogue denies
	mu      struct {
		sync.RWMutex
		*catalog.Catalog
		halted error // not nil: the log goes on in a version that is not spoken here
	}
}

func newReplica(cluster holo.ClusterID, founder holo.PrincipalID) *replica {
	r := &replica{refused: func(error) {}, stopped: func(error) {}}
	r.mu.Catalog = catalog.New(cluster, founder, claim.Reader{})
	return r
}

// applied is what a command came to, as Raft carries it to the proposer.
type applied struct {
	result wire.Message // nil where the command has none
	err    error
}

// Apply is called by Raft with each committed command, in order. A command
// that does not decode is of no version that the cluster is at: it has no
// effect, on any node alike. Once the cluster is at a version that this program
// does not speak, that is not so any more, and the replica stands still.
func (r *replica) Apply(index uint64, cmd []byte) any {
	if err := r.halted(); err != nil {
		return applied{err: err}
	}
	msg, err := wire.Decode(cmd)
	if err != nil {
		return applied{err: err}
	}
	r.mu.Lock()
	result, err := r.mu.Apply(index, msg)
	r.halt(r.mu.Protocol())
	halted := r.mu.halted
	r.mu.Unlock()
	if halted != nil {
		r.stopped(halted)
	}
	if err != nil && holo.KindOf(err) == holo.Denied && signedFor(msg) {
		r.refused(err) // an honest leader asks before it proposes, and another may not: each voter counts
	}
	r.changed.Fire()
	return applied{result, err}
}

// signedFor reports whether a command must bear a client's or a node's signature.
func signedFor(msg wire.Message) bool {
	if cmd, ok := msg.(*wire.Command); ok {
		msg = cmd.Body
	}
	switch msg.(type) {
	case *wire.Asked, *wire.Attested, *wire.ArrayCreate, *wire.ArraySealing, *wire.ArrayDelete, *wire.NodeDrain, *wire.Rebalance, *wire.KernelPut, *wire.JobPut:
		return true
	}
	return wire.IsAttested(msg)
}

// Snapshot is the whole state. A replica that stands still has none: its state
// is not that of the place in the log where Raft believes it to be.
func (r *replica) Snapshot() ([]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.mu.halted != nil {
		return nil, r.mu.halted
	}
	return r.mu.Catalog.Snapshot(), nil
}

// Restore replaces the whole state.
func (r *replica) Restore(b []byte) error {
	r.mu.Lock()
	err := r.mu.Catalog.Restore(b)
	if holo.ReasonOf(err) == catalog.ReasonVersion && r.mu.halted == nil {
		r.mu.halted = err
	}
	halted := r.mu.halted
	r.mu.Unlock()
	if halted != nil {
		r.stopped(halted)
		return halted
	}
	r.changed.Fire()
	return err
}

// view lends the catalogue to the keeper.
func (r *replica) view(f func(liveness.View)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f(r.mu.Catalog)
}

// read lends the catalogue for reading; f must not keep what it may change.
func (r *replica) read(f func(*catalog.Catalog)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f(r.mu.Catalog)
}

// feedRecords is how many membership records one answer carries: with all
// nodes' records it stays below the limit of one item.
const feedRecords = 128

// answerQuery answers a query from this node's catalogue, which the caller has
// made sure is up to date. What is not there is the catalogue's own answer.
func (n *Node) answerQuery(q *wire.CatalogQuery) *wire.ControlResponse {
	var (
		found []wire.Message
		err   error
	)
	if q.What == wire.QueryHealth {
		found = n.health()
	} else {
		n.catalog.read(func(c *catalog.Catalog) { found, err = lookUp(c, q) })
	}
	if err != nil {
		return &wire.ControlResponse{Refused: true, Failure: *wire.FailureOf(err)}
	}
	return page(found, q.Cursor, q.What != wire.QueryFeed)
}

// page cuts a long list: the answer holds the items from the cursor on, as many
// as fit one message.
func page(found []wire.Message, cursor uint64, cut bool) *wire.ControlResponse {
	r := &wire.ControlResponse{}
	if !cut {
		cursor = 0
	}
	size := 0
	for i := min(cursor, uint64(len(found))); i < uint64(len(found)); i++ {
		b := wire.Encode(found[i])
		if size += len(b) + 4; size > wire.ItemsSize && len(r.Items) > 0 {
			r.More = i
			return r
		}
		r.Items = append(r.Items, b)
	}
	return r
}

func lookUp(c *catalog.Catalog, q *wire.CatalogQuery) ([]wire.Message, error) {
	switch q.What {
	case wire.QueryFeed:
		return []wire.Message{feed(c, q)}, nil
	case wire.QueryPending:
		return pointers(c.Pending()), nil
	case wire.QueryKey:
		newest, _ := c.ClusterKey()
		return one(&newest, newest.Epoch > 0, "cluster key")
	case wire.QueryKeys:
		return []wire.Message{c.KeyState()}, nil
	case wire.QueryNodes:
		return pointers(c.Nodes()), nil
	case wire.QueryInvite:
		var id [8]byte
		binary.BigEndian.PutUint64(id[:], q.Number)
		r, ok := c.InviteByPSK(id)
		return one(&r, ok, "invite")
	case wire.QueryArrays:
		return living(c.Arrays()), nil
	case wire.QueryArrayByID:
		r, ok := c.ArrayByID(holo.ArrayID(q.Number))
		return one(&r, ok && r.State != wire.ArrayDeleted, "array #%d", q.Number)
	case wire.QueryArrayByName:
		r, ok := c.ArrayByName(q.Name)
		return one(&r, ok, "array %s", q.Name)
	case wire.QueryKernels:
		return pointers(c.Kernels()), nil
	case wire.QueryKernelByName:
		r, ok := c.KernelByName(q.Name)
		return one(&r, ok, "kernel %s", q.Name)
	case wire.QueryJobs:
		return pointers(c.Jobs()), nil
	case wire.QueryJobByID:
		r, ok := c.JobByID(holo.JobID(q.Number))
		return one(&r, ok, "job %d", q.Number)
	case wire.QueryAccess:
		return queryAccess(c, q.Number), nil
	case wire.QueryTokenFeed:
		return []wire.Message{c.TokenFeed()}, nil
	case wire.QueryTokens:
		return append([]wire.Message{c.TokenFeed()}, pointers(c.Tokens())...), nil
	case wire.QueryPrograms:
		return pointers(c.Programs()), nil
	case wire.QueryShards:
		all := &wire.ConfigPush{}
		for config := range c.Shards().All() {
			all.Configs = append(all.Configs, *config)
		}
		return []wire.Message{all}, nil
	}
	return nil, holo.Errorf(holo.Invalid, "query %d of the catalogue is not known", q.What)
}

// feed is what changed since a version, the chain cut to what one answer holds.
func feed(c *catalog.Catalog, q *wire.CatalogQuery) *wire.CatalogFeed {
	f := c.ChangesSince(q.Number, int(min(q.Cursor, wire.MaxChain)))
	f.Chain = f.Chain[:min(len(f.Chain), feedRecords)]
	return f
}

// one is the answer about one thing, which may not be there.
func one(m wire.Message, ok bool, what string, args ...any) ([]wire.Message, error) {
	if !ok {
		return nil, holo.Errorf(holo.NotFound, "there is no "+what, args...)
	}
	return []wire.Message{m}, nil
}

func living(arrays []wire.ArrayRecord) []wire.Message {
	var list []wire.Message
	for i := range arrays {
		if arrays[i].State != wire.ArrayDeleted {
			list = append(list, &arrays[i])
		}
	}
	return list
}

func pointers[R any, P interface {
	*R
	wire.Message
}](records []R) []wire.Message {
	list := make([]wire.Message, len(records))
	for i := range records {
		list[i] = P(&records[i])
	}
	return list
}
