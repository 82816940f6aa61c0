package module

import "slices"

// allowedImports is the allow-list: "module.name" of each function that a
// kernel may import, and its type. What the injector adds (holo.yield,
// holo.grow) is not on it and must never be: a kernel that calls yield itself
// would give itself gas. A name that is added needs its test, by name, in
// imports_test.go.
var allowedImports = map[string]funcType{
	// log takes a text for people. It gives nothing back, so that nothing a
	// kernel computes can depend on what became of it.
	HostModule + "." + HostLog: {params: []valueType{i32, i32}},
	// read, write and len reach what the handles of a task stand for; in any other
	// kernel no handle is known.
	HostModule + "." + HostRead:   {params: []valueType{i32, i64, i32, i32}, results: []valueType{i32}},
	HostModule + "." + HostWrite:  {params: []valueType{i32, i64, i32, i32}, results: []valueType{i32}},
	HostModule + "." + HostLength: {params: []valueType{i32}, results: []valueType{i64}},
}

func (p *parsed) mayImport(im importItem) bool {
	t, ok := allowedImports[im.module+"."+im.name]
	return ok && im.kind == kindFunc && p.types[p.funcs[im.function]].equal(t)
}

// hostCalls names what the module imports, which is on the list, each once, sorted.
func (p *parsed) hostCalls() []string {
	names := make([]string, len(p.imports))
	for i, im := range p.imports {
		names[i] = im.name
	}
	slices.Sort(names)
	return slices.Compact(names)
}
