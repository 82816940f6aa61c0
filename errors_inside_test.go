package holocompute

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
)

// nodeSaid is an error as a node answers with it.
func nodeSaid(kind Kind, reason string) error {
	e := connect.NewError(connect.CodeUnknown, errors.New("it says why"))
	e.Meta().Set(api.KindHeader, kind.String())
	e.Meta().Set(api.ReasonHeader, reason)
	return e
}

// Refused, indeterminate and lost are three different errors, whatever caused
// them: a caller that finds one by errors.Is finds no other.
func TestOutcomesOfAFailedCallAreApart(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	mixed := holo.Refuse(Unavailable, "unreachable", "the link was cut: %w", holo.Errorf(DataLost, "lost"))
	outcomes := []error{ErrRefused, ErrIndeterminate, ErrDataLost, ErrLocked, ErrFenced, ErrBarrierBroken}
	for _, c := range []struct {
		cause  string
		err    error
		change bool
		want   error // nil: none of them
	}{
		{"a node that is no home", nodeSaid(Unavailable, "not_primary"), true, ErrRefused},
		{"too few copies", nodeSaid(Unavailable, "under_replicated"), true, ErrRefused},
		{"an older epoch", nodeSaid(Stale, "stale_epoch"), true, ErrRefused},
		{"no node on this machine", dial, true, ErrRefused},
		{"a connection that broke in a read", io.ErrUnexpectedEOF, false, ErrRefused},
		{"a connection that broke in a write", io.ErrUnexpectedEOF, true, ErrIndeterminate},
		{"a link that broke in a write, with causes of its own", mixed, true, ErrIndeterminate},
		{"a link that broke in a read, with causes of its own", mixed, false, ErrRefused},
		{"members that did not answer", nodeSaid(Indeterminate, "slow"), true, ErrIndeterminate},
		{"a node that closes in a write", nodeSaid(Cancelled, ""), true, ErrIndeterminate},
		{"a node that closes in a read", nodeSaid(Cancelled, ""), false, ErrRefused},
		{"pages without a holder", nodeSaid(DataLost, "lost"), false, ErrDataLost},
		{"a shard without a holder", nodeSaid(DataLost, "data_lost"), true, ErrDataLost},
		{"somebody's lease", nodeSaid(Conflict, "locked"), true, ErrLocked},
		{"a lease that is over", nodeSaid(Conflict, "fenced"), true, ErrFenced},
		{"a sealed array", nodeSaid(Conflict, "sealed"), true, nil},
		{"no memory", nodeSaid(Exhausted, "memory"), true, nil},
		{"no right", nodeSaid(Denied, "not_granted"), true, nil},
	} {
		err := received(context.Background(), "do it", c.change, c.err)
		for _, o := range outcomes {
			if is := errors.Is(err, o); is != (o == c.want) {
				t.Errorf("%s: %v is %q: %v", c.cause, err, o, is)
			}
		}
	}
}

func TestOutcomesOfBulkCallsAreThoseOfOthers(t *testing.T) {
	h := http.Header{}
	h.Set(api.KindHeader, DataLost.String())
	if err := receivedHTTP("read", false, h, "lost"); !errors.Is(err, ErrDataLost) || errors.Is(err, ErrRefused) {
		t.Errorf("%v is not lost data", err)
	}
}
