package holocompute

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/module"
)

// Kernel is a WebAssembly module that the cluster has admitted.
type Kernel struct {
	Name      string   `json:"name"`
	Module    string   `json:"module"` // SHA-256, hexadecimal
	Size      uint64   `json:"size"`
	Functions []string `json:"functions"` // map_scale, red_by_hour, comb_by_hour ...
}

func kernelOf(k *holov1.Kernel) Kernel {
	return Kernel{Name: k.GetName(), Module: k.GetModule(), Size: k.GetSize(), Functions: append([]string{}, k.GetFunctions()...)}
}

// PushKernel hands a module to the cluster under a name. The module is
// validated, metered and stored; it runs only when a job asks for it.
func (c *Cluster) PushKernel(ctx context.Context, name string, wasm []byte) (Kernel, error) {
	id := module.ID(wasm)
	req := &holov1.PushKernelRequest{Name: name, Module: id[:], Size: uint64(len(wasm))}
	if m, err := module.Admit(wasm); err == nil { // else the node says what is wrong
		req.Functions = m.Names()
	}
	k, err := changeWith(ctx, c.client, "push kernel "+name, holov1connect.KernelServicePushProcedure, c.kernels.Push, req, wasm)
	return kernelOf(k), err
}

// Kernel finds a kernel by its name or its module's hash.
func (c *Cluster) Kernel(ctx context.Context, name string) (Kernel, error) {
	k, err := read(ctx, c.client, "show kernel "+name, c.kernels.Get, &holov1.GetKernelRequest{Name: name})
	return kernelOf(k), err
}

// Kernels lists all kernels.
func (c *Cluster) Kernels(ctx context.Context) ([]Kernel, error) {
	l, err := read(ctx, c.client, "list kernels", c.kernels.List, &holov1.ListKernelsRequest{})
	if err != nil {
		return nil, err
	}
	ks := make([]Kernel, len(l.GetKernels()))
	for i, k := range l.GetKernels() {
		ks[i] = kernelOf(k)
	}
	return ks, nil
}
