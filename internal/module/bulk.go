package module

// table is the type of a table's entries, and an error when there is none.
func (c *checker) table(i uint32) valueType {
	if int64(i) >= int64(len(c.p.tables)) {
		c.r.fail(Malformed, "table %d does not exist (there are %d)", i, len(c.p.tables))
		return unknown
	}
	return c.p.tables[i].typ
}

// bulk validates the instructions on whole memories, tables and segments.
// Those that pay by length may yield before they run.
func (c *checker) bulk(in instruction) {
	if paysByLength(in.op) {
		c.leaves()
		c.branches.add(c.r, bulkBranches)
	}
	if in.op == opMemoryGrow || in.op == opMemorySize || in.op >= opMemoryInit && in.op <= opMemoryFill && in.op != opDataDrop {
		if len(c.p.memory) == 0 {
			c.r.fail(Malformed, "a memory instruction without a memory")
			return
		}
	}
	three := []valueType{i32, i32, i32}
	switch in.op {
	case opMemorySize:
		c.push(i32)
	case opMemoryGrow:
		c.pop(i32)
		c.push(i32)
	case opMemoryInit:
		c.segmentIndex("data", in.a, c.p.ndata, c.p.counted)
		c.popAll(three)
	case opDataDrop:
		c.segmentIndex("data", in.a, c.p.ndata, c.p.counted)
	case opMemoryCopy, opMemoryFill:
		c.popAll(three)
	case opElemDrop:
		c.segmentIndex("element", in.a, len(c.p.elems), true)
	default:
		c.tableOp(in, three)
	}
}

func (c *checker) tableOp(in instruction, three []valueType) {
	switch in.op {
	case opTableGet:
		t := c.table(in.a)
		c.pop(i32)
		c.push(t)
	case opTableSet:
		c.popAll([]valueType{i32, c.table(in.a)})
	case opTableInit:
		c.segmentIndex("element", in.a, len(c.p.elems), true)
		if t := c.table(in.b); c.r.err == nil && t != c.p.elems[in.a] {
			c.r.fail(Malformed, "table.init of %s into a table of %s", c.p.elems[in.a], t)
		}
		c.popAll(three)
	case opTableCopy:
		if to, from := c.table(in.a), c.table(in.b); to != from {
			c.r.fail(Malformed, "table.copy of %s into a table of %s", from, to)
		}
		c.popAll(three)
	case opTableGrow:
		c.popAll([]valueType{c.table(in.a), i32})
		c.push(i32)
	case opTableSize:
		c.table(in.a)
		c.push(i32)
	case opTableFill:
		c.popAll([]valueType{i32, c.table(in.a), i32})
	}
}

func (c *checker) segmentIndex(what string, i uint32, n int, announced bool) {
	if !announced {
		c.r.fail(Malformed, "an instruction on data segments without a data count section")
	} else if int64(i) >= int64(n) {
		c.r.fail(Malformed, "%s segment %d does not exist (there are %d)", what, i, n)
	}
}

// paysByLength reports whether the instruction charges by its last operand,
// the length.
func paysByLength(op int) bool {
	switch op {
	case opMemoryGrow, opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
		return true
	}
	return false
}
