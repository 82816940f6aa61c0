package module

import (
	"fmt"
	"slices"
)

func (t funcType) equal(u funcType) bool {
	return slices.Equal(t.params, u.params) && slices.Equal(t.results, u.results)
}

// String is "(i32 i32) -> (i32)".
func (t funcType) String() string {
	return fmt.Sprintf("(%s) -> (%s)", join(t.params), join(t.results))
}

func join(types []valueType) (s string) {
	for i, t := range types {
		if i > 0 {
			s += " "
		}
		s += t.String()
	}
	return s
}

func (p *parsed) readTypes(r *reader) {
	for n := r.count("types", maxTypes); n > 0 && r.err == nil; n-- {
		if r.byte() != 0x60 {
			r.at--
			r.fail(Unsupported, "a type that is not of a function: garbage collection")
			return
		}
		p.types = append(p.types, funcType{r.typeList("parameters"), r.typeList("results")})
	}
}

func (r *reader) typeList(what string) (list []valueType) {
	for n := r.count(what, maxArity); n > 0 && r.err == nil; n-- {
		list = append(list, r.valueType())
	}
	return list
}

func (p *parsed) readImports(r *reader) {
	for n := r.count("imports", maxImports); n > 0 && r.err == nil; n-- {
		im := importItem{at: r.at, module: r.name(), name: r.name(), kind: r.byte()}
		im.function = len(p.funcs)
		p.imports = append(p.imports, im)
		switch im.kind {
		case kindFunc:
			p.funcs = append(p.funcs, r.index("type", len(p.types)))
			p.nimport++
		case kindTable:
			p.tables = append(p.tables, r.table())
			p.ntables++
		case kindMemory:
			p.addMemory(r)
			p.nmemory++
		case kindGlobal:
			g := r.globalType()
			g.imported = true
			p.globals = append(p.globals, g)
		default:
			r.fail(Unsupported, "an import of kind %d: exceptions", im.kind)
		}
	}
}

func (p *parsed) readFunctions(r *reader) {
	for n := r.count("functions", maxFunctions); n > 0 && r.err == nil; n-- {
		p.funcs = append(p.funcs, r.index("type", len(p.types)))
	}
}

// readTables gives a table a maximum of maxTableSize where it has none or a
// larger one: the engine does not count tables as memory.
func (p *parsed) readTables(r *reader) {
	total := counter{max: maxTableSize, what: "entries of tables"}
	for n := r.count("tables", maxTables-p.ntables); n > 0 && r.err == nil; n-- {
		t := r.table()
		total.add(r, int64(t.min))
		p.tables = append(p.tables, t)
	}
}

func (r *reader) table() table {
	t := table{typ: r.referenceType()}
	l := r.limits("a table", 1<<32-1)
	t.min, t.max = l.min, min(l.max, maxTableSize)
	return t
}

func (r *reader) limits(what string, most uint32) limits {
	flags := r.byte()
	switch {
	case r.err == nil && flags&4 != 0:
		r.fail(Unsupported, "%s of 64 bit: memory64", what)
	case r.err == nil && flags&2 != 0:
		r.fail(Unsupported, "%s that is shared: threads", what)
	case r.err == nil && flags > 1:
		r.fail(Malformed, "%s with flags %#x", what, flags)
	}
	l := limits{min: r.u32(), max: most, bounded: flags == 1}
	if l.bounded {
		l.max = r.u32()
	}
	if l.min > l.max || l.max > most {
		r.fail(Malformed, "%s from %d to %d, at most %d", what, l.min, l.max, most)
	}
	return l
}

func (p *parsed) readMemories(r *reader) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		p.addMemory(r)
	}
}

func (p *parsed) addMemory(r *reader) {
	if len(p.memory) > 0 {
		r.fail(Unsupported, "a second memory: multi-memory")
		return
	}
	p.memory = append(p.memory, r.limits("a memory", maxMemoryPages))
}

func (r *reader) globalType() global {
	g := global{typ: r.valueType()}
	mutable := r.byte()
	if mutable > 1 {
		r.fail(Malformed, "a global of mutability %d", mutable)
	}
	g.mutable = mutable == 1
	return g
}

func (p *parsed) readGlobals(r *reader) {
	for n := r.count("globals", maxGlobals); n > 0 && r.err == nil; n-- {
		at := r.at
		g := r.globalType()
		p.newGlobal = append(p.newGlobal, r.b[at:r.at]...)
		p.newGlobal = append(p.newGlobal, p.constant(r, g.typ)...)
		p.globals = append(p.globals, g)
	}
}

func (p *parsed) readExports(r *reader) {
	seen := map[string]bool{}
	for n := r.count("exports", maxExports); n > 0 && r.err == nil; n-- {
		e := export{at: r.at, name: r.name(), kind: r.byte()}
		switch e.kind {
		case kindFunc:
			e.index = r.index("function", len(p.funcs))
			p.refs[e.index] = true
		case kindTable:
			e.index = r.index("table", len(p.tables))
		case kindMemory:
			e.index = r.index("memory", len(p.memory))
		case kindGlobal:
			e.index = r.index("global", len(p.globals))
		default:
			r.fail(Unsupported, "an export of kind %d: exceptions", e.kind)
		}
		if seen[e.name] {
			r.fail(Malformed, "export %q twice", e.name)
		}
		seen[e.name] = true
		p.exports = append(p.exports, e)
	}
}

func (p *parsed) readStart(r *reader) {
	f := r.index("function", len(p.funcs))
	if r.err == nil && p.types[p.funcs[f]].arity() != 0 {
		r.fail(Malformed, "a start function with parameters or results")
	}
	p.start = int(f)
}

func (p *parsed) readDataCount(r *reader) {
	p.ndata, p.counted = r.count("data segments", maxData), true
}

func (p *parsed) readCode(r *reader) {
	for n := r.count("functions", maxFunctions); n > 0 && r.err == nil; n-- {
		size := r.u32()
		if size > maxBody {
			r.fail(TooLarge, "a function of %d bytes, at most %d", size, maxBody)
			return
		}
		body := r.part(size)
		p.bodies = append(p.bodies, body)
	}
}
