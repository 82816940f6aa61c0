package node

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// mint is the owner's client: it registers token keys and issues.
type mint struct {
	*cluster
	owner  key.Signer
	client key.Signer // whom tokens are for
	key    key.Signer // of tokenKeyOnce
	issued byte
}

func newMint(c *cluster) *mint {
	owner, err := identity.ReadSigner(filepath.Join(c.configDir(0), identity.OwnerKeyFile))
	must(c.t, err)
	return &mint{cluster: c, owner: owner, client: key.GenerateSigner()}
}

// user is who ran Init: it has the role user.
func (m *mint) user() holo.PrincipalID {
	m.t.Helper()
	s, err := identity.ReadSigner(filepath.Join(m.configDir(0), identity.UserKeyFile))
	must(m.t, err)
	return holo.PrincipalID(s.Public())
}

func (m *mint) change(n *Node, k key.Signer, to wire.TokenKeyState) {
	m.t.Helper()
	var err error
	for range 20 { // another change may come first: the epoch is another then
		list, lerr := n.ListTokens(context.Background(), door.Caller{})
		must(m.t, lerr)
		cmd := &wire.TokenKeyChange{To: to, Key: k.Public(), Authority: m.owner.Public(), Epoch: list.GetAccessEpoch()}
		req := &holov1.ChangeTokenKeyRequest{State: to.String(), PublicKey: cmd.Key[:], Authority: cmd.Authority[:], Epoch: cmd.Epoch}
		if to == wire.TokenKeyPrepared {
			cmd.Registrant = cmd.Authority
			req.Registrant, req.KeySignature = cmd.Registrant[:], k.Sign(cmd.Proof(n.cluster))
		}
		req.Signature = m.owner.Sign(cmd.Proof(n.cluster))
		if _, err = n.ChangeTokenKey(context.Background(), door.Caller{}, req); holo.KindOf(err) != holo.Conflict {
			break
		}
	}
	must(m.t, err)
}

// tokenKey makes an active token key that every node knows.
func (m *mint) tokenKey(n *Node) key.Signer {
	m.t.Helper()
	k := key.GenerateSigner()
	m.change(n, k, wire.TokenKeyPrepared)
	m.learned(k, wire.TokenKeyPrepared)
	m.change(n, k, wire.TokenKeyActive)
	return k
}

// tokenKeyOnce is one active token key.
func (m *mint) tokenKeyOnce(n *Node) key.Signer {
	m.t.Helper()
	if m.key.IsZero() {
		m.key = m.tokenKey(n)
		m.learned(m.key, wire.TokenKeyActive)
	}
	return m.key
}

// learned waits until every node knows a key's state.
func (m *mint) learned(k key.Signer, state wire.TokenKeyState) {
	m.t.Helper()
	await(m.t, "every node knows the token key "+state.String(), func() bool {
		for _, n := range m.live() {
			n.tokens.mu.RLock()
			known := n.tokens.mu.keys[key.Thumbprint(k.Public())].State
			n.tokens.mu.RUnlock()
			if known < state {
				return false
			}
		}
		return true
	})
}

func (m *mint) issue(n *Node, by key.Signer) (string, holo.TokenID) {
	m.t.Helper()
	m.issued++
	caps, err := token.ParseCaps([]string{"READ:ns/**"})
	must(m.t, err)
	id := holo.TokenID{m.issued, 1}
	chain, err := token.Issue(by, token.Claims{
		Issuer: holo.PrincipalID(m.owner.Public()), Cluster: n.cluster, Subject: m.user(), ID: id,
		Issued: unixNow(), Expires: unixNow() + 900, Client: key.Thumbprint(m.client.Public()), Caps: caps, Delegations: 3,
	})
	must(m.t, err)
	return chain, id
}

func (m *mint) revoke(n *Node, kind wire.RevokeKind, name []byte) {
	m.t.Helper()
	list, err := n.ListTokens(context.Background(), door.Caller{})
	must(m.t, err)
	cmd := &wire.TokenRevoke{Kind: kind, Authority: m.owner.Public(), Epoch: list.GetAccessEpoch()}
	copy(cmd.Name[:], name)
	_, err = n.RevokeTokens(context.Background(), door.Caller{}, &holov1.RevokeTokensRequest{
		Kind: kind.String(), Name: cmd.Name[:], Authority: cmd.Authority[:], Epoch: cmd.Epoch, Signature: m.owner.Sign(wire.TokenRevokeProof(n.cluster, cmd)),
	})
	must(m.t, err)
}

// good reports why a token is not good at a node, nil when it is.
func good(n *Node, chain string) error {
	g, err := n.VerifyToken(chain)
	if err != nil {
		return err
	}
	return n.TokenStands(g)
}

func (m *mint) refusedEverywhere(chain, reason string) {
	m.t.Helper()
	for _, n := range m.live() {
		await(m.t, "node "+n.self.String()+" refuses it as "+reason, func() bool { return holo.ReasonOf(good(n, chain)) == reason })
	}
}

// S2-4: what is revoked is refused by every node, those without a vote included,
// and by one that was restarted from its first moment, before it has heard of
// anybody.
func TestRevokedTokensAreRefusedByEveryNodeAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2) // one voter, and one that follows
	m := newMint(c)
	first, second := m.tokenKey(c.nodes[1]), key.Signer{}
	byID, id := m.issue(c.nodes[0], first)
	byKey, _ := m.issue(c.nodes[0], first)
	for _, n := range c.live() {
		must(t, good(n, byID))
		must(t, good(n, byKey))
	}
	m.revoke(c.nodes[1], wire.RevokeToken, id[:])
	m.refusedEverywhere(byID, token.ReasonRevoked)
	for _, n := range c.live() {
		must(t, good(n, byKey))
	}
	second = m.tokenKey(c.nodes[0])
	byClient, _ := m.issue(c.nodes[0], second)
	for _, n := range c.live() {
		must(t, good(n, byClient))
		must(t, good(n, byKey)) // its key is retired, and verifies what it signed
	}
	m.change(c.nodes[0], first, wire.TokenKeyRevoked)
	m.refusedEverywhere(byKey, token.ReasonKeyRevoked)
	thumb := key.Thumbprint(m.client.Public())
	m.revoke(c.nodes[0], wire.RevokeClient, thumb[:])
	m.refusedEverywhere(byClient, token.ReasonRevoked)

	for i := range c.nodes {
		c.kill(i)
	}
	for i := range c.nodes { // nobody is there to ask yet
		h, err := readHome(c.dirs[i], identity.Keys{})
		must(t, err)
		n := assemble(c.config(i), h)
		must(t, n.readTokens())
		for chain, reason := range map[string]string{byID: token.ReasonKeyRevoked, byKey: token.ReasonKeyRevoked, byClient: token.ReasonRevoked} {
			if err := good(n, chain); holo.ReasonOf(err) != reason {
				t.Errorf("node %d right after its start: %v, want %s", i, err, reason)
			}
		}
		n.group.Close()
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.settle()
	m.refusedEverywhere(byClient, token.ReasonRevoked)
}

func TestASubjectsTokensAreRevokedUntilNow(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	m, n := newMint(c), c.nodes[0]
	k := m.tokenKey(n)
	m.learned(k, wire.TokenKeyActive)
	chain, _ := m.issue(n, k)
	must(t, good(n, chain))
	subject := m.user()
	m.revoke(n, wire.RevokeSubject, subject[:])
	m.refusedEverywhere(chain, token.ReasonRevoked)
}

// AC-4, AC-5: while keys are rotated again and again, no token that was issued
// by the active key is refused anywhere.
func TestRotationUnderLoadLosesNoToken(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	m := newMint(c)
	var mu sync.Mutex
	active := m.tokenKey(c.nodes[0])
	var chains []string
	var verified atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	g := wait.NewGroup()
	for _, n := range c.live() {
		g.Run(func(context.Context) {
			for ctx.Err() == nil {
				mu.Lock()
				chain, _ := m.issue(n, active)
				chains = append(chains, chain)
				all := chains[max(0, len(chains)-40):]
				mu.Unlock()
				for _, chain := range all {
					if err := good(n, chain); err != nil {
						t.Errorf("node %s: %v", n.self, err)
						return
					}
					verified.Add(1)
				}
			}
		})
	}
	for range 3 { // with the first, as many as may verify
		next := key.GenerateSigner()
		m.change(c.nodes[1], next, wire.TokenKeyPrepared)
		m.learned(next, wire.TokenKeyPrepared)
		m.change(c.nodes[1], next, wire.TokenKeyActive)
		mu.Lock()
		active = next
		mu.Unlock()
		before := verified.Load()
		await(t, "the load goes on", func() bool { return verified.Load() > before+200 || t.Failed() })
	}
	stop()
	g.Close()
	for _, n := range c.live() {
		must(t, good(n, chains[0])) // the first key is three rotations old
	}
}

// A leader that lies can neither make a token key up nor take back that one, or
// a token, was revoked.
func TestLyingLeaderMintsNothingAndUnrevokesNothing(t *testing.T) {
	t.Parallel()
	owner, cluster, now := key.GenerateSigner(), holo.ClusterID{7}, unixNow()
	a := newTokenView(cluster, holo.PrincipalID(owner.Public()))
	k := key.GenerateSigner()
	record := wire.TokenKeyRecord{Key: k.Public(), Registrant: owner.Public(), State: wire.TokenKeyActive, Authority: owner.Public(), Epoch: 3}
	copy(record.Sig[:], owner.Sign(wire.TokenKeyProof(cluster, wire.TokenKeyPrepared, record.Key, record.Registrant, record.Authority, record.Epoch)))
	revocation := wire.Revocation{Kind: wire.RevokeSubject, Name: [32]byte{5}, Before: now, Expires: now + 100}
	must(t, a.learn(&wire.TokenFeed{Epoch: 4, Keys: []wire.TokenKeyRecord{record}, Revocations: []wire.Revocation{revocation}}, holo.PrincipalID(owner.Public()), now))

	made := record
	made.Key = key.GenerateSigner().Public()
	for name, forged := range map[string]wire.TokenKeyRecord{"another key": made, "another registrant": {
		Key: record.Key, Registrant: holo.PrincipalID(key.GenerateSigner().Public()), State: record.State, Authority: record.Authority, Epoch: 9, Sig: record.Sig,
	}, "no authority": {Key: made.Key, Registrant: made.Key, State: record.State, Authority: made.Key, Epoch: 3, Sig: record.Sig}} {
		if err := a.learn(&wire.TokenFeed{Epoch: 5, Keys: []wire.TokenKeyRecord{forged}}, holo.PrincipalID(owner.Public()), now); err == nil {
			t.Errorf("%s was believed", name)
		}
	}
	if a.epoch() != 4 {
		t.Error("a refused feed left a trace")
	}
	revoked := record
	revoked.State, revoked.Retired = wire.TokenKeyRevoked, now
	must(t, a.learn(&wire.TokenFeed{Epoch: 6, Keys: []wire.TokenKeyRecord{revoked}}, holo.PrincipalID(owner.Public()), now))
	earlier := revocation
	earlier.Before -= 50
	for _, feed := range []*wire.TokenFeed{
		{Epoch: 7, Keys: []wire.TokenKeyRecord{record}}, {Epoch: 8}, {Epoch: 2, Keys: []wire.TokenKeyRecord{record}, Revocations: []wire.Revocation{earlier}},
	} {
		must(t, a.learn(feed, holo.PrincipalID(owner.Public()), now))
		if got, known := a.key(key.Thumbprint(record.Key)); known && !got.Revoked {
			t.Errorf("epoch %d: the key is good again", feed.Epoch)
		}
		if r := a.mu.revoked[revokedName{wire.RevokeSubject, [32]byte{5}}]; r != revocation {
			t.Errorf("epoch %d: the revocation is %+v", feed.Epoch, r)
		}
	}
	must(t, a.learn(&wire.TokenFeed{Epoch: 9}, holo.PrincipalID(owner.Public()), now+101))
	if len(a.mu.revoked) != 0 {
		t.Error("a revocation is kept for ever")
	}
}

func TestAccessFileThatIsNotOursStopsTheStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	m, n := newMint(c), c.nodes[0]
	m.learned(m.tokenKey(n), wire.TokenKeyActive)
	path := n.home.path(tokensFile)
	await(t, "it is on disk", func() bool { _, err := identity.ReadPublic(path, maxTokensFile); return err == nil })
	c.kill(0)
	must(t, identity.WritePublic(path, []byte("nothing")))
	if _, err := Start(context.Background(), c.config(0)); holo.KindOf(err) != holo.Corrupt || holo.ReasonOf(err) != reasonTokens {
		t.Errorf("started with another's: %v", err)
	}
}

// N-15: a clock that is wrong by more than a minute is told from a bad token.
func TestTokenFromTheFutureCountsAsClockSkew(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	m, n := newMint(c), c.nodes[0]
	k := m.tokenKey(n)
	caps, _ := token.ParseCaps([]string{"READ:**"})
	ahead := func(seconds int64) error {
		chain, err := token.Issue(k, token.Claims{
			Issuer: holo.PrincipalID(m.owner.Public()), Cluster: n.cluster, Subject: m.user(), Issued: unixNow() + seconds,
			Expires: unixNow() + seconds + 900, Client: key.Thumbprint(m.client.Public()), Caps: caps,
		})
		must(t, err)
		return good(n, chain)
	}
	must(t, ahead(holo.TokenLeeway-5))
	err := ahead(600)
	if holo.ReasonOf(err) != token.ReasonNotYetValid || !errors.Is(err, token.ErrRefused) || n.refusals.all()[reasonClockSkew] != 1 {
		t.Errorf("ten minutes ahead: %v, %v", err, n.refusals.all())
	}
	onRecord(t, n, "clock.skew", reasonClockSkew)
	must(t, ahead(-600)) // ten minutes behind, and still good for five
	if err := ahead(-900 - holo.TokenLeeway); holo.ReasonOf(err) != token.ReasonExpired {
		t.Errorf("over: %v", err)
	}
}

// AC-4: a token allows what its subject may do and it covers, and nothing else:
// neither more than is granted, nor the same elsewhere.
func TestTokenNarrowsWhatIsGranted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	m, n := newMint(c), c.nodes[0]
	k := m.tokenKey(n)
	user := door.Caller{Principal: m.user(), Key: m.user()}
	for _, name := range []string{"ns/a", "nsx/a", "other/b"} {
		_, err := c.makes(context.Background(), n, &holov1.CreateArrayRequest{Name: name, Type: "u8", Length: 10})
		must(t, err)
	}
	with := func(caps ...string) door.Caller {
		list, err := token.ParseCaps(caps)
		must(t, err)
		chain, err := token.Issue(k, token.Claims{
			Issuer: holo.PrincipalID(m.owner.Public()), Cluster: n.cluster, Subject: user.Principal, ID: holo.TokenID{9},
			Issued: unixNow(), Expires: unixNow() + 900, Client: key.Thumbprint(m.client.Public()), Caps: list,
		})
		must(t, err)
		g, err := n.VerifyToken(chain)
		must(t, err)
		return door.Caller{Principal: user.Principal, Key: holo.PrincipalID(m.client.Public()), Token: g}
	}
	array := func(name string) door.Target { return door.Target{Array: name} }
	for _, k := range []struct {
		caps   string
		action holo.Action
		on     door.Target
		want   string // reason of the refusal, "" for none
	}{
		{"READ:ns/**", holo.ActionRead, array("ns/a"), ""}, {"READ:ns/**", holo.ActionObserve, array("ns/a"), ""},
		{"READ:ns/**", holo.ActionRead, array("#1"), ""}, {"READ:ns/**", holo.ActionRead, array("#3"), "token_scope"},
		{"READ:ns/**", holo.ActionRead, array("nsx/a"), "token_scope"}, {"READ:ns/**", holo.ActionObserve, array("other/b"), "token_scope"},
		{"READ:ns/**", holo.ActionWrite, array("ns/a"), "token_scope"}, {"READ:ns/**", holo.ActionFree, array("ns/a"), "token_scope"},
		{"READ:ns/**", holo.ActionObserve, door.Target{}, "token_scope"}, {"OBSERVE:@cluster", holo.ActionObserve, door.Target{}, ""},
		{"ALLOCATE:ns/*", holo.ActionAllocate, door.Target{Array: "ns/new", New: true}, ""}, {"ALLOCATE:ns/*", holo.ActionAllocate, door.Target{Array: "new", New: true}, "token_scope"},
		{"MODULE_PUT:@kernels/k", holo.ActionModulePut, door.Target{Kernel: "k", New: true}, ""}, {"MODULE_PUT:k", holo.ActionModulePut, door.Target{Kernel: "k", New: true}, "token_scope"},
		// A token gives nothing: its subject may not let nodes in.
		{"NODE_APPROVE:**", holo.ActionNodeApprove, door.Target{}, authz.ReasonNotGranted},
	} {
		need := []door.Access{{Action: k.action, On: k.on}}
		v := n.Authorize(context.Background(), with(k.caps), need, false)
		if v.Allowed != (k.want == "") || holo.ReasonOf(v.Err) != k.want {
			t.Errorf("%s: %s on %+v: allowed %v, %v", k.caps, k.action, k.on, v.Allowed, v.Err)
		}
		if own := n.Authorize(context.Background(), user, need, false); k.want != authz.ReasonNotGranted && !own.Allowed {
			t.Errorf("the user itself: %s on %+v: %v", k.action, k.on, own.Err)
		}
	}
	c1 := with("READ:**")
	m.revoke(n, wire.RevokeToken, []byte{9})
	await(t, "the revocation is known here", func() bool {
		v := n.Authorize(context.Background(), c1, []door.Access{{Action: holo.ActionRead, On: array("ns/a")}}, false)
		return !v.Allowed && holo.ReasonOf(v.Err) == token.ReasonRevoked
	})
}

// A job's result is made of its inputs: its submitter's token opens it only where
// it covers them.
func TestTokenReadsNoResultOfWhatItMayNotRead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	m, n := newMint(c), c.nodes[0]
	a := c.create(n, "ns/a", 8)
	module := holo.ModuleID{1}
	_, err := n.propose(context.Background(), n.asked(c.asks(n, holov1connect.KernelServicePushProcedure, &holov1.PushKernelRequest{Name: "k", Module: module[:], Size: 1})))
	must(t, err)
	submit := &holov1.SubmitRequest{Kernel: "k", Function: "f", Kind: "reduce", Inputs: []uint64{a.GetId()}, AccBytes: 8}
	job, err := proposeFor[*wire.JobRecord](context.Background(), n, n.asked(c.asks(n, holov1connect.JobServiceSubmitProcedure, submit)))
	must(t, err)
	read := func(caps ...string) door.Verdict {
		list, err := token.ParseCaps(caps)
		must(t, err)
		g := &token.Grant{Key: key.Thumbprint(m.tokenKeyOnce(n).Public()), Links: []token.Claims{{Caps: list, Expires: unixNow() + 60}}}
		who := door.Caller{Principal: m.user(), Token: g}
		return n.Authorize(context.Background(), who, []door.Access{{Action: holo.ActionRead, On: door.Target{Job: job.ID}}}, false)
	}
	if v := read("OBSERVE:@kernels/k", "READ:other/**"); v.Allowed || holo.ReasonOf(v.Err) != reasonTokenScope {
		t.Errorf("a token that covers no reading: %v", v.Err)
	} else if strings.Contains(v.Err.Error(), "ns/a") {
		t.Errorf("the refusal tells what the array is called: %v", v.Err)
	}
	if v := read("OBSERVE:@cluster", "READ:ns/**"); v.Allowed {
		t.Error("a token that covers nothing of the kernel sees its job")
	}
	if v := read("OBSERVE:@kernels/k", "READ:ns/**"); !v.Allowed {
		t.Errorf("a token that covers the input: %v", v.Err)
	}
}
