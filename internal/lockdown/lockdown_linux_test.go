package lockdown

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain is also the process that engages: what it does cannot be undone.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engage" {
		Engage()
		for _, measure := range Posture() {
			if measure.Expected && !measure.Holds {
				println(measure.Name, measure.Detail)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestPostureIsWhatTheSystemSays: this process has engaged nothing, the other
// has.
func TestPostureIsWhatTheSystemSays(t *testing.T) {
	for _, m := range Posture() {
		if m.Name == MemoryPrivate && m.Holds {
			t.Errorf("control: a process that engaged nothing is private: %+v", m)
		}
		if m.Detail == "" {
			t.Errorf("%s says nothing", m.Name)
		}
	}
	if out, err := exec.Command(os.Args[0], "engage").CombinedOutput(); err != nil {
		t.Errorf("an engaged process is not protected: %v: %s", err, out)
	}
}

func TestSwapIsToldWhereThereIsADisk(t *testing.T) {
	const head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	for text, holds := range map[string]bool{
		head: true,
		head + "/dev/zram0                              partition\t4194300\t0\t100\n":                                  true,
		head + "/dev/nvme0n1p3                          partition\t4194300\t0\t-2\n":                                   false,
		head + "/dev/zram0 partition\t4194300\t0\t100\n/swapfile                               file\t2097148\t0\t-3\n": false,
	} {
		m := swapMeasure(text)
		if m.Holds != holds || m.Expected || !holds && !strings.Contains(m.Detail, "swapoff") {
			t.Errorf("%q: %+v", text, m)
		}
	}
}
