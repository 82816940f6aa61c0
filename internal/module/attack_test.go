package module

import (
	"bytes"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// locals declares n locals of a type in one group.
func locals(n uint32, t valueType) []byte {
	return append(appendU32([]byte{1}, n), byte(t))
}

func withBody(locals, code []byte) *builder {
	b := kernel()
	b.bodies[2] = append(append(append([]byte(nil), locals...), code...), opEnd)
	return b
}

var emptyIf = []byte{opI32Const, 0, opIf, blockEmpty, opEnd}

// nested is n blocks in one another.
func nested(n int, op byte) []byte {
	return append(repeat(n, op, blockEmpty), repeat(n, opEnd)...)
}

// fill4 is a memory.fill of nothing.
var fill4 = []byte{opI32Const, 0, opI32Const, 0, opI32Const, 0, 0xfc, 11, 0}

// heap has n operands (of n+1 with a condition) over some branches.
func heap(n, branches int) []byte {
	code := append(repeat(n-1, opI32Const, 0), repeat(branches, emptyIf...)...)
	return append(code, repeat(n-1, opDrop)...)
}

// many is a module of n more functions with the same body.
func many(n int, bodyBytes []byte) *builder {
	b := kernel(zero()...)
	for range n {
		b.add(voidType, bodyBytes)
	}
	return b
}

// wide adds a type of n parameters and no result, and a function of it.
func wide(n int, calls int) *builder {
	b := kernel(zero()...)
	b.types = append(b.types, append(append([]byte{0x60}, appendU32(nil, uint32(n))...), append(repeat(n, byte(i32)), 0)...))
	var code []byte
	for range calls {
		code = append(append(code, repeat(n, opI32Const, 0)...), opCall, 3)
	}
	return b.add(4, []byte{0, opEnd}).add(voidType, body(0, code))
}

// attacks are modules that would harm a node (research/wasm 6.3) or that ask
// for what a kernel must not have. Each is one unit beyond its limit, where it
// has one, and the same module at the limit is within.
var attacks = []struct {
	name, reason, says string
	module             func() []byte
	within             func() []byte
}{
	{"blocks of a function", TooLarge, "blocks and branches",
		func() []byte { return kernel(zero(repeat(maxBranches+1, emptyIf...)...)...).bytes() },
		func() []byte { return kernel(zero(repeat(maxBranches, emptyIf...)...)...).bytes() }},
	{"size of a function", TooLarge, "a function of",
		func() []byte { return kernel(zero(repeat(maxBody-3, opNop)...)...).bytes() },
		func() []byte { return kernel(zero(repeat(maxBody-4, opNop)...)...).bytes() }},
	{"nested loops", TooLarge, "nested deeper",
		func() []byte { return kernel(zero(nested(maxNesting+1, opLoop)...)...).bytes() },
		func() []byte { return kernel(zero(nested(maxNesting, opLoop)...)...).bytes() }},
	{"locals of a function", TooLarge, "locals of a function",
		func() []byte { return withBody(locals(maxLocals, f64), zero()).bytes() },
		func() []byte { return withBody(locals(maxLocals-1, f64), zero()).bytes() }},
	{"4 G locals", TooLarge, "locals of a function",
		func() []byte { return withBody(locals(1<<32-1, f64), zero()).bytes() }, nil},
	{"locals times loops", TooLarge, "product above",
		func() []byte {
			return withBody(locals(maxLocals-1, i64), zero(nested(maxWidth/maxLocals/2, opLoop)...)).bytes()
		},
		func() []byte {
			return withBody(locals(maxLocals-2, i64), zero(nested(maxWidth/maxLocals/2, opLoop)...)).bytes()
		}},
	{"operands times branches", TooLarge, "product above",
		func() []byte { return kernel(zero(heap(maxLocals, maxWidth/maxLocals)...)...).bytes() },
		func() []byte { return kernel(zero(heap(maxLocals-1, maxWidth/maxLocals)...)...).bytes() }},
	{"bulk instructions of a function", TooLarge, "blocks and branches",
		func() []byte { return kernel(zero(repeat(maxBranches/bulkBranches+1, fill4...)...)...).bytes() },
		func() []byte { return kernel(zero(repeat(maxBranches/bulkBranches, fill4...)...)...).bytes() }},
	{"locals of all functions", TooLarge, "locals of all",
		func() []byte { return many(maxTotalLocals/maxLocals, append(locals(maxLocals, v128), opEnd)).bytes() },
		func() []byte {
			b := many(maxTotalLocals/maxLocals-1, append(locals(maxLocals, v128), opEnd))
			return b.bytes()
		}},
	{"locals times branches of all functions", TooLarge, "over all functions",
		func() []byte {
			// Few branches and many locals, so that no other total is reached.
			one := append(append(locals(maxLocals-1, i32), nested(maxWidth/maxLocals/2, opLoop)...), opEnd)
			return many(maxTotalWidth/maxWidth+1, one).bytes()
		}, nil},
	{"blocks of all functions", TooLarge, "over all functions",
		func() []byte {
			return many(maxTotalWork/(maxBranches*maxBranches)+1, body(0, repeat(maxBranches, emptyIf...))).bytes()
		}, nil},
	{"operands", TooLarge, "operands",
		func() []byte {
			return kernel(zero(append(repeat(maxStack+1, opMemorySize, 0), repeat(maxStack+1, opDrop)...)...)...).bytes()
		},
		func() []byte {
			return kernel(zero(append(repeat(maxStack, opMemorySize, 0), repeat(maxStack, opDrop)...)...)...).bytes()
		}},
	{"labels of a br_table", TooLarge, "labels",
		func() []byte {
			code := append(appendU32([]byte{opI32Const, 0, opBrTable}, maxBranches+1), make([]byte, maxBranches+2)...)
			return kernel(append([]byte{opBlock, blockEmpty}, zero(append(code, opEnd)...)...)...).bytes()
		}, nil},
	{"parameters of a type", TooLarge, "parameters", func() []byte { return wide(maxArity+1, 0).bytes() }, func() []byte { return wide(maxArity, 0).bytes() }},
	{"values passed by calls", TooLarge, "passed by the calls",
		func() []byte {
			b := wide(maxArity, 0)
			b.types = append(b.types, append(append(append([]byte{0x60}, appendU32(nil, maxArity)...), repeat(maxArity, byte(i32))...), append(appendU32(nil, maxArity), repeat(maxArity, byte(i32))...)...))
			chain := append(repeat(maxArity, opI32Const, 0), repeat(maxPassed/(2*maxArity)+1, opCall, 5)...)
			same := body(0, nil)[:1]
			for p := range byte(maxArity) {
				same = append(same, opLocalGet)
				same = appendU32(same, uint32(p))
			}
			return b.add(5, append(same, opEnd)).add(voidType, body(0, append(chain, repeat(maxArity, opDrop)...))).bytes()
		}, nil},
	{"functions", TooLarge, "functions", func() []byte { return many(maxFunctions, body(0, nil)).bytes() }, nil},
	{"elements of a table", TooLarge, "entries of tables",
		func() []byte {
			b := kernel(zero()...)
			b.tables = [][]byte{append([]byte{byte(funcref), 0}, appendU32(nil, maxTableSize)...), {byte(funcref), 0, 1}}
			return b.bytes()
		},
		func() []byte {
			b := kernel(zero()...)
			b.tables = [][]byte{append([]byte{byte(funcref), 0}, appendU32(nil, maxTableSize)...)}
			return b.bytes()
		}},
	{"entries of element segments", TooLarge, "entries of element segments",
		func() []byte {
			b := kernel(zero()...)
			b.elems = [][]byte{append(appendU32([]byte{1, 0}, maxElements+1), make([]byte, maxElements+1)...)}
			return b.bytes()
		},
		func() []byte {
			b := kernel(zero()...)
			b.elems = [][]byte{append(appendU32([]byte{1, 0}, maxElements), make([]byte, maxElements)...)}
			return b.bytes()
		}},
	{"size of the module", TooLarge, "at most",
		func() []byte { return append(kernel(zero()...).bytes(), make([]byte, maxModule)...) }, nil},
	{"start function", Forbidden, "start function", func() []byte {
		b := kernel(zero()...).add(voidType, body(0, nil))
		b.start = []byte{3}
		return b.bytes()
	}, nil},
	{"import of WASI", Forbidden, "wasi_snapshot_preview1", func() []byte {
		b := kernel(zero()...)
		b.imports = [][]byte{imported("wasi_snapshot_preview1", "proc_exit", kindFunc, voidType)}
		return b.bytes()
	}, nil},
	{"import of yield", Forbidden, "\"holo\".\"yield\"", func() []byte {
		b := kernel(zero()...)
		b.types = append(b.types, []byte{0x60, 1, byte(i64), 1, byte(i64)})
		b.imports = [][]byte{imported(HostModule, HostYield, kindFunc, 4)}
		return b.bytes()
	}, nil},
	{"import of log of another type", Forbidden, "\"holo\".\"log\"", func() []byte {
		b := kernel(zero()...)
		b.imports = [][]byte{imported(HostModule, HostLog, kindFunc, voidType)}
		return b.bytes()
	}, func() []byte { return logging().bytes() }},
	{"import of a global named log", Forbidden, "\"holo\".\"log\"", func() []byte {
		b := kernel(zero()...)
		b.imports = [][]byte{imported(HostModule, HostLog, kindGlobal, byte(i32), 0)}
		return b.bytes()
	}, nil},
	{"import of a memory", Forbidden, "env", func() []byte {
		b := kernel(zero()...)
		b.memory = nil
		b.imports = [][]byte{imported("env", "memory", kindMemory, 0, 1)}
		return b.bytes()
	}, nil},
	{"export of the gas", Forbidden, GasGlobal, func() []byte {
		b := kernel(zero()...)
		b.globals = [][]byte{{byte(i64), 1, opI64Const, 0, opEnd}}
		b.exports = append(b.exports, exported(GasGlobal, kindGlobal, 0))
		return b.bytes()
	}, nil},
	{"write to the injected gas", Malformed, "global 0 does not exist", func() []byte {
		return kernel(zero(opI64Const, 0, opGlobalSet, 0)...).bytes()
	}, nil},
	{"call of the injected yield", Malformed, "function 3", func() []byte {
		return kernel(zero(opI64Const, 0, opCall, 3, opDrop)...).bytes()
	}, nil},
	{"write to the injected local", Malformed, "local 1", func() []byte {
		return kernel(zero(opI64Const, 0, opLocalSet, 1)...).bytes()
	}, nil},
	{"threads", Unsupported, "threads", func() []byte { return kernel(0xfe, 0x03, 0x00).bytes() }, nil},
	{"shared memory", Unsupported, "threads", func() []byte {
		b := kernel(zero()...)
		b.memory = []byte{1, 3, 1, 2}
		return b.bytes()
	}, nil},
	{"memory64", Unsupported, "memory64", func() []byte {
		b := kernel(zero()...)
		b.memory = []byte{1, 4, 1}
		return b.bytes()
	}, nil},
	{"multi-memory", Unsupported, "multi-memory", func() []byte {
		b := kernel(zero()...)
		b.memory = []byte{2, 0, 1, 0, 1}
		return b.bytes()
	}, nil},
	{"relaxed SIMD", Unsupported, "relaxed SIMD", func() []byte { return kernel(0xfd, 0x85, 0x02).bytes() }, nil},
	{"exceptions", Unsupported, "exceptions", func() []byte { return kernel(0x06, blockEmpty, opEnd).bytes() }, nil},
	{"exception tags", Unsupported, "exceptions", func() []byte {
		b := kernel(zero()...)
		b.extra = []byte{13, 3, 1, 0, 3}
		return b.bytes()
	}, nil},
	{"tail calls", Unsupported, "tail calls", func() []byte { return kernel(0x12, 0).bytes() }, nil},
	{"component", Unsupported, "component", func() []byte { return []byte("\x00asm\x0d\x00\x01\x00") }, nil},
	{"no abi", BadABI, "holo_abi", func() []byte {
		b := kernel(zero()...)
		b.exports = append(b.exports[:1], b.exports[2:]...)
		return b.bytes()
	}, nil},
	{"no memory export", BadABI, "memory", func() []byte {
		b := kernel(zero()...)
		b.exports = b.exports[1:]
		return b.bytes()
	}, nil},
	{"no kernel", BadABI, "nothing to run", func() []byte {
		b := kernel(zero()...)
		b.exports = b.exports[:3]
		return b.bytes()
	}, nil},
	{"kernel of another type", BadABI, "holo_map_f", func() []byte {
		b := kernel(zero()...)
		b.exports[3] = exported("holo_map_f", kindFunc, 0)
		return b.bytes()
	}, nil},
	{"not WebAssembly", Malformed, "not WebAssembly", func() []byte { return []byte("#!/bin/sh\n") }, nil},
	{"nothing", Malformed, "not WebAssembly", func() []byte { return nil }, nil},
}

func TestAttacksAreRefusedInOneLine(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			_, err := Admit(a.module())
			if holo.KindOf(err) != holo.Invalid || holo.ReasonOf(err) != a.reason || !strings.Contains(err.Error(), a.says) {
				t.Fatalf("%v (%s), want %s with %q", err, holo.ReasonOf(err), a.reason, a.says)
			}
			if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "byte 0x") {
				t.Errorf("not one line with a place: %v", err)
			}
			if a.within == nil {
				return
			}
			if _, err := Admit(a.within()); err != nil {
				t.Errorf("one unit less is refused: %v", err)
			}
		})
	}
}

// Every shorter piece of a module is refused, unless it ends where a section
// does, and so is none that differs in a byte taken for the same module.
func TestDamagedModulesNeverPanic(t *testing.T) {
	b := kernel(zero(append([]byte{opLoop, blockEmpty, opI32Const, 0, opBrIf, 0, opEnd}, emptyIf...)...)...)
	b.tables = [][]byte{{byte(funcref), 1, 1, 4}}
	b.elems = [][]byte{{0, opI32Const, 0, opEnd, 1, 2}, {5, byte(funcref), 1, opRefFunc, 1, opEnd}}
	b.globals = [][]byte{{byte(i64), 1, opI64Const, 7, opEnd}}
	b.count, b.datas = []byte{1}, [][]byte{{0, opI32Const, 8, opEnd, 2, 'h', 'i'}}
	wasm := b.bytes()
	if _, err := Admit(wasm); err != nil {
		t.Fatal(err)
	}
	for n := range wasm {
		if _, err := Admit(wasm[:n]); err == nil {
			t.Errorf("admitted with %d of %d bytes", n, len(wasm))
		}
		for v := range 256 {
			bad := bytes.Clone(wasm)
			bad[n] = byte(v)
			if m, err := Admit(bad); err == nil && (m.ID == ID(wasm)) != bytes.Equal(bad, wasm) {
				t.Errorf("byte %d = %#x: two modules of one ID", n, v)
			}
		}
	}
}
