package module

// plan is what validation learns about a function and the injector needs, in
// the order of the code.
type plan struct {
	costs []int64 // of each straight-line segment
	tight []bool  // of each loop: no loop and nothing that may leave the code inside it
	turns []span  // of each loop: its turn, if it is one straight line
	calls bool    // the function can call
}

// frame is an open block. The first is the function itself.
type frame struct {
	op          int // opBlock for the function
	typ         funcType
	height      int  // of the operand stack below the block
	unreachable bool // the rest of the block is never reached
	dead        bool // nor is the block itself
	loop        int  // the innermost loop that the frame is or lies in, -1 if none
	body        int  // position of its first instruction
	segment     int  // that begins with it, of a loop
}

// span is code from one position to another; none where both are 0.
type span struct{ from, to int }

// label are the types that a branch to the frame carries.
func (f *frame) label() []valueType {
	if f.op == opLoop {
		return f.typ.params
	}
	return f.typ.results
}

// checker validates one function by the algorithm of the specification's
// appendix: a stack of operand types and a stack of frames.
type checker struct {
	p      *parsed
	r      *reader
	result []valueType
	locals []valueType
	stack  []valueType
	frames []frame
	plan   plan
	strict bool // NaNs are made canonical, and paid for

	deepest                   int // operand stack
	branches, carried, passed counter
}

// check validates the function whose body is at r, which it leaves at the end.
func (p *parsed) check(r *reader, typ funcType) (*checker, error) {
	c := &checker{
		p: p, r: r, result: typ.results, strict: p.strict(),
		branches: counter{max: maxBranches, what: "blocks and branches of a function"},
		carried:  counter{max: maxCarried, what: "values over blocks and branches of a function"},
		passed:   counter{max: maxPassed, what: "values passed by the calls of a function"},
	}
	c.readLocals(typ.params)
	c.plan.costs = []int64{int64(len(c.locals) / 8)}
	c.frames = []frame{{op: opBlock, typ: funcType{nil, typ.results}, loop: -1}}
	for len(c.frames) > 0 && r.more() {
		c.instruction()
	}
	if len(c.frames) > 0 {
		r.fail(Malformed, "a function that does not end")
	}
	width := int64(len(c.locals)+c.deepest) * c.branches.n
	if width > maxWidth {
		r.fail(TooLarge, "%d locals and %d operands with %d blocks and branches in a function: product above %d", len(c.locals), c.deepest, c.branches.n, maxWidth)
	}
	p.totals.locals.add(r, int64(len(c.locals)))
	p.totals.width.add(r, width)
	p.totals.work.add(r, c.branches.n*c.branches.n)
	p.totals.values.add(r, c.carried.n+c.passed.n)
	return c, r.done("a function")
}

// totals are the limits on all functions together.
type totals struct{ locals, width, work, values counter }

func newTotals() totals {
	return totals{
		locals: counter{max: maxTotalLocals, what: "locals of all functions"},
		width:  counter{max: maxTotalWidth, what: "locals and operands times branches, over all functions"},
		work:   counter{max: maxTotalWork, what: "square of blocks and branches, over all functions"},
		values: counter{max: maxTotalValues, what: "values over blocks and calls of all functions"},
	}
}

func (c *checker) readLocals(params []valueType) {
	c.locals = append(c.locals, params...)
	total := counter{n: int64(len(params)), max: maxLocals, what: "locals of a function"}
	for groups := c.r.u32(); groups > 0 && c.r.err == nil; groups-- {
		n := c.r.u32()
		total.add(c.r, int64(n))
		t := c.r.valueType()
		for ; n > 0 && c.r.err == nil; n-- {
			c.locals = append(c.locals, t)
		}
	}
}

func (c *checker) top() *frame { return &c.frames[len(c.frames)-1] }

// pay adds to the cost of the current segment; code that cannot be reached is free.
func (c *checker) pay(price uint16) {
	if f := c.top(); !f.unreachable && !f.dead {
		c.plan.costs[len(c.plan.costs)-1] += int64(price)
	}
}

// segment begins a new straight line.
func (c *checker) segment() { c.plan.costs = append(c.plan.costs, 0) }

// leaves notes an instruction that may call, or an inner loop: the loop around
// it is not tight. Those further out are not since that loop was opened.
func (c *checker) leaves() {
	if l := c.top().loop; l >= 0 {
		c.plan.tight[l] = false
	}
}

func (c *checker) push(types ...valueType) {
	c.stack = append(c.stack, types...)
	c.deepest = max(c.deepest, len(c.stack))
	if len(c.stack) > maxStack {
		c.r.fail(TooLarge, "more than %d operands in a function", maxStack)
	}
}

// pop takes one operand, of the wanted type unless that is unknown.
func (c *checker) pop(want valueType) valueType {
	f := c.top()
	if len(c.stack) == f.height {
		if !f.unreachable {
			c.r.fail(Malformed, "an operand of %s is missing", want)
		}
		return want
	}
	have := c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
	if have != want && have != unknown && want != unknown {
		c.r.fail(Malformed, "an operand of %s where %s is wanted", have, want)
	}
	if have == unknown {
		return want
	}
	return have
}

func (c *checker) popAll(types []valueType) {
	for i := len(types) - 1; i >= 0 && c.r.err == nil; i-- {
		c.pop(types[i])
	}
}

// unreachable marks the rest of the block as never reached.
func (c *checker) unreachable() {
	f := c.top()
	c.stack = c.stack[:f.height]
	f.unreachable = true
}

func (c *checker) open(op int, typ funcType) {
	if len(c.frames) > maxNesting {
		c.r.fail(TooLarge, "blocks nested deeper than %d", maxNesting)
		return
	}
	c.branches.add(c.r, 1)
	c.carried.add(c.r, int64(typ.arity()))
	around := c.top()
	f := frame{op: op, typ: typ, height: len(c.stack), dead: around.dead || around.unreachable, loop: around.loop, body: c.r.at, segment: len(c.plan.costs)}
	if op == opLoop {
		c.branches.add(c.r, 1) // a tight one becomes two
		c.leaves()
		f.loop = len(c.plan.tight)
		c.plan.tight = append(c.plan.tight, true)
		c.plan.turns = append(c.plan.turns, span{})
	}
	c.frames = append(c.frames, f)
	c.push(typ.params...)
}

func (c *checker) shut() frame {
	f := *c.top()
	c.popAll(f.typ.results)
	if c.r.err == nil && len(c.stack) != f.height {
		c.r.fail(Malformed, "%d operands too many at the end of a block", len(c.stack)-f.height)
	}
	c.frames = c.frames[:len(c.frames)-1]
	return f
}

// blockType finds the type of a block, loop or if.
func (c *checker) blockType(in instruction) funcType {
	if in.block >= 0 {
		if in.block >= int64(len(c.p.types)) {
			c.r.fail(Malformed, "a block of type %d, which does not exist", in.block)
			return funcType{}
		}
		return c.p.types[in.block]
	}
	if in.block == -64 {
		return funcType{}
	}
	t := valueType(in.block & 0x7f)
	if in.block < -64 || !t.valid() {
		c.r.fail(Malformed, "a block of type %d", in.block)
		return funcType{}
	}
	return funcType{nil, []valueType{t}}
}

// label finds the types that a branch carries.
func (c *checker) label(l uint32) []valueType {
	if int64(l) >= int64(len(c.frames)) {
		c.r.fail(Malformed, "a branch to block %d of %d", l, len(c.frames))
		return nil
	}
	types := c.frames[len(c.frames)-1-int(l)].label()
	c.carried.add(c.r, int64(len(types)))
	return types
}
