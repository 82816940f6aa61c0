package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels/std"
)

// modules keeps the bytes of modules on disk, by their hash. Nothing is
// believed of a file but what its hash proves, each time it is read.
type modules struct{ dir string }

func newModules(dir string) *modules { return &modules{dir} }

func (m *modules) path(id holo.ModuleID) string { return filepath.Join(m.dir, id.Hex()+".wasm") }

// read gives a module's bytes: those of a standard kernel from this program.
// A file that is not what its name says is removed and counts as missing:
// another node has the right one.
func (m *modules) read(id holo.ModuleID) ([]byte, error) {
	if s, ok := std.Find(id); ok {
		return s.Wasm, nil
	}
	b, err := identity.ReadPublic(m.path(id), api.MaxModule)
	if err != nil {
		return nil, err
	}
	if module.ID(b) != id {
		os.Remove(m.path(id))
		return nil, holo.Refuse(holo.Corrupt, reasonModuleHash, "read module %s: the file does not have its hash", id)
	}
	return b, nil
}

func (m *modules) write(b []byte) error {
	if err := identity.PrepareDir(m.dir); err != nil {
		return err
	}
	return identity.WritePublic(m.path(module.ID(b)), b)
}

// moduleBytes gives a module's bytes, fetching them from the other nodes when
// this one has none, or none that are good.
func (n *Node) moduleBytes(ctx context.Context, id holo.ModuleID) ([]byte, error) {
	b, err := n.modules.read(id)
	if err == nil {
		return b, nil
	}
	if holo.KindOf(err) == holo.Corrupt {
		n.refusals.addErr(err)
		n.log.Warn("module file refused", "error", err)
	}
	last := holo.Refuse(holo.Unavailable, reasonUnreachable, "fetch module %s: no node has it", id)
	for _, peer := range n.members.ids() {
		if peer == n.self {
			continue
		}
		if b, err = n.fetchModule(ctx, peer, id); err == nil {
			return b, n.modules.write(b)
		}
		n.refuseCorrupt(peer, err)
		last = holo.Refuse(holo.Unavailable, reasonUnreachable, "fetch module %s: %w", id, err)
	}
	return nil, last
}

// fetchModule asks one node, and believes the hash alone.
func (n *Node) fetchModule(ctx context.Context, peer holo.NodeID, id holo.ModuleID) ([]byte, error) {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	var b []byte
	err := n.call(ctx, peer, transport.Data, &wire.ModuleRead{Module: id}, func(m wire.Message) (bool, error) {
		c, ok := m.(*wire.ModuleChunk)
		if !ok || c.Total > api.MaxModule || len(c.Bytes) == 0 || uint64(len(b)+len(c.Bytes)) > c.Total {
			return true, n.unexpected(peer, m)
		}
		b = append(b, c.Bytes...)
		return uint64(len(b)) == c.Total, nil
	})
	if err == nil && module.ID(b) != id {
		err = holo.Refuse(holo.Corrupt, reasonModuleHash, "module %s from node %s does not have its hash", id, peer)
	}
	return b, err
}

// serveModule streams a module that this node has.
func (n *Node) serveModule(_ context.Context, r *request) error {
	b, err := n.modules.read(r.msg.(*wire.ModuleRead).Module)
	if err != nil {
		return err
	}
	total := uint64(len(b))
	for len(b) > 0 {
		k := min(len(b), wire.ChunkSize)
		if err := r.answer(&wire.ModuleChunk{Total: total, Bytes: b[:k]}); err != nil {
			return err
		}
		b = b[k:]
	}
	return nil
}

// serveOffer fetches a module that a peer wants this node to keep a copy of.
// The catalogue need not know it yet; its hash does.
func (n *Node) serveOffer(ctx context.Context, r *request) error {
	id := r.msg.(*wire.ModuleOffer).Module
	if _, err := n.modules.read(id); err != nil {
		b, err := n.fetchModule(ctx, r.from, id)
		if err != nil {
			return err
		}
		if _, err := module.Admit(b); err != nil {
			return err
		}
		if err := n.modules.write(b); err != nil {
			return err
		}
	}
	return r.answer(&wire.ModuleChunk{})
}

// PushKernel admits a module, keeps it here and on the other nodes that answer,
// and has the catalogue give it a name. What the client signed must be so.
func (n *Node) PushKernel(ctx context.Context, c door.Caller, q *holov1.PushKernelRequest) (*holov1.Kernel, error) {
	m, err := module.Admit(c.Attached)
	if err != nil {
		return nil, err
	}
	if string(q.GetModule()) != string(m.ID[:]) || !slices.Equal(q.GetFunctions(), m.Names()) {
		return nil, holo.Errorf(holo.Invalid, "push kernel %s: the module %s has the functions %v, and not what was signed", q.GetName(), m.ID, m.Names())
	}
	if err := n.modules.write(c.Attached); err != nil {
		return nil, err
	}
	n.offer(ctx, m.ID)
	rec, err := proposeFor[*wire.KernelRecord](ctx, n, n.asked(c))
	if err != nil {
		return nil, err
	}
	return kernelOut(rec), nil
}

// offer has the other nodes fetch a module, so that it outlives this one. Who
// offersAtOnce is how many nodes are offered a module at a time.
const offersAtOnce = 8

// does not answer now fetches it when a task needs it.
func (n *Node) offer(ctx context.Context, id holo.ModuleID) {
	ids := n.members.ids()
	wait.Parallel(ctx, len(ids), offersAtOnce, func(ctx context.Context, i int) error {
		if ids[i] == n.self {
			return nil
		}
		ctx, cancel := within(ctx, attemptDeadline)
		defer cancel()
		if _, err := n.ask(ctx, ids[i], transport.Data, &wire.ModuleOffer{Module: id}); err != nil {
			n.log.Info("module not copied", "peer", ids[i].String(), "error", err)
		}
		return nil
	})
}

// GetKernel finds a kernel by its name or its module's hash.
func (n *Node) GetKernel(ctx context.Context, _ door.Caller, name string) (*holov1.Kernel, error) {
	k, err := n.kernel(ctx, name)
	if err != nil {
		return nil, err
	}
	return kernelOut(k), nil
}

// kernel finds a kernel by its name or its module's hash. Standard kernels come
// first: whatever the catalogue holds, nothing takes their place.
func (n *Node) kernel(ctx context.Context, name string) (*wire.KernelRecord, error) {
	if k, ok := standardKernel(name); ok {
		return k, nil
	}
	id, err := holo.ParseModuleID(name)
	if err != nil {
		return queryOne[*wire.KernelRecord](ctx, n, wire.CatalogQuery{What: wire.QueryKernelByName, Name: name})
	}
	all, err := queryAll[*wire.KernelRecord](ctx, n, wire.CatalogQuery{What: wire.QueryKernels})
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if k.Module == id {
			return k, nil
		}
	}
	return nil, holo.Errorf(holo.NotFound, "there is no kernel of module %s", id)
}

// ListKernels lists the kernels by name, the standard ones last.
func (n *Node) ListKernels(ctx context.Context, _ door.Caller) ([]*holov1.Kernel, error) {
	all, err := queryAll[*wire.KernelRecord](ctx, n, wire.CatalogQuery{What: wire.QueryKernels})
	if err != nil {
		return nil, err
	}
	all = append(all, standardKernels()...)
	out := make([]*holov1.Kernel, len(all))
	for i, k := range all {
		out[i] = kernelOut(k)
	}
	return out, nil
}

func kernelOut(k *wire.KernelRecord) *holov1.Kernel {
	return &holov1.Kernel{Name: k.Name, Module: k.Module.Hex(), Size: k.Size, Functions: k.Functions}
}
