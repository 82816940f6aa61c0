package module

// StrictNaN is the export, a function () -> () that nobody calls, by which a
// module asks that every NaN that its code makes is the canonical one: positive,
// quiet, without payload. Without it only float outputs are made so, by the host, and
// a kernel that looks at the bits of a NaN sees what its processor made. A module that
// asks pays for it: strictPrice more for each instruction that may make a NaN.
const StrictNaN = "holo_strict_nan"

const strictPrice = 4

// makesNaN is the type of what an instruction leaves that may make a NaN out of
// numbers, or change the bits of one: arithmetic, rounding and conversion between floats.
// What moves bits (abs, neg, copysign, pmin, pmax, loads) is not among them.
var makesNaN = buildMakesNaN()

// nanLanes tells vectors of four floats from vectors of two.
type nanLanes struct {
	typ  valueType
	wide bool // f64x2
}

func buildMakesNaN() map[int]nanLanes {
	m := map[int]nanLanes{0xb6: {typ: f32}, 0xbb: {typ: f64}, 0x25e: {typ: v128}, 0x25f: {v128, true}}
	for _, r := range []struct {
		first, last int
		is          nanLanes
	}{
		{0x8d, 0x97, nanLanes{typ: f32}}, {0x9b, 0xa5, nanLanes{typ: f64}},
		{0x267, 0x26a, nanLanes{typ: v128}}, {0x2e3, 0x2e9, nanLanes{typ: v128}},
		{0x274, 0x275, nanLanes{v128, true}}, {0x27a, 0x27a, nanLanes{v128, true}}, {0x294, 0x294, nanLanes{v128, true}}, {0x2ef, 0x2f5, nanLanes{v128, true}},
	} {
		for op := r.first; op <= r.last; op++ {
			m[op] = r.is
		}
	}
	return m
}

// strict reports whether the module asks for it.
func (p *parsed) strict() bool {
	for _, e := range p.exports {
		if e.name == StrictNaN {
			return true
		}
	}
	return false
}

// Opcodes of the injected code. Those of vectors follow the prefix 0xfd.
const (
	opF32Eq     = 0x5b
	opF64Eq     = 0x61
	opVector    = 0xfd
	vectorConst = 0x0c
	f32x4Eq     = 0x41
	f64x2Eq     = 0x47
	bitselect   = 0x52
)

var (
	canonical32 = []byte{0, 0, 0xc0, 0x7f}
	canonical64 = []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}
)

// strictLocals are what canonical keeps a value in: one of each type, from first on.
var strictLocals = []byte{1, byte(f32), 1, byte(f64), 1, byte(v128)}

// canonical replaces the value that an instruction left by the canonical NaN if it is not
// equal to itself.
func (in *injector) canonical(op int) {
	is, makes := makesNaN[op]
	if !makes || !in.strict {
		return
	}
	local := in.tmp + 1
	switch is.typ {
	case f64:
		local++
	case v128:
		local += 2
	}
	in.emitU32(opLocalTee, local)
	in.canonicalConstant(is)
	in.emitU32(opLocalGet, local)
	in.emitU32(opLocalGet, local)
	switch {
	case is.typ == f32:
		in.emit(opF32Eq, opSelect)
	case is.typ == f64:
		in.emit(opF64Eq, opSelect)
	case is.wide:
		in.emit(opVector, f64x2Eq, opVector, bitselect)
	default:
		in.emit(opVector, f32x4Eq, opVector, bitselect)
	}
}

func (in *injector) canonicalConstant(is nanLanes) {
	switch {
	case is.typ == f32:
		in.emit(append([]byte{opF32Const}, canonical32...)...)
	case is.typ == f64:
		in.emit(append([]byte{opF64Const}, canonical64...)...)
	case is.wide:
		in.emit(append(append([]byte{opVector, vectorConst}, canonical64...), canonical64...)...)
	default:
		in.emit(opVector, vectorConst)
		for range 4 {
			in.emit(canonical32...)
		}
	}
}
