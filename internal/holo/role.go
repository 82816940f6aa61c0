package holo

import (
	"fmt"
	"slices"
	"strings"
)

// Role is a set of actions that is granted as one. Roles are small on purpose:
// who needs two gets two grants, each with its own scope.
type Role uint8

// The roles. RoleOwner is the owner key's own: it cannot be granted.
const (
	RoleOwner Role = iota + 1
	RoleReader
	RoleWriter
	RoleAllocator
	RolePublisher
	RoleRunner
	RoleAnalyst
	RoleUser
	RoleAdmin
	RoleSecurity
	RoleOperator
	roles
)

// roleTable says what each role is. It is the only place that does.
var roleTable = [roles]struct {
	name, means string
	actions     []Action
}{
	RoleOwner: {"owner", "the owner's key: says who may do what; of the data it may read nothing until it grants itself that, on record",
		[]Action{ActionObserve, ActionNodeApprove, ActionNodeEvict, ActionKeyRotate, ActionTokenIssue, ActionPolicyWrite, ActionAuditRead, ActionDrain}},
	RoleReader:    {"reader", "reads arrays", []Action{ActionObserve, ActionRead}},
	RoleWriter:    {"writer", "reads, writes and seals arrays", []Action{ActionObserve, ActionRead, ActionWrite}},
	RoleAllocator: {"allocator", "makes and deletes arrays", []Action{ActionObserve, ActionAllocate, ActionFree}},
	RolePublisher: {"publisher", "pushes kernels", []Action{ActionObserve, ActionModulePut}},
	RoleRunner:    {"runner", "runs kernels; on which arrays, other roles say", []Action{ActionObserve, ActionRun}},
	RoleAnalyst:   {"analyst", "has one module compute on arrays that it may not read", []Action{ActionObserve, ActionCompute}},
	RoleUser: {"user", "works with arrays and kernels: all of the roles above but analyst; issues tokens for itself",
		[]Action{ActionObserve, ActionRead, ActionWrite, ActionAllocate, ActionFree, ActionModulePut, ActionRun, ActionTokenIssue}},
	RoleAdmin: {"admin", "says who may do what, within what it may itself; asks for nodes to be let in and put out; sees no data",
		[]Action{ActionObserve, ActionNodeApprove, ActionNodeEvict, ActionKeyRotate, ActionTokenIssue, ActionPolicyWrite, ActionDrain}},
	RoleOperator: {"operator", "keeps nodes: drains them; sees no data", []Action{ActionObserve, ActionDrain}},
	RoleSecurity: {"security", "sees what others may do", []Action{ActionObserve, ActionAuditRead}},
}

// String is the role's stable name.
func (r Role) String() string {
	if !r.Valid() {
		return "none"
	}
	return roleTable[r].name
}

// Means says in a few words what the role is for.
func (r Role) Means() string {
	if !r.Valid() {
		return ""
	}
	return roleTable[r].means
}

// Valid reports whether r is one of the roles above.
func (r Role) Valid() bool { return r > 0 && r < roles }

// Actions lists what the role may do. The caller must not change the list.
func (r Role) Actions() []Action {
	if !r.Valid() {
		return nil
	}
	return roleTable[r].actions
}

// May reports whether an action is among the role's.
func (r Role) May(a Action) bool { return slices.Contains(r.Actions(), a) }

// Roles lists all roles.
func Roles() []Role {
	list := make([]Role, 0, roles-1)
	for r := Role(1); r < roles; r++ {
		list = append(list, r)
	}
	return list
}

// ParseRole reads the stable name.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles() {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, Errorf(Invalid, "parse role %q: want one of %s", s, names(Roles()))
}

// RolesWith names the roles that can be granted and hold an action.
func RolesWith(a Action) string {
	var list []Role
	for _, r := range Roles() {
		if r != RoleOwner && r.May(a) {
			list = append(list, r)
		}
	}
	return names(list)
}

func names[T fmt.Stringer](list []T) string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = v.String()
	}
	return strings.Join(all, ", ")
}
