package node

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/policy"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// access is what this node knows of who may do what, and how new that must be.
// Each node lease tells the access epoch of the catalogue: a node answers
// clients only while it has a lease and knows a policy of that epoch or a newer
// one. So what was revoked is over everywhere within one lease, and a node that
// is cut off opens nothing.
type access struct {
	changed wait.Signal // the policy, or the lease, is another
	behind  wait.Signal // a lease told of a newer policy
	lease   atomic.Int64
	wanted  atomic.Uint64
	set     atomic.Pointer[policy.Set] // nil: nothing is known yet
	told    atomic.Bool                // the set is the catalogue's, and not what a file recalled

	saving sync.Mutex // one change at a time, and its file
	mu     struct {
		sync.Mutex
		cache *authz.Cache
	}
}

func newAccess() *access {
	a := &access{}
	a.mu.cache = authz.NewCache()
	return a
}

// leased notes a node lease and the epoch that it asks for. The epoch first:
// who sees the lease sees what it asks for.
func (a *access) leased(until holo.Time, epoch uint64) {
	a.wanted.Store(epoch)
	a.lease.Store(int64(until))
	a.changed.Fire()
	if epoch > a.epoch() {
		a.behind.Fire()
	}
}

// epoch is that of the policy that the catalogue told, 0 when it told none.
func (a *access) epoch() uint64 {
	if s := a.set.Load(); s != nil && a.told.Load() {
		return s.Epoch()
	}
	return 0
}

// fresh is the policy, if it is new enough to open anything by.
func (a *access) fresh(now holo.Time) (*policy.Set, bool) {
	leased := int64(now) < a.lease.Load()
	s := a.set.Load()
	return s, s != nil && a.told.Load() && leased && s.Epoch() >= a.wanted.Load()
}

// decide answers a question by a policy, from the cache where it can.
func (a *access) decide(s *policy.Set, q authz.Question, f policy.Facts) authz.Decision {
	a.mu.Lock()
	d, ok := a.mu.cache.Get(q, s.Epoch(), f.Unix)
	a.mu.Unlock()
	if ok {
		return d
	}
	d = s.Decide(q, f)
	a.mu.Lock()
	a.mu.cache.Put(q, d)
	a.mu.Unlock()
	return d
}

// followAccess brings the policy up to date: from this node's own replica of
// the catalogue where it is a voter, else from the leader, when a lease told of
// a newer one or none is known.
func (n *Node) followAccess(ctx context.Context) {
	head, records := n.replicaAccess()
	known := n.access.epoch()
	if head == nil && (known == 0 || n.access.wanted.Load() > known) {
		head, records = n.leaderAccess(ctx, known)
	}
	if head == nil || head.Epoch <= known {
		return
	}
	n.knowOwner(ctx, head.Owner)
	if err := n.learnAccess(head, records); err != nil {
		n.log.Error("policy refused: this node answers no client", "epoch", head.Epoch, "error", err)
		return
	}
	if err := n.saveAccess(head, records); err != nil {
		n.log.Error("policy not saved", "error", err)
	}
}

func (n *Node) replicaAccess() (head *wire.AccessHead, records []wire.GrantRecord) {
	n.catalog.read(func(c *catalog.Catalog) {
		if len(c.Chain()) > 0 && c.AccessEpoch() > n.access.epoch() {
			head, records = c.AccessHead(), c.Grants()
		}
	})
	return head, records
}

func (n *Node) leaderAccess(ctx context.Context, known uint64) (*wire.AccessHead, []wire.GrantRecord) {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	found, err := n.query(ctx, wire.CatalogQuery{What: wire.QueryAccess, Number: known})
	if err != nil {
		n.log.Debug("policy not followed", "error", err)
		return nil, nil
	}
	head, records, err := accessOf(found)
	if err != nil {
		n.refusals.addErr(err)
		n.log.Error("policy refused", "error", err)
	}
	return head, records
}

// accessOf takes apart what QueryAccess answers, or a file holds.
func accessOf(found []wire.Message) (*wire.AccessHead, []wire.GrantRecord, error) {
	if len(found) == 0 {
		return nil, nil, nil
	}
	head, ok := found[0].(*wire.AccessHead)
	if !ok || len(found) > 1+catalog.MaxGrants {
		return nil, nil, holo.Refuse(holo.Corrupt, reasonMalformed, "a policy begins with message %#04x and has %d grants", uint16(found[0].Type()), len(found)-1)
	}
	records := make([]wire.GrantRecord, 0, len(found)-1)
	for _, m := range found[1:] {
		r, ok := m.(*wire.GrantRecord)
		if !ok {
			return nil, nil, holo.Refuse(holo.Corrupt, reasonMalformed, "a policy holds message %#04x", uint16(m.Type()))
		}
		records = append(records, *r)
	}
	return head, records, nil
}

// learnAccess takes a policy that is newer than the one known.
func (n *Node) learnAccess(head *wire.AccessHead, records []wire.GrantRecord) (err error) {
	n.access.saving.Lock()
	defer n.access.saving.Unlock()
	s := n.access.set.Load()
	switch {
	case head.Owner != n.members.owner():
		return holo.Refuse(holo.Stale, reasonMembership, "learn policy %d: it is that of owner %s, by the chain known here it is %s", head.Epoch, head.Owner, n.members.owner())
	case n.access.epoch() > 0 && head.Epoch <= s.Epoch():
		return nil
	case n.access.epoch() == 0 || s.Owner() != head.Owner:
		s, err = policy.New(head.Owner, head.Epoch, records)
	default:
		s, err = s.Next(head.Epoch, records)
	}
	if err != nil {
		return err
	}
	n.memory.Forget(0) // who decides by this policy asks anew what an array descends from
	n.access.set.Store(s)
	n.access.told.Store(true)
	n.access.changed.Fire()
	return nil
}

// accessFile keeps the last policy that was known, so that who was known may
// see the status of a cluster that does not answer. It opens nothing else.
const (
	accessFile    = "access"
	maxAccessFile = 2 << 20
)

func (n *Node) saveAccess(head *wire.AccessHead, records []wire.GrantRecord) error {
	n.access.saving.Lock()
	defer n.access.saving.Unlock()
	b := appendRecord(slices.Clone(n.cluster[:]), head)
	for i := range records {
		b = appendRecord(b, &records[i])
	}
	return identity.WritePublic(n.home.path(accessFile), b)
}

// recallAccess reads it. One that does not decode, or is another cluster's, is
// as good as none.
func (n *Node) recallAccess() {
	b, err := identity.ReadPublic(n.home.path(accessFile), maxAccessFile)
	rest, ours := bytes.CutPrefix(b, n.cluster[:])
	if err != nil || !ours {
		return
	}
	s, err := n.recalled(rest)
	if err != nil {
		n.log.Warn("the saved policy is not used", "error", err)
		return
	}
	n.access.set.Store(s)
}

func (n *Node) recalled(b []byte) (*policy.Set, error) {
	found, err := decodeRecords(b, 1+catalog.MaxGrants)
	if err != nil {
		return nil, err
	}
	head, records, err := accessOf(found)
	if err != nil || head == nil || head.Owner != n.members.owner() {
		return nil, err
	}
	return policy.New(head.Owner, head.Epoch, records)
}
