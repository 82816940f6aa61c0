package node

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/discover"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// JoinConfig says where a node joins and as what. Dir, ConfigDir and Invite
// are required.
type JoinConfig struct {
	Dir         string           // the node's folder
	ConfigDir   string           // where the user's key is, or is made
	Invite      string           // as pasted
	Addresses   []string         // to try before those of the invite
	Known       holo.PrincipalID // an owner that the cluster must have, or have had; zero: the invite's word is enough
	NodeName    string           // empty: the machine's name, with the node's own behind it where that is taken
	Listen      string           // host:port; empty: a free port of the address from which the invite's nodes are reached
	Also        []string         // further addresses to listen on
	Allow       []string         // networks to talk with, CIDR; empty: all
	Advertise   []string         // addresses to tell others; empty: where it listens
	MemoryBytes uint64           // page memory offered; 0: DefaultMemory
	Policy      Policy           // of the link
	Keys        identity.Keys    // how keys that are there already are read
	Logger      *slog.Logger     // nil: nothing is logged
	// Waiting is told how many votes there are and how many are wanted, when
	// that is news. Nil: nobody is.
	Waiting func(have, need int)
}

// Join makes this machine a node of the cluster that the invite is for. Where
// the cluster's policy wants votes it waits for them, until ctx ends. It
// believes nobody: who answers must prove by the owner's signature that it is
// a member, before this node says who it is. An attempt that broke off may be
// repeated with the same folder and invite; nobody else can use the invite
// once a node was admitted by it.
func Join(ctx context.Context, c JoinConfig) (*Cluster, error) {
	if err := c.Policy.check(); err != nil {
		return nil, err
	}
	invite, err := identity.ParseInvite(c.Invite)
	if err != nil {
		return nil, err
	}
	if invite.Client {
		return nil, holo.Refuse(holo.Invalid, catalog.ReasonInviteKind, "join: this invite is for a client, not for a node: holo connect INVITE")
	}
	h, err := newHome(c.Dir, c.ConfigDir, c.NodeName, c.Keys)
	if err != nil {
		return nil, err
	}
	h.settings.ID, h.settings.Owner = invite.Cluster, invite.Owner
	h.settings.Listen, h.settings.Also, h.settings.Allow, h.settings.Advertise = c.Listen, c.Also, c.Allow, c.Advertise
	if _, err := parseAllow(c.Allow); err != nil {
		return nil, err
	}
	j := &joiner{home: h, invite: invite, config: c, log: c.Logger}
	if j.log == nil {
		j.log = quiet
	}
	if err := j.await(ctx); err != nil {
		return nil, err
	}
	if err := h.write(); err != nil {
		return nil, err
	}
	return &Cluster{ID: h.settings.ID, Owner: h.settings.Owner, Node: h.self()}, nil
}

// joiner is one attempt to join.
type joiner struct {
	home   *home
	invite identity.Invite
	config JoinConfig
	log    *slog.Logger
	static *handshake.Static
	told   wire.JoinPending
}

// voteLook is how often a node that waits for votes asks again.
const voteLook = time.Second

// await asks until somebody admits or refuses.
func (j *joiner) await(ctx context.Context) error {
	timer := time.NewTimer(voteLook)
	defer timer.Stop()
	for {
		err := j.ask(ctx)
		if holo.ReasonOf(err) == catalog.ReasonNameTaken && j.rename() {
			continue
		}
		if holo.ReasonOf(err) != reasonPending || !wait.Sleep(ctx, timer, voteLook) {
			return err
		}
	}
}

// maxMachineName leaves room for what rename adds, within what a handshake
// carries of a name.
const maxMachineName = 50

// rename gives a node that is called as its machine, because nobody named it, a
// name of its own, once: machines are often called alike.
func (j *joiner) rename() bool {
	own := "-" + j.home.self().String()
	name := j.home.settings.NodeName
	if j.config.NodeName != "" || strings.HasSuffix(name, own) {
		return false
	}
	j.home.settings.NodeName = name[:min(len(name), maxMachineName)] + own
	return true
}

// pending is the error of a request that waits for votes.
func (j *joiner) pending(m *wire.JoinPending) error {
	if told := *m; j.config.Waiting != nil && told != j.told {
		j.told = told
		j.config.Waiting(int(m.Have), int(m.Need))
	}
	return holo.Refuse(holo.Unavailable, reasonPending, "join: the node waits for votes, it has %d of %d", m.Have, m.Need)
}

// ask asks to be admitted.
func (j *joiner) ask(ctx context.Context) (err error) {
	if j.static, err = handshake.NewStatic(j.home.signer, j.invite.Cluster, j.home.settings.NodeName, unixNow()); err != nil {
		return err
	}
	err = j.askAll(ctx, append(slices.Clone(j.config.Addresses), j.invite.Addresses...))
	if err == nil || holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) == reasonPending || ctx.Err() != nil {
		return err
	}
	return j.askAround(ctx, err)
}

// askAround looks for the cluster in the local network, where the invite leads
// nowhere. Whoever answers there has to prove itself like anybody else.
func (j *joiner) askAround(ctx context.Context, unreachable error) error {
	j.log.Warn("no address of the invite answers: searching the local network", "error", unreachable)
	found, err := discover.Find(ctx, j.invite.Cluster)
	if err != nil {
		return holo.Refuse(holo.Unavailable, discover.ReasonNobody, "%w; %w", unreachable, err)
	}
	addresses := make([]string, len(found))
	for i, a := range found {
		addresses[i] = a.String()
	}
	j.log.Info("found in the local network", "addresses", addresses)
	return j.askAll(ctx, addresses)
}

// local is this side of a join handshake. The node that answers is verified in
// Admit: its membership proof must go back to the owner that the invite names.
func (j *joiner) local() handshake.Local {
	return j.config.Policy.apply(handshake.Local{
		Kind: handshake.KindJoin, Static: j.static, PSK: j.invite.PSK(),
		Admit: func(_ handshake.Kind, peer holo.NodeID, _ string, proof []byte) error {
			_, err := catalog.VerifyProof(j.invite.Cluster, j.invite.Owner, peer, proof)
			return err
		},
	})
}

// askIn asks one node in its session.
func (j *joiner) askIn(ctx context.Context, s *transport.Session) error {
	ctx, cancel := within(ctx, controlDeadline)
	defer cancel()
	st, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	stop := context.AfterFunc(ctx, st.Reset)
	defer stop()
	if err := st.WriteMessage(j.request(s.Hash())); err != nil {
		return err
	}
	msg, err := st.ReadMessage()
	if err != nil {
		return err
	}
	switch m := msg.(type) {
	case *wire.Failure:
		return m.Err()
	case *wire.JoinPending:
		return j.pending(m)
	case *wire.JoinAnswer:
		return j.accept(s.Peer(), m)
	}
	return answered(s.Peer(), msg)
}

func (j *joiner) request(hash [32]byte) *wire.JoinRequest {
	signer := j.invite.Signer()
	r := &wire.JoinRequest{
		Name: j.home.settings.NodeName, Addresses: j.config.Advertise,
		Capacity: memoryOr(j.config.MemoryBytes), InviteKey: signer.Public(), User: j.home.user,
	}
	copy(r.UserSig[:], signer.Sign(wire.JoinUserProof(j.invite.Cluster, j.home.self(), j.home.user)))
	copy(r.Signature[:], signer.Sign(wire.AdmitProof(j.invite.Cluster, j.home.self(), hash)))
	return r
}

// accept verifies the chain that came with the cluster's key: it must lead to
// the owner that the invite names, and this node and the one that answered must
// be in it.
func (j *joiner) accept(from holo.NodeID, m *wire.JoinAnswer) (err error) {
	records := make([]wire.ChainRecord, 0, len(m.Chain))
	for _, b := range m.Chain {
		msg, err := wire.Decode(b)
		if err != nil {
			return err
		}
		r, ok := msg.(*wire.ChainRecord)
		if !ok {
			return holo.Refuse(holo.Corrupt, reasonCorruptChain, "join: the chain holds message %#04x", uint16(msg.Type()))
		}
		records = append(records, *r)
	}
	verified := newMembers(j.invite.Cluster, j.invite.Owner, j.home.self())
	if _, _, err := verified.extend(0, records); err != nil {
		return err
	}
	if !verified.has(j.home.self()) {
		return holo.Refuse(holo.Denied, reasonMembership, "join: this node is not in the chain that it was given")
	}
	if !verified.has(from) { // one record cannot show that the votes were there, or that it was not evicted
		return holo.Refuse(holo.Denied, reasonMembership, "join: node %s, which answered, is no member by the chain that it gave", from)
	}
	if known := j.config.Known; known != (holo.PrincipalID{}) && !verified.ruled(known) {
		return holo.Refuse(holo.Denied, identity.ReasonPinMismatch, "join: the cluster that answers was never that of owner %s, whose node this is", known)
	}
	j.home.records, j.home.contacts, j.home.settings.Owner = records, m.Contacts, verified.owner()
	j.home.clusterKey, err = key.NewSecret(m.ClusterKey[:])
	return err
}
