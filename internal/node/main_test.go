package node

import (
	"flag"
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/workers"
)

// clustersAtOnce is how many tests run side by side unless -parallel says
// otherwise: they wait for elections and leases most of the time.
const clustersAtOnce = "6"

func TestMain(m *testing.M) {
	workers.Main()
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		if err := flag.Set("test.parallel", clustersAtOnce); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
