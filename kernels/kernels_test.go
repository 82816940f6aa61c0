package kernels

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels/std"
)

func TestSamplesHaveTheirRecordedHashes(t *testing.T) {
	sums, err := os.ReadFile("SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for lines := bufio.NewScanner(bytes.NewReader(sums)); lines.Scan(); seen++ {
		want, file, ok := strings.Cut(lines.Text(), "  ")
		name := strings.TrimSuffix(strings.TrimPrefix(file, "hostile/"), ".wasm")
		have := sha256.Sum256(Get(name))
		if first, ok := strings.CutPrefix(name, "sdk/"); ok {
			language, stem, _ := strings.Cut(first, "/")
			for _, kind := range Kinds() {
				if kind.source() == stem {
					have = sha256.Sum256(Built(language, kind))
				}
			}
		}
		if strings.HasPrefix(name, "say/") { // for tests: not in the program
			wasm, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
			}
			have = sha256.Sum256(wasm)
		}
		if m, standard := std.Named(name); standard {
			have = m.ID
			if have != sha256.Sum256(m.Wasm) {
				t.Errorf("%s is not of its own hash", name)
			}
		}
		if !ok || hex.EncodeToString(have[:]) != want {
			t.Errorf("%s: hash %x, recorded %s", file, have, want)
		}
	}
	const languages, say = 5, 4
	if n := len(All()) + len(Hostile()) + len(std.All()) + languages*len(Kinds()) + say; seen != n || n < 16 {
		t.Errorf("%d modules, %d recorded", n, seen)
	}
}

func TestSamplesAreAdmittedWithTheirFunctions(t *testing.T) {
	want := map[string]string{
		"basic":      "comb_histogram comb_stats fin_sum map_add map_scale red_histogram red_stats",
		"flights":    "comb_bootstrap comb_by_hour red_bootstrap red_by_hour",
		"flights-go": "comb_by_hour red_by_hour",
		"logs":       "comb_say map_fail map_say map_wild red_say",
		"strict":     "map_bits",
		"tasks":      "map_ask task_ask task_late task_reverse",
	}
	for _, s := range append(All(), Hostile()...) {
		m, err := module.Admit(s.Wasm)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		functions := want[s.Name]
		if functions == "" {
			functions = "comb_attack red_attack"
		}
		if len(m.Functions) != len(strings.Fields(functions)) {
			t.Errorf("%s has %v, want %s", s.Name, m.Functions, functions)
		}
		for _, f := range m.Functions {
			if !strings.Contains(functions, f.String()) {
				t.Errorf("%s has %s, want %s", s.Name, f, functions)
			}
		}
	}
}

func TestUnknownSampleIsNil(t *testing.T) {
	if Get("nothing") != nil || Get("../kernels") != nil {
		t.Error("a module out of nothing")
	}
}
