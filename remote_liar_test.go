package holocompute_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rpc "connectrpc.com/connect"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/api"
	holov1 "github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// spoken is what the nodes of these tests say that they speak.
var spoken = &holov1.Versions{Oldest: uint32(protocol.Oldest), Newest: uint32(protocol.Newest)}

// A member that names another node when a session begins would get a signature
// that opens a session there: the client signs nothing for it.
func TestNodeThatNamesAnotherGetsNoSignature(t *testing.T) {
	owner, me := key.GenerateSigner(), key.GenerateSigner()
	cluster := holo.ClusterID{7}
	record := &wire.ChainRecord{Kind: wire.ChainGenesis, Time: 1, Node: me.Public(), Name: "liar", Owner: holo.PrincipalID(owner.Public())}
	copy(record.OwnerSig[:], owner.Sign(wire.GenesisProof(cluster, record.Owner, record.Node, record.Name, record.Time)))
	static, err := handshake.NewStatic(me, cluster, "liar", time.Now().Unix())
	must(t, err)
	local := handshake.Local{
		Accept: []handshake.Kind{handshake.KindClient}, Owner: record.Owner, Static: static, Proof: wire.Encode(record),
		Admit: func(handshake.Kind, holo.NodeID, string, []byte) error { return nil },
	}
	link, err := transport.Listen(transport.Config{Listen: "127.0.0.1:0", Local: func() handshake.Local { return local }})
	must(t, err)
	t.Cleanup(func() { link.Close() })
	liar := &liar{cluster: cluster}
	mux := http.NewServeMux()
	mux.Handle(holov1connect.NewSessionServiceHandler(liar))
	go serveLinks(link, mux)

	config := t.TempDir()
	must(t, os.Chmod(config, 0o700))
	must(t, identity.WriteSigner(filepath.Join(config, identity.UserKeyFile), key.GenerateSigner()))
	o := holocompute.Options{Config: config, Address: link.Addr().String(), Trust: func(string) bool { return true }}
	for what, answer := range map[string]*holov1.BeginResponse{
		"another node":    {Cluster: cluster[:], Node: bytes.Repeat([]byte{9}, 32)},
		"another cluster": {Cluster: bytes.Repeat([]byte{9}, 16), Node: record.Node[:]},
	} {
		answer.Session, answer.Nonce, answer.Speaks = sessionOf(answer), make([]byte, 32), spoken
		liar.begin.Store(answer)
		_, err := holocompute.Connect(t.Context(), o)
		if holocompute.KindOf(err) != holocompute.Denied || holocompute.ReasonOf(err) != "wrong_peer" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := liar.signatures.Load(); n != 0 {
		t.Errorf("the client signed %d times", n)
	}
	for _, v := range []*holov1.Versions{nil, {Oldest: 2, Newest: 1}, {Oldest: uint32(protocol.Newest) + 1, Newest: uint32(protocol.Newest) + 2}, {Oldest: 256, Newest: 258}} {
		other := &holov1.BeginResponse{Nonce: make([]byte, 32), Cluster: cluster[:], Node: record.Node[:], Speaks: v}
		other.Session = sessionOf(other)
		liar.begin.Store(other)
		_, err := holocompute.Connect(t.Context(), o)
		if v.GetOldest() > v.GetNewest() || v == nil {
			if holocompute.KindOf(err) != holocompute.Corrupt {
				t.Errorf("a node that speaks %v: %v", v, err)
			}
		} else if holocompute.ReasonOf(err) != "version_skew" || !strings.Contains(err.Error(), "upgrade the program of this machine") {
			t.Errorf("a node that speaks %v: %v", v, err)
		}
	}
	if n := liar.signatures.Load(); n != 0 {
		t.Errorf("the client signed %d times for nodes of other versions", n)
	}
	borrowed := &holov1.BeginResponse{Session: make([]byte, 32), Nonce: make([]byte, 32), Cluster: cluster[:], Node: record.Node[:], Speaks: spoken}
	liar.begin.Store(borrowed) // a session that another node gave out
	if _, err := holocompute.Connect(t.Context(), o); holocompute.KindOf(err) != holocompute.Corrupt || liar.signatures.Load() != 0 {
		t.Errorf("another node's session: %v, %d signatures", err, liar.signatures.Load())
	}
	honest := &holov1.BeginResponse{Session: sessionOf(borrowed), Nonce: make([]byte, 32), Cluster: cluster[:], Node: record.Node[:], Speaks: spoken}
	liar.begin.Store(honest)
	c, err := holocompute.Connect(t.Context(), o)
	if err != nil || liar.signatures.Load() != 1 {
		t.Fatalf("control: %v", err)
	}
	c.Close()
}

// sessionOf is a session of the node that an answer names.
func sessionOf(b *holov1.BeginResponse) []byte {
	session := [api.SessionSize]byte{1}
	api.BindSession(&session, holo.ClusterID(b.GetCluster()), holo.NodeID(b.GetNode()))
	return session[:]
}

// liar begins sessions as it is told to, and counts what it is given for them.
type liar struct {
	cluster    holo.ClusterID
	begin      atomic.Pointer[holov1.BeginResponse]
	signatures atomic.Int32
}

func (l *liar) Begin(context.Context, *rpc.Request[holov1.BeginRequest]) (*rpc.Response[holov1.BeginResponse], error) {
	return rpc.NewResponse(l.begin.Load()), nil
}

func (l *liar) Prove(context.Context, *rpc.Request[holov1.ProveRequest]) (*rpc.Response[holov1.ProveResponse], error) {
	l.signatures.Add(1)
	return rpc.NewResponse(&holov1.ProveResponse{}), nil
}

// serveLinks answers HTTP on every stream of every session.
func serveLinks(link *transport.Transport, h http.Handler) {
	conns := make(chan net.Conn)
	go http.Serve(chanListener(conns), h)
	for {
		s, err := link.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			for {
				st, err := s.Accept(context.Background())
				if err != nil {
					return
				}
				conns <- st
			}
		}()
	}
}

type chanListener chan net.Conn

func (l chanListener) Accept() (net.Conn, error) { return <-l, nil }
func (l chanListener) Close() error              { return nil }
func (l chanListener) Addr() net.Addr            { return &net.UnixAddr{} }

// The places where a cluster can be are looked at in one order, and an address
// and a socket are never both meant.
func TestPlacesComeInOrder(t *testing.T) {
	config := t.TempDir()
	must(t, os.Chmod(config, 0o700))
	must(t, identity.WriteSigner(filepath.Join(config, identity.UserKeyFile), key.GenerateSigner()))
	_, err := holocompute.Connect(t.Context(), holocompute.Options{Config: config, Address: "127.0.0.1:9", Socket: "x"})
	wantKind(t, err, holocompute.Invalid, "one of them")
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Config: config, Address: "nowhere"})
	wantKind(t, err, holocompute.Invalid, "host:port")
	t.Setenv("HOLO_ADDRESS", "also nowhere")
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Config: config})
	wantKind(t, err, holocompute.Invalid, "host:port") // before HOLO_DIR, which TestMain sets
	_, err = holocompute.Connect(t.Context(), holocompute.Options{Config: config, Socket: filepath.Join(config, "none.sock")})
	wantKind(t, err, holocompute.Unavailable, "no node answers")
	if !strings.Contains(err.Error(), "none.sock") && holocompute.ReasonOf(err) != "no_node" {
		t.Error(err)
	}
}
