package module

// meter validates all functions and writes the module anew, metered.
func (p *parsed) meter() ([]byte, error) {
	e := &encoder{p: p, types: append([]funcType(nil), p.types...)}
	e.yieldType = e.typeIndex(funcType{[]valueType{i64}, []valueType{i64}})
	e.growType = e.typeIndex(funcType{[]valueType{i32}, []valueType{i32}})
	code := appendU32(nil, uint32(len(p.bodies)))
	for i, body := range p.bodies {
		typ := p.types[p.funcs[p.nimport+i]]
		again := *body
		c, err := p.check(body, typ)
		if err != nil {
			return nil, err
		}
		metered := e.function(&again, c)
		code = appendU32(code, uint32(len(metered)))
		code = append(code, metered...)
	}
	return e.module(code), nil
}

// injector rewrites one valid function. The gas left is in a local; it goes to
// the global before anything that leaves the function and comes back after.
//
//	function: gas := global; if gas < 0 { gas = yield(gas) }; depth--; block { body }; global = gas; depth++
//	loop:     loop { if gas < 0 { gas = yield(gas) }; charge; body }
//	tight:    loop { if gas < 0 { gas = yield(gas) }; loop { br_if 1 (gas < 0); charge; body } }
//	straight: unroll.go
//
// A tight loop, innermost and without calls, gets a second loop around it, so
// that its own code holds no call: a call in it, though never taken, would
// cost registers on every turn. It leaves for the outer head when the slice is
// used up and comes back with all its state, which is in locals and parameters.
type injector struct {
	e    *encoder
	plan *plan
	out  []byte

	gas, tmp uint32 // locals
	strict   bool   // every NaN is made canonical: three locals more
	segments int    // met so far
	loops    int
	unrolled int   // loops
	branches int64 // of the original
	labels   []int // for each open block of the original, the depth of its label in the output
	depth    int   // of the output
}

func (e *encoder) function(r *reader, c *checker) []byte {
	in := &injector{e: e, plan: &c.plan, gas: uint32(len(c.locals)), strict: c.strict, branches: c.branches.n}
	in.tmp = in.gas + 1
	var locals []byte
	groups := r.u32()
	from := r.at
	for n := groups; n > 0; n-- {
		r.u32()
		r.valueType()
	}
	more := []byte{1, byte(i64), 1, byte(i32)}
	if in.strict {
		more = append(more, strictLocals...)
	}
	locals = appendU32(locals, groups+uint32(len(more)/2))
	locals = append(locals, r.b[from:r.at]...)
	in.out = append(locals, more...)
	in.enter(c.result)
	for len(in.labels) > 0 {
		in.instruction(r, r.instruction())
	}
	in.leave()
	return in.out
}

func (in *injector) emit(b ...byte)               { in.out = append(in.out, b...) }
func (in *injector) emitU32(op byte, v uint32)    { in.out = appendU32(append(in.out, op), v) }
func (in *injector) getGas()                      { in.emitU32(opLocalGet, in.gas) }
func (in *injector) setGas()                      { in.emitU32(opLocalSet, in.gas) }
func (in *injector) constant(op byte, v int64)    { in.out = appendSigned(append(in.out, op), v) }
func (in *injector) flush()                       { in.getGas(); in.emitU32(opGlobalSet, in.e.gasGlobal()) }
func (in *injector) reload()                      { in.emitU32(opGlobalGet, in.e.gasGlobal()); in.setGas() }
func (in *injector) openBlock(op byte, t ...byte) { in.emit(append([]byte{op}, t...)...); in.depth++ }
func (in *injector) closeBlock()                  { in.emit(opEnd); in.depth-- }

// Opcodes that only the injected code uses.
const (
	opI32LtS    = 0x48
	opI64LtS    = 0x53
	opI64GeS    = 0x59
	opI32Eqz    = 0x45
	opI32Add    = 0x6a
	opI32Sub    = 0x6b
	opI64Sub    = 0x7d
	opI64Mul    = 0x7e
	opI64ShrU   = 0x88
	opExtendU   = 0xad // i64.extend_i32_u
	blockEmpty  = 0x40
	bytesPerGas = 4    // log2: 16 bytes of a bulk operation
	gasPerPage  = 1024 // of memory.grow
)

// enter writes the prologue and the first segment's charge.
func (in *injector) enter(results []valueType) {
	in.reload()
	in.yieldIfEmpty()
	if in.plan.calls {
		in.emitU32(opGlobalGet, in.e.depthGlobal())
		in.constant(opI32Const, 1)
		in.emit(opI32Sub)
		in.emitU32(opLocalTee, in.tmp)
		in.emitU32(opGlobalSet, in.e.depthGlobal())
		in.emitU32(opLocalGet, in.tmp)
		in.constant(opI32Const, 0)
		in.emit(opI32LtS, opIf, blockEmpty)
		in.flush()
		in.emit(opUnreachable, opEnd)
	}
	in.openBlock(opBlock, in.e.resultType(results)...)
	in.labels = []int{in.depth}
	in.charge()
}

// leave writes the epilogue; all ways out of the body end before it.
func (in *injector) leave() {
	in.flush()
	if in.plan.calls {
		in.emitU32(opGlobalGet, in.e.depthGlobal())
		in.constant(opI32Const, 1)
		in.emit(opI32Add)
		in.emitU32(opGlobalSet, in.e.depthGlobal())
	}
	in.emit(opEnd)
}

// charge takes the cost of the segment that begins here.
func (in *injector) charge() { in.take(in.cost()) }

// cost is that of the next segment.
func (in *injector) cost() int64 {
	in.segments++
	return in.plan.costs[in.segments-1]
}

func (in *injector) take(cost int64) {
	if cost == 0 {
		return
	}
	in.getGas()
	in.constant(opI64Const, cost)
	in.emit(opI64Sub)
	in.setGas()
}

// empty pushes whether the slice is used up.
func (in *injector) empty() {
	in.getGas()
	in.constant(opI64Const, 0)
	in.emit(opI64LtS)
}

func (in *injector) yieldIfEmpty() {
	in.empty()
	in.emit(opIf, blockEmpty)
	in.getGas()
	in.emitU32(opCall, in.e.yield())
	in.setGas()
	in.emit(opEnd)
}

// branch is the depth in the output of a label of the original.
func (in *injector) branch(l uint32) uint32 {
	return uint32(in.depth - in.labels[len(in.labels)-1-int(l)])
}

func (in *injector) instruction(r *reader, i instruction) {
	raw := r.b[i.at:r.at]
	switch i.op {
	case opBlock, opIf:
		in.openBlock(raw[0], raw[1:]...)
		in.labels = append(in.labels, in.depth)
		if i.op == opIf {
			in.charge()
		}
	case opLoop:
		in.loop(r, raw)
	case opElse:
		in.emit(raw...)
		in.charge()
	case opEnd:
		in.end()
	case opBr, opBrIf:
		in.emitU32(raw[0], in.branch(i.a))
		if i.op == opBrIf {
			in.charge()
		}
	case opBrTable:
		in.emitU32(opBrTable, uint32(len(i.labels)-1))
		for _, l := range i.labels {
			in.out = appendU32(in.out, in.branch(l))
		}
	case opReturn:
		in.emitU32(opBr, in.branch(uint32(len(in.labels)-1)))
	case opUnreachable:
		in.flush()
		in.emit(opUnreachable)
	case opCall, opCallIndirect:
		in.call(i, raw)
	case opRefFunc:
		in.emitU32(opRefFunc, in.e.p.renumber(i.a))
	default:
		in.bulk(i.op, raw)
	}
}

func (in *injector) loop(r *reader, raw []byte) {
	tight, turn := in.plan.tight[in.loops], in.plan.turns[in.loops]
	in.loops++
	in.openBlock(raw[0], raw[1:]...)
	in.yieldIfEmpty()
	if tight {
		in.openBlock(raw[0], raw[1:]...)
	}
	in.labels = append(in.labels, in.depth)
	if tight && in.mayUnroll(turn) {
		in.unroll(r, turn)
		return
	}
	if tight {
		in.empty()
		in.emitU32(opBrIf, 1)
	}
	in.charge()
}

// end closes a block of the original and what was opened around it.
func (in *injector) end() {
	around := 0
	if n := len(in.labels); n > 1 {
		around = in.labels[n-2]
	}
	for in.depth > around {
		in.closeBlock()
	}
	in.labels = in.labels[:len(in.labels)-1]
	if len(in.labels) > 0 {
		in.charge()
	}
}

func (in *injector) call(i instruction, raw []byte) {
	in.flush()
	if i.op == opCall {
		in.emitU32(opCall, in.e.p.renumber(i.a))
	} else {
		in.emit(raw...)
	}
	in.reload()
}

// bulk copies an instruction; one that pays by its length pays first.
func (in *injector) bulk(op int, raw []byte) {
	if paysByLength(op) {
		in.payByLength(op)
	}
	if op == opMemoryGrow {
		in.flush()
		in.emitU32(opCall, in.e.grow())
		return
	}
	in.emit(raw...)
	in.canonical(op)
}

func (in *injector) payByLength(op int) {
	in.emitU32(opLocalTee, in.tmp)
	in.getGas()
	in.emitU32(opLocalGet, in.tmp)
	in.emit(opExtendU)
	switch op {
	case opMemoryGrow:
		in.constant(opI64Const, gasPerPage)
		in.emit(opI64Mul)
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		in.constant(opI64Const, bytesPerGas)
		in.emit(opI64ShrU)
	}
	in.emit(opI64Sub)
	in.setGas()
	in.yieldIfEmpty()
}
