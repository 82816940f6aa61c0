package module

import "strings"

// Value types, by their binary encoding. The zero value stands for the unknown
// type of an operand in unreachable code.
type valueType byte

const (
	unknown   valueType = 0
	i32       valueType = 0x7f
	i64       valueType = 0x7e
	f32       valueType = 0x7d
	f64       valueType = 0x7c
	v128      valueType = 0x7b
	funcref   valueType = 0x70
	externref valueType = 0x6f
)

func (t valueType) valid() bool {
	return t >= v128 && t <= i32 || t.reference()
}

func (t valueType) reference() bool { return t == funcref || t == externref }

var typeNames = map[valueType]string{
	unknown: "anything", i32: "i32", i64: "i64", f32: "f32", f64: "f64", v128: "v128", funcref: "funcref", externref: "externref",
}

func (t valueType) String() string { return typeNames[t] }

// form is what follows an opcode.
type form uint8

const (
	invalid  form = iota
	plain         // nothing
	special       // handled by name in instruction.go
	memory        // alignment and offset; arg is the largest alignment
	lane          // a lane number below arg
	memoryIn      // alignment, offset, lane of 16 bytes
)

// opcode is a row of the table: how an instruction reads, what it takes and
// gives, and its price.
type opcode struct {
	form        form
	arg         uint8
	price       uint16
	pops, pushs []valueType
}

// Opcodes that the code names. Those after a prefix byte are numbered from
// 0x100 (prefix 0xfc) and 0x200 (prefix 0xfd).
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2
	opMemoryInit   = 0x108
	opDataDrop     = 0x109
	opMemoryCopy   = 0x10a
	opMemoryFill   = 0x10b
	opTableInit    = 0x10c
	opElemDrop     = 0x10d
	opTableCopy    = 0x10e
	opTableGrow    = 0x10f
	opTableSize    = 0x110
	opTableFill    = 0x111
	opV128Const    = 0x20c
	opShuffle      = 0x20d
)

// Price table gas/1. One gas is about one cheap instruction, some 0.1 ns.
// Structure is free, everything else costs 1 but for what is here. Added to
// these: memory.copy, fill and init cost 1 for each 16 bytes, memory.grow 1024
// for each page, table.init, copy, fill and grow 1 for each entry, and a
// function's entry 1 for each 8 of its locals. In a module with strict NaNs an
// instruction that may make one costs strictPrice more.
var prices = map[int]uint16{
	opUnreachable: 0, opNop: 0, opBlock: 0, opLoop: 0, opElse: 0, opEnd: 0, opReturn: 0, opDrop: 0,
	opBrTable: 2, opCall: 4, opCallIndirect: 8, opTableGet: 4, opTableSet: 8, opRefFunc: 128,
	opMemoryGrow: 512, opMemoryInit: 32, opMemoryCopy: 16, opMemoryFill: 16, opDataDrop: 16,
	opTableInit: 64, opTableCopy: 64, opTableFill: 32, opTableGrow: 512, opElemDrop: 16,
	0x6d: 8, 0x6e: 8, 0x6f: 8, 0x70: 8, 0x7f: 12, 0x80: 12, 0x81: 12, 0x82: 12, // integer division
	0x91: 4, 0x95: 4, 0x9f: 6, 0xa3: 4, // square root, division
	0x2e3: 6, 0x2e7: 4, 0x2ef: 8, 0x2f3: 6, // the same in vectors
}

// signatures is the typed table: first opcode, last opcode, what is popped and
// pushed (i I f F v for i32 i64 f32 f64 v128). SIMD codes that are not listed
// do not exist.
const signatures = `
45 45 i:i  46 4f ii:i  50 50 I:i  51 5a II:i  5b 60 ff:i  61 66 FF:i  67 69 i:i  6a 78 ii:i  79 7b I:I  7c 8a II:I
8b 91 f:f  92 98 ff:f  99 9f F:F  a0 a6 FF:F  a7 a7 I:i  a8 a9 f:i  aa ab F:i  ac ad i:I  ae af f:I  b0 b1 F:I
b2 b3 i:f  b4 b5 I:f  b6 b6 F:f  b7 b8 i:F  b9 ba I:F  bb bb f:F  bc bc f:i  bd bd F:I  be be i:f  bf bf I:F  c0 c1 i:i  c2 c4 I:I
100 101 f:i  102 103 F:i  104 105 f:I  106 107 F:I
20e 20e vv:v  20f 211 i:v  212 212 I:v  213 213 f:v  214 214 F:v  223 24c vv:v  24d 24d v:v  24e 251 vv:v  252 252 vvv:v  253 253 v:i
25e 262 v:v  263 264 v:i  265 266 vv:v  267 26a v:v  26b 26d vi:v  26e 273 vv:v  274 275 v:v  276 279 vv:v  27a 27a v:v  27b 27b vv:v
27c 281 v:v  282 282 vv:v  283 284 v:i  285 286 vv:v  287 28a v:v  28b 28d vi:v  28e 293 vv:v  294 294 v:v  295 299 vv:v  29b 29f vv:v
2a0 2a1 v:v  2a3 2a4 v:i  2a7 2aa v:v  2ab 2ad vi:v  2ae 2ae vv:v  2b1 2b1 vv:v  2b5 2ba vv:v  2bc 2bf vv:v
2c0 2c1 v:v  2c3 2c4 v:i  2c7 2ca v:v  2cb 2cd vi:v  2ce 2ce vv:v  2d1 2d1 vv:v  2d5 2df vv:v
2e0 2e1 v:v  2e3 2e3 v:v  2e4 2eb vv:v  2ec 2ed v:v  2ef 2ef v:v  2f0 2f7 vv:v  2f8 2ff v:v`

// accesses lists loads and stores with their natural alignment (log2 bytes).
const accesses = `
28 28 i:i 2  29 29 i:I 3  2a 2a i:f 2  2b 2b i:F 3  2c 2d i:i 0  2e 2f i:i 1  30 31 i:I 0  32 33 i:I 1  34 35 i:I 2
36 36 ii: 2  37 37 iI: 3  38 38 if: 2  39 39 iF: 3  3a 3a ii: 0  3b 3b ii: 1  3c 3c iI: 0  3d 3d iI: 1  3e 3e iI: 2
200 200 i:v 4  201 206 i:v 3  207 207 i:v 0  208 208 i:v 1  209 209 i:v 2  20a 20a i:v 3  20b 20b iv: 4  25c 25c i:v 2  25d 25d i:v 3`

// lanes lists lane instructions with their number of lanes; laneAccesses loads
// and stores of one lane with their alignment, which gives the lanes too.
const (
	lanes = `
215 216 v:i 16  217 217 vi:v 16  218 219 v:i 8  21a 21a vi:v 8  21b 21b v:i 4  21c 21c vi:v 4
21d 21d v:I 2  21e 21e vI:v 2  21f 21f v:f 4  220 220 vf:v 4  221 221 v:F 2  222 222 vF:v 2`
	laneAccesses = `
254 254 iv:v 0  255 255 iv:v 1  256 256 iv:v 2  257 257 iv:v 3  258 258 iv: 0  259 259 iv: 1  25a 25a iv: 2  25b 25b iv: 3`
)

var opcodes = buildOpcodes()

func buildOpcodes() *[0x300]opcode {
	t := new([0x300]opcode)
	fill(t, plain, signatures, 3)
	fill(t, memory, accesses, 4)
	fill(t, lane, lanes, 4)
	fill(t, memoryIn, laneAccesses, 4)
	for _, span := range [][2]int{{0x00, 0x05}, {0x0b, 0x11}, {0x1a, 0x1c}, {0x20, 0x26}, {0x3f, 0x44}, {0xd0, 0xd2}, {0x108, 0x111}, {0x20c, 0x20d}} {
		for op := span[0]; op <= span[1]; op++ {
			t[op].form = special
		}
	}
	for op := range t {
		t[op].price = 1
		if price, ok := prices[op]; ok {
			t[op].price = price
		}
	}
	return t
}

// fill reads rows of the given number of words into the table.
func fill(t *[0x300]opcode, f form, rows string, words int) {
	letters := map[rune]valueType{'i': i32, 'I': i64, 'f': f32, 'F': f64, 'v': v128}
	types := func(s string) (list []valueType) {
		for _, c := range s {
			list = append(list, letters[c])
		}
		return list
	}
	fields := strings.Fields(rows)
	for ; len(fields) >= words; fields = fields[words:] {
		row := opcode{form: f}
		pops, pushs, _ := strings.Cut(fields[2], ":")
		row.pops, row.pushs = types(pops), types(pushs)
		if words == 4 {
			row.arg = uint8(number(fields[3], 10))
		}
		for op := number(fields[0], 16); op <= number(fields[1], 16); op++ {
			t[op] = row
		}
	}
}

// number reads a number of the tables above; a wrong one would show in every test.
func number(s string, base int) (n int) {
	for _, c := range s {
		n = n*base + strings.IndexRune("0123456789abcdef", c)
	}
	return n
}
