package authz

// MaxCached bounds the cache; it starts anew when it is full. At some 300
// bytes each it stays below 2 MiB.
const MaxCached = 4096

// Cache remembers the decisions of one epoch. Of denials it remembers nothing:
// they are rare, each is recorded, and a stranger must not fill it.
type Cache struct {
	epoch uint64
	of    map[Question]Decision
}

// NewCache makes an empty one.
func NewCache() *Cache { return &Cache{of: map[Question]Decision{}} }

// Get finds a decision that holds in an epoch at a time.
func (c *Cache) Get(q Question, epoch uint64, unix int64) (Decision, bool) {
	d, ok := c.of[q]
	return d, ok && c.epoch == epoch && unix <= d.Until
}

// Put keeps a decision. The first of a newer epoch ends all older ones; one of
// an older epoch is not kept.
func (c *Cache) Put(q Question, d Decision) {
	if d.Epoch > c.epoch || len(c.of) >= MaxCached {
		clear(c.of)
	}
	c.epoch = max(c.epoch, d.Epoch)
	if d.Allowed && d.Epoch == c.epoch {
		c.of[q] = d
	}
}
