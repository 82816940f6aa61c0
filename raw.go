package holocompute

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// ElementType is the type of an array's elements.
type ElementType = holo.ElementType

// The element types.
const (
	I8  = holo.I8
	I16 = holo.I16
	I32 = holo.I32
	I64 = holo.I64
	U8  = holo.U8
	U16 = holo.U16
	U32 = holo.U32
	U64 = holo.U64
	F32 = holo.F32
	F64 = holo.F64
)

// ParseElementType reads "i16", "f64", ...
func ParseElementType(s string) (ElementType, error) { return holo.ParseElementType(s) }

// ArrayOptions say what an array is besides its name, type and length. The
// zero value asks for the cluster's defaults.
type ArrayOptions struct {
	Extent   uint64 // elements that lie together; a whole number of pages
	Copies   int    // 1 to 3 nodes that hold each page
	Affinity string // arrays of one affinity and extent lie together, element by element; "": by itself
}

// Raw is an array whose element type is known only when the program runs: its
// elements are bytes, little endian. Array is the typed one.
type Raw struct {
	c    *Cluster
	typ  ElementType
	info ArrayInfo
}

// CreateRaw makes an array. It holds zeros.
func (c *Cluster) CreateRaw(ctx context.Context, name string, t ElementType, length uint64, o ArrayOptions) (*Raw, error) {
	if o.Copies < 0 || o.Copies > holo.MaxClass {
		return nil, holo.Errorf(Invalid, "create array %s: %d copies, want 1 to %d", name, o.Copies, holo.MaxClass)
	}
	req := &holov1.CreateArrayRequest{
		Name: name, Type: t.String(), Length: length, ExtentElements: o.Extent, Copies: uint32(o.Copies), Affinity: o.Affinity,
	}
	a, err := change(ctx, c.client, "create array "+name, holov1connect.ArrayServiceCreateProcedure, c.arrays.Create, req)
	if err != nil {
		return nil, err
	}
	return c.raw(a)
}

// OpenRaw finds an array by its name, or by "#" and its ID.
func (c *Cluster) OpenRaw(ctx context.Context, name string) (*Raw, error) {
	a, err := read(ctx, c.client, "open array "+name, c.arrays.Get, &holov1.GetArrayRequest{Name: name})
	if err != nil {
		return nil, err
	}
	return c.raw(a)
}

func (c *Cluster) raw(a *holov1.Array) (*Raw, error) {
	info := arrayInfoOf(a)
	t, err := typeOf(info)
	if err != nil {
		return nil, err
	}
	return &Raw{c: c, typ: t, info: info}, nil
}

// Arrays lists all arrays.
func (c *Cluster) Arrays(ctx context.Context) ([]ArrayInfo, error) {
	l, err := read(ctx, c.client, "list arrays", c.arrays.List, &holov1.ListArraysRequest{})
	if err != nil {
		return nil, err
	}
	infos := make([]ArrayInfo, len(l.GetArrays()))
	for i, a := range l.GetArrays() {
		infos[i] = arrayInfoOf(a)
	}
	return infos, nil
}

// Info describes the array as it was when it was opened, created or sealed.
func (r *Raw) Info() ArrayInfo { return r.info }

// ID is the array's number.
func (r *Raw) ID() uint64 { return r.info.ID }

// Type is the type of the elements.
func (r *Raw) Type() ElementType { return r.typ }

// Len is the number of elements.
func (r *Raw) Len() uint64 { return r.info.Length }

// Fill sets count elements from first to one value, given as its bytes.
func (r *Raw) Fill(ctx context.Context, first, count uint64, value []byte) error {
	req := &holov1.FillRequest{Array: r.info.ID, First: first, Count: count, Value: value}
	_, err := change(ctx, r.c.client, "fill array "+r.info.Name, holov1connect.ArrayServiceFillProcedure, r.c.arrays.Fill, req)
	return err
}

// Seal makes the array immutable for ever; then any copy may serve it, and its
// root says what it holds.
func (r *Raw) Seal(ctx context.Context) error {
	req := &holov1.SealRequest{Array: r.info.ID}
	a, err := change(ctx, r.c.client, "seal array "+r.info.Name, holov1connect.ArrayServiceSealProcedure, r.c.arrays.Seal, req)
	if err == nil {
		r.info = arrayInfoOf(a)
	}
	return err
}

// Delete removes the array and what it holds, and tells the bytes freed.
func (r *Raw) Delete(ctx context.Context) (freed uint64, err error) {
	req := &holov1.DeleteRequest{Array: r.info.ID}
	d, err := change(ctx, r.c.client, "delete array "+r.info.Name, holov1connect.ArrayServiceDeleteProcedure, r.c.arrays.Delete, req)
	return d.GetFreedBytes(), err
}

// Pages tells where the array lies.
func (r *Raw) Pages(ctx context.Context) ([]ExtentInfo, error) {
	p, err := read(ctx, r.c.client, "show pages of array "+r.info.Name, r.c.arrays.Pages, &holov1.PagesRequest{Array: r.info.ID})
	return extentsOf(p.GetExtents()), err
}

// WriteBytes writes whole elements from element first on. It goes in pieces of
// at most 4 MiB, each of which is written whole or, when it is refused, not at
// all.
func (r *Raw) WriteBytes(ctx context.Context, first uint64, b []byte) error {
	size := r.typ.Size()
	if uint64(len(b))%size != 0 {
		return holo.Errorf(Invalid, "write array %s: %d bytes are not whole %s elements", r.info.Name, len(b), r.typ)
	}
	if err := r.inside("write", first, uint64(len(b))/size); err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), api.MaxUpload)
		if err := r.put(ctx, first, b[:n], holo.Token{}); err != nil {
			return err
		}
		first += uint64(n) / size
		b = b[n:]
	}
	return nil
}

func (r *Raw) inside(what string, first, count uint64) error {
	if first > r.info.Length || count > r.info.Length-first {
		return holo.Errorf(Invalid, "%s array %s: elements %d to %d of %d", what, r.info.Name, first, first+count, r.info.Length)
	}
	return nil
}

// put writes one piece, under a write lease if there is one.
func (r *Raw) put(ctx context.Context, first uint64, b []byte, under holo.Token) error {
	what := fmt.Sprintf("write array %s", r.info.Name)
	path := api.DataPath(holo.ArrayID(r.info.ID), first, uint64(len(b))/r.typ.Size())
	if under.Lease != 0 {
		path = api.LeasedPath(path, under)
	}
	sum := sha256.Sum256(b)
	return r.c.client.persist(ctx, func(session []byte) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, host+path, bytes.NewReader(b))
		if err != nil {
			return holo.Errorf(Internal, "%s: %w", what, err)
		}
		sig := r.c.client.signer.Sign(api.RequestProof("PUT "+path, session, sum))
		req.Header.Set(api.SessionHeader, api.EncodeSession(session))
		req.Header.Set(api.DigestHeader, api.EncodeDigest(sum))
		req.Header.Set(api.SignatureHeader, api.EncodeSignature(sig))
		resp, err := r.c.client.writes.Do(req)
		if err != nil {
			return received(ctx, what, true, err)
		}
		defer resp.Body.Close()
		return answered(what, true, resp, http.StatusNoContent)
	})
}

// answered reads the error of a bulk call, if it is one.
func answered(what string, change bool, resp *http.Response, want int) error {
	if resp.StatusCode == want {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		text = nil
	}
	var body struct{ Message string }
	if json.Unmarshal(text, &body) != nil || body.Message == "" {
		body.Message = strings.TrimSpace(resp.Status)
	}
	return receivedHTTP(what, change, resp.Header, body.Message)
}

// ReadBytes fills dst with whole elements from element first on.
func (r *Raw) ReadBytes(ctx context.Context, first uint64, dst []byte) error {
	size := r.typ.Size()
	if uint64(len(dst))%size != 0 {
		return holo.Errorf(Invalid, "read array %s: %d bytes are not whole %s elements", r.info.Name, len(dst), r.typ)
	}
	if err := r.inside("read", first, uint64(len(dst))/size); err != nil {
		return err
	}
	for len(dst) > 0 {
		n := min(len(dst), api.MaxUpload)
		if err := r.get(ctx, first, dst[:n]); err != nil {
			return err
		}
		first += uint64(n) / size
		dst = dst[n:]
	}
	return nil
}

// get reads one piece. A node that fails in the middle can only cut the
// connection; then the piece is asked for again.
func (r *Raw) get(ctx context.Context, first uint64, dst []byte) error {
	what := fmt.Sprintf("read array %s", r.info.Name)
	path := api.DataPath(holo.ArrayID(r.info.ID), first, uint64(len(dst))/r.typ.Size())
	return r.c.client.persist(ctx, func(session []byte) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, host+path, nil)
		if err != nil {
			return holo.Errorf(Internal, "%s: %w", what, err)
		}
		req.Header.Set(api.SessionHeader, api.EncodeSession(session))
		resp, err := r.c.client.reads.Do(req)
		if err != nil {
			return received(ctx, what, false, err)
		}
		defer resp.Body.Close()
		if err := answered(what, false, resp, http.StatusOK); err != nil {
			return err
		}
		if _, err := io.ReadFull(resp.Body, dst); err != nil {
			return received(ctx, what, false, err)
		}
		return nil
	})
}
