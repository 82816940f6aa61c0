package module

import "slices"

// encoder writes the metered module: the original's sections with two
// functions imported, two globals and their exports added, functions
// renumbered, table sizes bounded, and custom sections left out.
type encoder struct {
	p                   *parsed
	types               []funcType // the original's, then added ones
	yieldType, growType uint32
	unrolled            int // loops, so far
}

func (e *encoder) yield() uint32       { return uint32(e.p.nimport) }
func (e *encoder) grow() uint32        { return uint32(e.p.nimport) + 1 }
func (e *encoder) gasGlobal() uint32   { return uint32(len(e.p.globals)) }
func (e *encoder) depthGlobal() uint32 { return uint32(len(e.p.globals)) + 1 }

// typeIndex finds a function type or adds it.
func (e *encoder) typeIndex(t funcType) uint32 {
	if i := slices.IndexFunc(e.types, t.equal); i >= 0 {
		return uint32(i)
	}
	e.types = append(e.types, t)
	return uint32(len(e.types) - 1)
}

// resultType encodes the type of a block with the results.
func (e *encoder) resultType(results []valueType) []byte {
	switch len(results) {
	case 0:
		return []byte{blockEmpty}
	case 1:
		return []byte{byte(results[0])}
	}
	return appendSigned(nil, int64(e.typeIndex(funcType{nil, results})))
}

// module puts the sections together; code is the new code section.
func (e *encoder) module(code []byte) []byte {
	p := e.p
	bodies := [len(order)][]byte{
		secType: e.typeSection(), secImport: e.importSection(), secFunction: p.raw[secFunction], secTable: e.tableSection(),
		secMemory: p.raw[secMemory], secGlobal: e.globalSection(), secExport: e.exportSection(), secElement: p.newElem,
		secDataCount: p.raw[secDataCount], secData: p.raw[secData],
	}
	if len(p.bodies) > 0 {
		bodies[secCode] = code
	}
	if p.start >= 0 {
		bodies[secStart] = appendU32(nil, p.renumber(uint32(p.start)))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []byte{secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode, secData} {
		if len(bodies[id]) > 0 {
			out = appendU32(append(out, id), uint32(len(bodies[id])))
			out = append(out, bodies[id]...)
		}
	}
	return out
}

func (e *encoder) typeSection() []byte {
	b := appendU32(nil, uint32(len(e.types)))
	for _, t := range e.types {
		b = appendTypes(append(b, 0x60), t.params)
		b = appendTypes(b, t.results)
	}
	return b
}

func appendTypes(b []byte, types []valueType) []byte {
	b = appendU32(b, uint32(len(types)))
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}

func appendName(b []byte, name string) []byte {
	return append(appendU32(b, uint32(len(name))), name...)
}

// afterCount is a section's entries, without their number.
func afterCount(section []byte) []byte {
	r := &reader{b: section, end: len(section)}
	if len(section) > 0 {
		r.u32()
	}
	return section[r.at:]
}

func (e *encoder) importSection() []byte {
	b := appendU32(nil, uint32(len(e.p.imports)+injected))
	b = append(b, afterCount(e.p.raw[secImport])...)
	for _, f := range []struct {
		name string
		typ  uint32
	}{{HostYield, e.yieldType}, {HostGrow, e.growType}} {
		b = appendName(appendName(b, HostModule), f.name)
		b = appendU32(append(b, kindFunc), f.typ)
	}
	return b
}

func (e *encoder) tableSection() []byte {
	own := e.p.tables[e.p.ntables:]
	if len(own) == 0 {
		return nil
	}
	b := appendU32(nil, uint32(len(own)))
	for _, t := range own {
		b = append(b, byte(t.typ), 1)
		b = appendU32(appendU32(b, t.min), t.max)
	}
	return b
}

func (e *encoder) globalSection() []byte {
	own := 0
	for _, g := range e.p.globals {
		if !g.imported {
			own++
		}
	}
	b := appendU32(nil, uint32(own+2))
	b = append(b, e.p.newGlobal...)
	b = append(b, byte(i64), 1, opI64Const, 0, opEnd)
	b = append(b, byte(i32), 1, opI32Const)
	return append(appendSigned(b, MaxCallDepth), opEnd)
}

func (e *encoder) exportSection() []byte {
	b := appendU32(nil, uint32(len(e.p.exports)+2))
	for _, x := range e.p.exports {
		index := x.index
		if x.kind == kindFunc {
			index = e.p.renumber(index)
		}
		b = appendU32(append(appendName(b, x.name), x.kind), index)
	}
	b = appendU32(append(appendName(b, GasGlobal), kindGlobal), e.gasGlobal())
	return appendU32(append(appendName(b, DepthGlobal), kindGlobal), e.depthGlobal())
}
