package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/remote"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// openCluster is a cluster whose nodes let clients in.
func openCluster(t *testing.T, n int) *cluster {
	t.Helper()
	yes := true
	return found(&cluster{t: t, root: t.TempDir(), clients: &yes}, n)
}

// clientInvite makes one as the owner's client does.
func (c *cluster) clientInvite(life time.Duration) identity.Invite {
	c.t.Helper()
	owner, n := c.owner(), c.live()[0]
	i := identity.NewInvite(n.cluster, holo.PrincipalID(owner.Public()), time.Now().Add(life))
	i.Client = true
	public, psk := i.Signer().Public(), i.PSK()
	r, err := n.CreateInvite(context.Background(), door.Caller{}, &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: i.Expires.Unix(), Client: true,
		OwnerSignature: owner.Sign(api.ClientInviteProof(n.cluster, public[:], i.Expires.Unix())),
		Role:           holo.RoleUser.String(), RoleSignature: owner.Sign(api.InviteRoleProof(n.cluster, public[:], holo.RoleUser)),
	})
	must(c.t, err)
	i.Addresses = r.Addresses
	return i
}

// knows reports whether a node knows the key of a client by now.
func knows(n *Node, p holo.PrincipalID) bool {
	s := n.access.set.Load()
	return s != nil && s.Knows(p, unixNow())
}

// laptop is a machine that is no node: a folder and a key.
type laptop struct {
	dir    string
	signer key.Signer
}

func newLaptop(t *testing.T) laptop { return laptop{t.TempDir(), key.GenerateSigner()} }

func (l laptop) enrol(i identity.Invite) (identity.Pin, error) {
	return remote.Enrol(context.Background(), l.dir, l.signer, i)
}

func (l laptop) link(t *testing.T, n *Node) *remote.Link {
	t.Helper()
	pin := identity.Pin{Cluster: n.cluster, Owner: n.home.settings.Owner}
	link, err := remote.Open(context.Background(), l.dir, l.signer, remote.Wanted{Addresses: []string{n.Addr()}, Fingerprint: pin.Fingerprint()})
	must(t, err)
	t.Cleanup(func() { link.Close() })
	return link
}

func TestClientIsEnrolledOnceAndMayResume(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	n, l := c.nodes[0], newLaptop(t)
	invite := c.clientInvite(time.Hour)
	pin, err := l.enrol(invite)
	must(t, err)
	if !knows(n, holo.PrincipalID(l.signer.Public())) || pin.Owner != n.home.settings.Owner {
		t.Fatal("the node that enrolled the client does not know it")
	}
	_, err = l.enrol(invite) // the answer got lost
	must(t, err)

	before := n.refusals.all()["invite_bound"]
	thief := newLaptop(t)
	_, err = thief.enrol(invite)
	wantRefused(t, err, holo.Denied, "invite_bound")
	refused(t, n, "invite_bound", before)
	if knows(n, holo.PrincipalID(thief.signer.Public())) {
		t.Error("a used invite enrolled another key")
	}
	if k, err := identity.ReadKnown(filepath.Join(thief.dir, identity.KnownFile)); err != nil || len(k.Pins) != 0 {
		t.Errorf("who was refused pinned the cluster: %v, %v", k, err)
	}
	_, err = l.enrol(c.clientInvite(time.Hour))
	wantRefused(t, err, holo.Exists, "")
}

func TestForeignAndExpiredClientInvitesAreRefused(t *testing.T) {
	t.Parallel()
	c, other := openCluster(t, 1), openCluster(t, 1)
	n := c.nodes[0]
	enrol := func(i identity.Invite) error { _, err := newLaptop(t).enrol(i); return err }

	foreign := other.clientInvite(time.Hour)
	foreign.Addresses = []string{n.Addr()}
	before := n.refusals.all()[handshake.ReasonWrongCluster]
	wantRefused(t, enrol(foreign), holo.Denied, remote.ReasonInviteRefused)
	refused(t, n, handshake.ReasonWrongCluster, before)

	relabelled := foreign
	relabelled.Cluster = n.cluster
	before = n.refusals.all()[handshake.ReasonUnknownPSK]
	wantRefused(t, enrol(relabelled), holo.Denied, remote.ReasonInviteRefused)
	refused(t, n, handshake.ReasonUnknownPSK, before)

	impostor := c.clientInvite(time.Hour)
	impostor.Owner = other.nodes[0].home.settings.Owner
	wantRefused(t, enrol(impostor), holo.Denied, identity.ReasonPinMismatch)

	short := c.clientInvite(2 * time.Second)
	await(t, "the invite expires", func() bool { return unixNow() > short.Expires.Unix() })
	before = n.refusals.all()[handshake.ReasonUnknownPSK]
	wantRefused(t, enrol(short), holo.Denied, remote.ReasonInviteRefused)
	refused(t, n, handshake.ReasonUnknownPSK, before)

	// An invite for a node enrols no client, though its session is one of kind
	// join; nor the other way round.
	forNode := c.invite(time.Hour)
	relabelled = c.clientInvite(time.Hour)
	relabelled.Client = false
	_, err := c.askToJoin("mistaken", relabelled)
	wantRefused(t, err, holo.Denied, catalog.ReasonInviteKind)
	s := newStranger(t)
	session, err := s.dial(n, s.local(n.cluster, handshake.KindJoin, forNode.PSK()))
	must(t, err)
	signer := forNode.Signer()
	r := &wire.EnrolRequest{Label: "mistaken", InviteKey: signer.Public()}
	copy(r.Signature[:], signer.Sign(wire.EnrolProof(n.cluster, holo.PrincipalID(s.signer.Public()), session.Hash())))
	st, err := session.Open(context.Background())
	must(t, err)
	must(t, st.WriteMessage(r))
	answer, err := st.ReadMessage()
	must(t, err)
	if f, ok := answer.(*wire.Failure); !ok || f.Reason != catalog.ReasonInviteKind {
		t.Errorf("a node's invite asked to enrol a client: %+v", answer)
	}
	var grants []wire.GrantRecord
	n.catalog.read(func(c *catalog.Catalog) { grants = c.Grants() })
	if len(grants) != 1 || len(n.members.ids()) != 1 { // the founder's
		t.Errorf("%d members, grants %+v", len(n.members.ids()), grants)
	}
}

func TestNodeLetsNoClientsInUntilItIsTold(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	_, err := n.CreateInvite(context.Background(), door.Caller{}, &holov1.CreateInviteRequest{Client: true})
	wantRefused(t, err, holo.Denied, reasonClientsOff)
	before := n.refusals.all()[handshake.ReasonWrongKind]
	_, err = remote.Open(context.Background(), t.TempDir(), key.GenerateSigner(), remote.Wanted{Addresses: []string{n.Addr()}, Trust: func(string) bool { return true }})
	if holo.KindOf(err) != holo.Denied || err == nil {
		t.Errorf("%v", err)
	}
	refused(t, n, handshake.ReasonWrongKind, before)

	yes := true
	for _, say := range []*bool{&yes, nil} { // it is remembered
		must(t, c.nodes[0].Close())
		config := c.config(0)
		config.Clients = say
		n, err := Start(context.Background(), config)
		must(t, err)
		t.Cleanup(func() { n.Close() })
		c.nodes[0] = n
		if !n.LetsClientsIn() {
			t.Error("clients are not let in")
		}
		newLaptop(t).link(t, n)
	}
}

// send writes to a new stream of a client's session, and reads what comes back.
func send(t *testing.T, s *transport.Session, m wire.Message) string {
	t.Helper()
	st, err := s.Open(context.Background())
	must(t, err)
	defer st.Close()
	must(t, st.WriteMessage(m))
	must(t, st.CloseWrite())
	got, _ := io.ReadAll(st) // it may be reset, which is an answer as well
	return string(got)
}

// Inside a client's link there is HTTP and nothing else: the messages of nodes
// and of joiners are not read, those who are known or not.
func TestClientSessionHasNoMessages(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	n, l := c.nodes[0], newLaptop(t)
	_, err := l.enrol(c.clientInvite(time.Hour))
	must(t, err)
	known := &stranger{t: t, signer: l.signer, link: newStranger(t).link}
	invite := c.invite(time.Hour)
	join := &wire.JoinRequest{Name: "x", InviteKey: invite.Signer().Public()}
	for who, s := range map[string]*stranger{"known": known, "unknown": newStranger(t)} {
		session, err := s.dial(n, s.local(n.cluster, handshake.KindClient, handshake.PSK{}))
		must(t, err)
		for _, m := range []wire.Message{
			&wire.ControlRequest{Body: wire.Encode(&wire.CatalogQuery{What: wire.QueryNodes})}, &wire.UsageRead{}, &wire.RaftOpen{},
			&wire.RangeRead{Array: 1, Run: wire.PageRun{Count: 1}}, &wire.ModuleRead{}, &wire.Heartbeat{}, join, &wire.EnrolRequest{},
			&wire.Mutate{}, &wire.RunTask{},
		} {
			if got := send(t, session, m); got != "" && !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("%s: %T was answered with %q", who, m, got)
			}
		}
		session.Close("test")
	}
	if len(n.members.ids()) != 1 {
		t.Error("somebody joined")
	}
}

// Over a real link, known or not, no procedure of the description is heard
// without a session but the one that begins it.
func TestNoProcedureIsHeardFromAfarWithoutASession(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	n, known := c.nodes[0], newLaptop(t)
	_, err := known.enrol(c.clientInvite(time.Hour))
	must(t, err)
	var paths []string
	streams := map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("holo.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				path := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
				paths, streams[path] = append(paths, path), m.IsStreamingServer()
			}
		}
		return true
	})
	for who, l := range map[string]laptop{"known": known, "unknown": newLaptop(t)} {
		link, heard := l.link(t, n), 0
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return link.Dial(ctx) }}}
		for _, path := range paths {
			kind, body := "application/proto", ""
			if streams[path] {
				kind, body = "application/connect+proto", "\x00\x00\x00\x00\x00"
			}
			resp, err := client.Post("http://"+api.Host+path, kind, strings.NewReader(body))
			must(t, err)
			answer, err := io.ReadAll(resp.Body)
			must(t, err)
			resp.Body.Close()
			if said := resp.Header.Get(api.ReasonHeader) + string(answer); !strings.Contains(said, "no_session") {
				heard++
				if path != holov1connect.SessionServiceBeginProcedure || resp.StatusCode != http.StatusBadRequest {
					t.Errorf("%s: %s: %s %s", who, path, resp.Status, said)
				}
			}
		}
		if heard != 1 || len(paths) < 20 {
			t.Errorf("%s: %d of %d procedures are heard", who, heard, len(paths))
		}
		client.CloseIdleConnections()
	}
}

// A key that nobody knows gets a link, a little while, and nothing in it.
func TestUnknownKeyGetsALinkAndNothingElse(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	n := c.nodes[0]
	l := newLaptop(t)
	conn, err := l.link(t, n).Dial(context.Background())
	must(t, err)
	public := l.signer.Public()
	body := fmt.Sprintf(`{"publicKey":%q,"speaks":{"oldest":1,"newest":1}}`, base64.StdEncoding.EncodeToString(public[:]))
	_, err = fmt.Fprintf(conn, "POST /holo.v1.SessionService/Begin HTTP/1.1\r\nHost: holo\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	must(t, err)
	answer := make([]byte, 4096)
	size, err := conn.Read(answer)
	must(t, err)
	if got := string(answer[:size]); !strings.HasPrefix(got, "HTTP/1.1 403 ") || !strings.Contains(got, authz.ReasonUnknown) {
		t.Error(got)
	}
	must(t, conn.SetReadDeadline(time.Now().Add(patience))) // half of what an idle connection lasts
	if _, err := conn.Read(answer); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the link lasts: %v", err)
	}
}

func TestRemovedClientLosesItsLinks(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 2) // the second is no voter: it learns from the leader
	l := newLaptop(t)
	invite := c.clientInvite(time.Hour)
	_, err := l.enrol(invite)
	must(t, err)
	me := holo.PrincipalID(l.signer.Public())
	for _, n := range c.nodes {
		await(t, "every node knows the client", func() bool { return knows(n, me) })
	}
	known := &stranger{t: t, signer: l.signer, link: newStranger(t).link}
	var sessions []*transport.Session
	for _, n := range c.nodes {
		session, err := known.dial(n, known.local(n.cluster, handshake.KindClient, handshake.PSK{}))
		must(t, err)
		_, err = session.Open(context.Background())
		must(t, err)
		sessions = append(sessions, session)
	}
	c.revokeAll(me)
	for i, session := range sessions {
		select { // half of what an idle link lasts
		case <-session.Done():
		case <-time.After(idleLink / 2):
			t.Fatalf("node %d: the link lasts", i)
		}
		if knows(c.nodes[i], me) {
			t.Errorf("node %d knows the client still", i)
		}
	}
	_, err = l.enrol(invite)
	wantRefused(t, err, holo.Denied, "invite_bound")
}

// However many links and streams clients make, they are bounded, one by one and
// together, strangers' apart; and a machine that has an invite joins all the same.
func TestClientsCrowdOutNeitherMembersNorOneAnother(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	n := c.nodes[0]
	one := newStranger(t)
	before := n.refusals.all()[reasonTooManyLinks]
	for range maxLinksOfClient + 1 {
		_, _ = one.dial(n, one.local(n.cluster, handshake.KindClient, handshake.PSK{})) // the last may be closed before it is told
	}
	refused(t, n, reasonTooManyLinks, before)

	l := newLaptop(t)
	_, err := l.enrol(c.clientInvite(time.Hour))
	must(t, err)
	link := l.link(t, n)
	before = n.refusals.all()[reasonTooManyStreams]
	for range streamsOfLink + 4 {
		conn, err := link.Dial(context.Background())
		must(t, err)
		_, err = io.WriteString(conn, "P") // else the node hears nothing of it
		must(t, err)
	}
	refused(t, n, reasonTooManyStreams, before+3)
	_, err = c.askToJoin("late", c.invite(time.Hour))
	must(t, err)
}

func TestLinksAreCountedByKeyAndByWhetherItIsKnown(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	n := c.nodes[0]
	s := newStranger(t)
	session, err := s.dial(n, s.local(n.cluster, handshake.KindClient, handshake.PSK{}))
	must(t, err)
	l := newClientLinks()
	l.mu.strangers = maxStrangerLinks
	_, err = l.enter(session, false)
	wantRefused(t, err, holo.Exhausted, reasonTooManyLinks)
	leave, err := l.enter(session, true) // strangers take no place of clients
	must(t, err)
	leave()
	l.mu.ofClient[session.Peer()] = maxLinksOfClient
	_, err = l.enter(session, true)
	wantRefused(t, err, holo.Exhausted, reasonTooManyLinks)
	if len(l.mu.open) != 0 || l.mu.strangers != maxStrangerLinks {
		t.Errorf("a place was kept: %+v", l.mu.open)
	}
	l = newClientLinks()
	for range maxClientLinks {
		l.mu.open[&transport.Session{}] = true
	}
	_, err = l.enter(session, true)
	wantRefused(t, err, holo.Exhausted, reasonTooManyLinks)
	if _, err = l.enter(session, false); err != nil {
		t.Errorf("clients took a place of those who have yet to say who they are: %v", err)
	}
}

// The bearer of a token is nobody to the cluster by its key. Its link lasts as
// long as the token's session, not as long as a stranger's.
func TestLinkOfATokensBearerLastsAsLongAsItsSession(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	s := newStranger(t)
	session, err := s.dial(c.nodes[0], s.local(c.nodes[0].cluster, handshake.KindClient, handshake.PSK{}))
	must(t, err)
	l := newClientLinks()
	for range maxClientLinks - 1 {
		l.mu.open[&transport.Session{}] = true
	}
	leave, err := l.enter(session, false)
	must(t, err)
	must(t, l.stay(session))
	must(t, l.stay(session)) // once is enough
	if l.mu.strangers != 0 {
		t.Errorf("it takes a stranger's place still: %d", l.mu.strangers)
	}
	if leave(); l.mu.strangers != 0 || len(l.mu.open) != maxClientLinks-1 {
		t.Errorf("%d strangers, %d open", l.mu.strangers, len(l.mu.open))
	}
	l.mu.open[&transport.Session{}] = true
	leave, err = l.enter(session, false)
	must(t, err)
	wantRefused(t, l.stay(session), holo.Exhausted, reasonTooManyLinks)
	leave()
}

// revokeAll ends what is granted to a principal, by the owner's word.
func (c *cluster) revokeAll(p holo.PrincipalID) {
	c.t.Helper()
	n, owner := c.nodes[0], c.owner()
	head, records, err := n.accessNow(context.Background())
	must(c.t, err)
	for _, r := range records {
		if r.Access.Principal != p {
			continue
		}
		_, err := n.RevokeGrant(context.Background(), door.Caller{Principal: owner.Public()}, &holov1.RevokeGrantRequest{
			Id: r.ID, Epoch: head.Epoch, Signature: owner.Sign(api.RevokeProof(n.cluster, head.Epoch, r.ID)),
		})
		must(c.t, err)
		head.Epoch++
	}
}

// Scripts run one command after another, each a connection of its own: more
// than a network may make at once, and all are served.
func TestManyConnectionsInARowAreServed(t *testing.T) {
	t.Parallel()
	c := openCluster(t, 1)
	n := c.nodes[0]
	pin := identity.Pin{Cluster: n.cluster, Owner: n.home.settings.Owner}
	wanted := remote.Wanted{Addresses: []string{n.Addr()}, Fingerprint: pin.Fingerprint()}
	limited := func() uint64 {
		all := n.refusals.all()
		return all[transport.ReasonRateSource] + all[transport.ReasonHalfOpen]
	}
	const scripts = 4 // together they are above the limit also where a handshake takes its time
	const busy = 20   // connections that each may lose to a machine that is slow
	before := limited()
	var all sync.WaitGroup
	for range scripts {
		l := newLaptop(t)
		all.Go(func() {
			for i, slow := 0, 0; limited() == before; i++ { // until the limit is reached
				link, err := remote.Open(context.Background(), l.dir, l.signer, wanted)
				if holo.ReasonOf(err) == transport.ReasonTimeout && limited() == before && slow < busy {
					slow++ // no limit had a hand in it: the handshake was not done in its 5 s
					continue
				}
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				if err := link.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
