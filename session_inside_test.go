package holocompute

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/key"
)

// Whatever waits for its answer, of calls, of reads or of writes, keeps nothing of
// another kind from being answered.
func TestCallsReadsAndWritesHaveConnectionsOfTheirOwn(t *testing.T) {
	var mu sync.Mutex
	waits, over := 0, make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			mu.Lock()
			waits++
			mu.Unlock()
			<-over
		}
		w.Header().Set("Content-Length", r.URL.Query().Get("count"))
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Write(make([]byte, 8))
	}))
	defer s.Close()
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}
	c := newClient(dial, key.GenerateSigner(), "")
	defer c.closeIdle()
	c.mu.session = make([]byte, 32)
	r := &Raw{c: &Cluster{client: c}, typ: U8, info: ArrayInfo{ID: 1, Length: 8}}
	var writes sync.WaitGroup
	defer writes.Wait()
	defer close(over)
	for range maxWrites + maxReads + maxCalls {
		writes.Go(func() { r.WriteBytes(context.Background(), 0, make([]byte, 8)) })
	}
	for held := 0; held < maxWrites; time.Sleep(time.Millisecond) {
		mu.Lock()
		held = waits
		mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := r.ReadBytes(ctx, 0, make([]byte, 8)); err != nil {
		t.Errorf("a read beside writes that wait: %v", err)
	}
	if resp, err := c.http.Get(host + "?count=8"); err != nil {
		t.Errorf("a call beside writes that wait: %v", err)
	} else {
		resp.Body.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	if waits > maxWrites {
		t.Errorf("%d writes at once, want at most %d", waits, maxWrites)
	}
}
