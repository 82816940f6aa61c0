package storage

import (
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// TestDeviceThatIsFull writes to the device that the system has for this.
func TestDeviceThatIsFull(t *testing.T) {
	s := open(fullFolder{}, MinLimit)
	if err := s.Write(pageOf(1), content(pageOf(1))); holo.KindOf(err) != holo.Exhausted || holo.ReasonOf(err) != ReasonFull {
		t.Errorf("write to a full device: %v", err)
	}
}

type fullFolder struct{ folder }

func (fullFolder) create(string) (file, error) {
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	return plainFile{f}, err
}
