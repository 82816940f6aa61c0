package module

import "github.com/holocompute/holocompute/internal/holo"

// The limits of a module. Each stands against an attack that was run against
// the engine (attack_test.go builds them all); beside it is the largest value
// seen in real modules (Go, Rust, C++, TinyGo, AssemblyScript).
const (
	maxModule      = 16 << 20 // bytes; real 3.6 MB
	maxTypes       = 4096     // function types
	maxArity       = 128      // parameters, and results, of a type
	maxImports     = 128
	maxFunctions   = 20_000
	maxTables      = 16
	maxTableSize   = 64 << 10 // entries of all tables together at the start, and of each one at most
	maxGlobals     = 4096
	maxExports     = 4096
	maxSegments    = 4096      // element segments
	maxData        = 256 << 10 // data segments; real 72,166 (Go)
	maxElements    = 64 << 10  // entries of all element segments together
	maxNameBytes   = 1024      // of an import or export
	maxMemoryPages = 65536     // the specification's

	maxBody     = 128 << 10 // bytes of a function; real 50.6 KB. 600 KB of blocks took 65 s to compile
	maxBranches = 4096      // blocks and branches of a function; real 1639. 10,000 took 1.7 s
	maxNesting  = 1024      // blocks in blocks; real 549. 10,000 loops took 1.7 s
	maxLocals   = 1024      // of a function, with parameters; real 46
	maxStack    = 1024      // operands of a function: with maxLocals and MaxCallDepth it bounds the engine's stack to about 50 MB of its 400 MB
	maxWidth    = 128 << 10 // (locals + deepest operands) x (blocks + branches) of a function: 1000 x 4000 took 42 s and 1.4 GB
	maxCarried  = 32 << 10  // values carried by the block types and branches of a function
	maxPassed   = 128 << 10 // values passed and returned by the calls of a function

	maxTotalLocals = 1 << 20  // of all functions: 50 M took 392 MiB
	maxTotalWidth  = 64 << 20 // of all functions
	maxTotalWork   = 1 << 27  // branches squared, of all functions; real 35 M (Go). Some 4 s of compilation
	bulkBranches   = 4        // what a bulk instruction counts for: the injected charge branches
	maxTotalValues = 4 << 20  // carried and passed, of all functions

	// MaxCallDepth is how many calls may be nested. It is below the 2000 of
	// the engine's interpreter, so that the count and never the engine decides.
	MaxCallDepth = 1024
)

// Reasons of a refusal.
const (
	Malformed   = "malformed"   // not a valid module
	TooLarge    = "too_large"   // beyond a limit
	Unsupported = "unsupported" // a feature that is refused
	Forbidden   = "forbidden"   // asks for what a kernel must not have
	BadABI      = "bad_abi"     // not a kernel of ABI holo/1
)

// refuse makes the one line: where, what, why.
func refuse(at int, reason, format string, args ...any) error {
	return holo.Refuse(holo.Invalid, reason, "kernel module, byte %#x: "+format, append([]any{at}, args...)...)
}

// counter adds up something limited over a module or a function.
type counter struct {
	n, max int64
	what   string
}

func (c *counter) add(r *reader, n int64) {
	c.n += n
	if c.n > c.max {
		r.fail(TooLarge, "%s: more than %d", c.what, c.max)
	}
}
