package module

// instruction is one instruction as it was read. What a and b are depends on
// the opcode: indices in the order of the encoding.
type instruction struct {
	op     int
	at     int // position of its first byte; the reader is behind its last
	a, b   uint32
	block  int64    // of block, loop and if: as encoded
	labels []uint32 // of br_table, the default last
	typ    valueType
}

// prefixes says where the opcodes after a prefix byte are in the table.
var prefixes = map[byte]int{0xfc: 0x100, 0xfd: 0x200}

// refused names the opcodes that exist and are not for kernels.
var refused = map[byte]string{
	0xfe: "threads: a kernel is one thread", 0x12: "tail calls", 0x13: "tail calls", 0x14: "typed function references", 0x15: "typed function references",
	0x06: "exceptions", 0x07: "exceptions", 0x08: "exceptions", 0x09: "exceptions", 0x0a: "exceptions", 0x18: "exceptions", 0x19: "exceptions", 0x1f: "exceptions",
	0xfb: "garbage collection", 0xd3: "typed function references", 0xd4: "typed function references", 0xd5: "typed function references", 0xd6: "typed function references",
}

// instruction reads the next one. Indices are checked by the caller.
func (r *reader) instruction() instruction {
	in := instruction{at: r.at}
	in.op = r.opcode()
	if r.err != nil {
		return in
	}
	row := &opcodes[in.op]
	switch row.form {
	case memory:
		r.access(row.arg)
	case memoryIn:
		r.access(row.arg)
		r.lane(16 >> row.arg)
	case lane:
		r.lane(int(row.arg))
	case special:
		r.operands(&in)
	}
	return in
}

func (r *reader) opcode() int {
	at := r.at
	first := r.byte()
	op := int(first)
	base, prefixed := prefixes[first]
	if prefixed {
		sub := r.u32()
		if first == 0xfd && sub >= 0x100 {
			r.at = at
			r.fail(Unsupported, "opcode 0xfd %#x: relaxed SIMD is not the same on every processor", sub)
			return 0
		}
		op = base + int(min(sub, 0xff))
	}
	if why := refused[first]; why != "" {
		r.at = at
		r.fail(Unsupported, "opcode %#x: %s", first, why)
		return 0
	}
	if r.err == nil && opcodes[op].form == invalid {
		r.at = at
		r.fail(Malformed, "opcode %#x does not exist", op)
		return 0
	}
	return op
}

// access reads alignment and offset.
func (r *reader) access(natural uint8) {
	align := r.u32()
	if align >= 64 {
		r.fail(Unsupported, "a memory index: a kernel has one memory")
	} else if align > uint32(natural) {
		r.fail(Malformed, "an alignment of 2^%d for an access of 2^%d bytes", align, natural)
	}
	r.u32()
}

func (r *reader) lane(n int) {
	if l := r.byte(); int(l) >= n {
		r.fail(Malformed, "lane %d of %d", l, n)
	}
}

// operands reads what follows the opcodes that have a name.
func (r *reader) operands(in *instruction) {
	const oneMemory = "a memory index: a kernel has one memory"
	switch in.op {
	case opBlock, opLoop, opIf:
		in.block = r.signed(33)
	case opBr, opBrIf, opCall, opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet, opTableGet, opTableSet, opRefFunc,
		opDataDrop, opElemDrop, opTableGrow, opTableSize, opTableFill:
		in.a = r.u32()
	case opCallIndirect, opTableInit, opTableCopy:
		in.a, in.b = r.u32(), r.u32()
	case opBrTable:
		for n := r.count("labels of a br_table", maxBranches); n >= 0 && r.err == nil; n-- {
			in.labels = append(in.labels, r.u32())
		}
	case opSelectTyped:
		if n := r.u32(); n != 1 {
			r.fail(Malformed, "a select of %d types", n)
		}
		in.typ = r.valueType()
	case opMemorySize, opMemoryGrow, opMemoryFill:
		r.zero(oneMemory)
	case opMemoryCopy:
		r.zero(oneMemory)
		r.zero(oneMemory)
	case opMemoryInit:
		in.a = r.u32()
		r.zero(oneMemory)
	case opI32Const:
		r.signed(32)
	case opI64Const:
		r.signed(64)
	case opF32Const:
		r.take(4)
	case opF64Const:
		r.take(8)
	case opV128Const:
		r.take(16)
	case opShuffle:
		for range 16 {
			r.lane(32)
		}
	case opRefNull:
		in.typ = r.referenceType()
	}
}

// valueType reads a value type.
func (r *reader) valueType() valueType {
	t := valueType(r.byte())
	if r.err == nil && !t.valid() {
		r.at--
		r.fail(Malformed, "value type %#x does not exist", byte(t))
	}
	return t
}

// referenceType reads funcref or externref.
func (r *reader) referenceType() valueType {
	t := valueType(r.byte())
	if r.err == nil && !t.reference() {
		r.at--
		r.fail(Malformed, "reference type %#x does not exist", byte(t))
	}
	return t
}
