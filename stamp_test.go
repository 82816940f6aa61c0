package holocompute_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	connectrpc "connectrpc.com/connect"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
)

// busy is a node whose catalogue has gone on by more changes than it remembers,
// each time that somebody opens a session.
type busy struct {
	holov1connect.UnimplementedSessionServiceHandler
	holov1connect.UnimplementedKernelServiceHandler
	version atomic.Uint64 // told to sessions
	floor   atomic.Uint64 // of stamps
	stamps  []api.Stamp
}

func (b *busy) Begin(context.Context, *connectrpc.Request[holov1.BeginRequest]) (*connectrpc.Response[holov1.BeginResponse], error) {
	var session [api.SessionSize]byte
	api.BindSession(&session, holo.ClusterID{7}, holo.NodeID{8})
	cluster, node := holo.ClusterID{7}, holo.NodeID{8}
	return connectrpc.NewResponse(&holov1.BeginResponse{Session: session[:], Nonce: make([]byte, 32), Cluster: cluster[:], Node: node[:], Speaks: spoken}), nil
}

func (b *busy) Prove(context.Context, *connectrpc.Request[holov1.ProveRequest]) (*connectrpc.Response[holov1.ProveResponse], error) {
	return connectrpc.NewResponse(&holov1.ProveResponse{Catalogue: b.version.Load()}), nil
}

func (b *busy) Push(_ context.Context, req *connectrpc.Request[holov1.SignedRequest]) (*connectrpc.Response[holov1.Kernel], error) {
	stamp := api.Stamp(req.Msg.GetStamp())
	b.stamps = append(b.stamps, stamp)
	if stamp.Version() >= b.floor.Load() {
		return connectrpc.NewResponse(&holov1.Kernel{Name: "k"}), nil
	}
	b.version.Store(b.floor.Load())
	err := connectrpc.NewError(connectrpc.CodeAborted, nil)
	err.Meta().Set(api.KindHeader, "stale")
	err.Meta().Set(api.ReasonHeader, "stale_stamp")
	return nil, err
}

// A client whose session is older than what the catalogue remembers opens
// another, signs anew, and its user does not notice. No two requests have one
// stamp.
func TestStaleStampIsReplacedByANewSession(t *testing.T) {
	b := &busy{}
	b.version.Store(3)
	dir, config := t.TempDir(), t.TempDir()
	mux := http.NewServeMux()
	mux.Handle(holov1connect.NewSessionServiceHandler(b))
	mux.Handle(holov1connect.NewKernelServiceHandler(b))
	socket := filepath.Join(dir, "s")
	must(t, os.Chmod(dir, 0o700))
	must(t, os.Chmod(config, 0o700))
	l, err := net.Listen("unix", socket)
	must(t, err)
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	must(t, identity.WriteSigner(filepath.Join(config, identity.UserKeyFile), key.GenerateSigner()))
	c, err := holocompute.Connect(t.Context(), holocompute.Options{Socket: socket, Config: config})
	must(t, err)
	defer c.Close()
	_, err = c.PushKernel(t.Context(), "k", []byte("wasm"))
	must(t, err)
	b.floor.Store(9)
	_, err = c.PushKernel(t.Context(), "k", []byte("wasm"))
	must(t, err)
	seen := map[api.Stamp]bool{}
	for i, s := range b.stamps {
		if want := []uint64{3, 3, 9}[i]; s.Version() != want || seen[s] {
			t.Errorf("try %d has the stamp %x, want one of version %d, used once", i, s, want)
		}
		seen[s] = true
	}
	if len(b.stamps) != 3 {
		t.Errorf("%d tries, want 3", len(b.stamps))
	}
}
