// Package authz is what a node keeps of decisions about who may do what:
// questions, decisions, a cache of them, and the handles of what is open.
//
// Its one idea is the access epoch: the catalogue counts every change of who
// may do what, and a decision is good for the epoch in which it was made and
// until the time at which it could come out otherwise. Whoever holds something
// open compares two numbers before each piece and asks again when one has
// moved. The package decides nothing: internal/policy does. It is a machine:
// it is told epoch and time.
package authz

import (
	"math"

	"github.com/holocompute/holocompute/internal/holo"
)

// Kind says what a resource is.
type Kind uint8

// The kinds.
const (
	Cluster Kind = iota + 1 // the cluster as a whole
	Array
	Kernel
)

// Resource is what an action is about. Its names come from the catalogue or
// are those of what is to be made; a client's word for them is never taken.
type Resource struct {
	Kind   Kind
	Name   string        // of the array or kernel
	Module holo.ModuleID // RUN, COMPUTE, MODULE_PUT: which module
}

// String is the resource for people: "array lab/x", "kernel sum", "the cluster".
func (r Resource) String() string {
	switch r.Kind {
	case Array:
		return "array " + r.Name
	case Kernel:
		return "kernel " + r.Name
	}
	return "the cluster"
}

// Question is what a decision answers.
type Question struct {
	Principal holo.PrincipalID
	Action    holo.Action
	Resource  Resource
}

// Reasons of denials.
const (
	ReasonUnknown    = "unknown_principal" // no grant names the principal
	ReasonNotGranted = "not_granted"       // none of those that do gives this
	ReasonPolicy     = "policy_error"      // a policy could not be evaluated
	ReasonStale      = "policy_stale"      // this node does not know the newest policy
	ReasonRevoked    = "revoked"           // it was allowed when it was opened
)

// Decision is the answer: what a record of it holds. Its zero value denies.
type Decision struct {
	Allowed  bool
	Reason   string   // of a denial
	Policies []string // that decided: "grant-7", "owner"; for a denial those that failed, or none
	Epoch    uint64   // in which it was made
	Until    int64    // last second since 1970 at which it holds
}

// Forever is the Until of a decision that no time ends.
const Forever = math.MaxInt64

// Handle is the right to what is open: it holds as long as the decision that
// opened it does.
type Handle struct {
	Epoch uint64
	Until int64
}

// Handle of a decision; of several, use Both.
func (d *Decision) Handle() Handle { return Handle{d.Epoch, d.Until} }

// Both is the handle of what takes two decisions of one epoch. Of different
// epochs it holds in none.
func (h Handle) Both(o Handle) Handle {
	if h.Epoch != o.Epoch {
		return Handle{}
	}
	return Handle{h.Epoch, min(h.Until, o.Until)}
}

// Holds reports whether nothing has changed that could end the right. It is
// what a page costs.
func (h Handle) Holds(epoch uint64, unix int64) bool { return h.Epoch == epoch && unix <= h.Until }
