package attack

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels"
)

// somebody is a client of a node with grants of their own.
func (l *live) somebody(name string, grants ...holocompute.Grant) *holocompute.Cluster {
	l.t.Helper()
	o := holocompute.Options{Socket: filepath.Join(l.dir(0), holocompute.SocketName), Config: filepath.Join(l.root, name)}
	public, err := holocompute.UserKey(o)
	must(l.t, err)
	for _, g := range grants {
		g.Principal = public
		_, err = l.sdk.AddGrant(l.t.Context(), g)
		must(l.t, err)
	}
	sdk, err := holocompute.Connect(l.t.Context(), o)
	must(l.t, err)
	l.t.Cleanup(func() { sdk.Close() })
	return sdk
}

// TestScopesHoldAtALiveNode (row AC-3): of each scope what is inside of it and
// what is outside: the names of arrays, the module, the nodes, the amount and the
// time.
func TestScopesHoldAtALiveNode(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	l.worked()
	_, err := l.sdk.PushKernel(t.Context(), "loop", kernels.Get("loop"))
	must(t, err)
	module := ""
	list, err := l.sdk.Kernels(t.Context())
	must(t, err)
	for _, k := range list {
		if k.Name == "loop" {
			module = k.Module
		}
	}
	of := func(role string, s holocompute.Scope) holocompute.Grant {
		return holocompute.Grant{Role: role, Scope: s}
	}
	here, there := []string{l.target.Node.Hex()}, []string{l.thief.static.Node().Hex()}
	for name, s := range map[string]struct {
		grants []holocompute.Grant
		edge
	}{
		"names":  {[]holocompute.Grant{of("reader", holocompute.Scope{Under: "numbers"})}, edge{reading("numbers"), reading("open"), "authz.denied", authz.ReasonNotGranted}},
		"module": {[]holocompute.Grant{of("runner", holocompute.Scope{Module: module}), {Role: "reader"}}, edge{running("loop"), running("basic"), "job.submit", authz.ReasonNotGranted}},
		"nodes": {[]holocompute.Grant{of("reader", holocompute.Scope{Nodes: here}), of("writer", holocompute.Scope{Nodes: there})},
			edge{reading("open"), writing("open"), "array.write", authz.ReasonNotGranted}},
		"amount": {[]holocompute.Grant{of("allocator", holocompute.Scope{MaxBytes: 1 << 20})}, edge{making("small", 1<<19), making("large", 1<<21), "refusals.counted", "amount"}},
	} {
		l.holds(name, l.somebody(name, s.grants...), s.edge)
	}
	ends := time.Now().Add(lasting)
	timed := l.somebody("time", of("reader", holocompute.Scope{NotAfter: ends}))
	l.holds("time", timed, edge{reading("open"), late(t, ends, reading("open")), "refusals.counted", authz.ReasonUnknown})
}

// lasting is how long a grant is given for that the test waits to end: a busy
// machine needs some of it to use it once.
const lasting = 20 * time.Second

// edge is what is within a scope and what is not, and how that is refused.
type edge struct {
	within, beyond func(context.Context, *holocompute.Cluster) error
	event, reason  string
}

// holds does both: what is beyond is refused, counted and on the record, and
// changes nothing.
func (l *live) holds(scope string, c *holocompute.Cluster, b edge) {
	l.t.Helper()
	ctx := l.t.Context()
	if err := b.within(ctx, c); err != nil {
		l.t.Errorf("inside of the scope of %s: %v", scope, err)
	}
	was, before := l.state(), l.counted(b.reason)
	if err := b.beyond(ctx, c); holocompute.ReasonOf(err) != b.reason {
		l.t.Errorf("outside of the scope of %s: %v, want it refused as %s", scope, err, b.reason)
		return
	}
	if l.counted(b.reason) == before {
		l.t.Errorf("outside of the scope of %s: not counted as %s", scope, b.reason)
	}
	l.recorded("outside of the scope of "+scope, b.event, b.reason)
	if now := l.state(); now.held != was.held { // of an amount the catalogue decides, with a command
		l.t.Errorf("outside of the scope of %s: %s, was %s", scope, now, was)
	}
}

func reading(name string) func(context.Context, *holocompute.Cluster) error {
	return func(ctx context.Context, c *holocompute.Cluster) error {
		a, err := c.OpenRaw(ctx, name)
		if err != nil {
			return err
		}
		return a.ReadBytes(ctx, 0, make([]byte, 8))
	}
}

func writing(name string) func(context.Context, *holocompute.Cluster) error {
	return func(ctx context.Context, c *holocompute.Cluster) error {
		a, err := c.OpenRaw(ctx, name)
		if err != nil {
			return err
		}
		return a.WriteBytes(ctx, 0, make([]byte, 8))
	}
}

// running runs a kernel over the numbers: whether the function is one of its own
// is found out by whom it is let through to.
func running(kernel string) func(context.Context, *holocompute.Cluster) error {
	return func(ctx context.Context, c *holocompute.Cluster) error {
		a, err := c.OpenRaw(ctx, "numbers")
		if err != nil {
			return err
		}
		job, err := c.Reduce(ctx, holocompute.Call{Kernel: kernel, Function: "stats", Inputs: []*holocompute.Raw{a}}, 120)
		if err == nil {
			return job.Cancel(ctx)
		}
		if holocompute.KindOf(err) == holocompute.Denied {
			return err
		}
		return nil
	}
}

func making(name string, sizeBytes uint64) func(context.Context, *holocompute.Cluster) error {
	return func(ctx context.Context, c *holocompute.Cluster) error {
		_, err := holocompute.Create[uint8](ctx, c, name, sizeBytes, holocompute.ArrayOptions{Copies: 1, Extent: holo.PageSize})
		return err
	}
}

// overdue is how long after its end a grant may still be found to hold: nodes decide
// by their own clock, in seconds.
const overdue = 10 * time.Second

// late does something again and again until a time has passed and it is refused.
func late(t *testing.T, ends time.Time, do func(context.Context, *holocompute.Cluster) error) func(context.Context, *holocompute.Cluster) error {
	return func(ctx context.Context, c *holocompute.Cluster) (err error) {
		await(t, "the grant ends", func() bool {
			err = do(ctx, c)
			return err != nil || time.Now().After(ends.Add(overdue))
		})
		if time.Now().Before(ends.Add(-time.Second)) {
			t.Error("the grant ended before its time")
		}
		return err
	}
}
