// Package module admits WebAssembly modules: it parses and validates the bytes
// of a kernel module, refuses whatever could harm a node before any engine sees
// it, and rewrites the code so that it meters itself.
//
// The one idea is that limits live in the bytecode and not in the engine. The
// rewritten module counts gas (price table gas/1, opcode.go) in a local
// variable, exactly per straight-line segment, asks the host for more at
// function entries and loop heads through the import holo.yield, pays for bulk
// operations before they run, and counts its call depth. So the same module
// stops at the same instruction on every engine and processor.
//
// The package is pure: bytes in, bytes out, no engine, no clock. It follows
// the WebAssembly 2.0 specification and its validation algorithm (appendix
// "Validation Algorithm") without threads, relaxed SIMD, exceptions, tail
// calls, memory64, multi-memory and components.
package module

import (
	"crypto/sha256"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// Version names the injector and its price table. Gas of two versions must not
// be compared, and machine code is cached by it.
const Version = "gas/1"

// Kind is what a kernel function does with its block of elements.
type Kind uint8

// The kinds of ABI holo/1; the zero Kind is none.
const (
	Map     Kind = iota + 1 // holo_map_NAME: outputs from inputs, element by element
	Reduce                  // holo_red_NAME: adds a block to the accumulator
	Combine                 // holo_comb_NAME: adds another accumulator to the accumulator
	Finish                  // holo_fin_NAME: outputs from the accumulator
	Task                    // holo_task_NAME: reads and writes arrays behind handles
)

var kindNames = [...]string{Map: "map", Reduce: "red", Combine: "comb", Finish: "fin", Task: "task"}

// String is "map", "red", "comb", "fin" or "task".
func (k Kind) String() string {
	if k < Map || k > Task {
		return "invalid"
	}
	return kindNames[k]
}

var kindDoes = [...]string{
	Map:     "outputs from inputs, element by element",
	Reduce:  "adds a block to the accumulator",
	Combine: "adds another accumulator to the accumulator",
	Finish:  "outputs from the accumulator",
	Task:    "reads and writes arrays behind handles",
}

// Does is what a function of the kind does, for people.
func (k Kind) Does() string {
	if k < Map || k > Task {
		return "invalid"
	}
	return kindDoes[k]
}

// Function is one kernel of a module.
type Function struct {
	Kind Kind
	Name string // without its prefix: by_hour
}

// Export is the name that the module exports the function under.
func (f Function) Export() string { return "holo_" + f.String() }

// String is "red_by_hour".
func (f Function) String() string { return f.Kind.String() + "_" + f.Name }

// Module is an admitted module. It is immutable and may be shared.
type Module struct {
	ID        holo.ModuleID // SHA-256 of Original
	Original  []byte        // as it was given
	Metered   []byte        // what an engine may compile
	Functions []Function    // in the order of the export section
	HostCalls []string      // what it imports: log, or read, write and len of a task
	MinPages  uint32        // pages of memory that an instance has from the start
	StrictNaN bool          // every NaN that it makes is the canonical one
}

// Has reports whether the module has the kernel.
func (m *Module) Has(kind Kind, name string) bool {
	for _, f := range m.Functions {
		if f.Kind == kind && f.Name == name {
			return true
		}
	}
	return false
}

// Names lists the functions in the order of the export section: red_by_hour.
func (m *Module) Names() []string {
	names := make([]string, len(m.Functions))
	for i, f := range m.Functions {
		names[i] = f.String()
	}
	return names
}

// ID is the name of a module of these bytes, admitted or not.
func ID(wasm []byte) holo.ModuleID { return sha256.Sum256(wasm) }

// Admit decides whether the bytes are a kernel module of ABI holo/1 that keeps
// all limits, and meters it. Whatever the bytes are, it returns an error of
// kind Invalid with one line that says where, what and why, and never panics.
// The Module keeps wasm; the caller must not change it afterwards.
func Admit(wasm []byte) (*Module, error) {
	p, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	functions, err := p.checkABI()
	if err != nil {
		return nil, err
	}
	metered, err := p.meter()
	if err != nil {
		return nil, err
	}
	return &Module{ID: ID(wasm), Original: wasm, Metered: metered, Functions: functions, HostCalls: p.hostCalls(), MinPages: p.memoryMin(), StrictNaN: p.strict()}, nil
}

// Meter validates and meters any WebAssembly 2.0 module within the limits,
// kernel or not: what Admit does without the rules on imports, start function
// and ABI. It is how the official test corpus goes through the injector.
func Meter(wasm []byte) ([]byte, error) {
	p, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	return p.meter()
}

// kernelOf reads a kernel's kind and name out of an export's name.
func kernelOf(export string) (Function, bool) {
	for kind := Map; kind <= Task; kind++ {
		if name, ok := strings.CutPrefix(export, "holo_"+kind.String()+"_"); ok && name != "" {
			return Function{kind, name}, true
		}
	}
	return Function{}, false
}

// What the metered module imports from and exports to its host. A module that
// names any of them itself is refused by Admit, those aside that are on the list (imports.go).
const (
	HostModule  = "holo"
	HostYield   = "yield"      // (gas i64) -> i64: called when gas is below zero; answers with more
	HostGrow    = "grow"       // (pages i32) -> i32: what memory.grow does
	HostLog     = "log"        // (text i32, bytes i32) -> (): on the list
	HostRead    = "read"       // (handle i32, offset i64, to i32, bytes i32) -> i32: on the list
	HostWrite   = "write"      // (handle i32, offset i64, from i32, bytes i32) -> i32: on the list
	HostLength  = "len"        // (handle i32) -> i64: on the list
	GasGlobal   = "holo.gas"   // mutable i64: the gas left
	DepthGlobal = "holo.depth" // mutable i32: the calls that may still be nested
)
