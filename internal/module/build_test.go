package module

// builder makes modules byte by byte, valid kernels unless a test wants
// otherwise: memory, holo_abi, holo_alloc and holo_map_f, whose body is code.
type builder struct {
	types   [][]byte
	imports [][]byte
	funcs   []byte   // type of each function
	bodies  [][]byte // locals and code, without the size
	tables  [][]byte
	memory  []byte
	globals [][]byte
	exports [][]byte
	start   []byte
	elems   [][]byte
	count   []byte
	datas   [][]byte
	extra   []byte // after the last section
}

const (
	noLocals = 0x00
	voidType = 3 // index of () -> () in kernel's types
)

// kernel is the smallest kernel; code is the body of holo_map_f(i32) i32
// without locals and end, and must leave an i32.
func kernel(code ...byte) *builder {
	b := &builder{
		types: [][]byte{
			{0x60, 1, byte(i32), 1, byte(i32)}, {0x60, 0, 1, byte(i32)}, {0x60, 2, byte(i32), byte(i32), 1, byte(i32)}, {0x60, 0, 0},
		},
		funcs:  []byte{1, 2, 0},
		memory: []byte{1, 0, 1},
		exports: [][]byte{
			exported("memory", kindMemory, 0), exported("holo_abi", kindFunc, 0), exported("holo_alloc", kindFunc, 1), exported("holo_map_f", kindFunc, 2),
		},
	}
	b.bodies = [][]byte{{noLocals, opI32Const, 1, opEnd}, {noLocals, opI32Const, 0, opEnd}, body(noLocals, code)}
	return b
}

// body puts locals and code together.
func body(locals byte, code []byte) []byte {
	return append(append([]byte{locals}, code...), opEnd)
}

// zero ends code that left nothing: it returns status 0.
func zero(code ...byte) []byte { return append(code, opI32Const, 0) }

func repeat(n int, code ...byte) (all []byte) {
	for range n {
		all = append(all, code...)
	}
	return all
}

func exported(name string, kind byte, index uint32) []byte {
	return appendU32(append(appendName(nil, name), kind), index)
}

func imported(mod, name string, kind byte, rest ...byte) []byte {
	return append(append(appendName(appendName(nil, mod), name), kind), rest...)
}

// add gives the module another function without a name.
func (b *builder) add(typ byte, bodyBytes []byte) *builder {
	b.funcs = append(b.funcs, typ)
	b.bodies = append(b.bodies, bodyBytes)
	return b
}

func vector(items [][]byte) []byte {
	v := appendU32(nil, uint32(len(items)))
	for _, i := range items {
		v = append(v, i...)
	}
	return v
}

func appendSection(out []byte, id byte, content []byte) []byte {
	out = appendU32(append(out, id), uint32(len(content)))
	return append(out, content...)
}

func (b *builder) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	bodies := make([][]byte, len(b.bodies))
	for i, code := range b.bodies {
		bodies[i] = append(appendU32(nil, uint32(len(code))), code...)
	}
	sections := []struct {
		id      byte
		there   bool
		content []byte
	}{
		{secType, len(b.types) > 0, vector(b.types)},
		{secImport, len(b.imports) > 0, vector(b.imports)},
		{secFunction, len(b.funcs) > 0, append(appendU32(nil, uint32(len(b.funcs))), b.funcs...)},
		{secTable, len(b.tables) > 0, vector(b.tables)},
		{secMemory, len(b.memory) > 0, b.memory},
		{secGlobal, len(b.globals) > 0, vector(b.globals)},
		{secExport, len(b.exports) > 0, vector(b.exports)},
		{secStart, len(b.start) > 0, b.start},
		{secElement, len(b.elems) > 0, vector(b.elems)},
		{secDataCount, len(b.count) > 0, b.count},
		{secCode, len(b.bodies) > 0, vector(bodies)},
		{secData, len(b.datas) > 0, vector(b.datas)},
	}
	for _, s := range sections {
		if s.there {
			out = appendSection(out, s.id, s.content)
		}
	}
	return append(out, b.extra...)
}
