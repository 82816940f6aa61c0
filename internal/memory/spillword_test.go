package memory

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/holo"
)

// A disk that is full and not full a thousand times in a minute makes a few lines
// of the log, of both kinds, and the last one says how it is.
func TestDiskThatComesAndGoesIsSaidNowAndThen(t *testing.T) {
	for _, c := range []struct {
		last           pagecache.EventKind
		fails, works   int
		what, lastLine string
	}{
		{pagecache.DiskWorks, 3, 3, "ends with a disk that works", "takes pages again"},
		{pagecache.DiskFull, 4, 3, "ends with a disk that is full", "takes no pages"},
	} {
		var log bytes.Buffer
		s := &spill{n: &Node{log: slog.New(slog.NewTextHandler(&log, nil))}}
		now := holo.Time(holo.Second)
		for range 1000 {
			s.event(now, pagecache.Event{Kind: pagecache.DiskFull})
			s.event(now.Add(holo.Millisecond), pagecache.Event{Kind: pagecache.DiskWorks})
			now = now.Add(70 * holo.Millisecond)
		}
		s.event(now, pagecache.Event{Kind: c.last})
		for range 40 { // nothing changes any more
			s.tell(now)
			now = now.Add(holo.Second)
		}
		fails, works := strings.Count(log.String(), "takes no pages"), strings.Count(log.String(), "takes pages again")
		if fails != c.fails || works != c.works {
			t.Errorf("%s: %d lines that it takes nothing, want %d; %d that it does, want %d", c.what, fails, c.fails, works, c.works)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if !strings.Contains(lines[len(lines)-1], c.lastLine) {
			t.Errorf("%s: the log ends with %s", c.what, lines[len(lines)-1])
		}
	}
}
