package bench_test

import (
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/workers"
)

// The benchmarks' nodes run kernels in processes of this program.
func TestMain(m *testing.M) {
	workers.Main()
	os.Exit(m.Run())
}
