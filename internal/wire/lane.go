package wire

import "github.com/holocompute/holocompute/internal/holo"

const (
	typeLaneLook = Type(0x0319)
	typeLaneList = Type(0x031a)

	// LaneHead is how many bytes say how a lane is.
	LaneHead = 128
	// MaxLanes bounds the lanes of a buffer: one in each shard.
	MaxLanes = holo.ShardCount
)

// LaneAt is where a lane lies: its shard, and its first page.
type LaneAt struct {
	Shard holo.ShardID
	Page  holo.PageIndex
}

// LaneLook asks the home of lanes how they are, as soon as there is something to
// take from one of them or so much room in one, or the wait is over.
type LaneLook struct {
	Array holo.ArrayID
	Lanes []LaneAt
	Wait  holo.Duration
	Room  uint64 // bytes of frames; 0: waits for something to take
	Pages uint32 // of a lane
}

// MaxLaneWait is shorter than a request may last.
const MaxLaneWait = 2 * holo.Second

// LaneList answers it: the first bytes of each lane's header, in order.
type LaneList struct {
	Heads [][LaneHead]byte
}

// Type is the number on the wire.
func (*LaneLook) Type() Type { return typeLaneLook }
func (*LaneList) Type() Type { return typeLaneList }

var _ = []struct{}{register[LaneLook](), register[LaneList]()}

func (m *LaneLook) encode(e *Encoder) {
	e.U64(uint64(m.Array))
	e.Count(len(m.Lanes))
	for _, l := range m.Lanes {
		e.U16(uint16(l.Shard))
		e.U64(uint64(l.Page))
	}
	e.U64(uint64(m.Wait))
	e.U64(m.Room)
	e.U32(m.Pages)
}

func (m *LaneLook) decode(d *Decoder) {
	m.Array = holo.ArrayID(d.U64())
	n := d.Count(MaxLanes, 2+8)
	d.Valid(n > 0, "number of lanes")
	for range n {
		m.Lanes = append(m.Lanes, LaneAt{d.shard(), holo.PageIndex(d.U64())})
	}
	wait := d.U64()
	d.Valid(wait <= uint64(MaxLaneWait), "wait for lanes")
	m.Wait = holo.Duration(wait)
	m.Room = d.U64()
	m.Pages = d.U32()
	d.Valid(m.Pages > 2 && m.Pages <= holo.MaxExtentPages, "pages of a lane")
}

func (m *LaneList) encode(e *Encoder) {
	e.Count(len(m.Heads))
	for i := range m.Heads {
		e.Fixed(m.Heads[i][:])
	}
}

func (m *LaneList) decode(d *Decoder) {
	n := d.Count(MaxLanes, LaneHead)
	if n == 0 {
		return
	}
	m.Heads = make([][LaneHead]byte, n)
	for i := range m.Heads {
		d.Fixed(m.Heads[i][:])
	}
}
