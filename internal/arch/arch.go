// Package arch is the architecture as data, and the tests that keep it: who
// may import whom, which package hides which library, what pure code may use,
// where goroutines start. A change of the architecture shows as a change of
// these tables; ARCHITECTURE.md tells the reasons.
package arch

// mayImport says for each package which packages of this module it may import.
// What is absent is denied, and a package without a row fails the test. A star
// stands for one path element.
var mayImport = map[string][]string{
	// The words: types and their encodings.
	"internal/invariant":                 {},
	"internal/holo":                      {},
	"internal/key":                       {"internal/holo"},
	"internal/digest":                    {"internal/holo"},
	"internal/protocol":                  {"internal/holo"},
	"internal/wire":                      {"internal/holo", "internal/key", "internal/protocol"},
	"internal/placement":                 {"internal/holo", "internal/wire", "internal/invariant", "internal/digest"},
	"internal/lane":                      {"internal/holo", "internal/digest"},
	"internal/api":                       {"internal/holo"},
	"internal/api/holo/v1":               {},
	"internal/api/holo/v1/holov1connect": {"internal/api/holo/v1"},

	// The machines: pure, and strangers to one another.
	"internal/core/*": words,

	// The devices: each hides one kind of I/O or one library.
	"internal/transport":  {"internal/holo", "internal/key", "internal/protocol", "internal/wire", "internal/core/handshake"},
	"internal/consensus":  {"internal/holo"},
	"internal/storage":    {"internal/holo", "internal/key", "internal/invariant"},
	"internal/scrub":      {"internal/holo"},
	"internal/checkpoint": {"internal/holo", "internal/digest"},
	"internal/buffer":     {"internal/holo", "internal/wire", "internal/lane"},
	"internal/audit":      {"internal/holo", "internal/key", "internal/wire", "internal/api"},
	"internal/identity":   {"internal/holo", "internal/key", "internal/protocol", "internal/core/handshake"},
	"internal/lockdown":   {},
	"internal/token":      {"internal/holo", "internal/key"},
	"internal/claim":      {"internal/holo", "internal/wire", "internal/token", "internal/api/holo/v1", "kernels/std"},
	"internal/firewall":   {"internal/holo"},
	"internal/discover":   {"internal/holo"},
	"internal/module":     {"internal/holo"},
	"internal/sandbox":    {"internal/holo", "internal/module", "internal/wire", "internal/core/joblog", "internal/core/handles"},
	"internal/confine":    {},
	"internal/code":       {"internal/holo", "internal/key"},
	"internal/workers":    {"internal/holo", "internal/module", "internal/sandbox", "internal/confine", "internal/code", "internal/wire", "internal/core/joblog", "internal/core/handles"},
	"internal/format":     {"internal/holo"},
	"internal/ownership":  {"internal/holo", "internal/key", "internal/wire", "internal/api", "internal/core/catalog"},
	"internal/receipt":    {"internal/holo", "internal/digest", "internal/key", "internal/wire", "internal/core/sched"},
	"internal/question":   {"internal/holo", "kernels/std"},
	"internal/guest":      {"internal/holo", "internal/module", "kernels"},
	"internal/jobs":       {"internal/holo", "internal/core/handles", "internal/digest", "internal/wire", "internal/api", "internal/invariant", "internal/core/sched", "internal/core/joblog", "internal/module", "internal/sandbox", "internal/workers", "internal/code"},
	"internal/policy":     {"internal/holo", "internal/wire", "internal/core/authz"},
	"internal/remote":     {"internal/holo", "internal/key", "internal/wire", "internal/identity", "internal/transport", "internal/core/handshake", "internal/core/catalog"},
	"internal/wait":       {"internal/holo"},
	"internal/memory": {
		"internal/holo", "internal/digest", "internal/wire", "internal/invariant", "internal/placement", "internal/core/shard", "internal/core/pagecache", "internal/lane", "internal/buffer",
		"internal/wait", "internal/storage", "internal/scrub", "internal/transport",
	},
	"internal/door": {"internal/holo", "internal/lane", "internal/key", "internal/protocol", "internal/token", "internal/core/authz", "internal/api", "internal/api/holo/v1", "internal/api/holo/v1/holov1connect"},

	// The node: the only place where machines meet devices, clock and chance.
	"internal/node": {"internal/*", "internal/core/*", "internal/api/holo/v1", "kernels", "kernels/std"},

	// The faces: all clients of the same door.
	".":           {"internal/holo", "internal/checkpoint", "internal/key", "internal/protocol", "internal/identity", "internal/remote", "internal/ownership", "internal/api", "internal/api/holo/v1", "internal/api/holo/v1/holov1connect", "internal/token", "internal/receipt", "internal/question", "internal/module"},
	"cmd/holo":    {".", "internal/holo", "internal/protocol", "internal/jobs", "internal/receipt", "internal/core/sched", "internal/wire", "internal/node", "internal/identity", "internal/format", "internal/demo", "internal/module", "internal/lockdown", "internal/firewall", "internal/workers", "internal/audit", "internal/guest", "kernels", "kernels/std"},
	"kernels":     {},
	"kernels/std": {"internal/holo"},

	// The proofs.
	"internal/history": {},
	"internal/lab":     {},
	"internal/sim":     {"internal/*", "internal/core/*"},
	"internal/attack":  {"internal/*", "internal/core/*"},
	"internal/mutant":  {},
	"internal/demo":    {".", "internal/holo", "internal/format", "internal/attack", "internal/identity", "internal/audit", "kernels"},
	"internal/arch":    {},
	"bench":            {".", "internal/*", "internal/core/*", "kernels"},
	"test":             {".", "internal/*"},
	"test/*":           {},
	"scripts/*":        {},
	"scripts/exposure": {"internal/lab"},
	"scripts/chaos":    {".", "internal/lab", "internal/history"},
	"scripts/capacity": {".", "internal/lab"},
}

var words = []string{
	"internal/invariant", "internal/holo", "internal/key", "internal/digest", "internal/protocol", "internal/wire", "internal/placement", "internal/lane", "internal/api",
}

// onlyImporter names the one package that hides each library.
var onlyImporter = map[string]string{
	"github.com/quic-go/quic-go":        "internal/transport",
	"github.com/hashicorp/raft":         "internal/consensus",
	"go.etcd.io/bbolt":                  "internal/consensus",
	"github.com/tetratelabs/wazero":     "internal/sandbox",
	"golang.org/x/mod/sumdb":            "internal/audit",
	"github.com/zeebo/blake3":           "internal/digest",
	"golang.org/x/net/bpf":              "internal/confine",
	"github.com/apache/arrow-go":        "internal/format",
	"github.com/parquet-go/parquet-go":  "internal/format",
	"filippo.io/age":                    "internal/identity",
	"github.com/go-jose/go-jose":        "internal/token",
	"github.com/spf13/cobra":            "cmd/holo",
	"github.com/vbauerster/mpb":         "cmd/holo",
	"github.com/anishathalye/porcupine": "internal/history",
	"github.com/cedar-policy/cedar-go":  "internal/policy",
	"golang.org/x/time":                 "internal/door",
}

// attackersImport names the libraries that an attacker in a test speaks for
// itself, because a peer that keeps the rules cannot break them.
var attackersImport = map[string][]string{"github.com/quic-go/quic-go": {"internal/attack", "internal/node"}}

// pure is all of the standard library that words and machines may use: no I/O,
// no clock, no lock.
var pure = []string{
	"bytes", "cmp", "container/heap", "container/list", "crypto/subtle", "encoding/base32", "encoding/base64",
	"encoding/binary", "encoding/hex", "errors", "fmt", "hash", "iter", "maps", "math", "math/bits",
	"math/rand/v2", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// pureExtra adds to pure for the packages that are about cryptography.
var pureExtra = map[string][]string{
	"internal/key": {"crypto/ed25519", "crypto/rand", "crypto/sha256", "crypto/sha512", "filippo.io/edwards25519", "log/slog", "io"},
	"internal/core/handshake": {
		"crypto", "crypto/aes", "crypto/cipher", "crypto/ecdh", "crypto/ed25519", "crypto/hkdf", "crypto/hmac", "crypto/mlkem", "crypto/rand",
		"crypto/sha256", "crypto/sha512", "io",
	},
	"internal/core/catalog": {"crypto/ed25519", "crypto/sha256"},
	"internal/api":          {"crypto/sha256"},
}

// starters are the only files that may contain a go statement: each owns the
// goroutines that it starts and waits for them.
var starters = []string{
	"internal/wait/group.go", "internal/transport/group.go", "internal/consensus/group.go", "internal/door/group.go",
	"internal/jobs/group.go", "internal/workers/group.go", "scripts/capture/main_linux.go", "scripts/exposure/wire_linux.go", "internal/demo/group.go", "internal/attack/group.go", "cmd/holo/main.go", "group.go",
}

// environment lists the variables that the program reads, all of them places
// and never protections. Only cmd/holo, internal/identity and the SDK's Connect
// may read any.
var environment = []string{
	"HOLO_DIR", "HOLO_CONFIG", "HOLO_SOCKET", "HOLO_ADDRESS", "NO_COLOR", "TERM", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
}

// buildTags lists what a build constraint may name: operating systems and
// processors, so that no tag can switch a protection off.
var buildTags = []string{"linux", "darwin", "windows", "freebsd", "netbsd", "openbsd", "unix", "amd64", "arm64", "race"}

// weakening matches names that promise less protection; exceptions says why
// the few that remain do not.
const weakening = `(?i)(insecure|skip.?verify|no.?auth|disable.?(auth|check|verif|encrypt|sandbox|limit)|bypass|unsealed|allow.?any|kill.?switch)`

var exceptions = map[string]string{
	"InsecureSkipVerify": "TLS is only the carrier of QUIC: Noise inside it authenticates both sides and is bound to it (decision record 0003)",
}
