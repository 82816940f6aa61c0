package holocompute_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/internal/workers"
)

// TestMain runs the tests and the examples against a node in this process: a
// cluster of one, reached over its socket like any other. Started with another
// argument this program is itself a node, for tests that kill some.
func TestMain(m *testing.M) {
	workers.Main()
	if len(os.Args) == 3 && os.Args[1] == runNodeArg {
		if err := runNode(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code, err := withNode(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withNode(run func() int) (code int, err error) {
	root, err := os.MkdirTemp("", "holo-sdk-") // short: a socket's path must be
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(root)
	dir, config := filepath.Join(root, "node"), filepath.Join(root, "config")
	ctx := context.Background()
	if _, err := node.Init(ctx, node.InitConfig{Dir: dir, ConfigDir: config, NodeName: "n1"}); err != nil {
		return 1, err
	}
	n, err := node.Start(ctx, node.Config{Dir: dir, MemoryBytes: 256 << 20, Socket: filepath.Join(dir, "holo.sock")})
	if err != nil {
		return 1, err
	}
	os.Setenv("HOLO_DIR", dir)
	os.Setenv("HOLO_CONFIG", config)
	code = run()
	return code, n.Close()
}
