package holocompute

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of records.
const (
	MaxRecord = 60 << 10 // bytes of one
	// DefaultLanes is how many lanes a buffer has unless it is told otherwise.
	DefaultLanes = 8
	// DefaultLaneBytes is what a lane takes: 2 MiB.
	DefaultLaneBytes = 32 * holo.PageSize

	maxBatchRecords = 1024
	maxBatchBytes   = 62 << 10
	// longPoll is how long a node is asked to wait at a time.
	longPoll = 5 * time.Second

	reasonFull = "buffer_full"
	reasonGone = "producer_forgotten"
	reasonOver = "handout_over"
)

// BufferOptions say how large a buffer is. The zero value asks for 8 lanes of
// 2 MiB.
type BufferOptions struct {
	Lanes     int    // 1 to 256; each lies on its own, so that many are spread over the nodes
	LaneBytes uint64 // whole pages, 256 KiB to 4 MiB; two pages of a lane hold no records
	Copies    int    // 1 to 3 nodes that hold each lane; 0: the cluster's default
}

// Buffer is a queue of records in the cluster's memory. Many producers append to
// it and many consumers take from it: each record that was appended is there
// once and is consumed once, through retries and the death of nodes, and records
// of one producer come in their order. Between records of different producers
// there is no order. A buffer is bounded: where it is full, producers wait.
type Buffer struct{ raw *Raw }

// CreateBuffer makes an empty buffer. Its name is one of an array.
func (c *Cluster) CreateBuffer(ctx context.Context, name string, o BufferOptions) (*Buffer, error) {
	if o.Copies < 0 || o.Copies > holo.MaxClass || o.Lanes < 0 || o.Lanes > holo.ShardCount {
		return nil, holo.Errorf(Invalid, "create buffer %s: %d lanes in %d copies, want 1 to %d in 1 to %d", name, o.Lanes, o.Copies, holo.ShardCount, holo.MaxClass)
	}
	if o.Lanes == 0 {
		o.Lanes = DefaultLanes
	}
	if o.LaneBytes == 0 {
		o.LaneBytes = DefaultLaneBytes
	}
	req := &holov1.CreateArrayRequest{
		Name: name, Type: U8.String(), Length: uint64(o.Lanes) * o.LaneBytes, ExtentElements: o.LaneBytes, Copies: uint32(o.Copies), Buffer: true,
	}
	a, err := change(ctx, c.client, "create buffer "+name, holov1connect.ArrayServiceCreateProcedure, c.arrays.Create, req)
	if err != nil {
		return nil, err
	}
	return c.bufferOf(a)
}

// OpenBuffer finds a buffer by its name, or by "#" and its ID.
func (c *Cluster) OpenBuffer(ctx context.Context, name string) (*Buffer, error) {
	a, err := read(ctx, c.client, "open buffer "+name, c.arrays.Get, &holov1.GetArrayRequest{Name: name})
	if err != nil {
		return nil, err
	}
	return c.bufferOf(a)
}

func (c *Cluster) bufferOf(a *holov1.Array) (*Buffer, error) {
	raw, err := c.raw(a)
	if err == nil && !raw.info.Buffer {
		err = holo.Errorf(Invalid, "open buffer %s: it is an array", raw.info.Name)
	}
	if err != nil {
		return nil, err
	}
	return &Buffer{raw}, nil
}

// Info describes the buffer as an array.
func (b *Buffer) Info() ArrayInfo { return b.raw.info }

// Delete removes the buffer and what is in it, and tells the bytes freed.
func (b *Buffer) Delete(ctx context.Context) (freed uint64, err error) { return b.raw.Delete(ctx) }

// Lane is how one lane of a buffer is.
type Lane struct {
	Appended  uint64 `json:"appended"`   // records, ever
	Consumed  uint64 `json:"consumed"`   // records, ever
	HandedOut uint64 `json:"handed_out"` // records that a consumer has and has not committed
	Bytes     uint64 `json:"bytes"`      // what is there, with 28 bytes for each record
	Capacity  uint64 `json:"capacity"`
	State     string `json:"state"` // ok, or why it does not answer
}

// Lanes tells how full the buffer is.
func (b *Buffer) Lanes(ctx context.Context) ([]Lane, error) {
	m, err := read(ctx, b.raw.c.client, "look at buffer "+b.raw.info.Name, b.raw.c.buffers.Stat, &holov1.StatBufferRequest{Array: b.raw.info.ID})
	var list []Lane
	for _, l := range m.GetLanes() {
		list = append(list, Lane{l.GetAppended(), l.GetConsumed(), l.GetHandedOut(), l.GetBytes(), l.GetCapacity(), l.GetState()})
	}
	return list, err
}

func (b *Buffer) what(format string, args ...any) string {
	return fmt.Sprintf(format, args...) + " buffer " + b.raw.info.Name
}

// drawn is a number that names a producer or a consumer: never 0.
func drawn() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: the runtime stops the process instead
	return binary.LittleEndian.Uint64(b[:]) | 1<<63
}
