package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// clock is how a node's clock is wrong. The protocol assumes that rates are within
// 1 % and compares no two clocks; the wall clock decides about expiry only, to
// which tokens give 60 s.
type clock struct {
	rate  string // of the monotonic clock, 1 is right
	shift string // of the wall clock, in seconds
}

// clocks of the nodes, by number; the others' are right.
var clocks = map[int]clock{1: {"0.991", "-25"}, 2: {"1.009", "25"}}

// skewed builds the program with such a clock into a folder of its own, out of the
// source in the present folder: the product has no setting for it.
func skewed(dir string, c clock) error {
	source, err := filepath.Abs("internal/node/clock.go")
	if err != nil {
		return err
	}
	b, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("%w: chaos is started in the root of the repository", err)
	}
	text := string(b)
	for _, change := range [][2]string{
		{"holo.Time(time.Since(c.start))", "holo.Time(float64(time.Since(c.start)) * " + c.rate + ")"},
		{"time.Now().Unix()", "time.Now().Unix() + (" + c.shift + ")"},
	} {
		if strings.Count(text, change[0]) != 1 {
			return fmt.Errorf("%s: %q is not there once", source, change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	clock, overlay := filepath.Join(dir, "clock.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: clock}})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(clock, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-overlay", overlay, "-o", filepath.Join(dir, "holo"), "./cmd/holo")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build a program with a wrong clock: %w: %s", err, out)
	}
	return nil
}
