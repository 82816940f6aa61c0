package holocompute

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/remote"
)

// RetryFor is how long a call that is refused because the cluster re-arranges
// itself is tried again.
const RetryFor = 15 * time.Second

const (
	firstPause = 25 * time.Millisecond
	maxPause   = time.Second
	// maxCalls, maxReads and maxWrites bound the connections of one Cluster to its
	// node. What waits (a write to a shard that has lost a copy, say) then keeps
	// nothing of another kind from being done. idleConns of each are kept.
	maxCalls, maxReads, maxWrites, idleConns = 16, 32, 32, 8
)

// host stands where HTTP wants a name; a socket or a link is what is dialled.
const host = "http://" + api.Host

// client is the connection to a node: HTTP over its socket or inside a link, in
// a session.
type client struct {
	http   *http.Client // of calls
	reads  *http.Client // of elements
	writes *http.Client // of elements
	link   *remote.Link // nil: the socket of this machine's node
	signer key.Signer
	token  string // "": none
	open   holov1connect.SessionServiceClient
	mu     struct {
		sync.Mutex
		session []byte // nil: none yet
		cluster holo.ClusterID
		version uint64 // of the catalogue when the session was opened
	}
}

func newClient(dial func(context.Context) (net.Conn, error), signer key.Signer, token string) *client {
	c := &client{http: pool(dial, maxCalls), reads: pool(dial, maxReads), writes: pool(dial, maxWrites), signer: signer, token: token}
	c.open = holov1connect.NewSessionServiceClient(c.http, host, connect.WithAcceptCompression("gzip", nil, nil))
	return c
}

// pool is HTTP over at most n connections.
func pool(dial func(context.Context) (net.Conn, error), n int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression:  true,
		MaxConnsPerHost:     n,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     time.Minute,
		WriteBufferSize:     256 << 10,
		ReadBufferSize:      256 << 10,
	}}
}

// closeIdle closes the connections that nothing uses.
func (c *client) closeIdle() {
	for _, p := range []*http.Client{c.http, c.reads, c.writes} {
		p.CloseIdleConnections()
	}
}

// session gives the session, opening one where there is none or where the one
// that the caller found refused is still the current one.
func (c *client) session(ctx context.Context, refused []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.session != nil && (refused == nil || string(c.mu.session) != string(refused)) {
		return c.mu.session, nil
	}
	c.mu.session = nil
	public := c.signer.Public()
	var conn net.Conn
	begun, err := c.open.Begin(noting(ctx, &conn), connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Token: c.token != "", Speaks: speaks()}))
	if err != nil {
		return nil, received(ctx, "open session", false, err)
	}
	b := begun.Msg
	if len(b.GetSession()) != api.SessionSize || len(b.GetNonce()) != api.SessionSize || len(b.GetCluster()) != 16 || len(b.GetNode()) != 32 {
		return nil, holo.Errorf(Corrupt, "open session: the node's answer is malformed")
	}
	if err := meets(b.GetSpeaks()); err != nil {
		return nil, err
	}
	if err := c.vouched(b, conn); err != nil {
		return nil, err
	}
	if !api.SessionOf(b.GetSession(), holo.ClusterID(b.GetCluster()), holo.NodeID(b.GetNode())) {
		return nil, holo.Errorf(Corrupt, "open session: it is not one of the node that answers")
	}
	prove := &holov1.ProveRequest{Session: b.GetSession(), Signature: c.signer.Sign(c.proof(b)), Token: c.token}
	proven, err := c.open.Prove(ctx, connect.NewRequest(prove))
	if err != nil {
		return nil, movedOn(received(ctx, "open session", false, err))
	}
	if c.link != nil {
		c.link.Learn(proven.Msg.GetAddresses())
	}
	c.mu.session, c.mu.cluster, c.mu.version = b.GetSession(), holo.ClusterID(b.GetCluster()), proven.Msg.GetCatalogue()
	return c.mu.session, nil
}

// speaks is what this program speaks.
func speaks() *holov1.Versions {
	return &holov1.Versions{Oldest: uint32(protocol.Oldest), Newest: uint32(protocol.Newest)}
}

// meets refuses a node whose program has no version in common with this one.
func meets(v *holov1.Versions) error {
	r := protocol.Range{Oldest: protocol.Version(min(v.GetOldest(), 255)), Newest: protocol.Version(min(v.GetNewest(), 255))}
	if !r.Valid() {
		return holo.Errorf(Corrupt, "open session: the node does not say which versions of the protocol it speaks")
	}
	if _, err := (protocol.Offer{Range: protocol.Spoken()}).Agree(protocol.Offer{Range: r}); err != nil {
		return holo.Refuse(Denied, protocol.ReasonSkew, "open session: %w", err)
	}
	return nil
}

// proof is what opens the session: of the key alone, or of the key and a token.
func (c *client) proof(b *holov1.BeginResponse) []byte {
	cluster, node := holo.ClusterID(b.GetCluster()), holo.NodeID(b.GetNode())
	if c.token == "" {
		return api.SessionProof(cluster, node, b.GetSession(), b.GetNonce())
	}
	return api.TokenProof(sha256.Sum256([]byte(c.token)), cluster, node, b.GetSession(), b.GetNonce())
}

// clusterID is the cluster that the node says it is of. What is signed over it
// is of no use in any other.
func (c *client) clusterID(ctx context.Context) (holo.ClusterID, error) {
	_, err := c.session(ctx, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.cluster, err
}

// stamp makes a signed request one use of its signature.
func (c *client) stamp() api.Stamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	var random [8]byte
	rand.Read(random[:])
	return api.NewStamp(c.mu.version, random, c.token)
}

// inSession runs one try in the session; a session that the node no longer
// knows (it was restarted, or the session is old), or whose stamps are too old
// for the catalogue, is replaced once.
func (c *client) inSession(ctx context.Context, try func(session []byte) error) error {
	s, err := c.session(ctx, nil)
	if err != nil {
		return err
	}
	err = try(s)
	outlived := KindOf(err) == Denied && ReasonOf(err) == reasonNoSession || KindOf(err) == Stale && ReasonOf(err) == reasonStaleStamp
	if !outlived {
		return err
	}
	if s, err = c.session(ctx, s); err != nil {
		return err
	}
	return movedOn(try(s))
}

// movedOn is the error of a call whose session was a moment old and is not
// known: another node answers by now, and a new try begins with a session there.
func movedOn(err error) error {
	if KindOf(err) != Denied || ReasonOf(err) != reasonNoSession {
		return err
	}
	return holo.Refuse(Unavailable, reasonCut, "%w", err)
}

// persist runs a call until it succeeds, fails for good, or RetryFor is over.
func (c *client) persist(ctx context.Context, try func(session []byte) error) error {
	deadline := time.Now().Add(RetryFor)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := c.inSession(ctx, try)
		if err == nil || !worthRetry(err) || time.Now().Add(pause).After(deadline) {
			return err
		}
		if stop := sleep(ctx, pause/2+mathrand.N(pause)); stop != nil {
			return err
		}
	}
}

// worthRetry reports whether a call was refused, and not applied, for a reason
// that may pass. That no node answers here does not pass by asking again.
func worthRetry(err error) bool {
	kind := KindOf(err)
	return (kind == Unavailable || kind == Stale) && ReasonOf(err) != reasonNoNode
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read makes a call that changes nothing.
func read[Q, A any](ctx context.Context, c *client, what string, do func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), q *Q) (*A, error) {
	var answer *A
	err := c.persist(ctx, func(session []byte) error {
		req := connect.NewRequest(q)
		req.Header().Set(api.SessionHeader, api.EncodeSession(session))
		resp, err := do(ctx, req)
		if err != nil {
			return received(ctx, what, false, err)
		}
		answer = resp.Msg
		return nil
	})
	return answer, err
}

// change makes a signed call.
func change[A any](ctx context.Context, c *client, what, procedure string, do func(context.Context, *connect.Request[holov1.SignedRequest]) (*connect.Response[A], error), q proto.Message) (*A, error) {
	return changeWith(ctx, c, what, procedure, do, q, nil)
}

// changeWith is change with bytes that the request names by their hash.
func changeWith[A any](ctx context.Context, c *client, what, procedure string, do func(context.Context, *connect.Request[holov1.SignedRequest]) (*connect.Response[A], error), q proto.Message, attachment []byte) (*A, error) {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(q)
	if err != nil {
		return nil, holo.Errorf(Invalid, "%s: %w", what, err)
	}
	var answer *A
	err = c.persist(ctx, func(session []byte) error {
		stamp := c.stamp()
		sig := c.signer.Sign(api.RequestProof(procedure[1:], session, api.RequestDigest(stamp, encoded)))
		req := connect.NewRequest(&holov1.SignedRequest{Request: encoded, Signature: sig, Stamp: stamp[:], Attachment: attachment})
		req.Header().Set(api.SessionHeader, api.EncodeSession(session))
		resp, err := do(ctx, req)
		if err != nil {
			return received(ctx, what, true, err)
		}
		answer = resp.Msg
		return nil
	})
	return answer, err
}
