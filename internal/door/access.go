package door

import (
	"context"
	"fmt"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
)

// Access is one right that a call needs.
type Access struct {
	Action holo.Action
	Or     holo.Action // as good, where the backend says so; 0: none
	On     Target
}

// Target names what an access is about, as the request does. What it is
// called, and what module it is, the backend finds in the catalogue. The zero
// Target is the cluster.
type Target struct {
	Array  string     // its name, or "#" and its ID
	Kernel string     // its name, or its module's hash
	Job    holo.JobID // what the action needs of the job's own arrays or kernel
	New    bool       // the array or kernel of that name is to be made
}

// String is the target as the request names it.
func (t Target) String() string {
	switch {
	case t.Array != "":
		return "array " + t.Array
	case t.Kernel != "":
		return "kernel " + t.Kernel
	case t.Job != 0:
		return fmt.Sprintf("job %d", uint64(t.Job))
	}
	return "the cluster"
}

// Verdict is the answer to what a call needs, all of it together. It is what a
// record of the call holds.
type Verdict struct {
	authz.Decision
	Handle authz.Handle // of what was allowed, for what stays open
	Err    error        // nil exactly when Allowed

	// What the backend's own methods must keep to.
	Module holo.ModuleID  // that RUN was decided about
	Bound  []holo.ArrayID // inputs that a kernel may read and the caller may not
	Under  string         // the caller's arrays under it ...
	Within uint64         // ... may take so many bytes; 0: no limit
}

// Policy is the backend's word on who may do what.
type Policy interface {
	// Known reports, before a session begins, whether anything is granted to a
	// principal at all.
	Known(context.Context, holo.PrincipalID) error
	// Authorize decides about everything that a call needs. With stale the last
	// policy known here counts, however old: for what helps to find out why
	// there is none newer.
	Authorize(ctx context.Context, c Caller, needs []Access, stale bool) Verdict
	// Holds reports whether nothing has changed that could end a right.
	Holds(authz.Handle) bool
}

// right is the right to a call that stays open.
type right struct {
	policy Policy
	caller Caller
	needs  []Access
	stale  bool
	handle authz.Handle
}

// still is asked before each piece. It costs the comparison of two numbers as
// long as nothing changed; then it is decided anew.
func (r *right) still(ctx context.Context) error {
	if r.policy.Holds(r.handle) {
		return nil
	}
	v := r.policy.Authorize(ctx, r.caller, r.needs, r.stale)
	if holo.KindOf(v.Err) == holo.Denied && v.Err != nil {
		return holo.Refuse(holo.Denied, authz.ReasonRevoked, "%s: the right to it ended: %w", r.caller.Procedure, v.Err)
	}
	r.handle = v.Handle
	return v.Err
}
