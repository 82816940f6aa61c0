package holocompute

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/checkpoint"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

// Checkpoint says what a checkpoint holds.
type Checkpoint struct {
	Name    string `json:"name"`    // of the array
	Cluster string `json:"cluster"` // where it was
	Type    string `json:"type"`
	Length  uint64 `json:"length"`
	Bytes   uint64 `json:"bytes"`
	Pages   uint64 `json:"pages"`
	Root    string `json:"root"`    // BLAKE3 over the pages' digests: that of a sealed array
	Sealed  bool   `json:"sealed"`  // it was sealed, and what is restored from it will be
	At      int64  `json:"at"`      // Unix time when it was begun
	Key     string `json:"key"`     // file without which it cannot be opened
	NewKey  bool   `json:"new_key"` // that file was made for it
}

func checkpointOf(h *checkpoint.Head, root holo.Digest) Checkpoint {
	return Checkpoint{
		Name: h.Name, Cluster: h.Cluster, Type: h.Type.String(), Length: h.Length, Bytes: h.Bytes(), Pages: h.Pages(),
		Root: hex.EncodeToString(root[:]), Sealed: h.Sealed, At: h.At,
	}
}

// restoreTidy is how long a restore that failed takes to remove what it made.
const restoreTidy = 10 * time.Second

// Checkpoint writes the array to dst, encrypted under the backup key in the
// user's configuration folder, which is made when there is none. It holds 4 MiB at
// a time; done, which may be nil, is told the bytes read so far.
//
// Of a sealed array it is that array, by its root. Of one that is open each page
// is as it was at some moment between call and return: whoever wants one moment
// seals the array, or lets nobody write meanwhile.
func (r *Raw) Checkpoint(ctx context.Context, dst io.Writer, done func(bytes uint64)) (Checkpoint, error) {
	what := "checkpoint array " + r.info.Name
	now, err := r.c.OpenRaw(ctx, fmt.Sprintf("#%d", r.info.ID))
	if err != nil {
		return Checkpoint{}, err
	}
	secret, made, err := r.c.keys.BackupKeyAt(r.c.config)
	if err != nil {
		return Checkpoint{}, err
	}
	defer secret.Wipe()
	sealed, err := identity.SealBackup(dst, secret)
	if err != nil {
		return Checkpoint{}, holo.Errorf(Internal, "%s: %w", what, err)
	}
	out, err := now.checkpoint(ctx, sealed, done)
	if err == nil {
		err = sealed.Close()
	}
	if err != nil {
		return Checkpoint{}, holo.Errorf(KindOf(err), "%s: %w", what, err)
	}
	out.Key, out.NewKey = filepath.Join(r.c.config, identity.BackupKeyFile), made
	return out, nil
}

// Checkpoint writes the array to dst; see Raw.Checkpoint.
func (a *Array[T]) Checkpoint(ctx context.Context, dst io.Writer, done func(bytes uint64)) (Checkpoint, error) {
	return a.raw.Checkpoint(ctx, dst, done)
}

func (r *Raw) head(cluster holo.ClusterID) checkpoint.Head {
	i := &r.info
	affinity := i.Affinity
	if strings.HasPrefix(affinity, "#") {
		affinity = "" // by itself
	}
	return checkpoint.Head{
		Cluster: cluster.String(), Name: i.Name, Type: r.typ, Length: i.Length, Extent: i.Extent, Copies: uint8(i.Copies),
		Affinity: affinity, Sealed: i.Root != "", At: time.Now().Unix(),
	}
}

func (r *Raw) checkpoint(ctx context.Context, dst io.Writer, done func(uint64)) (Checkpoint, error) {
	cluster, err := r.c.client.clusterID(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	h := r.head(cluster)
	w, err := checkpoint.NewWriter(dst, h)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := r.eachPage(ctx, w.Page, done); err != nil {
		return Checkpoint{}, err
	}
	root, err := w.Close()
	if out := checkpointOf(&h, root); err != nil || !h.Sealed || out.Root == r.info.Root {
		return out, err
	}
	return Checkpoint{}, holo.Errorf(Corrupt, "what was read does not have the root %s that the array was sealed with", r.info.Root)
}

// eachPage reads the array and gives its pages in order, 64 KiB each, zeros
// behind its end. What f is given is good until it returns.
func (r *Raw) eachPage(ctx context.Context, f func(page []byte) error, done func(uint64)) error {
	buf := make([]byte, api.MaxUpload)
	for at := uint64(0); at < r.info.Bytes; {
		n := min(uint64(len(buf)), r.info.Bytes-at)
		if err := r.ReadBytes(ctx, at/r.typ.Size(), buf[:n]); err != nil {
			return err
		}
		clear(buf[n:])
		for p := uint64(0); p < n; p += holo.PageSize {
			if err := f(buf[p : p+holo.PageSize]); err != nil {
				return err
			}
		}
		if at += n; done != nil {
			done(at)
		}
	}
	return nil
}

// RestoreOptions say what is made of a checkpoint besides what it says itself.
type RestoreOptions struct {
	As     string                 // the array's name; "": the one it had
	Copies int                    // nodes that hold each page; 0: as many as before
	Done   func(bytes, of uint64) // is told the bytes written so far, and of how many; may be nil
}

// Restore makes an array of a checkpoint, in this cluster or another one. The
// file is read to its end and verified before anything is made, and again while
// it is written; then the array is held against the root: a sealed one is sealed, and
// another one read back. A restore that fails leaves no array, and is begun anew.
func (c *Cluster) Restore(ctx context.Context, src io.ReadSeeker, o RestoreOptions) (*Raw, Checkpoint, error) {
	first, err := c.VerifyCheckpoint(src)
	if err != nil {
		return nil, Checkpoint{}, err
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return nil, Checkpoint{}, holo.Errorf(Internal, "restore array %s: %w", first.Name, err)
	}
	var r *Raw
	again, err := c.readCheckpoint(src, func(p *checkpoint.Reader) error {
		if r, err = c.CreateRaw(ctx, orName(o.As, p.Head.Name), p.Head.Type, p.Head.Length, optionsOf(&p.Head, o.Copies)); err != nil {
			return err
		}
		return r.fillFrom(ctx, p, o.Done)
	})
	if err == nil && again.Root != first.Root {
		err = holo.Errorf(Corrupt, "restore array %s: the file changed while it was read", first.Name)
	}
	if err == nil {
		err = r.becomes(ctx, &first)
	}
	if err != nil && r != nil {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTidy)
		defer cancel()
		_, gone := r.Delete(tidy)
		err = errors.Join(err, gone)
	}
	if err != nil {
		return nil, Checkpoint{}, err
	}
	return r, first, nil
}

func orName(as, was string) string {
	if as != "" {
		return as
	}
	return was
}

func optionsOf(h *checkpoint.Head, copies int) ArrayOptions {
	if copies == 0 {
		copies = int(h.Copies)
	}
	return ArrayOptions{Extent: h.Extent, Copies: copies, Affinity: h.Affinity}
}

// VerifyCheckpoint reads a checkpoint to its end and says what it holds.
func (c *Cluster) VerifyCheckpoint(src io.Reader) (Checkpoint, error) {
	return c.readCheckpoint(src, func(p *checkpoint.Reader) error {
		page := make([]byte, holo.PageSize)
		for range p.Head.Pages() {
			if _, err := p.Page(page); err != nil {
				return err
			}
		}
		return nil
	})
}

// readCheckpoint has f read the pages, and checks what is behind them.
func (c *Cluster) readCheckpoint(src io.Reader, f func(*checkpoint.Reader) error) (Checkpoint, error) {
	secret, err := c.keys.BackupKey(c.config)
	if KindOf(err) == NotFound {
		return Checkpoint{}, holo.Errorf(NotFound, "open checkpoint: there is no backup key: copy the %s of the user who made it to %s", identity.BackupKeyFile, c.config)
	}
	if err != nil {
		return Checkpoint{}, err
	}
	defer secret.Wipe()
	plain, err := identity.OpenBackup(bufio.NewReaderSize(src, 1<<20), secret)
	if err != nil {
		return Checkpoint{}, err
	}
	p, err := checkpoint.NewReader(plain)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := f(p); err != nil {
		return Checkpoint{}, err
	}
	root, err := p.Close()
	return checkpointOf(&p.Head, root), err
}

// fillFrom writes the pages that are not zero.
func (r *Raw) fillFrom(ctx context.Context, p *checkpoint.Reader, done func(done, of uint64)) error {
	buf := make([]byte, 0, api.MaxUpload)
	from, pages := uint64(0), p.Head.Pages()
	flush := func(next uint64) error {
		if whole := r.info.Bytes - from; uint64(len(buf)) > whole {
			buf = buf[:whole] // the last page is longer than the array
		}
		err := r.WriteBytes(ctx, from/r.typ.Size(), buf)
		if buf, from = buf[:0], next; done != nil {
			done(min(next, r.info.Bytes), r.info.Bytes)
		}
		return err
	}
	for i := range pages {
		n := len(buf)
		zero, err := p.Page(buf[n : n+holo.PageSize])
		if err != nil {
			return err
		}
		if !zero {
			buf = buf[:n+holo.PageSize]
		}
		if zero || len(buf) == cap(buf) || i == pages-1 {
			if err := flush((i + 1) * holo.PageSize); err != nil {
				return err
			}
		}
	}
	return nil
}

// becomes holds the array against the root of its checkpoint.
func (r *Raw) becomes(ctx context.Context, c *Checkpoint) error {
	root := ""
	if c.Sealed {
		if err := r.Seal(ctx); err != nil {
			return err
		}
		root = r.info.Root
	} else if now, err := r.checkpoint(ctx, io.Discard, nil); err != nil {
		return err
	} else {
		root = now.Root
	}
	if root != c.Root {
		return holo.Errorf(Corrupt, "restore array %s: what was written reads back as root %s, and not %s", r.info.Name, root, c.Root)
	}
	return nil
}
