package module

import "slices"

// instruction reads, validates and prices one instruction.
func (c *checker) instruction() {
	in := c.r.instruction()
	if c.r.err != nil {
		return
	}
	row := &opcodes[in.op]
	c.pay(row.price)
	if _, makes := makesNaN[in.op]; makes && c.strict {
		c.pay(strictPrice)
	}
	if row.form != special {
		if (row.form == memory || row.form == memoryIn) && len(c.p.memory) == 0 {
			c.r.fail(Malformed, "a memory access without a memory")
		}
		c.popAll(row.pops)
		c.push(row.pushs...)
		return
	}
	switch {
	case in.op <= opReturn:
		c.control(in)
	case in.op <= opCallIndirect:
		c.call(in)
	case in.op <= opSelectTyped:
		c.parametric(in)
	case in.op <= opGlobalSet:
		c.variable(in)
	case in.op >= opMemoryInit && in.op <= opTableFill, in.op == opTableGet, in.op == opTableSet, in.op == opMemoryGrow, in.op == opMemorySize:
		c.bulk(in)
	default:
		c.constant(in)
	}
}

func (c *checker) control(in instruction) {
	switch in.op {
	case opUnreachable:
		c.unreachable()
	case opBlock, opLoop, opIf:
		typ := c.blockType(in)
		if in.op == opIf {
			c.pop(i32)
		}
		c.popAll(typ.params)
		if c.open(in.op, typ); in.op != opBlock {
			c.segment()
		}
	case opElse:
		if c.top().op != opIf {
			c.r.fail(Malformed, "an else without an if")
			return
		}
		f := c.shut()
		c.open(opElse, f.typ)
		c.segment()
	case opEnd:
		c.end()
	case opReturn:
		c.branches.add(c.r, 1)
		c.popAll(c.result)
		c.unreachable()
	case opBr, opBrIf, opBrTable:
		c.branch(in)
	}
}

func (c *checker) end() {
	f := c.shut()
	if f.op == opIf && !slices.Equal(f.typ.params, f.typ.results) {
		c.r.fail(Malformed, "an if without else whose parameters are not its results")
	}
	if len(c.frames) > 0 {
		c.push(f.typ.results...)
		c.segment()
	}
}

func (c *checker) branch(in instruction) {
	c.branches.add(c.r, 1)
	switch in.op {
	case opBr:
		c.popAll(c.label(in.a))
		c.unreachable()
	case opBrIf:
		c.pop(i32)
		types := c.label(in.a)
		c.popAll(types)
		c.push(types...)
		c.turn(in)
		c.segment()
	case opBrTable:
		c.pop(i32)
		c.carried.add(c.r, int64(len(in.labels)))
		last := c.label(in.labels[len(in.labels)-1])
		for _, l := range in.labels {
			types := c.label(l)
			if c.r.err == nil && len(types) != len(last) {
				c.r.fail(Malformed, "a br_table to blocks of %d and of %d values", len(types), len(last))
			}
			if c.r.err != nil {
				return
			}
			c.probe(types)
		}
		c.popAll(last)
		c.unreachable()
	}
}

// probe checks that the operands have the types, and leaves them.
func (c *checker) probe(types []valueType) {
	kept := c.stack
	c.popAll(types)
	c.stack = kept
}

func (c *checker) call(in instruction) {
	c.plan.calls = true
	c.leaves()
	var typ funcType
	switch {
	case in.op == opCall && int64(in.a) >= int64(len(c.p.funcs)):
		c.r.fail(Malformed, "a call of function %d, which does not exist (there are %d)", in.a, len(c.p.funcs))
		return
	case in.op == opCall:
		typ = c.p.types[c.p.funcs[in.a]]
	case int64(in.a) >= int64(len(c.p.types)):
		c.r.fail(Malformed, "a call by type %d, which does not exist", in.a)
		return
	case c.table(in.b) != funcref:
		c.r.fail(Malformed, "a call through table %d, which is not of functions", in.b)
		return
	default:
		c.branches.add(c.r, 1) // the engine branches on the checks
		c.pop(i32)
		typ = c.p.types[in.a]
	}
	c.passed.add(c.r, int64(typ.arity()))
	c.popAll(typ.params)
	c.push(typ.results...)
}

func (c *checker) parametric(in instruction) {
	switch in.op {
	case opDrop:
		c.pop(unknown)
	case opSelectTyped:
		c.popAll([]valueType{in.typ, in.typ, i32})
		c.push(in.typ)
	case opSelect:
		c.pop(i32)
		a := c.pop(unknown)
		b := c.pop(a)
		if a.reference() || b.reference() {
			c.r.fail(Malformed, "a select of references without a type")
		}
		c.push(b)
	}
}

func (c *checker) variable(in instruction) {
	if in.op == opGlobalGet || in.op == opGlobalSet {
		if int64(in.a) >= int64(len(c.p.globals)) {
			c.r.fail(Malformed, "global %d does not exist (there are %d)", in.a, len(c.p.globals))
			return
		}
		g := c.p.globals[in.a]
		if in.op == opGlobalGet {
			c.push(g.typ)
			return
		}
		if !g.mutable {
			c.r.fail(Malformed, "global %d is a constant", in.a)
		}
		c.pop(g.typ)
		return
	}
	if int64(in.a) >= int64(len(c.locals)) {
		c.r.fail(Malformed, "local %d does not exist (there are %d)", in.a, len(c.locals))
		return
	}
	t := c.locals[in.a]
	if in.op != opLocalGet {
		c.pop(t)
	}
	if in.op != opLocalSet {
		c.push(t)
	}
}

func (c *checker) constant(in instruction) {
	switch in.op {
	case opI32Const:
		c.push(i32)
	case opI64Const:
		c.push(i64)
	case opF32Const:
		c.push(f32)
	case opF64Const:
		c.push(f64)
	case opV128Const:
		c.push(v128)
	case opShuffle:
		c.popAll([]valueType{v128, v128})
		c.push(v128)
	case opRefNull:
		c.push(in.typ)
	case opRefIsNull:
		if t := c.pop(unknown); t != unknown && !t.reference() {
			c.r.fail(Malformed, "ref.is_null of %s", t)
		}
		c.push(i32)
	case opRefFunc:
		if !c.p.refs[in.a] || int64(in.a) >= int64(len(c.p.funcs)) {
			c.r.fail(Malformed, "a reference to function %d, which was not declared", in.a)
		}
		c.push(funcref)
	}
}
