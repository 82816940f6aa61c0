package lane

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// Piece is bytes to put into a page of the lane, counted from its header. No
// bytes: all of the page becomes zero.
type Piece struct {
	Page   int
	Offset int
	Data   []byte
}

// Step does an operation on the lane whose header page begins with these bytes,
// HeaderBytes of them. Where the outcome is not Done, nothing changes. Pieces of
// the header come first.
func Step(page []byte, o *Op) (Outcome, []Piece, error) {
	h, err := parse(page)
	if err != nil {
		return Outcome{}, nil, err
	}
	out, pieces := h.do(o)
	if out.Word != Done {
		return out, nil, nil
	}
	return out, append(difference(page[:headerBytes], h.bytes()), pieces...), nil
}

// HeaderBytes is how much of its first page a lane uses.
const HeaderBytes = headerBytes

func (h *header) do(o *Op) (Outcome, []Piece) {
	switch o.Kind {
	case Open:
		return h.open(o.Who), nil
	case Close:
		return h.close(o.Who), nil
	case Append:
		return h.append(o)
	case Take:
		return h.take(o), nil
	default:
		return h.settle(o)
	}
}

func (h *header) find(who Party) int {
	return slices.IndexFunc(h.producers, func(p producer) bool { return p.who == who })
}

// open makes room for a producer where there is none: of its own principal's,
// where that has many, else of all, the one goes that was idle longest. What it
// sends after that is refused as Forgotten, and not taken for new.
func (h *header) open(who Party) Outcome {
	if i := h.find(who); i >= 0 {
		return Outcome{Again, h.producers[i].last}
	}
	own := func(p producer) bool { return p.who.Owner == who.Owner }
	mine := 0
	for _, p := range h.producers {
		if own(p) {
			mine++
		}
	}
	h.Steps++
	if mine >= PerOwner {
		h.forgetOldest(own)
	} else if len(h.producers) >= Producers {
		h.forgetOldest(func(producer) bool { return true })
	}
	h.producers = append(h.producers, producer{who: who, used: h.Steps})
	return Outcome{Done, 0}
}

func (h *header) forgetOldest(of func(producer) bool) {
	oldest := -1
	for i, p := range h.producers {
		if of(p) && (oldest < 0 || p.used < h.producers[oldest].used) {
			oldest = i
		}
	}
	h.producers = slices.Delete(h.producers, oldest, oldest+1)
}

func (h *header) close(who Party) Outcome {
	i := h.find(who)
	if i < 0 {
		return Outcome{Again, 0}
	}
	h.producers = slices.Delete(h.producers, i, i+1)
	return Outcome{Done, 0}
}

// append adds all of the records or none: those that come next of an open
// producer, and no others. So one that is sent again is there once, and a
// producer's records are in the order of their numbers.
func (h *header) append(o *Op) (Outcome, []Piece) {
	i, n := h.find(o.Who), uint64(len(o.Records))
	switch {
	case i < 0:
		return Outcome{Forgotten, 0}, nil
	case o.Seq+n-1 <= h.producers[i].last:
		return Outcome{Again, h.producers[i].last}, nil
	case o.Seq != h.producers[i].last+1:
		return Outcome{Gap, h.producers[i].last}, nil
	}
	start := h.Tail
	var frames []byte
	for k, r := range o.Records {
		frames = appendFrame(frames, Record{Offset: start + uint64(len(frames)), Producer: o.Who.Number, Sequence: o.Seq + uint64(k), Data: r})
	}
	if room := h.Room(o.Pages); uint64(len(frames)) > room {
		return Outcome{Full, room}, nil
	}
	h.Steps++
	h.Appended += n
	h.Tail += uint64(len(frames))
	h.producers[i].last, h.producers[i].used = o.Seq+n-1, h.Steps
	return Outcome{Done, start}, spread(frames, start, o.Pages)
}

// take hands out what the taker has read, if nothing has changed since: the lane
// begins where it did, and nobody else was handed anything. Where something was
// handed out, the taker knows and takes it away; when it may is not decided here.
func (h *header) take(o *Op) Outcome {
	if h.Phase == HandedOut && h.Taker == o.Who && h.TakerSeq == o.Seq {
		return Outcome{Again, h.Number}
	}
	if o.Number != h.Number || o.Head != h.Head || o.End <= h.Head || o.End > h.Tail {
		return Outcome{Moved, h.Number}
	}
	h.Number++
	h.Settled <<= 1
	h.Phase, h.Taken, h.Taker, h.TakerSeq, h.Count = HandedOut, o.End, o.Who, o.Seq, o.Count
	return Outcome{Done, h.Number}
}

// remembered is of how many hand-outs it is known whether they were committed.
const remembered = 64

// settle ends a hand-out, for who has it and nobody else.
func (h *header) settle(o *Op) (Outcome, []Piece) {
	age := h.Number - o.Number
	switch {
	case o.Number > h.Number || o.Number == 0:
		return Outcome{Fenced, 0}, nil
	case age >= remembered:
		return Outcome{LongAgo, 0}, nil
	case h.Settled>>age&1 == 1 && o.Kind == Commit:
		return Outcome{Again, o.Number}, nil
	case age > 0 || h.Phase != HandedOut || h.Taker != o.Who:
		return Outcome{Fenced, 0}, nil
	}
	h.Phase = Idle
	if o.Kind == Release {
		return Outcome{Done, o.Number}, nil
	}
	from := h.Head
	h.Head, h.Settled = h.Taken, h.Settled|1
	h.Consumed += h.Count
	return Outcome{Done, o.Number}, h.cleared(from, o.Pages)
}

// cleared are the pages that have nothing in them any more.
func (h *header) cleared(from uint64, pages int) (list []Piece) {
	last := h.Head / holo.PageSize
	if h.Head == h.Tail && h.Head%holo.PageSize != 0 {
		last++
	}
	for p := from / holo.PageSize; p < last; p++ {
		list = append(list, Piece{Page: slot(p, pages)})
	}
	return list
}

// slot is where the lane keeps its page number p: the pages after the header, in
// turn.
func slot(p uint64, pages int) int { return 1 + int(p%uint64(pages-1)) }

// spread puts bytes from an offset into the pages that they lie in.
func spread(b []byte, offset uint64, pages int) (list []Piece) {
	for len(b) > 0 {
		at := int(offset % holo.PageSize)
		n := min(len(b), holo.PageSize-at)
		list = append(list, Piece{Page: slot(offset/holo.PageSize, pages), Offset: at, Data: b[:n:n]})
		b, offset = b[n:], offset+uint64(n)
	}
	return list
}

// Run is a run of pages of the lane, counted from its header, and which of their
// bytes are meant.
type Run struct{ Page, Pages, Skip, Bytes int }

// Runs are the pages that so many bytes from an offset lie in, in order.
func Runs(offset, count uint64, pages int) (list []Run) {
	for count > 0 {
		at, first := offset%holo.PageSize, slot(offset/holo.PageSize, pages)
		n := min(count, uint64(pages-first)*holo.PageSize-at)
		list = append(list, Run{Page: first, Pages: int((at + n + holo.PageSize - 1) / holo.PageSize), Skip: int(at), Bytes: int(n)})
		offset, count = offset+n, count-n
	}
	return list
}

// difference is the part of the header that changes.
func difference(old, now []byte) []Piece {
	first, end := 0, len(now)
	for first < end && old[first] == now[first] {
		first++
	}
	for end > first && old[end-1] == now[end-1] {
		end--
	}
	if first == end {
		return nil
	}
	return []Piece{{Offset: first, Data: now[first:end]}}
}
