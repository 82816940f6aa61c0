package holocompute_test

import (
	"flag"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holocompute/holocompute"
)

// additions is how often each client adds: make atomics gives 100,000.
var additions = flag.Int("additions", 250, "additions of each client in TestFourClientsCountExactly")

// M-10: four clients add to one element, each with many additions under way,
// every one signed and recorded. Together they meet each value below the total
// once, and count exactly to it.
func TestFourClientsCountExactly(t *testing.T) {
	const clients, underWay = 4, 16
	all := uint64(clients * *additions)
	if _, err := holocompute.Create[uint64](t.Context(), connect(t), "counter", 8, holocompute.ArrayOptions{}); err != nil {
		t.Fatal(err)
	}
	met := make([]atomic.Uint32, all)
	var wg sync.WaitGroup
	for range clients {
		a, err := holocompute.Open[uint64](t.Context(), connect(t), "counter")
		if err != nil {
			t.Fatal(err)
		}
		var begun atomic.Int64
		for range underWay {
			wg.Go(func() {
				for begun.Add(1) <= int64(*additions) {
					before, err := a.Add(t.Context(), 5, 1)
					if err != nil || before >= all {
						t.Errorf("an addition met %d: %v", before, err)
						return
					}
					met[before].Add(1)
				}
			})
		}
	}
	wg.Wait()
	a, err := holocompute.Open[uint64](t.Context(), connect(t), "counter")
	if err != nil {
		t.Fatal(err)
	}
	var now [8]uint64
	if err := a.Read(t.Context(), 0, now[:]); err != nil || now != [8]uint64{5: all} {
		t.Errorf("%d additions made %v: %v", all, now, err)
	}
	for v := range met {
		if n := met[v].Load(); n != 1 {
			t.Fatalf("the value %d was met %d times", v, n)
		}
	}
}
