package sim

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// address is an endpoint: nodes count from 0, clients from firstClient; the
// control plane's leader and the one it deposed have one each.
type address int

const (
	firstClient address = 100
	leaderAddr  address = 1000
	deposedAddr address = 1001
)

// nodeID is the name of the process at an address.
func nodeID(a address) (id holo.NodeID) {
	binary.BigEndian.PutUint64(id[:], uint64(a)+1)
	return id
}

func addressOf(id holo.NodeID) address { return address(binary.BigEndian.Uint64(id[:])) - 1 }

// link is a pair of endpoints, the lower first.
type link struct{ a, b address }

func between(a, b address) link {
	if a == deposedAddr {
		a = leaderAddr
	}
	if b == deposedAddr {
		b = leaderAddr
	}
	return link{min(a, b), max(a, b)}
}

// network loses, repeats and delays messages, and is cut.
type network struct {
	cut        map[link]bool
	loss       float64
	repeat     int // one message in so many is delivered twice; 0: none
	reorder    int // one in so many is delayed further
	reorderMax holo.Duration
}

// send carries a message. Between processes of the cluster it travels as bytes,
// so that what arrives shares nothing with what was sent.
func (w *world) send(from, to address, msg any) {
	if m, ok := msg.(wire.Message); ok {
		msg = wire.Encode(m)
	}
	delay := 200*us + holo.Duration(w.rng.ExpFloat64()*float64(800*us))
	if w.oneIn(w.net.reorder) {
		delay += w.upTo(w.net.reorderMax)
	}
	if w.net.cut[between(from, to)] || w.rng.Float64() < w.net.loss {
		return
	}
	if w.oneIn(w.net.repeat) {
		w.after(delay+w.upTo(w.net.reorderMax), func() { w.deliver(from, to, msg) })
	}
	w.after(delay, func() { w.deliver(from, to, msg) })
}

func (w *world) deliver(from, to address, msg any) {
	if b, ok := msg.([]byte); ok {
		m, err := wire.Decode(b)
		if err != nil {
			w.fail("a message does not decode: " + err.Error())
			return
		}
		msg = m
		w.note("msg", uint64(from), uint64(to), uint64(m.Type()), uint64(len(b)))
	}
	switch {
	case to >= leaderAddr:
		w.control.take(from, to, msg)
	case to >= firstClient:
		w.clients[to-firstClient].take(from, msg)
	default:
		w.nodes[to].take(from, msg)
	}
}
