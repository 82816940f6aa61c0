package door

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// heldBytes bounds the bodies of PUTs that are held at once, and the chunks of
	// GETs, and eachBytes those of one principal: it takes four to keep others out.
	heldBytes, eachBytes = 32 << 20, 8 << 20
	// width is the number of chunks of one call in flight.
	width = 4
)

// bulk serves /v1/arrays/{id}/data: element bytes, without protobuf.
type bulk struct {
	b     Arrays
	gate  *gate
	up    *budget
	down  *budget
	chunk chan []byte // buffers for downloads, made once
}

func newBulk(b Arrays, g *gate) *bulk {
	return &bulk{b: b, gate: g, up: newBudget(heldBytes, eachBytes), down: newBudget(heldBytes, eachBytes), chunk: make(chan []byte, heldBytes/ChunkBytes)}
}

// ServeHTTP finds the caller and the range, and moves the bytes.
func (s *bulk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodGet:
		err = s.get(w, r)
	case http.MethodPut:
		err = s.put(w, r)
	default:
		w.Header().Set("Allow", "GET, PUT")
		err = holo.Errorf(holo.Invalid, "%s of array data: want GET or PUT", r.Method)
	}
	if errors.Is(err, errCut) {
		panic(http.ErrAbortHandler) // the head is out: only a cut connection says that the rest will not come
	}
	if err != nil {
		_ = s.gate.report(r.Method+" data", err) // counts and logs it
		writeError(w, err)
	}
}

// errCut says that the answer's head has gone out already.
var errCut = errors.New("cut off")

// span is the byte range of an array that a call names.
type span struct {
	id            holo.ArrayID
	shape         holo.Shape
	offset, bytes uint64
}

// enter finds the caller of a bulk call and decides about it. The call's context
// then ends with its session. That the body of
// a PUT is signed is checked when it is there.
func (s *bulk) enter(r *http.Request, procedure string) (call, error) {
	c, err := s.gate.sessions.find(r.Header.Get(api.SessionHeader), peerOf(r.Context()))
	if err != nil {
		return call{}, err
	}
	c.Procedure = r.Method + " " + r.URL.RequestURI()
	rt, ok := s.gate.routes[procedure]
	if !ok {
		return call{}, holo.Refuse(holo.Denied, reasonUnknownRoute, "%s: there is no such call", c.Procedure)
	}
	path, under, err := dataPath(r)
	if err != nil {
		return call{}, err
	}
	id, _, _, err := api.ParseDataPath(path)
	if err != nil {
		return call{}, err
	}
	if err := s.gate.quotas.take(c.Principal, rt.class, time.Now()); err != nil {
		return call{}, err
	}
	c.Under = under
	c.Resource = fmt.Sprintf("array %d", uint64(id))
	in, err := s.gate.decide(r.Context(), rt, c, &dataCall{array: id})
	if err != nil && rt.signed() {
		err = s.gate.settle(r.Context(), in.caller, err)
	}
	return in, err
}

// dataPath is the path of a bulk call, and the write lease that it names: only
// writes are made under one.
func dataPath(r *http.Request) (path string, under holo.Token, err error) {
	if r.Method != http.MethodPut {
		return r.URL.RequestURI(), under, nil
	}
	return api.CutLease(r.URL.RequestURI())
}

func (s *bulk) span(r *http.Request) (span, error) {
	path, _, err := dataPath(r)
	if err != nil {
		return span{}, err
	}
	id, first, count, err := api.ParseDataPath(path)
	if err != nil {
		return span{}, err
	}
	shape, err := s.b.Shape(r.Context(), id)
	if err != nil {
		return span{}, err
	}
	if err := checkRange(r.Method+" data", shape, first, count); err != nil {
		return span{}, err
	}
	size := shape.Type.Size()
	return span{id: id, shape: shape, offset: first * size, bytes: count * size}, nil
}

// chunk is one piece of a span: at most ChunkBytes, inside one extent.
type chunk struct{ offset, bytes uint64 }

func (s span) chunks() iter.Seq[chunk] {
	extent := s.shape.Extent * s.shape.Type.Size()
	return func(yield func(chunk) bool) {
		for at, end := s.offset, s.offset+s.bytes; at < end; {
			within := at % extent
			next := min(end, at-within+min(extent, (within/ChunkBytes+1)*ChunkBytes))
			if !yield(chunk{at, next - at}) {
				return
			}
			at = next
		}
	}
}

// put takes the whole body, checks it against its signed digest, and only then
// writes: an upload that is cut off or altered changes nothing.
func (s *bulk) put(w http.ResponseWriter, r *http.Request) error {
	in, err := s.enter(r, putData)
	if err != nil {
		return err
	}
	ctx, leave := s.gate.sessions.enter(r.Context(), in.caller.in)
	defer leave()
	return endedOr(ctx, s.upload(w, r.WithContext(ctx), in))
}

func (s *bulk) upload(w http.ResponseWriter, r *http.Request, in call) error {
	sp, err := s.span(r)
	if err != nil {
		return err
	}
	if sp.bytes > api.MaxUpload {
		return holo.Refuse(holo.Invalid, "too_large", "PUT data: %d bytes, at most %d in one call", sp.bytes, api.MaxUpload)
	}
	if r.ContentLength < 0 || uint64(r.ContentLength) != sp.bytes {
		return holo.Errorf(holo.Invalid, "PUT data: a body of %d bytes for elements of %d bytes", r.ContentLength, sp.bytes)
	}
	release, err := s.up.take(r.Context(), in.caller.Principal, sp.bytes)
	if err != nil {
		return err
	}
	defer release()
	body, err := whole(r, sp.bytes)
	if err != nil {
		return err
	}
	c, err := s.signed(r, in.caller, body)
	if err == nil {
		err = s.gate.rightOf(putData, in).still(r.Context()) // the body may have taken its time
	}
	if err := s.gate.settle(r.Context(), c, err); err != nil {
		return err
	}
	if err := s.write(r.Context(), c, sp, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// whole is the body, which has a time to come in, and is cut off when its session
// ends: others wait for what it holds.
func whole(r *http.Request, n uint64) ([]byte, error) {
	stop := context.AfterFunc(r.Context(), dueBy(r, int64(n)))
	defer stop()
	body := make([]byte, n)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, holo.Refuse(holo.Invalid, "cut_off", "PUT data: the body ended early or came too slowly, nothing was written: %w", err)
	}
	return body, nil
}

// signed verifies the digest against the body and the signature over it.
func (s *bulk) signed(r *http.Request, c Caller, body []byte) (Caller, error) {
	sum := sha256.Sum256(body)
	if !api.CheckDigest(r.Header.Get(api.DigestHeader), sum) {
		return c, holo.Refuse(holo.Corrupt, "bad_digest", "PUT data: the body is not what %s says, nothing was written", api.DigestHeader)
	}
	sig, err := api.DecodeSignature(r.Header.Get(api.SignatureHeader))
	if err != nil {
		return c, holo.Refuse(holo.Denied, "bad_signature", "PUT data: %w", err)
	}
	return c.signed(sum, sig)
}

func (s *bulk) write(ctx context.Context, c Caller, sp span, body []byte) error {
	return each(ctx, width, sp.chunks(), func(ctx context.Context, ch chunk) error {
		from := ch.offset - sp.offset
		return s.b.WriteBytes(ctx, c, sp.id, ch.offset, body[from:from+ch.bytes])
	})
}

// get gives the range. One that is no longer than an upload may be is read
// before the head goes out, so that the client is told what failed (that pages
// are lost, say) wherever in the range it was.
func (s *bulk) get(w http.ResponseWriter, r *http.Request) error {
	in, err := s.enter(r, getData)
	if err != nil {
		return err
	}
	ctx, leave := s.gate.sessions.enter(r.Context(), in.caller.in)
	defer leave()
	return endedOr(ctx, s.download(w, r.WithContext(ctx), in))
}

func (s *bulk) download(w http.ResponseWriter, r *http.Request, in call) error {
	sp, err := s.span(r)
	if err != nil {
		return err
	}
	release, err := s.down.take(r.Context(), in.caller.Principal, min(sp.bytes, width*ChunkBytes))
	if err != nil {
		return err
	}
	defer release()
	if sp.bytes <= api.MaxUpload {
		return s.whole(r.Context(), in.caller, w, sp)
	}
	return s.stream(r.Context(), s.gate.rightOf(getData, in), w, sp)
}

// whole reads all chunks, and only then answers.
func (s *bulk) whole(ctx context.Context, c Caller, w http.ResponseWriter, sp span) error {
	body := make([]byte, sp.bytes)
	err := each(ctx, width, sp.chunks(), func(ctx context.Context, ch chunk) error {
		from := ch.offset - sp.offset
		return s.b.ReadBytes(ctx, c, sp.id, ch.offset, body[from:from+ch.bytes])
	})
	if err != nil {
		return err
	}
	if err := (&output{w: w, bytes: sp.bytes}).write(body); err != nil {
		return errCut
	}
	return nil
}

// stream sends the range, reading a few chunks ahead of the client, as long as
// the right to it holds. What fails after the first chunk can only cut the
// connection.
func (s *bulk) stream(ctx context.Context, right *right, w http.ResponseWriter, sp span) error {
	c := right.caller
	out := &output{w: w, bytes: sp.bytes}
	err := inOrder(ctx, width, sp.chunks(), func(ctx context.Context, ch chunk) ([]byte, error) {
		buf := s.buffer(ch.bytes)
		return buf, s.b.ReadBytes(ctx, c, sp.id, ch.offset, buf)
	}, func(buf []byte) error {
		defer s.recycle(buf)
		if err := right.still(ctx); err != nil {
			return err
		}
		return out.write(buf)
	})
	if err == nil {
		return out.write(nil)
	}
	if out.begun {
		_ = s.gate.report(c.Procedure, err)
		return errCut
	}
	return err
}

// buffer takes a used buffer or makes one.
func (s *bulk) buffer(n uint64) []byte {
	select {
	case b := <-s.chunk:
		return b[:n]
	default:
		return make([]byte, n, ChunkBytes)
	}
}

func (s *bulk) recycle(b []byte) {
	select {
	case s.chunk <- b[:0]:
	default:
	}
}
