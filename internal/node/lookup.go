package node

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// configs is what this node was told about who holds which shard, for those
// who send requests. It may lag behind; whoever gets a request knows better
// and refuses it, and the sender asks again when something changed.
type configs struct {
	changed   signal
	recovered func() // called when a lost shard has holders again
	mu        struct {
		sync.RWMutex
		of map[holo.ShardID]wire.ShardConfig
	}
}

func newConfigs() *configs {
	c := &configs{}
	c.mu.of = make(map[holo.ShardID]wire.ShardConfig)
	return c
}

// learn keeps the configurations that are newer than those known.
func (c *configs) learn(news []wire.ShardConfig) {
	if len(news) == 0 {
		return
	}
	revived := false
	c.mu.Lock()
	for _, s := range news {
		known, ok := c.mu.of[s.Shard]
		if !ok || newer(&s, &known) {
			c.mu.of[s.Shard] = s
			revived = revived || known.Lost && !s.Lost
		}
	}
	c.mu.Unlock()
	if revived && c.recovered != nil {
		c.recovered()
	}
	c.changed.fire()
}

// newer reports whether a is a later state of the shard than b. Naming a
// learner changes no epoch.
func newer(a, b *wire.ShardConfig) bool {
	return a.Epoch > b.Epoch || a.Epoch == b.Epoch && a.LearnerGen >= b.LearnerGen
}

// get is a shard's configuration, as far as it is known here.
func (c *configs) get(shard holo.ShardID) (wire.ShardConfig, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s, ok := c.mu.of[shard]
	return s, ok
}

// all is every configuration that is known here.
func (c *configs) all() map[holo.ShardID]wire.ShardConfig {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return maps.Clone(c.mu.of)
}

// home is a shard's primary, as far as it is known here.
func (c *configs) home(shard holo.ShardID) (holo.NodeID, error) {
	s, ok := c.get(shard)
	switch {
	case !ok:
		return holo.NodeID{}, holo.Refuse(holo.Unavailable, reasonNoHome, "shard %d: its home is not known here yet", shard)
	case s.Lost:
		return holo.NodeID{}, holo.Refuse(holo.DataLost, reasonLost, "shard %d is lost: every node that held it is gone", shard)
	case s.Primary.IsZero():
		return holo.NodeID{}, holo.Refuse(holo.Unavailable, reasonNoHome, "shard %d has no home now", shard)
	}
	return s.Primary, nil
}

// health says in one word what a configuration promises.
func health(c *wire.ShardConfig) string {
	class := c.Shard.Class()
	switch n := len(c.Members); {
	case c.Lost:
		return "lost"
	case n < wire.MinAck(class):
		return "refusing_writes"
	case n < int(class):
		return "under_replicated"
	}
	return "ok"
}

// recordLife is how long an array's record is used before the catalogue is
// asked again. What must be fresh (that an array is sealed, dropped or lost in
// a shard) is decided by the shards or clears this cache.
const recordLife = holo.Second

// maxRecords bounds the cache; it starts anew when it is full.
const maxRecords = 4096

// records remembers arrays' records for a moment, so that a run of reads and
// writes asks the catalogue once.
type records struct {
	mu struct {
		sync.Mutex
		at map[holo.ArrayID]cached
	}
}

type cached struct {
	record *wire.ArrayRecord
	read   holo.Time
}

func newRecords() *records {
	r := &records{}
	r.mu.at = make(map[holo.ArrayID]cached)
	return r
}

func (r *records) get(now holo.Time, id holo.ArrayID) (*wire.ArrayRecord, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.mu.at[id]
	return c.record, ok && now.Sub(c.read) < recordLife
}

func (r *records) put(asked holo.Time, record *wire.ArrayRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.mu.at) >= maxRecords {
		clear(r.mu.at)
	}
	r.mu.at[record.ID] = cached{record, asked}
}

// forget drops what is remembered of an array; of all, for 0.
func (r *records) forget(id holo.ArrayID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == 0 {
		clear(r.mu.at)
		return
	}
	delete(r.mu.at, id)
}

// array is an array's record, at most recordLife old. The caller must not
// change it.
func (n *Node) array(ctx context.Context, id holo.ArrayID) (*wire.ArrayRecord, error) {
	now := n.clock.now()
	if rec, ok := n.records.get(now, id); ok {
		return rec, nil
	}
	return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: uint64(id)})
}

// arrayNamed is the array of a name, or of "#" and an ID, as the catalogue has
// it now.
func (n *Node) arrayNamed(ctx context.Context, name string) (*wire.ArrayRecord, error) {
	digits, byID := strings.CutPrefix(name, "#")
	if !byID {
		return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByName, Name: name})
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "array %q: after # comes the number of an array", name)
	}
	return n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: id})
}

func (n *Node) freshArray(ctx context.Context, q wire.CatalogQuery) (*wire.ArrayRecord, error) {
	asked := n.clock.now()
	rec, err := queryOne[*wire.ArrayRecord](ctx, n, q)
	if err != nil {
		return nil, err
	}
	n.records.put(asked, rec)
	return rec, nil
}

// homeOf is the home of a shard of an array. A shard that this node believes
// lost may have holders again, empty ones, since the news left: the catalogue
// knows whether the array lost what it had there.
func (n *Node) homeOf(ctx context.Context, id holo.ArrayID, s holo.ShardID) (holo.NodeID, error) {
	home, err := n.configs.home(s)
	if holo.KindOf(err) != holo.DataLost || err == nil {
		return home, err
	}
	a, asked := n.freshArray(ctx, wire.CatalogQuery{What: wire.QueryArrayByID, Number: uint64(id)})
	switch {
	case holo.KindOf(asked) == holo.NotFound && asked != nil:
		return home, err
	case asked != nil:
		return home, asked
	case a.LostIn(s):
		return home, err
	}
	return home, holo.Refuse(holo.Unavailable, reasonNoHome, "shard %d: its new home is not known here yet", s)
}

// errMoved ends a request to a node that is no longer the one to ask.
var errMoved = errors.New("the shard has another home now")

// whileHome gives a context that ends when the shard's home is not the node any
// more: a request is not worth waiting for then, and is worth waiting for until
// then, because sending it again would only make a busy node busier.
func (n *Node) whileHome(ctx context.Context, s holo.ShardID, home holo.NodeID) (context.Context, func()) {
	return n.group.while(ctx, &n.configs.changed, errMoved, func() bool {
		now, err := n.configs.home(s)
		return err == nil && now == home
	})
}

// whileMember is the same of a member that serves sealed pages.
func (n *Node) whileMember(ctx context.Context, s holo.ShardID, peer holo.NodeID) (context.Context, func()) {
	return n.group.while(ctx, &n.configs.changed, errMoved, func() bool {
		c, ok := n.configs.get(s)
		return ok && c.Has(peer)
	})
}

// queryOne asks the catalogue for one thing.
func queryOne[M wire.Message](ctx context.Context, n *Node, q wire.CatalogQuery) (none M, err error) {
	all, err := queryAll[M](ctx, n, q)
	if err != nil {
		return none, err
	}
	if len(all) != 1 {
		return none, holo.Errorf(holo.Internal, "query %d of the catalogue gave %d answers", q.What, len(all))
	}
	return all[0], nil
}

// queryAll asks the catalogue for things of one type.
func queryAll[M wire.Message](ctx context.Context, n *Node, q wire.CatalogQuery) ([]M, error) {
	found, err := n.query(ctx, q)
	if err != nil {
		return nil, err
	}
	all := make([]M, 0, len(found))
	for _, m := range found {
		one, ok := m.(M)
		if !ok {
			return nil, holo.Errorf(holo.Corrupt, "query %d of the catalogue gave message %#04x", q.What, uint16(m.Type()))
		}
		all = append(all, one)
	}
	return all, nil
}
