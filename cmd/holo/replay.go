package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/receipt"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// source is where the modules and pages for another run come from. What it
// gives is checked: a module by its hash, pages by the root in the receipt.
type source struct {
	c       *holocompute.Cluster
	modules map[holo.ModuleID]*module.Module
	arrays  map[holo.ArrayID]*holocompute.Raw
}

// again runs a task, and gives what its receipt should say and its accumulator.
func (s *source) again(ctx context.Context, pool *workers.Pool, t receipt.Task) (wire.Receipt, []byte, error) {
	m, err := s.module(ctx, t.Run.Module)
	if err != nil {
		return wire.Receipt{}, nil, err
	}
	if t.Run.Kind == wire.TaskGeneral {
		return s.general(ctx, pool, m, t.Run)
	}
	inputs, around := make([][]jobs.Page, len(t.Run.Inputs)), make([]jobs.Around, len(t.Run.Inputs))
	for i, in := range t.Run.Inputs {
		if inputs[i], err = s.pages(ctx, t.Run, in); err != nil {
			return wire.Receipt{}, nil, err
		}
		around[i], err = jobs.ReadAround(t.Run, in.Type, func(first uint64, b []byte) error { return s.arrays[in.Array].ReadBytes(ctx, first, b) })
		if err != nil {
			return wire.Receipt{}, nil, err
		}
	}
	return jobs.Replay(ctx, pool, m, t.Run, inputs, around)
}

// general runs a general task again, which asks for what it reads.
func (s *source) general(ctx context.Context, pool *workers.Pool, m *module.Module, t *wire.RunTask) (wire.Receipt, []byte, error) {
	inputs := make([]jobs.Elements, len(t.Inputs))
	for i, in := range t.Inputs {
		raw, err := s.array(ctx, in)
		if err != nil {
			return wire.Receipt{}, nil, err
		}
		inputs[i] = jobs.Elements{Length: raw.Len(), Read: raw.ReadBytes}
	}
	r, err := jobs.ReplayGeneral(ctx, pool, m, t, inputs)
	return r, nil, err
}

// array opens an input, once.
func (s *source) array(ctx context.Context, in wire.TaskArray) (*holocompute.Raw, error) {
	raw, ok := s.arrays[in.Array]
	if !ok {
		var err error
		if raw, err = s.c.OpenRaw(ctx, fmt.Sprintf("#%d", in.Array)); err != nil {
			return nil, err
		}
		s.arrays[in.Array] = raw
	}
	if raw.Type() != in.Type {
		return nil, holo.Errorf(holo.Corrupt, "verify: array #%d is of %s, its receipt says %s", in.Array, raw.Type(), in.Type)
	}
	return raw, nil
}

func (s *source) module(ctx context.Context, id holo.ModuleID) (*module.Module, error) {
	if m, ok := s.modules[id]; ok {
		return m, nil
	}
	wasm, err := s.c.KernelBytes(ctx, id.Hex())
	if err != nil {
		return nil, err
	}
	if got := module.ID(wasm); got != id {
		return nil, holo.Refuse(holo.Corrupt, "bad_module_hash", "verify: kernel %s came as bytes that hash to %s", id, got)
	}
	m, err := module.Admit(wasm)
	if err == nil {
		s.modules[id] = m
	}
	return m, err
}

func (s *source) pages(ctx context.Context, t *wire.RunTask, in wire.TaskArray) ([]jobs.Page, error) {
	raw, err := s.array(ctx, in)
	if err != nil {
		return nil, err
	}
	if raw.Len() != t.Length {
		return nil, holo.Errorf(holo.Corrupt, "verify: array #%d has %d elements, its receipt says %d", in.Array, raw.Len(), t.Length)
	}
	used := t.Count * in.Type.Size()
	b := make([]byte, (used+holo.PageSize-1)/holo.PageSize*holo.PageSize)
	if err := raw.ReadBytes(ctx, t.First, b[:used]); err != nil {
		return nil, err
	}
	var pages []jobs.Page
	for p := range slices.Chunk(b, holo.PageSize) {
		pages = append(pages, jobs.Page{Kind: wire.PageData, Data: p})
	}
	return pages, nil
}
