package door

import (
	"context"
	"fmt"
	"sync"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
)

// memory is a small node that keeps arrays in this process. The door's tests
// attack what stands in front of it; test/ runs the same calls against real
// nodes.
type memory struct {
	cluster holo.ClusterID
	self    holo.NodeID
	mu      sync.Mutex
	granted map[holo.PrincipalID]map[holo.Action]bool
	epoch   uint64
	asked   []Access // of the policy
	arrays  map[holo.ArrayID]*stored
	calls   []Caller // those that changed something
	records []record // what the gate has recorded
	mute    error    // why nothing can be recorded
	refused func(reason string)
	chunks  []int // lengths of the writes
	failAt  map[uint64]error
	waitAt  map[uint64]chan struct{} // writes there wait until it is closed
	waiting int                      // writes that began to
	watch   chan *holov1.JobProgress
	tokens  town
}

type record struct {
	Caller
	refusal error
}

func (m *memory) Record(_ context.Context, c Caller, refusal error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mute != nil {
		return m.mute
	}
	m.records = append(m.records, record{c, refusal})
	if refusal != nil && m.refused != nil {
		m.refused(holo.ReasonOf(refusal))
	}
	return nil
}

// takeRecords gives what was recorded since it was last asked.
func (m *memory) takeRecords() []record {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.records
	m.records = nil
	return taken
}

func (m *memory) setMute(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = why
}

func (m *memory) ReadAudit(_ context.Context, _ Caller, q *holov1.ReadAuditRequest) (*holov1.ReadAuditResponse, error) {
	return &holov1.ReadAuditResponse{Next: q.GetFirst()}, nil
}

type stored struct {
	info *holov1.Array
	data []byte
}

func newMemory() *memory {
	return &memory{
		cluster: holo.ClusterID{1}, self: holo.NodeID{2}, granted: map[holo.PrincipalID]map[holo.Action]bool{},
		arrays: map[holo.ArrayID]*stored{}, failAt: map[uint64]error{}, watch: make(chan *holov1.JobProgress, 4),
		tokens: newTown(holo.ClusterID{1}),
	}
}

func (m *memory) Cluster() holo.ClusterID { return m.cluster }
func (m *memory) Self() holo.NodeID       { return m.self }
func (m *memory) Addresses() []string     { return []string{"192.0.2.1:7600"} }
func (m *memory) CatalogVersion() uint64  { return catalogue }

// catalogue is how far the memory's is.
const catalogue = 41

func (m *memory) Known(_ context.Context, p holo.PrincipalID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.granted[p]) == 0 {
		return holo.Refuse(holo.Denied, authz.ReasonUnknown, "nothing is granted to %s", p)
	}
	return nil
}

func (m *memory) Authorize(ctx context.Context, c Caller, needs []Access, _ bool) (v Verdict) {
	if err := m.Known(ctx, c.Principal); err != nil {
		return Verdict{Decision: authz.Decision{Reason: authz.ReasonUnknown}, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v.Epoch, v.Until = m.epoch, authz.Forever
	m.asked = append(m.asked, needs...)
	for _, a := range needs {
		if !m.granted[c.Principal][a.Action] && !m.granted[c.Principal][a.Or] {
			v.Reason, v.Err = authz.ReasonNotGranted, holo.Refuse(holo.Denied, authz.ReasonNotGranted, "%s lacks %s", c.Principal, a.Action)
			return v
		}
	}
	v.Allowed, v.Handle = true, v.Decision.Handle()
	return v
}

func (m *memory) Holds(h authz.Handle) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return h.Holds(m.epoch, 0)
}

// allow replaces what is granted to a principal.
func (m *memory) allow(p holo.PrincipalID, actions ...holo.Action) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.granted[p] = map[holo.Action]bool{}
	for _, a := range actions {
		m.granted[p][a] = true
	}
}

func (m *memory) ListGrants(context.Context, Caller) (*holov1.ListGrantsResponse, error) {
	return &holov1.ListGrantsResponse{}, nil
}

func (m *memory) PutGrant(_ context.Context, c Caller, _ *holov1.PutGrantRequest) (*holov1.Grant, error) {
	m.changed(c)
	return &holov1.Grant{}, nil
}

func (m *memory) RevokeGrant(_ context.Context, c Caller, _ *holov1.RevokeGrantRequest) (*holov1.Grant, error) {
	m.changed(c)
	return &holov1.Grant{}, nil
}

func (m *memory) WhoAmI(_ context.Context, c Caller) (*holov1.WhoAmIResponse, error) {
	return &holov1.WhoAmIResponse{Principal: c.Principal.Hex()}, nil
}

func (m *memory) Explain(context.Context, Caller, *holov1.ExplainRequest) (*holov1.ExplainResponse, error) {
	return &holov1.ExplainResponse{}, nil
}

func (m *memory) Shape(_ context.Context, id holo.ArrayID) (holo.Shape, error) {
	a, err := m.find(id)
	if err != nil {
		return holo.Shape{}, err
	}
	t, err := holo.ParseElementType(a.info.GetType())
	return holo.Shape{Type: t, Length: a.info.GetLength(), Extent: a.info.GetExtentElements()}, err
}

func (m *memory) changes() []Caller {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *memory) changed(c Caller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
}

func (m *memory) Status(context.Context, Caller) (*holov1.StatusResponse, error) {
	return &holov1.StatusResponse{Cluster: m.cluster.String(), Node: m.self.Hex()}, nil
}

func (m *memory) CreateInvite(_ context.Context, c Caller, _ *holov1.CreateInviteRequest) (*holov1.CreateInviteResponse, error) {
	m.changed(c)
	return &holov1.CreateInviteResponse{Addresses: []string{"127.0.0.1:1"}}, nil
}

func (m *memory) ListMembers(context.Context, Caller) (*holov1.ListMembersResponse, error) {
	return &holov1.ListMembersResponse{Members: []*holov1.Membership{{Node: m.self[:], Name: "memory"}}}, nil
}

func (m *memory) EvictNode(_ context.Context, c Caller, r *holov1.EvictRequest) error {
	m.changed(c)
	if holo.NodeID(r.GetNode()) == m.self {
		return holo.Refuse(holo.Denied, "bad_chain", "node %s is the last member", m.self)
	}
	return holo.Errorf(holo.NotFound, "node %x is not a member", r.GetNode())
}

func (m *memory) Rekey(_ context.Context, c Caller, r *holov1.RekeyRequest) error {
	m.changed(c)
	return holo.Refuse(holo.Denied, "bad_owner_signature", "replace cluster key %d: nobody owns this node", r.GetEpoch())
}

func (m *memory) Approve(_ context.Context, c Caller, r *holov1.ApproveRequest) (*holov1.ApproveResponse, error) {
	m.changed(c)
	return nil, holo.Errorf(holo.NotFound, "node %x does not wait for votes", r.GetNode())
}

func (m *memory) SetPolicy(_ context.Context, c Caller, _ *holov1.PolicyRequest) error {
	m.changed(c)
	return holo.Refuse(holo.Denied, "bad_owner_signature", "set policy: nobody owns this node")
}

func (m *memory) CreateArray(_ context.Context, c Caller, r *holov1.CreateArrayRequest) (*holov1.Array, error) {
	m.changed(c)
	t, err := holo.ParseElementType(r.GetType())
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.arrays {
		if a.info.GetName() == r.GetName() {
			return nil, holo.Refuse(holo.Exists, "name_taken", "create array %s: the name is taken", r.GetName())
		}
	}
	id := holo.ArrayID(len(m.arrays) + 1)
	bytes := r.GetLength() * t.Size()
	info := &holov1.Array{
		Id: uint64(id), Name: r.GetName(), Type: r.GetType(), Length: r.GetLength(), ExtentElements: max(r.GetExtentElements(), holo.PageSize),
		Copies: 1, State: "open", Bytes: bytes,
	}
	m.arrays[id] = &stored{info: info, data: make([]byte, bytes)}
	return info, nil
}

func (m *memory) find(id holo.ArrayID) (*stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.arrays[id]; a != nil {
		return a, nil
	}
	return nil, holo.Errorf(holo.NotFound, "no array #%d", uint64(id))
}

func (m *memory) GetArray(_ context.Context, _ Caller, name string) (*holov1.Array, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, a := range m.arrays {
		if a.info.GetName() == name || fmt.Sprintf("#%d", uint64(id)) == name {
			return a.info, nil
		}
	}
	return nil, holo.Errorf(holo.NotFound, "no array %s", name)
}

func (m *memory) ListArrays(context.Context, Caller) ([]*holov1.Array, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*holov1.Array
	for _, a := range m.arrays {
		out = append(out, a.info)
	}
	return out, nil
}

func (m *memory) Fill(_ context.Context, c Caller, id holo.ArrayID, first, count uint64, value []byte) error {
	m.changed(c)
	a, err := m.find(id)
	if err != nil {
		return err
	}
	for i := first; i < first+count; i++ {
		copy(a.data[i*uint64(len(value)):], value)
	}
	return nil
}

func (m *memory) SealArray(_ context.Context, c Caller, id holo.ArrayID) (*holov1.Array, error) {
	m.changed(c)
	a, err := m.find(id)
	if err != nil {
		return nil, err
	}
	a.info.State = "sealed"
	return a.info, nil
}

func (m *memory) DeleteArray(_ context.Context, c Caller, id holo.ArrayID) (uint64, error) {
	m.changed(c)
	a, err := m.find(id)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.arrays, id)
	return uint64(len(a.data)), nil
}

func (m *memory) Pages(_ context.Context, _ Caller, id holo.ArrayID) ([]*holov1.Extent, error) {
	_, err := m.find(id)
	return []*holov1.Extent{{Number: 0, Pages: 1, Primary: m.self.Hex(), State: "ok"}}, err
}

func (m *memory) ReadBytes(_ context.Context, _ Caller, id holo.ArrayID, offset uint64, dst []byte) error {
	a, err := m.find(id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failAt[offset]; err != nil {
		return err
	}
	copy(dst, a.data[offset:])
	return nil
}

func (m *memory) WriteBytes(_ context.Context, c Caller, id holo.ArrayID, offset uint64, src []byte) error {
	m.changed(c)
	a, err := m.find(id)
	if err != nil {
		return err
	}
	m.await(offset)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failAt[offset]; err != nil {
		return err
	}
	m.chunks = append(m.chunks, len(src))
	copy(a.data[offset:], src)
	return nil
}

func (m *memory) await(offset uint64) {
	m.mu.Lock()
	held := m.waitAt[offset]
	if held != nil {
		m.waiting++
	}
	m.mu.Unlock()
	if held != nil {
		<-held
	}
}

func (m *memory) PushKernel(_ context.Context, c Caller, q *holov1.PushKernelRequest) (*holov1.Kernel, error) {
	m.changed(c)
	return &holov1.Kernel{Name: q.GetName(), Size: uint64(len(c.Attached))}, nil
}

func (m *memory) GetKernel(_ context.Context, _ Caller, name string) (*holov1.Kernel, error) {
	return nil, holo.Errorf(holo.NotFound, "no kernel %s", name)
}

func (m *memory) ListKernels(context.Context, Caller) ([]*holov1.Kernel, error) { return nil, nil }

func (m *memory) WhyTasks(context.Context, Caller, *holov1.WhyRequest) (*holov1.WhyResponse, error) {
	return &holov1.WhyResponse{}, nil
}

func (m *memory) TraceJob(context.Context, Caller, *holov1.TraceRequest) (*holov1.TraceResponse, error) {
	return &holov1.TraceResponse{}, nil
}

func (m *memory) LogJob(_ context.Context, _ Caller, _ *holov1.LogRequest, send func(*holov1.LogPart) error) error {
	return send(&holov1.LogPart{})
}

func (m *memory) GetReceipts(_ context.Context, _ Caller, id holo.JobID, _ uint64) (*holov1.Receipts, error) {
	return &holov1.Receipts{Job: uint64(id)}, nil
}

func (m *memory) GetModule(_ context.Context, _ Caller, name string) (*holov1.ModuleBytes, error) {
	return nil, holo.Errorf(holo.NotFound, "no kernel %s", name)
}

func (m *memory) Atomic(_ context.Context, c Caller, _ *holov1.ApplyAtomicRequest) (*holov1.AtomicResponse, error) {
	m.changed(c)
	return &holov1.AtomicResponse{Applied: true}, nil
}

func (m *memory) Hold(_ context.Context, c Caller, _ *holov1.HoldRequest) (*holov1.HoldResponse, error) {
	m.changed(c)
	return &holov1.HoldResponse{}, nil
}

func (m *memory) OpenProducer(_ context.Context, c Caller, _ *holov1.OpenBufferRequest) (*holov1.OpenBufferResponse, error) {
	m.changed(c)
	return &holov1.OpenBufferResponse{}, nil
}

func (m *memory) AppendRecords(_ context.Context, c Caller, _ *holov1.AppendRequest) (*holov1.AppendResponse, error) {
	m.changed(c)
	return &holov1.AppendResponse{}, nil
}

func (m *memory) TakeRecords(_ context.Context, c Caller, _ *holov1.TakeRequest) (*holov1.Taken, error) {
	m.changed(c)
	return &holov1.Taken{}, nil
}

func (m *memory) SettleRecords(_ context.Context, c Caller, _ *holov1.SettleRequest) error {
	m.changed(c)
	return nil
}

func (m *memory) StatBuffer(context.Context, Caller, uint64) (*holov1.BufferStat, error) {
	return &holov1.BufferStat{}, nil
}

func (m *memory) SetDrain(_ context.Context, c Caller, _ *holov1.SetDrainRequest) error {
	m.changed(c)
	return nil
}

func (m *memory) StartBalance(_ context.Context, c Caller) error {
	m.changed(c)
	return nil
}

func (m *memory) Balance(context.Context, Caller) (*holov1.BalanceResponse, error) {
	return &holov1.BalanceResponse{}, nil
}

func (m *memory) DataKey(context.Context, Caller) (*holov1.DataKey, error) {
	return &holov1.DataKey{}, nil
}

func (m *memory) RotateData(_ context.Context, c Caller, _ *holov1.RotateDataRequest) (*holov1.DataKey, error) {
	m.changed(c)
	return &holov1.DataKey{}, nil
}

func (m *memory) SucceedUser(_ context.Context, c Caller, _ *holov1.SucceedUserRequest) (*holov1.SucceedUserResponse, error) {
	m.changed(c)
	return &holov1.SucceedUserResponse{}, nil
}

func (m *memory) OwnerState(context.Context, Caller, *holov1.OwnerStateRequest) (*holov1.OwnerStateResponse, error) {
	return &holov1.OwnerStateResponse{}, nil
}

func (m *memory) SucceedOwner(_ context.Context, c Caller, _ *holov1.SucceedOwnerRequest) (*holov1.SucceedOwnerResponse, error) {
	m.changed(c)
	return &holov1.SucceedOwnerResponse{}, nil
}

func (m *memory) SubmitJob(_ context.Context, c Caller, _ *holov1.SubmitRequest) (*holov1.Job, error) {
	m.changed(c)
	return &holov1.Job{Id: 1, State: "running"}, nil
}

func (m *memory) GetJob(_ context.Context, _ Caller, id holo.JobID) (*holov1.Job, error) {
	return nil, holo.Refuse(holo.KernelTrapped, "out_of_gas", "job %d: kernel loop, function spin: out of gas", uint64(id))
}

func (m *memory) ListJobs(context.Context, Caller) ([]*holov1.Job, error) { return nil, nil }

func (m *memory) CancelJob(_ context.Context, c Caller, id holo.JobID) (*holov1.Job, error) {
	m.changed(c)
	return &holov1.Job{Id: uint64(id), State: "cancelled"}, nil
}

func (m *memory) WatchJob(ctx context.Context, _ Caller, _ holo.JobID, send func(*holov1.JobProgress) error) error {
	for {
		select {
		case p := <-m.watch:
			if err := send(p); err != nil || p.GetState() != "running" {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
