package module

// allowedImports is the allow-list: "module.name" of each function that a
// kernel may import. It is empty in this version. What the injector adds
// (holo.yield, holo.grow) is not on it and must never be: a kernel that calls
// yield itself would give itself gas. A name that is added needs its test, by name, in
// imports_test.go.
var allowedImports = map[string]bool{}

func mayImport(im importItem) bool {
	return im.kind == kindFunc && allowedImports[im.module+"."+im.name]
}
