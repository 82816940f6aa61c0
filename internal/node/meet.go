package node

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
)

// headStart is how much earlier than the next one each address of an invite is
// tried (as RFC 8305 has it): a dead one costs this much, and not a timeout.
const headStart = 250 * time.Millisecond

// meeting is a session with a node that an invite names, over a socket of its
// own, which listens nowhere but where that node is reached from.
type meeting struct {
	address   string
	from      netip.Addr
	transport *transport.Transport
	session   *transport.Session
}

func (m *meeting) close() {
	m.session.Close("joined")
	m.transport.Close()
}

// errMet ends the other attempts.
var errMet = errors.New("somebody answered")

// meet tries addresses in order, each a little after the one before, and takes
// the first session. Without one the error is a refusal, if there was any, and
// else that of the last address.
func (j *joiner) meet(ctx context.Context, addresses []string) (*meeting, error) {
	var (
		mu    sync.Mutex
		first *meeting
		last  error
	)
	wait.Parallel(ctx, len(addresses), len(addresses), func(ctx context.Context, i int) error {
		m, err := j.meetAt(ctx, addresses[i], time.Duration(i)*headStart)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && first == nil:
			first = m
			return errMet
		case err == nil:
			m.close()
		case last == nil || holo.KindOf(last) != holo.Denied:
			last = err
		}
		return nil
	})
	if first != nil {
		return first, nil
	}
	if last == nil {
		last = holo.Errorf(holo.Cancelled, "join: %w", context.Cause(ctx))
	}
	return nil, last
}

func (j *joiner) meetAt(ctx context.Context, address string, after time.Duration) (*meeting, error) {
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, holo.Errorf(holo.Cancelled, "dial %s: %w", address, ctx.Err())
	}
	from := transport.SourceFor(ctx, address)
	if !from.IsValid() {
		return nil, holo.Refuse(holo.Unavailable, transport.ReasonNoAddress, "dial %s: this machine has no way there", address)
	}
	t, err := transport.Listen(transport.Config{Listen: netip.AddrPortFrom(from, 0).String(), Local: j.local, Logger: j.log})
	if err != nil {
		return nil, err
	}
	s, err := t.Dial(ctx, address, j.local(), transport.Control, holo.NodeID{})
	if err != nil {
		j.log.Info("node did not answer", "address", address, "error", err)
		return nil, errors.Join(err, t.Close())
	}
	return &meeting{address: address, from: from, transport: t, session: s}, nil
}

// askAll asks whoever answers first, and the others if it cannot tell, until one
// admits or refuses.
func (j *joiner) askAll(ctx context.Context, addresses []string) (err error) {
	for left := slices.Clone(addresses); len(left) > 0; {
		m, unmet := j.meet(ctx, left)
		if unmet != nil {
			return wait.LastError(err, unmet)
		}
		err = j.askIn(ctx, m.session)
		m.close()
		if err == nil {
			j.settle(m.from)
		}
		decided := holo.KindOf(err) == holo.Denied && holo.ReasonOf(err) != "" || holo.KindOf(err) == holo.Exists || holo.ReasonOf(err) == reasonPending
		if err == nil || decided || ctx.Err() != nil {
			return err
		}
		j.log.Info("node did not admit", "address", m.address, "error", err)
		left = slices.DeleteFunc(left, func(a string) bool { return a == m.address })
	}
	return err
}

// settle has the node listen where the cluster reaches it, unless it was told
// where: on the one address of this machine that the invite led over. An invite
// of this machine leads to the loopback interface.
func (j *joiner) settle(from netip.Addr) {
	if s := j.home.settings; s.Listen == "" && !from.IsLoopback() {
		s.Listen = netip.AddrPortFrom(from, 0).String()
		j.log.Info("listening where the cluster reaches this node", "address", from.String())
	}
}
