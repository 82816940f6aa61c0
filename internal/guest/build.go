package guest

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// maxSaid bounds what is shown of a compiler's complaints, maxModule what is read
// of its output.
const (
	maxSaid   = 4 << 10
	maxModule = 16 << 20
)

// Build compiles a source file to a module, by the compiler that its suffix asks
// for. The module is written only if a node would admit it.
func Build(ctx context.Context, source, out string) (*module.Module, error) {
	source, err := filepath.Abs(source)
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "build kernel: %w", err)
	}
	i := slices.IndexFunc(languages, func(l Language) bool { return l.Suffix == filepath.Ext(source) })
	if i < 0 {
		return nil, holo.Errorf(holo.Invalid, "build kernel %s: want a file that ends in one of %s", source, names(func(l Language) string { return l.Suffix }))
	}
	if _, err := os.Stat(source); err != nil {
		return nil, holo.Errorf(holo.NotFound, "build kernel: %w", err)
	}
	dir, err := os.MkdirTemp("", "holo-kernel-")
	if err != nil {
		return nil, holo.Errorf(holo.Denied, "build kernel: %w", err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "kernel.wasm")
	if err := compile(ctx, languages[i], source, made); err != nil {
		return nil, err
	}
	return admit(source, made, out)
}

func compile(ctx context.Context, l Language, source, made string) error {
	argv := commands[l.Name](source, made)
	if argv == nil {
		return holo.Errorf(holo.NotFound, "build kernel %s: no compiler for %s was found: install %s", source, l.Name, l.Install)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = filepath.Dir(source)
	said, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return holo.Errorf(holo.Cancelled, "build kernel %s: %w", source, context.Cause(ctx))
	}
	if err != nil {
		return holo.Errorf(holo.Invalid, "build kernel %s: %s: %w\n%s", source, filepath.Base(argv[0]), err, said[:min(len(said), maxSaid)])
	}
	return nil
}

// admit checks what a compiler made, and writes it.
func admit(source, made, out string) (*module.Module, error) {
	f, err := os.Open(made)
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "build kernel %s: the compiler made nothing: %w", source, err)
	}
	defer f.Close()
	wasm, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "build kernel %s: %w", source, err)
	}
	m, err := module.Admit(wasm)
	if err != nil {
		return nil, holo.Refuse(holo.Invalid, holo.ReasonOf(err), "build kernel %s: it compiles, and no node would take it: %w", source, err)
	}
	if err := os.WriteFile(out, wasm, 0o644); err != nil {
		return nil, errors.Join(holo.Errorf(holo.Denied, "build kernel: %w", err))
	}
	return m, nil
}

// commands make each language's command line, nil where its compiler is missing.
// kernels/build.sh has the same ones.
var commands = map[string]func(source, made string) []string{
	"c": func(source, made string) []string {
		clang, ld := find("clang-22", "clang"), find("wasm-ld-22", "wasm-ld")
		if clang == "" || ld == "" {
			return nil
		}
		return []string{clang, "--target=wasm32", "-std=c17", "-O3", "-msimd128", "-mbulk-memory", "-mllvm", "-force-vector-interleave=4", "-nostdlib", "-ffreestanding",
			"-fuse-ld=" + ld, "--no-wasm-opt", "-Wl,--no-entry", "-Wl,-s", "-Wl,-z,stack-size=16384", source, "-o", made}
	},
	"go": func(source, made string) []string {
		tinygo := find("tinygo")
		if tinygo == "" {
			return nil
		}
		return []string{tinygo, "build", "-target", filepath.Join(filepath.Dir(source), "holo.json"), "-opt", "2", "-no-debug", "-o", made, "."}
	},
	"rust": rust,
	"assemblyscript": func(source, made string) []string {
		asc := find("asc")
		if asc == "" {
			return nil
		}
		// asc takes paths in its folder only.
		return []string{asc, filepath.Base(source), "-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "--exportStart", "_initialize", "-o", made}
	},
	"wat": func(source, made string) []string {
		wat2wasm := find("wat2wasm")
		if wat2wasm == "" {
			return nil
		}
		return []string{wat2wasm, source, "-o", made}
	},
}

func find(programs ...string) string {
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	return ""
}

// rust finds a compiler that has the target: rustup's brings its linker, Debian's
// wants one of its own.
func rust(source, made string) []string {
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		rustc := find(name)
		if rustc == "" {
			continue
		}
		root, err := exec.Command(rustc, "--print", "sysroot").Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(strings.TrimSpace(string(root)), "lib", "rustlib", "wasm32-unknown-unknown", "lib")); err != nil {
			continue
		}
		argv := []string{rustc, "--edition", "2021", "--target", "wasm32-unknown-unknown", "--crate-type", "cdylib", "-O", "-C", "panic=abort", "-C", "lto", "-C", "strip=symbols",
			"-C", "link-arg=-zstack-size=16384"}
		if ld := find("wasm-ld-14"); ld != "" && rustc == "/usr/bin/rustc" {
			argv = append(argv, "-C", "linker="+ld)
		}
		return append(argv, source, "-o", made)
	}
	return nil
}
