package transport

import (
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// firstPart is how much of a message is allocated before its bytes have come:
	// a page and its head. More follows as they come, so that a length alone costs
	// nothing.
	firstPart = holo.PageSize + 4<<10
	// bulkFrame holds a chunk of a shard that is copied, 512 KiB of pages and their
	// heads. What fills it by half is worth reading into such a frame.
	bulkFrame = 512<<10 + 64<<10
)

// frames are those that were freed. Copies of shards come as a long row of messages
// of one size: memory that is new for each costs more than opening what is in it.
var frames sync.Pool

// Frame is the bytes that a message was decoded from, and that it goes on using.
type Frame struct{ b []byte }

// Free lets another message be read into the frame. Nobody may use the first one
// any more, nor anything of it that was not copied. A frame need not be freed.
func (f Frame) Free() {
	if cap(f.b) == bulkFrame {
		frames.Put((*[bulkFrame]byte)(f.b[:bulkFrame]))
	}
}

// room is where a message begins to be read: a frame that is there already, or the
// first part.
func room(size int) []byte {
	if isBulk(size) {
		if f, ok := frames.Get().(*[bulkFrame]byte); ok {
			return f[:size]
		}
	}
	return make([]byte, min(size, firstPart))
}

// grown is b with room for more of a message, all of which has come so far.
func grown(b []byte, size int) []byte {
	if isBulk(size) {
		return append(make([]byte, 0, bulkFrame), b...)[:size]
	}
	more := make([]byte, min(size, 4*len(b)))
	copy(more, b)
	return more
}

func isBulk(size int) bool { return size > bulkFrame/2 && size <= bulkFrame }
