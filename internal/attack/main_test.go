package attack

import (
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/workers"
)

// The nodes of these tests run kernels in processes of this program.
func TestMain(m *testing.M) {
	workers.Main()
	os.Exit(m.Run())
}
