package node

import (
	"context"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/door"
)

// The status says how kernels are isolated, and warns if and only if something
// is missing. What starts with strict isolation lacks nothing.
func TestStatusTellsHowKernelsAreIsolated(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	s, err := c.nodes[0].Status(context.Background(), door.Caller{})
	must(t, err)
	i := s.Isolation
	warned := false
	for _, w := range s.Warnings {
		warned = warned || strings.Contains(w, "not fully isolated")
	}
	if i.Level == "" || warned != (i.Level != "full") || warned != (len(i.Missing) > 0) || len(i.Layers)+len(i.Missing) != 6 {
		t.Errorf("warned %v: %v", warned, i)
	}
	if i.Workers < 1 || i.Workers > i.MaxWorkers || i.WorkerBytes == 0 || i.Strict {
		t.Errorf("%v", i)
	}
	must(t, c.nodes[0].Close())
	config := c.config(0)
	config.StrictIsolation = true
	n, err := Start(context.Background(), config)
	if (err == nil) != (i.Level == "full") {
		t.Errorf("level %s, strict: %v", i.Level, err)
	}
	if err == nil {
		must(t, n.Close())
	}
}
