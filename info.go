package holocompute

import (
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// Status is a cluster as one of its nodes sees it.
type Status struct {
	Cluster       string            `json:"cluster"`
	Node          string            `json:"node"`   // the node that answers
	Leader        string            `json:"leader"` // Raft leader, "" when none is known
	Nodes         []NodeStatus      `json:"nodes"`
	Voters        []string          `json:"voters"`
	CatalogIndex  uint64            `json:"catalog_index"`
	Shards        ShardHealth       `json:"shards"`
	Warnings      []string          `json:"warnings"` // sentences, such as what the loss of a node would mean
	Suite         string            `json:"suite"`    // Noise protocol in force
	DefaultCopies int               `json:"default_copies"`
	MinAck        int               `json:"min_ack"` // copies that a write waits for
	Listen        []string          `json:"listen"`
	Refusals      map[string]uint64 `json:"refusals"` // of this node, by reason, since its start
	Posture       []Measure         `json:"posture"`  // how the node that answers is protected
	Isolation     Isolation         `json:"isolation"`
	Scrub         Scrub             `json:"scrub"`
	Protocol      int               `json:"protocol"` // version of the protocol that the cluster is at, 0 when the node does not know it yet
	Speaks        Versions          `json:"speaks"`   // of the node that answers
}

// Versions is the range of versions of the protocol that a program speaks. Two
// programs talk in the highest that both speak; a cluster is at the highest that
// every member speaks. Zeros: it is not known.
type Versions struct {
	Oldest int `json:"oldest"`
	Newest int `json:"newest"`
}

func versionsOf(v *holov1.Versions) Versions {
	return Versions{Oldest: int(v.GetOldest()), Newest: int(v.GetNewest())}
}

// String is "1", "1 to 2" or "-".
func (v Versions) String() string {
	if v == (Versions{}) {
		return "-"
	}
	return protocol.Range{Oldest: protocol.Version(v.Oldest), Newest: protocol.Version(v.Newest)}.String()
}

// Measure is one protection of a node's process or files.
type Measure struct {
	Name     string `json:"name"`     // snake_case, stable
	Holds    bool   `json:"holds"`    // now
	Expected bool   `json:"expected"` // false: where it does not hold, that is a choice or the system's limit
	Detail   string `json:"detail"`   // a sentence
}

// Unprotected lists what should protect the node and does not.
func (s *Status) Unprotected() (out []Measure) {
	for _, m := range s.Posture {
		if m.Expected && !m.Holds {
			out = append(out, m)
		}
	}
	return out
}

// Scrub says how the node that answers reads its pages again to find damage, and
// what came of it.
type Scrub struct {
	Rounds        uint64 `json:"rounds"`         // over all its pages, since it started
	PeriodSeconds uint64 `json:"period_seconds"` // that the last one took
	BytesRead     uint64 `json:"bytes_read"`
	Damaged       uint64 `json:"damaged"`      // copies that were not what was written, however they were found
	Repaired      uint64 `json:"repaired"`     // of them replaced by sound ones
	LastFinding   string `json:"last_finding"` // "": none
	LastUnix      int64  `json:"last_unix"`
}

func scrubOf(s *holov1.Scrub) Scrub {
	return Scrub{
		Rounds: s.GetRounds(), PeriodSeconds: s.GetPeriodSeconds(), BytesRead: s.GetBytesRead(),
		Damaged: s.GetDamaged(), Repaired: s.GetRepaired(), LastFinding: s.GetLastFinding(), LastUnix: s.GetLastUnix(),
	}
}

// Isolation says how the node that answers keeps kernels away from itself.
type Isolation struct {
	Level       string            `json:"level"`        // full, filtered, process; "" when no worker could be started
	Layers      []string          `json:"layers"`       // those that hold
	Missing     map[string]string `json:"missing"`      // why, by layer
	Strict      bool              `json:"strict"`       // it runs no kernel below level full
	Workers     int               `json:"workers"`      // processes now
	MaxWorkers  int               `json:"max_workers"`  // at most
	WorkerBytes uint64            `json:"worker_bytes"` // the most memory of one, beside the node's page memory
	MachineCode MachineCode       `json:"machine_code"`
}

func isolationOf(i *holov1.Isolation) Isolation {
	out := Isolation{
		Level: i.GetLevel(), Layers: append([]string{}, i.GetLayers()...), Missing: map[string]string{}, Strict: i.GetStrict(),
		Workers: int(i.GetWorkers()), MaxWorkers: int(i.GetMaxWorkers()), WorkerBytes: i.GetWorkerBytes(),
	}
	c := i.GetMachineCode()
	out.MachineCode = MachineCode{
		Modules: int(c.GetModules()), Bytes: c.GetBytes(), LimitBytes: c.GetLimitBytes(), Hits: c.GetHits(), Made: c.GetMade(), Refused: c.GetRefused(),
	}
	for _, g := range i.GetMissing() {
		out.Missing[g.GetLayer()] = g.GetWhy()
	}
	return out
}

// MachineCode counts what a node keeps of compiled modules, since its start.
type MachineCode struct {
	Modules    int    `json:"modules"`
	Bytes      uint64 `json:"bytes"`
	LimitBytes uint64 `json:"limit_bytes"`
	Hits       uint64 `json:"hits"`    // workers that did not compile
	Made       uint64 `json:"made"`    // compiled and kept
	Refused    uint64 `json:"refused"` // files that were not what this node wrote
}

// NodeStatus is one member.
type NodeStatus struct {
	ID            string `json:"id"` // public key, hexadecimal
	Name          string `json:"name"`
	Address       string `json:"address"`
	State         string `json:"state"` // active, suspect, restarting, draining, drained, dead
	Voter         bool   `json:"voter"`
	Lease         bool   `json:"lease"` // as the leader sees it
	CapacityBytes uint64 `json:"capacity_bytes"`
	ResidentBytes uint64 `json:"resident_bytes"`
	SpillBytes    uint64 `json:"spill_bytes"`   // what its disk adds to what it can hold
	SpilledBytes  uint64 `json:"spilled_bytes"` // pages on disk only
	CachedBytes   uint64 `json:"cached_bytes"`  // other nodes' pages kept under read leases
	CacheHits     uint64 `json:"cache_hits"`    // pages of other nodes read from there since it started
	CacheMisses   uint64 `json:"cache_misses"`  // and those that had to be fetched
	Primaries     int    `json:"primaries"`     // shards that it orders
	Members       int    `json:"members"`       // shards of which it has a copy
	Incarnation   uint64 `json:"incarnation"`

	Speaks  Versions `json:"speaks"`  // as it said last, also of a node that is off
	Program string   `json:"program"` // that it runs, by its own word; "": not known
}

// ShardHealth counts shards by how well they are held.
type ShardHealth struct {
	Total           int `json:"total"`
	Full            int `json:"full"`
	UnderReplicated int `json:"under_replicated"`
	RefusingWrites  int `json:"refusing_writes"`
	Lost            int `json:"lost"`
}

func statusOf(s *holov1.StatusResponse) *Status {
	h := s.GetShards()
	out := &Status{
		Cluster: s.GetCluster(), Node: s.GetNode(), Leader: s.GetLeader(), CatalogIndex: s.GetCatalogIndex(),
		Nodes: []NodeStatus{}, Voters: []string{}, Posture: []Measure{}, Warnings: append([]string{}, s.GetWarnings()...), Suite: s.GetSuite(),
		DefaultCopies: int(s.GetDefaultCopies()), MinAck: int(s.GetMinAck()),
		Listen: append([]string{}, s.GetListen()...), Refusals: s.GetRefusals(), Isolation: isolationOf(s.GetIsolation()), Scrub: scrubOf(s.GetScrub()),
		Protocol: int(s.GetProtocol()), Speaks: versionsOf(s.GetSpeaks()),
		Shards: ShardHealth{
			Total: int(h.GetTotal()), Full: int(h.GetFull()), UnderReplicated: int(h.GetUnderReplicated()),
			RefusingWrites: int(h.GetRefusingWrites()), Lost: int(h.GetLost()),
		},
	}
	for _, n := range s.GetNodes() {
		out.Nodes = append(out.Nodes, NodeStatus{
			ID: n.GetId(), Name: n.GetName(), Address: n.GetAddress(), State: n.GetState(), Voter: n.GetVoter(), Lease: n.GetLease(),
			CapacityBytes: n.GetCapacityBytes(), ResidentBytes: n.GetResidentBytes(), SpillBytes: n.GetSpillBytes(), SpilledBytes: n.GetSpilledBytes(),
			CachedBytes: n.GetCachedBytes(), CacheHits: n.GetCacheHits(), CacheMisses: n.GetCacheMisses(),
			Primaries: int(n.GetPrimaries()), Members: int(n.GetMembers()), Incarnation: n.GetIncarnation(),
			Speaks: versionsOf(n.GetSpeaks()), Program: n.GetProgram(),
		})
	}
	for _, m := range s.GetPosture() {
		out.Posture = append(out.Posture, Measure{Name: m.GetName(), Holds: m.GetHolds(), Expected: m.GetExpected(), Detail: m.GetDetail()})
	}
	for _, v := range s.GetVoters() {
		out.Voters = append(out.Voters, v.GetId())
	}
	return out
}

// ArrayInfo describes an array.
type ArrayInfo struct {
	ID       uint64 `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Length   uint64 `json:"length"`
	Extent   uint64 `json:"extent"` // elements: the unit of tasks, in one place
	Copies   int    `json:"copies"`
	Affinity string `json:"affinity"`
	State    string `json:"state"` // open, sealed
	Root     string `json:"root"`  // BLAKE3 over the pages' digests, of a sealed array
	Bytes    uint64 `json:"bytes"`
	Pages    uint64 `json:"pages"`
	// ResultOf is the job whose result the array is, 0 for none; Expires is when
	// the cluster deletes it, in seconds since 1970, once that job is done.
	ResultOf uint64 `json:"result_of"`
	Expires  int64  `json:"expires"`
	Buffer   bool   `json:"buffer"` // each extent is a lane of records
}

func arrayInfoOf(a *holov1.Array) ArrayInfo {
	return ArrayInfo{
		ID: a.GetId(), Name: a.GetName(), Type: a.GetType(), Length: a.GetLength(), Extent: a.GetExtentElements(), Copies: int(a.GetCopies()),
		Affinity: a.GetAffinity(), State: a.GetState(), Root: a.GetRoot(), Bytes: a.GetBytes(), Pages: a.GetPages(),
		ResultOf: a.GetResultOf(), Expires: a.GetExpiresUnix(),
		Buffer: a.GetBuffer(),
	}
}

// ExtentInfo says where one extent of an array lies.
type ExtentInfo struct {
	Number    uint64   `json:"number"`
	FirstPage uint64   `json:"first_page"`
	Pages     uint64   `json:"pages"`
	Shard     int      `json:"shard"`
	Epoch     uint64   `json:"epoch"`
	Primary   string   `json:"primary"` // node
	Members   []string `json:"members"` // nodes that hold a copy
	State     string   `json:"state"`   // ok, under_replicated, refusing_writes, lost
}

func extentsOf(es []*holov1.Extent) []ExtentInfo {
	out := make([]ExtentInfo, len(es))
	for i, e := range es {
		out[i] = ExtentInfo{
			Number: e.GetNumber(), FirstPage: e.GetFirstPage(), Pages: e.GetPages(), Shard: int(e.GetShard()), Epoch: e.GetEpoch(),
			Primary: e.GetPrimary(), Members: append([]string{}, e.GetMembers()...), State: e.GetState(),
		}
	}
	return out
}

// typeOf parses the type that a node says an array has.
func typeOf(i ArrayInfo) (holo.ElementType, error) {
	t, err := holo.ParseElementType(i.Type)
	if err != nil {
		return 0, holo.Errorf(Corrupt, "array %s: %w", i.Name, err)
	}
	return t, nil
}
