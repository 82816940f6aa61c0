package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/matrix.txt anew")

var (
	owner  = holo.PrincipalID{9}
	alice  = holo.PrincipalID{1}
	bob    = holo.PrincipalID{2}
	here   = holo.NodeID{7}
	there  = holo.NodeID{8}
	module = holo.ModuleID{5}
	other  = holo.ModuleID{6}
)

const noon = 1_800_000_000

func record(id uint64, to holo.PrincipalID, role holo.Role, s holo.Scope) wire.GrantRecord {
	return wire.GrantRecord{ID: id, Access: wire.Access{Principal: to, Role: role, Scope: s}}
}

func setOf(t testing.TB, records ...wire.GrantRecord) *Set {
	t.Helper()
	s, err := New(owner, 3, records)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func on(kind authz.Kind, name string, m holo.ModuleID) authz.Resource {
	return authz.Resource{Kind: kind, Name: name, Module: m}
}

// resourceOf is what an action is about in the matrix.
func resourceOf(a holo.Action) authz.Resource {
	switch {
	case a.OfCluster():
		return on(authz.Cluster, "", holo.ModuleID{})
	case a == holo.ActionRun || a == holo.ActionModulePut:
		return on(authz.Kernel, "lab/k", module)
	case a == holo.ActionCompute:
		return on(authz.Array, "lab/a", module)
	}
	return on(authz.Array, "lab/a", holo.ModuleID{})
}

// scopes are the columns of the matrix: a grant's scope, and how the question
// lies beside it.
var scopes = []struct {
	name  string
	scope holo.Scope
	node  holo.NodeID
	unix  int64
}{
	{"all", holo.Scope{}, here, noon},
	{"lab", holo.Scope{Under: "lab"}, here, noon},
	{"lab/a", holo.Scope{Under: "lab/a"}, here, noon},
	{"la", holo.Scope{Under: "la"}, here, noon},
	{"module", holo.Scope{Module: module}, here, noon},
	{"other-module", holo.Scope{Module: other}, here, noon},
	{"here", holo.Scope{Nodes: []holo.NodeID{here}}, here, noon},
	{"elsewhere", holo.Scope{Nodes: []holo.NodeID{there}}, here, noon},
	{"last-second", holo.Scope{NotAfter: noon}, here, noon},
	{"over", holo.Scope{NotAfter: noon - 1}, here, noon},
}

// The whole matrix of roles, actions and scopes, for people to read.
func TestMatrixOfRolesActionsAndScopes(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What each role may do, by the scope of its grant. The question is about array lab/a, kernel lab/k with its module,\n" +
		"# or the cluster, asked here at noon. yes: allowed; .: denied; -: such a grant is refused. Written by go test -rewrite.\n")
	for _, r := range holo.Roles() {
		fmt.Fprintf(&b, "\n%-16s", r)
		for _, s := range scopes {
			fmt.Fprintf(&b, "%-14s", s.name)
		}
		b.WriteString("\n")
		for _, a := range holo.Actions() {
			fmt.Fprintf(&b, "  %-14s", a)
			for _, s := range scopes {
				fmt.Fprintf(&b, "%-14s", cell(t, r, a, s.scope, s.node, s.unix))
			}
			b.WriteString("\n")
		}
	}
	got := strings.ReplaceAll(b.String(), " \n", "\n")
	for strings.Contains(got, " \n") {
		got = strings.ReplaceAll(got, " \n", "\n")
	}
	path := filepath.Join("testdata", "matrix.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the matrix is not that of %s: look at the difference, then go test -rewrite\n%s", path, got)
	}
}

func cell(t *testing.T, r holo.Role, a holo.Action, scope holo.Scope, node holo.NodeID, unix int64) string {
	t.Helper()
	who, s := alice, (*Set)(nil)
	switch {
	case r == holo.RoleOwner && scope.Equal(&holo.Scope{}):
		who, s = owner, setOf(t)
	case scope.Check(r, false) != nil:
		return "-"
	default:
		s = setOf(t, record(1, alice, r, scope))
	}
	q := authz.Question{Principal: who, Action: a, Resource: resourceOf(a)}
	if s.Decide(q, Facts{Node: node, Unix: unix}).Allowed {
		return "yes"
	}
	return "."
}

// The schema's groups of actions are the roles of the table.
func TestSchemaSaysWhatTheRoleTableSays(t *testing.T) {
	g, err := newGrammar()
	if err != nil {
		t.Fatal(err)
	}
	uid := func(name fmt.Stringer) types.EntityUID {
		return cedar.NewEntityUID("Action", types.String(name.String()))
	}
	if want := len(holo.Actions()) + len(holo.Roles()); len(g.actions) != want {
		t.Errorf("%d actions and groups in the schema, want %d", len(g.actions), want)
	}
	for _, a := range holo.Actions() {
		e, ok := g.actions[uid(a)]
		if !ok {
			t.Errorf("the schema lacks %s", a)
		}
		for _, r := range holo.Roles() {
			if e.Parents.Contains(uid(r)) != r.May(a) {
				t.Errorf("%s in %s: schema and table differ", a, r)
			}
		}
	}
}

func TestWhoHasNoGrantIsUnknown(t *testing.T) {
	s := setOf(t, record(1, alice, holo.RoleUser, holo.Scope{NotAfter: noon}))
	f := Facts{here, noon}
	q := authz.Question{Principal: bob, Action: holo.ActionObserve, Resource: on(authz.Cluster, "", holo.ModuleID{})}
	if d := s.Decide(q, f); d.Allowed || d.Reason != authz.ReasonUnknown {
		t.Errorf("%+v", d)
	}
	q.Principal = alice
	if d := s.Decide(q, f); !d.Allowed || d.Until != noon || d.Epoch != 3 || !slices.Equal(d.Policies, []string{"grant-1"}) {
		t.Errorf("%+v", d)
	}
	f.Unix++
	if d := s.Decide(q, f); d.Allowed || d.Reason != authz.ReasonUnknown {
		t.Errorf("after its time: %+v", d)
	}
}

func TestTheOwnerReadsNothingUntilItGrantsItselfThat(t *testing.T) {
	q := authz.Question{Principal: owner, Action: holo.ActionRead, Resource: on(authz.Array, "lab/a", holo.ModuleID{})}
	if d := setOf(t).Decide(q, Facts{here, noon}); d.Allowed || d.Reason != authz.ReasonNotGranted {
		t.Errorf("%+v", d)
	}
	if d := setOf(t, record(1, owner, holo.RoleReader, holo.Scope{})).Decide(q, Facts{here, noon}); !d.Allowed {
		t.Errorf("%+v", d)
	}
}

// A forbid that cannot be evaluated is one that Cedar skips. Here it denies.
func TestPolicyThatErrsDenies(t *testing.T) {
	s := setOf(t, record(1, alice, holo.RoleReader, holo.Scope{}))
	bad, err := cedar.NewPolicyListFromBytes("", []byte(`@id("hold") forbid (principal, action, resource) when { resource.hold };`))
	if err != nil {
		t.Fatal(err)
	}
	q := authz.Question{Principal: alice, Action: holo.ActionRead, Resource: on(authz.Array, "a", holo.ModuleID{})}
	if d := s.Decide(q, Facts{here, noon}); !d.Allowed {
		t.Fatalf("%+v", d)
	}
	s.base = append(s.base, named{"hold", bad[0]})
	if d := s.Decide(q, Facts{here, noon}); d.Allowed || d.Reason != authz.ReasonPolicy || !slices.Contains(d.Policies, "hold") {
		t.Errorf("%+v", d)
	}
}

func TestNothingRunsThatIsNotNamedByItsHash(t *testing.T) {
	s := setOf(t, record(1, alice, holo.RoleUser, holo.Scope{}))
	q := authz.Question{Principal: alice, Action: holo.ActionRun, Resource: on(authz.Kernel, "k", holo.ModuleID{})}
	if d := s.Decide(q, Facts{here, noon}); d.Allowed {
		t.Errorf("%+v", d)
	}
}

func TestUnsoundPoliciesAreRefused(t *testing.T) {
	g, err := newGrammar()
	if err != nil {
		t.Fatal(err)
	}
	good := `@id("a") permit (principal, action == Action::"READ", resource);`
	if _, err := g.parse(good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no id":           `permit (principal, action, resource);`,
		"same id":         good + good,
		"empty id":        `@id("") permit (principal, action, resource);`,
		"no such action":  `@id("a") permit (principal, action == Action::"REED", resource);`,
		"no such entity":  `@id("a") permit (principal == Usr::"x", action, resource);`,
		"no such fact":    `@id("a") permit (principal, action, resource) when { context.moon > 1 };`,
		"no attribute":    `@id("a") forbid (principal, action, resource) when { resource.hold };`,
		"wrong type":      `@id("a") permit (principal, action, resource) when { context.now == "x" };`,
		"half":            `@id("a") permit (principal, action`,
		"too long":        good + strings.Repeat(" ", maxText),
		"nested":          `@id("a") permit (principal, action, resource) when { ` + strings.Repeat("(", 100_000) + "true" + strings.Repeat(")", 100_000) + " };",
		"nested a little": `@id("a") permit (principal, action, resource) when { ` + strings.Repeat("(", maxNesting) + "true" + strings.Repeat(")", maxNesting) + " };",
		"not not":         `@id("a") permit (principal, action, resource) when { ` + strings.Repeat("!", 30_000) + "true };",
		"not  not":        `@id("a") permit (principal, action, resource) when { ` + strings.Repeat("! ", 30_000) + "true };",
	} {
		if _, err := g.parse(text); holo.KindOf(err) != holo.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One bad grant makes no set at all: half a policy is none.
func TestSetWithABadGrantIsNotMade(t *testing.T) {
	bad := record(2, bob, holo.Role(77), holo.Scope{})
	if s, err := New(owner, 1, []wire.GrantRecord{record(1, alice, holo.RoleReader, holo.Scope{}), bad}); err == nil || s != nil {
		t.Errorf("%v, %v", s, err)
	}
}

func TestNextEpochForgetsWhatWasRevoked(t *testing.T) {
	a, b := record(1, alice, holo.RoleReader, holo.Scope{}), record(2, bob, holo.RoleReader, holo.Scope{})
	s := setOf(t, a, b)
	next, err := s.Next(4, []wire.GrantRecord{b, record(3, alice, holo.RoleRunner, holo.Scope{})})
	if err != nil {
		t.Fatal(err)
	}
	read := func(p holo.PrincipalID) authz.Decision {
		return next.Decide(authz.Question{Principal: p, Action: holo.ActionRead, Resource: on(authz.Array, "a", holo.ModuleID{})}, Facts{here, noon})
	}
	if d := read(alice); d.Allowed || d.Epoch != 4 {
		t.Errorf("alice: %+v", d)
	}
	if d := read(bob); !d.Allowed {
		t.Errorf("bob: %+v", d)
	}
}

func TestExplainNamesTheMissingFact(t *testing.T) {
	s := setOf(t,
		record(1, alice, holo.RoleReader, holo.Scope{Under: "lab", NotAfter: noon - 1, Nodes: []holo.NodeID{there}}),
		record(2, alice, holo.RoleRunner, holo.Scope{Module: other}))
	for _, c := range []struct {
		action holo.Action
		on     authz.Resource
		want   []string
	}{
		{holo.ActionRead, on(authz.Array, "labx", holo.ModuleID{}), []string{"is for lab", "ended at", "not good at node"}},
		{holo.ActionRun, on(authz.Kernel, "k", module), []string{"is for module " + other.Hex()}},
		{holo.ActionFree, on(authz.Array, "lab/a", holo.ModuleID{}), []string{"no grant", "allocator, user"}},
	} {
		got := strings.Join(s.Explain(authz.Question{Principal: alice, Action: c.action, Resource: c.on}, Facts{here, noon}), "\n")
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s of %s: %q lacks %q", c.action, c.on, got, want)
			}
		}
	}
}
