package demo

// Report is what `holo demo -o json` prints: the integers themselves, so that
// anybody can hold them against another program's answer.
type Report struct {
	Mark string `json:"mark,omitempty"` // the text that was planted for a capture

	Rows     int64  `json:"rows"`
	SumDelay int64  `json:"sum_delay"` // minutes
	Hours    []Hour `json:"hours"`

	Clusters []Cluster `json:"clusters"`

	KilledNode   string        `json:"killed_node"`   // hexadecimal node ID
	KilledWhile  *KilledWhile  `json:"killed_while"`  // what progress said when the signal was sent
	RetriedTasks uint32        `json:"retried_tasks"` // attempts beyond each task's first, in the job that lost a node
	FinishedOn   []string      `json:"finished_on"`   // nodes that committed tasks after the death
	TasksByNode  []TasksByNode `json:"tasks_by_node"` // of that job
	SameAsTwin   bool          `json:"same_as_twin"`  // the interrupted job's result equals an uninterrupted run's, byte for byte
	Jobs         []JobFigures  `json:"jobs"`          // each job on the cluster of three, in order

	BytesProcessed uint64 `json:"bytes_processed"` // of all of them
	BytesMoved     uint64 `json:"bytes_moved"`
	Gas            uint64 `json:"gas"`

	Attacks []Attack `json:"attacks"`
	Audit   Audit    `json:"audit"`

	Seconds float64 `json:"seconds"`
}

// Hour is one row of the table: flights whose actual departure fell into the
// hour.
type Hour struct {
	Hour     int     `json:"hour"`
	Count    int64   `json:"count"`
	SumDelay int64   `json:"sum_delay"` // minutes of arrival delay
	Late     int64   `json:"late"`      // more than 15 minutes
	LateLow  float64 `json:"late_low"`  // 2.5 % and 97.5 % quantiles of the late share over
	LateHigh float64 `json:"late_high"` // the bootstrap's replicates, 0 to 1
}

// Cluster is one cluster that computed the same table.
type Cluster struct {
	Nodes    int    `json:"nodes"`
	Survived int    `json:"survived"`
	Suite    string `json:"suite"`
	SumDelay int64  `json:"sum_delay"`
	Equal    bool   `json:"equal"` // every integer equals the other clusters'
}

// KilledWhile is what the job's progress said of the killed node.
type KilledWhile struct {
	Committed uint32 `json:"committed"`
	Running   uint32 `json:"running"`
}

// TasksByNode is the evidence that tasks ran again elsewhere.
type TasksByNode struct {
	Node      string `json:"node"`
	Committed uint32 `json:"committed"`
	Failed    uint32 `json:"failed"`
	Killed    bool   `json:"killed"`
}

// JobFigures is what one job cost.
type JobFigures struct {
	Name           string `json:"name"`
	Tasks          int    `json:"tasks"`
	BytesProcessed uint64 `json:"bytes_processed"` // pages read where they lay, or after they were moved
	BytesMoved     uint64 `json:"bytes_moved"`     // between nodes: pages, arguments, partial results
	Gas            uint64 `json:"gas"`
}

// Attack is one attempt and what became of it.
type Attack struct {
	Name    string `json:"name"`
	Refused bool   `json:"refused"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail"`
}
