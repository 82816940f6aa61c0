package audit

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/key"
)

// crashDir tells this test binary, run again as a process of its own, where to
// write until it is killed.
const crashDir = "HOLO_AUDIT_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// crashSigner is the node's key in both processes.
func crashSigner() key.Signer { return key.SignerFromSeed(&[key.Size]byte{7}) }

// writeUntilKilled appends from several goroutines and prints what was
// acknowledged.
func writeUntilKilled(dir string) {
	l, err := Open(Config{Dir: dir, Cluster: testCluster, Signer: crashSigner()})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d/%d/%d", os.Getpid(), w, i)
				if err := l.Permit(noteRecord(id)); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println("done", id)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestKillLosesNothingThatWasAcknowledged kills the writer with SIGKILL again
// and again, each time somewhere else, and starts it on what is left.
func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	acknowledged := map[string]bool{}
	const rounds = 12
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(stdout)
		for n := 0; lines.Scan(); n++ {
			id, ok := strings.CutPrefix(lines.Text(), "done ")
			if !ok {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
			acknowledged[id] = true
			if n == 10+round*7 {
				must(t, cmd.Process.Kill()) // lines that are in the pipe are still read
			}
		}
		_ = cmd.Wait() // killed
		s, err := Verify(dir, Source{testCluster, crashSigner().Public()})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		t.Logf("round %d: %d acknowledged, %+v", round, len(acknowledged), s)
	}
	l, err := Open(Config{Dir: dir, Cluster: testCluster, Signer: crashSigner()})
	must(t, err)
	defer l.Close()
	for next, size := uint64(0), sizeOf(l); next < size; {
		records, to, err := l.Select(t.Context(), Query{First: next, Limit: 1000})
		must(t, err)
		for _, r := range records {
			delete(acknowledged, r.Resource)
		}
		next = to
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged records are lost", len(acknowledged))
	}
}
