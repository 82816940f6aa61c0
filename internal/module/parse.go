package module

import (
	"bytes"
	"strings"
)

type funcType struct{ params, results []valueType }

func (t funcType) arity() int { return len(t.params) + len(t.results) }

type table struct {
	typ      valueType
	min, max uint32
}

type global struct {
	typ      valueType
	mutable  bool
	imported bool
}

type export struct {
	name  string
	kind  byte
	index uint32
	at    int
}

type importItem struct {
	module, name string
	kind         byte
	at           int
	function     int // the number of the function, for kindFunc
}

// Kinds of imports and exports.
const (
	kindFunc   = 0
	kindTable  = 1
	kindMemory = 2
	kindGlobal = 3
)

// Section numbers.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

// order is where each section must stand; custom sections stand anywhere.
var order = [...]int{secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7, secStart: 8,
	secElement: 9, secDataCount: 10, secCode: 11, secData: 12}

// parsed is a module whose sections are read and valid, but for the code.
type parsed struct {
	types   []funcType
	imports []importItem
	funcs   []uint32 // type of each function, imported ones first
	nimport int      // imported functions
	tables  []table
	ntables int // imported tables
	memory  []limits
	nmemory int // imported memories
	globals []global
	exports []export
	start   int // -1: none
	elems   []valueType
	ndata   int
	counted bool // there is a data count section
	bodies  []*reader
	refs    map[uint32]bool // functions that code may take a reference to
	totals  totals

	raw       [13][]byte // sections as they were
	newGlobal []byte     // entries of the global section with functions renumbered
	newElem   []byte     // the same of the element section, with its count
}

type limits struct {
	min, max uint32
	bounded  bool
}

func parse(wasm []byte) (*parsed, error) {
	r := &reader{b: wasm, end: len(wasm)}
	if len(wasm) > maxModule {
		return nil, refuse(0, TooLarge, "%d bytes, at most %d", len(wasm), maxModule)
	}
	if err := checkHeader(wasm); err != nil {
		return nil, err
	}
	r.at = 8
	p := &parsed{start: -1, refs: map[uint32]bool{}, totals: newTotals()}
	last := 0
	for r.more() {
		at := r.at
		id := r.byte()
		body := r.part(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		if id == secCustom {
			body.name() // dropped: names of functions would be wrong after injection
			if body.err != nil {
				return nil, body.err
			}
			continue
		}
		if id == 13 {
			return nil, refuse(at, Unsupported, "a tag section: exceptions")
		}
		if int(id) >= len(order) || order[id] <= last {
			return nil, refuse(at, Malformed, "section %d is unknown, repeated or out of order", id)
		}
		last = order[id]
		p.raw[id] = wasm[body.at:body.end]
		if err := p.section(id, body); err != nil {
			return nil, err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return p, p.complete(len(wasm))
}

func checkHeader(wasm []byte) error {
	switch {
	case len(wasm) < 8 || !bytes.HasPrefix(wasm, []byte("\x00asm")):
		return refuse(0, Malformed, "not WebAssembly: it begins with %q", wasm[:min(len(wasm), 4)])
	case wasm[6] != 0:
		return refuse(4, Unsupported, "a component: kernels are core modules")
	case !bytes.Equal(wasm[4:8], []byte{1, 0, 0, 0}):
		return refuse(4, Unsupported, "binary version %d, want 1", wasm[4])
	}
	return nil
}

// complete checks what needs all sections.
func (p *parsed) complete(end int) error {
	if defined := len(p.funcs) - p.nimport; defined != len(p.bodies) {
		return refuse(end, Malformed, "%d functions declared, %d defined", defined, len(p.bodies))
	}
	if p.raw[secData] == nil && p.counted && p.ndata != 0 {
		return refuse(end, Malformed, "%d data segments announced, none there", p.ndata)
	}
	return nil
}

func (p *parsed) section(id byte, r *reader) error {
	read := [...]func(*reader){
		secType: p.readTypes, secImport: p.readImports, secFunction: p.readFunctions, secTable: p.readTables, secMemory: p.readMemories,
		secGlobal: p.readGlobals, secExport: p.readExports, secStart: p.readStart, secElement: p.readElements, secCode: p.readCode,
		secData: p.readData, secDataCount: p.readDataCount,
	}
	read[id](r)
	return r.done("a section")
}

// memoryMin is the size of the module's memory when it starts.
func (p *parsed) memoryMin() uint32 {
	if len(p.memory) == 0 {
		return 0
	}
	return p.memory[0].min
}

// checkABI holds the module against ABI holo/1 and lists its kernels.
func (p *parsed) checkABI() ([]Function, error) {
	for _, im := range p.imports {
		if !p.mayImport(im) {
			return nil, refuse(im.at, Forbidden, "imports %q.%q: a kernel reaches nothing but its memory and the functions of its host that are on the list, each of its type", im.module, im.name)
		}
	}
	if p.start >= 0 {
		return nil, refuse(0, Forbidden, "a start function: use _initialize, which runs metered")
	}
	need := map[string]funcType{"holo_abi": {nil, []valueType{i32}}, "holo_alloc": {[]valueType{i32, i32}, []valueType{i32}}}
	var list []Function
	for _, e := range p.exports {
		f, kernel := kernelOf(e.name)
		want, needed := need[e.name]
		switch {
		case strings.HasPrefix(e.name, "holo."):
			return nil, refuse(e.at, Forbidden, "exports %q: the name is the host's", e.name)
		case kernel:
			want = funcType{[]valueType{i32}, []valueType{i32}}
			list = append(list, f)
		case e.name == "_initialize", e.name == StrictNaN:
			want = funcType{}
		case !needed:
			continue
		}
		if e.kind != kindFunc || !p.types[p.funcs[e.index]].equal(want) {
			return nil, refuse(e.at, BadABI, "export %q is not a function %v", e.name, want)
		}
		delete(need, e.name)
	}
	for _, name := range []string{"holo_abi", "holo_alloc"} {
		if _, missing := need[name]; missing {
			return nil, refuse(0, BadABI, "no export %q: not a kernel of ABI holo/1", name)
		}
	}
	if !p.exportsMemory() {
		return nil, refuse(0, BadABI, "no export %q: the host has nowhere to put the elements", "memory")
	}
	if len(list) == 0 {
		return nil, refuse(0, BadABI, "no export holo_map_, holo_red_, holo_comb_ or holo_fin_: nothing to run")
	}
	return list, nil
}

func (p *parsed) exportsMemory() bool {
	for _, e := range p.exports {
		if e.name == "memory" && e.kind == kindMemory {
			return true
		}
	}
	return false
}
