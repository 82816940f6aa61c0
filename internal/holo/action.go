package holo

// Action is something that a principal may be allowed to do. There is one for
// each kind of call that exists; a right to what is not built is not there to
// be granted.
type Action uint8

// The actions.
const (
	ActionObserve     Action = iota + 1 // see that things exist: status, names, shapes, progress
	ActionRead                          // elements of an array, results made of them
	ActionWrite                         // elements of an array; sealing it
	ActionAllocate                      // make an array
	ActionFree                          // delete an array
	ActionModulePut                     // name a module
	ActionRun                           // run a module
	ActionCompute                       // let one module compute on an array that one may not read
	ActionNodeApprove                   // let nodes in
	ActionNodeEvict                     // put nodes out
	ActionKeyRotate                     // replace the cluster's key
	ActionTokenIssue                    // issue tokens by a token key of one's own
	ActionPolicyWrite                   // say who may do what
	ActionAuditRead                     // see what others may and may not
	ActionDrain                         // have a node hold nothing, or again
	actions
)

var actionNames = [...]string{
	"NONE", "OBSERVE", "READ", "WRITE", "ALLOCATE", "FREE", "MODULE_PUT", "RUN", "COMPUTE", "NODE_APPROVE", "NODE_EVICT", "KEY_ROTATE", "TOKEN_ISSUE", "POLICY_WRITE", "AUDIT_READ", "DRAIN",
}

// String is the action's stable name, in capitals.
func (a Action) String() string {
	if a >= actions {
		return "INVALID"
	}
	return actionNames[a]
}

// Valid reports whether a is one of the actions above.
func (a Action) Valid() bool { return a > 0 && a < actions }

// OfCluster reports whether a is about the cluster as a whole, and not about an
// array or a kernel. OBSERVE may be about any of them.
func (a Action) OfCluster() bool { return a >= ActionNodeApprove && a < actions }

// Actions lists all actions.
func Actions() []Action {
	list := make([]Action, 0, actions-1)
	for a := Action(1); a < actions; a++ {
		list = append(list, a)
	}
	return list
}

// ParseAction reads the stable name.
func ParseAction(s string) (Action, error) {
	for _, a := range Actions() {
		if a.String() == s {
			return a, nil
		}
	}
	return 0, Errorf(Invalid, "parse action %q: want one of %s", s, names(Actions()))
}
