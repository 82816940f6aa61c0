package module

// constant reads a constant expression of the given type and returns it with
// functions renumbered: one constant instruction and its end.
func (p *parsed) constant(r *reader, want valueType) []byte {
	in := r.instruction()
	have := unknown
	code := append([]byte(nil), r.b[in.at:r.at]...)
	switch in.op {
	case opI32Const:
		have = i32
	case opI64Const:
		have = i64
	case opF32Const:
		have = f32
	case opF64Const:
		have = f64
	case opV128Const:
		have = v128
	case opRefNull:
		have = in.typ
	case opRefFunc:
		have = funcref
		code = p.functionRef(r, in)
	case opGlobalGet:
		if int64(in.a) >= int64(len(p.globals)) || !p.globals[in.a].imported || p.globals[in.a].mutable {
			r.fail(Malformed, "a constant made from global %d, which is not an imported constant", in.a)
			return nil
		}
		have = p.globals[in.a].typ
	}
	if r.err == nil && have != want {
		r.fail(Malformed, "a constant of %s where %s is wanted (opcode %#x)", have, want, in.op)
	}
	if r.byte() != opEnd {
		r.fail(Unsupported, "a constant of more than one instruction")
	}
	return append(code, opEnd)
}

func (p *parsed) functionRef(r *reader, in instruction) []byte {
	if int64(in.a) >= int64(len(p.funcs)) {
		r.fail(Malformed, "function %d does not exist (there are %d)", in.a, len(p.funcs))
		return nil
	}
	p.refs[in.a] = true
	return appendU32([]byte{opRefFunc}, p.renumber(in.a))
}

// readElements reads the eight forms of element segments and writes them anew
// with functions renumbered.
func (p *parsed) readElements(r *reader) {
	total := counter{max: maxElements, what: "entries of element segments"}
	n := r.count("element segments", maxSegments)
	p.newElem = appendU32(nil, uint32(n))
	for ; n > 0 && r.err == nil; n-- {
		flags := r.u32()
		if flags > 7 {
			r.fail(Malformed, "an element segment with flags %#x", flags)
			return
		}
		p.newElem = appendU32(p.newElem, flags)
		p.elems = append(p.elems, p.elementHead(r, flags))
		entries := r.u32()
		total.add(r, int64(entries))
		p.newElem = appendU32(p.newElem, entries)
		for ; entries > 0 && r.err == nil; entries-- {
			p.elementEntry(r, flags)
		}
	}
}

// elementHead reads up to the entries and returns their type. Bits of flags: 1
// passive or declarative, 2 with explicit table or declarative, 4 expressions.
func (p *parsed) elementHead(r *reader, flags uint32) valueType {
	typ, into := funcref, uint32(0)
	active := flags&1 == 0
	if active {
		if flags&2 != 0 {
			into = r.u32()
			p.newElem = appendU32(p.newElem, into)
		}
		if int64(into) >= int64(len(p.tables)) {
			r.fail(Malformed, "an element segment for table %d, which does not exist", into)
			return typ
		}
		p.newElem = append(p.newElem, p.constant(r, i32)...)
	}
	if flags&3 != 0 && flags&4 != 0 {
		typ = r.referenceType()
		p.newElem = append(p.newElem, byte(typ))
	} else if flags&3 != 0 {
		r.zero("an element segment of a kind other than functions")
		p.newElem = append(p.newElem, 0)
	}
	if active && r.err == nil && p.tables[into].typ != typ {
		r.fail(Malformed, "an element segment of %s for a table of %s", typ, p.tables[into].typ)
	}
	return typ
}

func (p *parsed) elementEntry(r *reader, flags uint32) {
	if flags&4 != 0 {
		p.newElem = append(p.newElem, p.constant(r, p.elems[len(p.elems)-1])...)
		return
	}
	f := r.index("function", len(p.funcs))
	p.refs[f] = true
	p.newElem = appendU32(p.newElem, p.renumber(f))
}

func (p *parsed) readData(r *reader) {
	n := r.count("data segments", maxData)
	if p.counted && n != p.ndata {
		r.fail(Malformed, "%d data segments, %d announced", n, p.ndata)
	}
	p.ndata = n
	for ; n > 0 && r.err == nil; n-- {
		flags := r.u32()
		switch {
		case flags > 2:
			r.fail(Malformed, "a data segment with flags %#x", flags)
		case flags != 1 && len(p.memory) == 0:
			r.fail(Malformed, "a data segment for a memory that does not exist")
		case flags == 2:
			if m := r.u32(); m != 0 {
				r.fail(Unsupported, "a data segment for memory %d: multi-memory", m)
			}
		}
		if flags != 1 {
			p.constant(r, i32)
		}
		r.take(r.u32())
	}
}

// injected is the number of functions that the injector imports. They come
// after the module's own imports, so every defined function moves up by it.
const injected = 2

func (p *parsed) renumber(f uint32) uint32 {
	if int64(f) >= int64(p.nimport) {
		return f + injected
	}
	return f
}

func appendU32(b []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

func appendSigned(b []byte, v int64) []byte {
	for v < -64 || v > 63 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}
