package module

// A loop whose turn is one straight line, ending with a branch back to its head,
// and which stays below these limits, is unrolled: one test of the gas and one
// charge for four turns.
//
//	loop { if gas < 0 { gas = yield(gas) }
//	  loop {
//	    block {
//	      if gas >= 4c { block { block { block {
//	        turn; br_if 0 (done); turn; br_if 1 (done); turn; br_if 2 (done)
//	        gas -= 4c; turn; br_if head; br out
//	      } gas -= c; br out } gas -= 2c; br out } gas -= 3c; br out }
//	      br_if outer (gas < 0); gas -= c; turn; br_if head
//	    }
//	    what follows the turns } }
//
// Gas is the same at every place where anybody sees it. With 4c or more left no
// test in four turns would have found it below zero; with less, turns go one by
// one, and stop where they would have. A trap inside a turn shows what was in the
// global before the loop either way.
const (
	turnsAtOnce    = 4
	maxTurn        = 512 // bytes
	maxUnrolled    = 32  // loops of a function
	maxAllUnrolled = 256 // of a module
	// Unrolling adds 12 branches to a loop. Where compiling is most at risk, in
	// functions of many branches, nothing is unrolled: the limits on the work of
	// compilation hold without it, and 256 loops add less than a twentieth.
	maxBranchesUnrolled = 512
)

// turn notes that the loop that a conditional branch belongs to is one straight
// line up to here, if it is: nothing was opened, closed or left, and no operand
// is kept.
func (c *checker) turn(in instruction) {
	f := c.top()
	straight := f.op == opLoop && in.a == 0 && f.segment == len(c.plan.costs)-1 && !f.unreachable && !f.dead
	if straight && len(f.typ.params) == 0 && len(c.stack) == f.height && c.plan.tight[f.loop] {
		c.plan.turns[f.loop] = span{f.body, in.at}
	}
}

func (in *injector) mayUnroll(turn span) bool {
	return turn.to > turn.from && turn.to-turn.from <= maxTurn && in.branches <= maxBranchesUnrolled &&
		in.unrolled < maxUnrolled && in.e.unrolled < maxAllUnrolled
}

// unroll writes a loop's turns, and leaves the reader behind its branch.
func (in *injector) unroll(r *reader, turn span) {
	in.unrolled++
	in.e.unrolled++
	cost, head := in.cost(), in.depth
	in.openBlock(opBlock, blockEmpty)
	out := in.depth
	in.getGas()
	in.constant(opI64Const, turnsAtOnce*cost)
	in.emit(opI64GeS)
	in.openBlock(opIf, blockEmpty)
	in.severalTurns(r, turn, cost, head, out)
	in.closeBlock()
	in.empty()
	in.branchTo(opBrIf, head-1)
	in.take(cost)
	in.copyTurn(r, turn)
	in.branchTo(opBrIf, head)
	in.closeBlock()
	r.instruction() // the branch
	in.charge()
}

func (in *injector) severalTurns(r *reader, turn span, cost int64, head, out int) {
	for range turnsAtOnce - 1 {
		in.openBlock(opBlock, blockEmpty)
	}
	for done := range uint32(turnsAtOnce - 1) {
		in.copyTurn(r, turn)
		in.emit(opI32Eqz)
		in.emitU32(opBrIf, done)
	}
	in.take(turnsAtOnce * cost)
	in.copyTurn(r, turn)
	in.branchTo(opBrIf, head)
	in.branchTo(opBr, out)
	for turns := range int64(turnsAtOnce - 1) {
		in.closeBlock()
		in.take((turns + 1) * cost)
		in.branchTo(opBr, out)
	}
}

// branchTo branches to a label at a depth of the output.
func (in *injector) branchTo(op byte, depth int) { in.emitU32(op, uint32(in.depth-depth)) }

func (in *injector) copyTurn(r *reader, turn span) {
	for r.at = turn.from; r.at < turn.to; {
		in.instruction(r, r.instruction())
	}
}
