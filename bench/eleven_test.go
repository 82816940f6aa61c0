package bench_test

import (
	_ "embed"
	"encoding/binary"
	"math"
	"math/bits"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

//go:embed testdata/measure.wasm
var measureWasm []byte

// eleven is a kernel of BenchmarkElevenKernels: over 4 MiB of each input, in
// blocks of 1 MiB. Go does it over one block, whose pages it is given.
type eleven struct {
	name   string
	wasm   []byte
	kind   module.Kind
	in     []holo.ElementType
	out    holo.ElementType // of a map
	acc    int              // bytes, of a reduction
	params []byte
	data   func(column, i int) uint64
	rounds int
	goes   func(k *eleven, acc []byte, out [][]byte, in [][][]byte)
}

// BenchmarkElevenKernels is metered kernels on streamed blocks of 1 MiB, copies
// included, against the same loops in plain Go over the same pages: the eleven
// kinds of work of research/wasm, section 2, of which half wait for memory. Last
// is the geometric mean of the ratios of processor time.
func BenchmarkElevenKernels(b *testing.B) {
	product, runs := 1.0, 0
	for _, k := range elevenKernels() {
		b.Run(k.name, func(b *testing.B) {
			product, runs = product*k.compare(b), runs+1
		})
	}
	if runs > 0 {
		b.Run("mean", func(b *testing.B) {
			for b.Loop() {
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(math.Pow(product, 1/float64(runs)), "cpu-ratio")
		})
	}
}

func (k *eleven) compare(b *testing.B) float64 {
	var in [][][]byte
	for c, t := range k.in {
		in = append(in, pages(func(i int) uint64 { return k.data(c, i) }, int(t.Size())))
	}
	goes, theirs := pages(zero, 8), pages(zero, 8)
	goesAcc, call := make([]byte, k.acc), k.call()
	s := stream(b, k.wasm)
	cost := bench.Compare(b, k.rounds, (len(in)+1)*extentBytes, func(n int) {
		for range n {
			clear(goesAcc)
			for at := 0; at < len(goes); at += blockPages {
				k.goes(k, goesAcc, goes[at:at+blockPages], blocks(in, at))
			}
		}
	}, func(n int) {
		for range n {
			clear(call.Acc)
			s.run(k.kind, call, in, theirs)
		}
	})
	if string(goesAcc) != string(call.Acc) {
		b.Fatal("the accumulators of kernel and Go differ")
	}
	for i := range goes {
		if k.kind == module.Map && string(goes[i]) != string(theirs[i]) {
			b.Fatalf("page %d: kernel and Go differ", i)
		}
	}
	return cost.Ratio()
}

func (k *eleven) call() sandbox.Call {
	n := blockPages * holo.PageSize / int(k.in[0].Size())
	c := sandbox.Call{Function: k.name, N: uint32(n), Acc: make([]byte, k.acc), Params: k.params}
	for _, t := range k.in {
		c.Inputs = append(c.Inputs, views(t, n)...)
	}
	if k.kind == module.Map {
		c.Outputs = views(k.out, n)
	}
	return c
}

// blocks is one block of each column.
func blocks(in [][][]byte, at int) (list [][][]byte) {
	for _, column := range in {
		list = append(list, column[at:at+blockPages])
	}
	return list
}

const (
	dims, centroids = 8, 16
	width           = 512 // elements of f32 in a row of a picture or a matrix
)

// row is a row of a block of f32: each page has 32.
func row(block [][]byte, i int) []float32 {
	const per = holo.PageSize / 4 / width
	return elements[float32](block[i/per])[i%per*width:][:width]
}

func elevenKernels() []*eleven {
	f32, f64, u32, u64 := holo.F32, holo.F64, holo.U32, holo.U64
	number := func(_, i int) uint64 { return math.Float64bits(float64(i%1000) - 400) }
	single := func(c, i int) uint64 { return uint64(math.Float32bits(float32((i*7+c*13)%1000)/100 - 4)) }
	word := func(_, i int) uint64 { return uint64(i) * 0x9e3779b97f4a7c15 >> 20 }
	var centres []byte
	for i := range centroids * dims {
		centres = binary.LittleEndian.AppendUint32(centres, math.Float32bits(float32(i*37%100)/10-5))
	}
	list := []*eleven{
		{name: "add", wasm: kernels.Get("basic"), kind: module.Map, in: []holo.ElementType{f32, f32}, out: f32, data: single, rounds: 8, goes: func(_ *eleven, _ []byte, out [][]byte, in [][][]byte) { addGo[float32](out, in[0], in[1]) }},
		{name: "sum", kind: module.Reduce, in: []holo.ElementType{f64}, acc: 8, data: number, rounds: 8, goes: sumGo},
		{name: "lanes", kind: module.Reduce, in: []holo.ElementType{f64}, acc: 64, data: number, rounds: 8, goes: lanesGo},
		{name: "squares", kind: module.Reduce, in: []holo.ElementType{f32}, acc: 32, data: single, rounds: 8, goes: squaresGo},
		{name: "counts", kind: module.Reduce, in: []holo.ElementType{holo.U8}, acc: 4096, data: word, rounds: 4, goes: countsGo},
		{name: "mix", kind: module.Reduce, in: []holo.ElementType{u32}, acc: 64, data: word, rounds: 2, goes: mixGo},
		{name: "nearest", kind: module.Map, in: []holo.ElementType{f32}, out: u32, params: centres, data: single, rounds: 1, goes: nearestGo},
		{name: "mandelbrot", kind: module.Map, in: []holo.ElementType{f64, f64}, out: u64, data: point, rounds: 1, goes: mandelbrotGo},
		{name: "blur", kind: module.Map, in: []holo.ElementType{f32}, out: f32, data: single, rounds: 4, goes: blurGo},
		{name: "product", kind: module.Map, in: []holo.ElementType{f32, f32}, out: f32, data: single, rounds: 1, goes: productGo},
		{name: "call", kind: module.Map, in: []holo.ElementType{f32, f32, f32}, out: f32, data: option, rounds: 1, goes: callGo},
	}
	for _, k := range list {
		if k.wasm == nil {
			k.wasm = measureWasm
		}
	}
	return list
}

func sumGo(_ *eleven, acc []byte, _ [][]byte, in [][][]byte) {
	sum := &elements[float64](acc)[0]
	for _, p := range in[0] {
		for _, x := range elements[float64](p) {
			*sum += x
		}
	}
}

func lanesGo(_ *eleven, acc []byte, _ [][]byte, in [][][]byte) {
	sum := elements[float64](acc)
	var s [8]float64
	copy(s[:], sum)
	for _, p := range in[0] {
		for a := elements[float64](p); len(a) >= 8; a = a[8:] {
			s[0], s[1], s[2], s[3] = s[0]+a[0], s[1]+a[1], s[2]+a[2], s[3]+a[3]
			s[4], s[5], s[6], s[7] = s[4]+a[4], s[5]+a[5], s[6]+a[6], s[7]+a[7]
		}
	}
	copy(sum, s[:])
}

func squaresGo(_ *eleven, acc []byte, _ [][]byte, in [][][]byte) {
	sum := elements[float32](acc)
	var s [8]float32
	copy(s[:], sum)
	for _, p := range in[0] {
		for a := elements[float32](p); len(a) >= 8; a = a[8:] {
			s[0], s[1], s[2], s[3] = s[0]+float32(a[0]*a[0]), s[1]+float32(a[1]*a[1]), s[2]+float32(a[2]*a[2]), s[3]+float32(a[3]*a[3])
			s[4], s[5], s[6], s[7] = s[4]+float32(a[4]*a[4]), s[5]+float32(a[5]*a[5]), s[6]+float32(a[6]*a[6]), s[7]+float32(a[7]*a[7])
		}
	}
	copy(sum, s[:])
}

func countsGo(_ *eleven, acc []byte, _ [][]byte, in [][][]byte) {
	turn := elements[[256]uint32](acc)
	t0, t1, t2, t3 := &turn[0], &turn[1], &turn[2], &turn[3]
	for _, p := range in[0] {
		for ; len(p) >= 4; p = p[4:] {
			t0[p[0]]++
			t1[p[1]]++
			t2[p[2]]++
			t3[p[3]]++
		}
	}
}

func mixGo(_ *eleven, acc []byte, _ [][]byte, in [][][]byte) {
	state := (*[16]uint32)(elements[uint32](acc))
	for _, p := range in[0] {
		for a := elements[uint32](p); len(a) >= 16; a = a[16:] {
			s := *state
			for k := range s {
				s[k] ^= a[k]
			}
			for range 20 {
				for k := range 4 {
					s[k] += s[k+4]
					s[k+12] = bits.RotateLeft32(s[k+12]^s[k], 16)
					s[k+8] += s[k+12]
					s[k+4] = bits.RotateLeft32(s[k+4]^s[k+8], 12)
				}
				s[4], s[5], s[6], s[7] = s[5], s[6], s[7], s[4]
			}
			for k := range s {
				state[k] += s[k]
			}
		}
	}
}

func nearestGo(k *eleven, _ []byte, out [][]byte, in [][][]byte) {
	centres := elements[[dims]float32](k.params)
	for i, p := range in[0] {
		to := elements[[dims]uint32](out[i])
		for r, a := range elements[[dims]float32](p) {
			least := float32(0)
			for c := range centres {
				sum := float32(0)
				for j := range dims {
					x := a[j] - centres[c][j]
					sum += float32(x * x)
				}
				if c == 0 || sum < least {
					least, to[r][0] = sum, uint32(c)
				}
			}
		}
	}
}

// point is one of the plane in which the set lies: of the first column the real
// part.
func point(column, i int) uint64 {
	if column == 0 {
		return math.Float64bits(float64(i%width)/width*3 - 2)
	}
	return math.Float64bits(float64(i/width)/float64(extentBytes/8/width)*2 - 1)
}

func mandelbrotGo(_ *eleven, _ []byte, out [][]byte, in [][][]byte) {
	for i := range out {
		to, re, im := elements[uint64](out[i]), elements[float64](in[0][i]), elements[float64](in[1][i])
		for j := range to {
			x, y, turns := 0.0, 0.0, uint64(0)
			for ; turns < 256 && float64(x*x)+float64(y*y) <= 4; turns++ {
				x, y = float64(x*x)-float64(y*y)+re[j], float64(2*x*y)+im[j]
			}
			to[j] = turns
		}
	}
}

func blurGo(_ *eleven, _ []byte, out [][]byte, in [][][]byte) {
	const rows = blockPages * holo.PageSize / 4 / width
	for i := range rows {
		to, here := row(out, i), row(in[0], i)
		if i == 0 || i == rows-1 {
			copy(to, here)
			continue
		}
		up, down := row(in[0], i-1), row(in[0], i+1)
		to[0], to[width-1] = here[0], here[width-1]
		for j := 1; j < width-1; j++ {
			above := up[j-1] + up[j] + up[j+1]
			level := here[j-1] + here[j] + here[j+1]
			below := down[j-1] + down[j] + down[j+1]
			to[j] = (above + level + below) * float32(1.0/9)
		}
	}
}

func productGo(_ *eleven, _ []byte, out [][]byte, in [][][]byte) {
	for i := range width {
		to, a := row(out, i), row(in[0], i)
		clear(to)
		for k, x := range a {
			for j, y := range row(in[1], k) {
				to[j] += float32(x * y)
			}
		}
	}
}

// option is one of prices, strikes and years.
func option(column, i int) uint64 {
	return uint64(math.Float32bits([]float32{80 + float32(i%400)/10, 100 + float32(i%70)/10, 0.25 + float32(i%30)/10}[column]))
}

func power2(x float32) float32 {
	whole := float32(int32(x+1000)) - 1000
	part := x - whole
	y := float32(0.0018775767) * part
	for _, c := range [...]float32{0.008989340, 0.055826318, 0.24015361, 0.69315308} {
		y = float32((y + c) * part)
	}
	return float32((y + 0.99999994) * math.Float32frombits(uint32(int32(whole)+127)<<23))
}

func log2(x float32) float32 {
	b := math.Float32bits(x)
	power, m := float32(int32(b>>23)-127), math.Float32frombits(b&0x7fffff|0x3f800000)
	y := float32(-0.03432 * m)
	for _, c := range [...]float32{0.31821337, -1.2315303, 2.5988452, -3.324199} {
		y = float32((y + c) * m)
	}
	return power + float32((y+3.1157899)*(m-1))
}

func normal(x float32) float32 {
	k := 1 / (1 + float32(0.2316419*max(x, -x)))
	tail := float32(1.330274429 * k)
	for _, c := range [...]float32{-1.821255978, 1.781477937, -0.356563782, 0.319381530} {
		tail = float32((tail + c) * k)
	}
	tail = float32(tail * float32(0.3989423*power2(float32(float32(x*x)*-0.72134752))))
	if x < 0 {
		return tail
	}
	return 1 - tail
}

func callGo(_ *eleven, _ []byte, out [][]byte, in [][][]byte) {
	for i := range out {
		to, price, strike, years := elements[float32](out[i]), elements[float32](in[0][i]), elements[float32](in[1][i]), elements[float32](in[2][i])
		for j := range to {
			t := years[j]
			deviation := 0.3 * float32(math.Sqrt(float64(t)))
			at := (float32(0.69314718*log2(price[j]/strike[j])) + float32(0.065*t)) / deviation
			worth := float32(strike[j] * power2(float32(t*-0.028853901)))
			to[j] = float32(price[j]*normal(at)) - float32(worth*normal(at-deviation))
		}
	}
}
