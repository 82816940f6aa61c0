package workers

import (
	"os"
	"testing"
)

// roles are what the test binary can be beside a test and a worker, by the name
// that it is started under.
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	Main()
	if role := roles[os.Args[0]]; role != nil {
		role()
	}
	os.Exit(m.Run())
}
