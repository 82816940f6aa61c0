package catalog

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func principal(name string) holo.PrincipalID { return holo.PrincipalID(signer(name).Public()) }

func give(to string, role holo.Role, scope holo.Scope) wire.Access {
	return wire.Access{Principal: principal(to), Role: role, Scope: scope}
}

// grant is a grant by somebody, signed at the epoch of now.
func grant(w *town, by string, a wire.Access) *wire.GrantPut {
	m := &wire.GrantPut{Access: a, Epoch: w.AccessEpoch(), By: principal(by)}
	copy(m.Sig[:], signer(by).Sign(grantProof(cluster, m.Epoch, &m.Access)))
	return m
}

func revoke(w *town, by string, id uint64) *wire.GrantRevoke {
	m := &wire.GrantRevoke{ID: id, Epoch: w.AccessEpoch(), By: principal(by)}
	copy(m.Sig[:], signer(by).Sign(api.RevokeProof(cluster, m.Epoch, id)))
	return m
}

func (w *town) grant(by string, a wire.Access) *wire.GrantRecord {
	w.Helper()
	return w.do(grant(w, by, a)).(*wire.GrantRecord)
}

func TestOnlyTheOwnerGrantsAtFirst(t *testing.T) {
	w := ungranted(t, 1)
	mine := give("eve", holo.RoleAdmin, holo.Scope{})
	w.refused(ReasonNotGranted, grant(w, "eve", mine))
	before := w.AccessEpoch()
	r := w.grant("owner", give("alice", holo.RoleReader, holo.Scope{Under: "lab"}))
	if r.ID != 1 || w.AccessEpoch() != before+1 || r.Epoch != w.AccessEpoch() || r.By != ownerID() {
		t.Errorf("grant %+v at epoch %d", r, w.AccessEpoch())
	}
	w.refused("", grant(w, "owner", give("alice", holo.RoleReader, holo.Scope{Under: "lab"}))) // twice
	w.do(revoke(w, "owner", r.ID))
	if len(w.Grants()) != 0 || w.AccessEpoch() != before+2 {
		t.Errorf("%d grants at epoch %d", len(w.Grants()), w.AccessEpoch())
	}
	w.refused("", revoke(w, "owner", r.ID))
}

// A node key is a key: as a principal it holds nothing.
func TestNodeKeyIsNoPrincipal(t *testing.T) {
	w := settled(t, 1)
	w.refused(ReasonNotGranted, grant(w, "node 1", give("node 1", holo.RoleAdmin, holo.Scope{})))
}

func TestAdminGrantsNoMoreThanItHolds(t *testing.T) {
	w := settled(t, 1)
	w.grant("owner", give("ada", holo.RoleAdmin, holo.Scope{Under: "lab"}))
	w.refused(ReasonWider, grant(w, "ada", give("ada", holo.RoleReader, holo.Scope{Under: "lab"}))) // itself
	w.refused(ReasonWider, grant(w, "ada", give("bob", holo.RoleReader, holo.Scope{Under: "lab"})))
	w.grant("owner", give("ada", holo.RoleReader, holo.Scope{Under: "lab", NotAfter: expires, MaxBytes: 0, Nodes: []holo.NodeID{node(1)}}))
	good := holo.Scope{Under: "lab/x", NotAfter: expires, Nodes: []holo.NodeID{node(1)}}
	for name, change := range map[string]func(*holo.Scope){
		"another array":   func(s *holo.Scope) { s.Under = "labx" },
		"all arrays":      func(s *holo.Scope) { s.Under = "" },
		"longer":          func(s *holo.Scope) { s.NotAfter++ },
		"for ever":        func(s *holo.Scope) { s.NotAfter = 0 },
		"at another node": func(s *holo.Scope) { s.Nodes = []holo.NodeID{node(2)} },
		"at every node":   func(s *holo.Scope) { s.Nodes = nil },
	} {
		s := good
		change(&s)
		t.Log(name)
		w.refused(ReasonWider, grant(w, "ada", give("bob", holo.RoleReader, s)))
	}
	w.refused(ReasonWider, grant(w, "ada", give("bob", holo.RoleWriter, good)))
	w.refused(ReasonWider, grant(w, "ada", give("bob", holo.RoleSecurity, good)))
	w.refused(ReasonWider, grant(w, "ada", give("bob", holo.RoleAdmin, holo.Scope{})))
	r := w.grant("ada", give("bob", holo.RoleReader, good))
	w.grant("owner", give("ada", holo.RoleReader, holo.Scope{}))
	w.refused(ReasonWider, grant(w, "ada", give("bob", holo.RoleReader, holo.Scope{}))) // it reads all, and grants in lab
	w.refused(ReasonNotGranted, revoke(w, "bob", r.ID))
	w.do(revoke(w, "ada", r.ID))
}

func TestAdminRevokesNoMoreThanItCouldGrant(t *testing.T) {
	w := settled(t, 1)
	w.grant("owner", give("ada", holo.RoleAdmin, holo.Scope{Under: "lab"}))
	r := w.grant("owner", give("bob", holo.RoleWriter, holo.Scope{}))
	w.refused(ReasonWider, revoke(w, "ada", r.ID))
}

func TestAnAnalystsGrantIsCoveredByReadAndNarrowedByRelease(t *testing.T) {
	w := settled(t, 1)
	m, other := holo.ModuleID{1}, holo.ModuleID{2}
	w.grant("owner", give("ada", holo.RoleAdmin, holo.Scope{}))
	held := give("ada", holo.RoleAnalyst, holo.Scope{Under: "lab", Module: m})
	w.grant("owner", held)
	w.grant("ada", give("bob", holo.RoleAnalyst, held.Scope))
	wide := give("bob", holo.RoleAnalyst, holo.Scope{Under: "lab", Module: other})
	w.refused(ReasonWider, grant(w, "ada", wide))
	released := give("bob", holo.RoleAnalyst, held.Scope)
	released.Release = true
	w.refused(ReasonWider, grant(w, "ada", released))
	w.grant("owner", give("ada", holo.RoleReader, holo.Scope{Under: "lab"}))
	w.grant("ada", wide)
	w.grant("ada", released)
}

// Whoever leads the catalogue can propose what it likes; the signature decides.
func TestForgedGrantsAreRefused(t *testing.T) {
	w := settled(t, 1)
	m := grant(w, "eve", give("eve", holo.RoleUser, holo.Scope{}))
	m.By = ownerID() // in the owner's name
	w.refused(ReasonGrantSig, m)
	m = grant(w, "owner", give("alice", holo.RoleReader, holo.Scope{Under: "lab"}))
	m.Access.Scope.Under = "" // what was signed, made wider
	w.refused(ReasonGrantSig, m)
	m = grant(w, "owner", give("alice", holo.RoleReader, holo.Scope{}))
	m.Access.Principal = principal("eve")
	w.refused(ReasonGrantSig, m)
	r := w.grant("owner", give("alice", holo.RoleReader, holo.Scope{}))
	forged := revoke(w, "eve", r.ID)
	forged.By = ownerID()
	w.refused(ReasonGrantSig, forged)
}

// A grant that was revoked cannot be put again by whoever kept it.
func TestReplayedGrantIsStale(t *testing.T) {
	w := settled(t, 1)
	kept := grant(w, "owner", give("alice", holo.RoleUser, holo.Scope{}))
	r := w.do(kept).(*wire.GrantRecord)
	gone := revoke(w, "owner", r.ID)
	w.do(gone)
	w.refused(ReasonStaleAccess, kept)
	again := w.grant("owner", give("alice", holo.RoleReader, holo.Scope{}))
	gone.ID = again.ID
	w.refused(ReasonGrantSig, gone)
}

// Of a grant and a revocation that race, each signed on the same knowledge, one
// is refused: nobody grants on rights that were just taken.
func TestGrantRacingARevocationIsStale(t *testing.T) {
	w := settled(t, 1)
	admin := w.grant("owner", give("ada", holo.RoleAdmin, holo.Scope{}))
	w.grant("owner", give("ada", holo.RoleReader, holo.Scope{}))
	late := grant(w, "ada", give("mallory", holo.RoleReader, holo.Scope{}))
	w.do(revoke(w, "owner", admin.ID))
	w.refused(ReasonStaleAccess, late)
	w.refused(ReasonNotGranted, grant(w, "ada", give("mallory", holo.RoleReader, holo.Scope{})))
}

func TestGrantEndsWithItsTime(t *testing.T) {
	w := settled(t, 1)
	w.grant("owner", give("ada", holo.RoleAdmin, holo.Scope{NotAfter: now + 5}))
	late := grant(w, "ada", give("bob", holo.RoleAdmin, holo.Scope{NotAfter: now + 5}))
	if _, err := w.at(now+6, "", late); holo.ReasonOf(err) != ReasonNotGranted {
		t.Errorf("granted after its time: %v", err)
	}
	if _, err := w.at(now+5, "", late); err != nil {
		t.Errorf("refused at its last second: %v", err)
	}
}

func TestScopesThatLimitNothingAreRefused(t *testing.T) {
	w := settled(t, 1)
	m := holo.ModuleID{1}
	for name, a := range map[string]wire.Access{
		"owner":            give("a", holo.RoleOwner, holo.Scope{}),
		"reader of module": give("a", holo.RoleReader, holo.Scope{Module: m}),
		"user of module":   give("a", holo.RoleUser, holo.Scope{Module: m}),
		"analyst of any":   give("a", holo.RoleAnalyst, holo.Scope{}),
		"reader's amount":  give("a", holo.RoleReader, holo.Scope{MaxBytes: 1}),
		"ended":            give("a", holo.RoleReader, holo.Scope{NotAfter: now - 1}),
		"slash":            give("a", holo.RoleReader, holo.Scope{Under: "a/"}),
		"no name":          give("a", holo.RoleReader, holo.Scope{Under: "\"; permit"}),
		"nodes twice":      give("a", holo.RoleReader, holo.Scope{Nodes: []holo.NodeID{node(1), node(1)}}),
		"release":          {Principal: principal("a"), Role: holo.RoleReader, Release: true},
		"small order":      {Principal: holo.PrincipalID{1}, Role: holo.RoleReader},
	} {
		if err := w.refused("", grant(w, "owner", a)); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGrantsAreBoundedAndExpiredOnesGiveWay(t *testing.T) {
	w := settled(t, 1)
	for i := range MaxGrants {
		w.access.grants[uint64(i+1)] = wire.GrantRecord{ID: uint64(i + 1), Access: give("a", holo.RoleReader, holo.Scope{NotAfter: now + int64(i)})}
	}
	w.access.last = MaxGrants
	one := give("b", holo.RoleReader, holo.Scope{})
	w.refused(ReasonFull, grant(w, "owner", one))
	if _, err := w.at(now+10, "", grant(w, "owner", one)); err != nil || len(w.Grants()) != MaxGrants-9 {
		t.Errorf("%v, %d grants", err, len(w.Grants()))
	}
}

func inviteAs(name string, role holo.Role) *wire.InvitePut {
	m := invite(name, expires)
	m.Role = role
	copy(m.RoleSig[:], signer("owner").Sign(api.InviteRoleProof(cluster, m.InviteKey[:], role)))
	return m
}

func admitUser(n int, by, user string) *wire.Admit {
	m := admit(n, by)
	m.User = principal(user)
	copy(m.UserSig[:], signer(by).Sign(wire.JoinUserProof(cluster, m.Node, m.User)))
	return m
}

func TestInviteGivesItsRoleToTheUserOfTheMachine(t *testing.T) {
	w := ungranted(t, 1)
	w.do(inviteAs("i", holo.RoleUser))
	stolen := admitUser(2, "i", "bob")
	stolen.User = principal("eve") // by the node that passes the request on
	w.refused(ReasonInviteSig, stolen)
	w.do(admitUser(2, "i", "bob"))
	w.do(admitUser(2, "i", "bob")) // its session broke
	if g := w.Grants(); len(g) != 1 || g[0].Access.Principal != principal("bob") || g[0].Access.Role != holo.RoleUser || g[0].By != ownerID() {
		t.Errorf("grants %+v", g)
	}
	w.do(invite("plain", expires))
	w.do(admitUser(3, "plain", "carol"))
	if len(w.Grants()) != 1 {
		t.Error("an invite without a role gave one")
	}
	raised := inviteAs("j", holo.RoleReader)
	raised.Role = holo.RoleUser
	w.refused(ReasonOwnerSig, raised)
	if err := w.refused("", inviteAs("k", holo.RoleOwner)); holo.KindOf(err) != holo.Invalid {
		t.Error(err)
	}
}

func TestAmountCountsAllArraysOfTheScope(t *testing.T) {
	w := settled(t, 1)
	pages := func(name string) *wire.Asked {
		return w.ask("bob", createArray, &holov1.CreateArrayRequest{Name: name, Type: "i8", Length: holo.PageSize, ExtentElements: holo.PageSize, Copies: 1})
	}
	w.grant("owner", give("bob", holo.RoleAllocator, holo.Scope{Under: "lab", MaxBytes: holo.PageSize}))
	w.grant("owner", give("bob", holo.RoleUser, holo.Scope{Under: "lab", MaxBytes: 2 * holo.PageSize})) // the larger amount holds
	w.grant("owner", give("bob", holo.RoleAllocator, holo.Scope{Under: "elsewhere"}))
	w.do(pages("lab/a"))
	w.do(pages("elsewhere"))
	w.do(pages("lab/b"))
	if err := w.refused(ReasonAmount, pages("lab/c")); holo.KindOf(err) != holo.Exhausted {
		t.Error(err)
	}
	w.grant("owner", give("bob", holo.RoleAllocator, holo.Scope{Under: "lab/c"})) // one without an amount has no limit
	w.do(pages("lab/c"))
}

func TestOutputInheritsTheReadRestrictionsOfBoundInputs(t *testing.T) {
	w := settled(t, 1)
	a, b, out := w.array("a", 8, 1), w.array("b", 8, 1), w.array("out", 8, 1)
	job := wire.JobRecord{Coordinator: node(1), Kind: wire.TaskMap, Module: holo.ModuleID{1}, Function: "f", Inputs: []holo.ArrayID{a.ID, b.ID}, Output: out.ID}
	epoch := w.AccessEpoch()
	w.do(&wire.JobPut{Job: job})
	if w.AccessEpoch() != epoch {
		t.Error("a job that binds nothing changed who may do what")
	}
	w.do(&wire.JobPut{Job: job, Bound: []holo.ArrayID{b.ID}})
	if r, _ := w.ArrayByID(out.ID); len(r.Sources) != 1 || r.Sources[0] != "b" || w.AccessEpoch() != epoch+1 {
		t.Errorf("sources %v, epoch %d", r.Sources, w.AccessEpoch())
	}
	reads := wire.JobRecord{Coordinator: node(1), Kind: wire.TaskReduce, Module: holo.ModuleID{1}, Function: "f", Inputs: []holo.ArrayID{out.ID}}
	// One that is running already would carry out what is to come.
	r := w.do(&wire.JobPut{Job: reads}).(*wire.JobRecord)
	w.refused(ReasonState, &wire.JobPut{Job: job, Bound: []holo.ArrayID{a.ID}})
	w.do(&wire.JobState{Job: r.ID, Epoch: r.Epoch, End: wire.JobEnd{Phase: wire.JobDone}})
	next := w.array("next", 8, 1)
	w.do(&wire.JobPut{Job: wire.JobRecord{Coordinator: node(1), Kind: wire.TaskMap, Module: holo.ModuleID{1}, Function: "f", Inputs: []holo.ArrayID{out.ID}, Output: next.ID}, Bound: []holo.ArrayID{out.ID}})
	if r, _ := w.ArrayByID(next.ID); len(r.Sources) != 2 {
		t.Errorf("the source of a source is lost: %v", r.Sources)
	}
	reduce := wire.JobRecord{Coordinator: node(1), Kind: wire.TaskReduce, Module: holo.ModuleID{1}, Function: "f", Inputs: []holo.ArrayID{a.ID}}
	w.refused(ReasonNotReleased, &wire.JobPut{Job: reduce, Bound: []holo.ArrayID{a.ID}})
}

func TestAccessSurvivesASnapshot(t *testing.T) {
	w := ungranted(t, 1)
	r := w.grant("owner", give("alice", holo.RoleUser, holo.Scope{Under: "lab", Nodes: []holo.NodeID{node(1)}, MaxBytes: 7, NotAfter: expires}))
	w.do(revoke(w, "owner", w.grant("owner", give("bob", holo.RoleReader, holo.Scope{})).ID))
	kept := w.Snapshot()
	other := New(cluster, ownerID(), claim.Reader{})
	if err := other.Restore(kept); err != nil {
		t.Fatal(err)
	}
	if other.AccessEpoch() != w.AccessEpoch() || len(other.Grants()) != 1 || !bytes.Equal(other.Snapshot(), kept) {
		t.Errorf("epoch %d, grants %+v", other.AccessEpoch(), other.Grants())
	}
	w.access.grants[r.ID+7] = *r // a number that was never given
	if err := other.Restore(w.Snapshot()); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("restored: %v", err)
	}
}
