package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// SnapshotVersion is the version of the snapshot's JSON that this code writes.
const SnapshotVersion = 1

// Snapshot is everything a code location defines, as immutable data. It is stored under its content
// hash, so it holds nothing that differs between two builds of one program: no absolute path, no time.
type Snapshot struct {
	V        int    `json:"v"`
	Location string `json:"location"`
	// Assets are all assets by key, external ones too.
	Assets []Asset `json:"assets"`
	// Computes are what makes assets, by name: one activity type each.
	Computes []Compute `json:"computes"`
	// Resources are by name.
	Resources []Resource `json:"resources,omitempty"`
	// Jobs are by name.
	Jobs []Job `json:"jobs,omitempty"`
	// Graphs are those whose config is mapped to their ops, by name.
	Graphs []Graph `json:"graphs,omitempty"`
	// Loggers are the log handlers that jobs name, by name.
	Loggers []Logger `json:"loggers,omitempty"`
	// Schedules and Sensors are by name; no two of them share one.
	Schedules []Schedule `json:"schedules,omitempty"`
	Sensors   []Sensor   `json:"sensors,omitempty"`
}

// Graph is a graph of ops that takes config of its own, in place of its ops'.
type Graph struct {
	// Name is its path, as "etl" or "airport_summary.etl".
	Name   string        `json:"name"`
	Config *ConfigSchema `json:"config"`
	At     string        `json:"at"`
}

// Logger is a log handler of jobs.
type Logger struct {
	Name   string        `json:"name"`
	Config *ConfigSchema `json:"config,omitempty"`
	At     string        `json:"at"`
}

// Asset is one asset's definition.
type Asset struct {
	Key         string            `json:"key"`
	Group       string            `json:"group"`
	Description string            `json:"description,omitempty"`
	Owners      []string          `json:"owners,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Kinds       []string          `json:"kinds,omitempty"`
	CodeVersion string            `json:"code_version,omitempty"`
	Metadata    []wire.Metadatum  `json:"metadata,omitempty"`
	// Compute names what makes it; "" for an external asset.
	Compute string `json:"compute,omitempty"`
	// Optional assets may not be emitted by a run, which then skips what hangs on them.
	Optional bool `json:"optional,omitempty"`
	// Partitions is how it is sliced; nil is not at all. All outputs of one compute have the same.
	Partitions *partition.Definition `json:"partitions,omitempty"`
	// Backfill says how many partitions one run of a backfill makes; nil is one.
	Backfill *BackfillPolicy `json:"backfill,omitempty"`
	// Type is the Go type of its value, for people. TypeCheck is what is checked of each value beyond that; nil is nothing.
	Type      string     `json:"type"`
	TypeCheck *TypeCheck `json:"type_check,omitempty"`
	// StoredBy names the IO manager's resource; "" is the instance's default storage.
	StoredBy string `json:"stored_by,omitempty"`
	// At is where it is declared: folder/file.go:line.
	At string `json:"at"`
}

// External says that no run of this location makes the asset.
func (a Asset) External() bool { return a.Compute == "" }

// BackfillPolicy is how a backfill cuts consecutive partitions of an asset into runs.
type BackfillPolicy struct {
	// MaxPartitions is how many partitions one run makes at most; 0 is all that are consecutive. Of those that are no windows of
	// time it is 10,000 at most: a run is asked for them by name.
	MaxPartitions int `json:"max_partitions,omitempty"`
}

// TypeCheck is a check of values beyond their Go type, for people: a step that gives a value which does not pass fails.
type TypeCheck struct {
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Metadata    []wire.Metadatum `json:"metadata,omitempty"`
}

// Compute is what one step runs: the function of an asset, a multi-asset or an op with its inputs.
type Compute struct {
	// Name is the activity type: the asset's key, the multi-asset's name, or the op's path: "total" in a job,
	// "etl.clean" in a graph, "airport_summary.total" in a graph asset.
	Name string `json:"name"`
	// Description is an op's, for people; an asset has its own.
	Description string `json:"description,omitempty"`
	// Outputs are the keys of the assets it makes, in the order they are declared. An op has none, unless it gives the
	// value of a graph asset.
	Outputs []string `json:"outputs"`
	// Op says that its function is an op's: without Outputs its value is stored as its step's, and belongs to the run.
	Op bool `json:"op,omitempty"`
	// Optional ops may give nothing, which skips what hangs on them.
	Optional bool `json:"optional,omitempty"`
	// FanOut says that its output is dynamic: values under keys that are known when it has run.
	FanOut bool `json:"fan_out,omitempty"`
	// Over names the compute with the dynamic output that it is mapped over: it runs once for each key, as Name[key].
	Over string `json:"over,omitempty"`
	// NoValue says that an op only acts: nothing is stored for it.
	NoValue bool `json:"no_value,omitempty"`
	// TypeCheck is what is checked of each value of an op; nil is nothing. An asset has its own.
	TypeCheck *TypeCheck `json:"type_check,omitempty"`
	// Remote says that an activity of this name on Queue, served by any Temporal SDK, computes it.
	Remote bool `json:"remote,omitempty"`
	// Tags are for limits inside a run, Order for which of the ready steps starts first: the greater one does.
	Tags  map[string]string `json:"tags,omitempty"`
	Order int               `json:"order,omitempty"`
	// Executor is nil for the job's or the instance's.
	Executor *Executor `json:"executor,omitempty"`
	// OnSuccess and OnFailure say that it has hooks.
	OnSuccess bool `json:"on_success,omitempty"`
	OnFailure bool `json:"on_failure,omitempty"`
	// ConfigUnder is the name under "ops" in the run config whose config it takes, when a graph's config is mapped to
	// it; "" is its own.
	ConfigUnder string `json:"config_under,omitempty"`
	// StallTimeout fails an attempt that has reported no progress for so long, in nanoseconds; 0 is no bound.
	StallTimeout time.Duration `json:"stall_timeout,omitempty"`
	// Ranged says that its function makes many partitions at once: a step of it is for a range of them.
	Ranged bool `json:"ranged,omitempty"`
	// Partitions is, of an op in a job of ops that is partitioned, how the job is; assets have their own.
	Partitions *partition.Definition `json:"partitions,omitempty"`
	// CanSubset allows a step to be asked for some of the outputs.
	CanSubset bool    `json:"can_subset,omitempty"`
	Inputs    []Input `json:"inputs,omitempty"`
	// Resources are the names of those it uses, its IO managers and what these need among them.
	Resources []string `json:"resources,omitempty"`
	// Config is the schema of its config; nil when it takes none.
	Config *ConfigSchema `json:"config,omitempty"`
	// Queue names a pool of workers of its own; "" is the location's. Pool limits how many run at once.
	Queue string `json:"queue,omitempty"`
	Pool  string `json:"pool,omitempty"`
	// Retries of the user's function; nil is none.
	Retries *Retries `json:"retries,omitempty"`
	// Timeout bounds one attempt of the user's function, in nanoseconds; 0 is no bound.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Shape is the hash of inputs and outputs: a step may run on another build only when it is the same.
	Shape string `json:"shape"`
	// At is where it is declared: folder/file.go:line.
	At string `json:"at"`
}

// InputKind says how a function's parameter hangs on assets.
type InputKind string

// The kinds of input.
const (
	InputValue InputKind = "value" // one asset's value
	InputAll   InputKind = "all"   // the values of several assets, one slice
	InputAfter InputKind = "after" // order only: nothing is loaded
	// InputElement is one element of the dynamic output that the compute is mapped over: the one under its key.
	InputElement InputKind = "element"
	// InputCollect is the whole of a dynamic output, or of what is mapped over one, as a slice.
	InputCollect InputKind = "collect"
)

// Executor says how a step runs.
type Executor struct {
	Kind ExecutorKind `json:"kind"`
	// MemoryLimit of a subprocess, in bytes; 0 is none.
	MemoryLimit int64 `json:"memory_limit,omitempty"`
}

// ExecutorKind is a kind of executor.
type ExecutorKind string

// The executors: in the worker as an activity, in the worker as a local activity, in a process of its own.
const (
	ExecutorActivity      ExecutorKind = "activity"
	ExecutorLocalActivity ExecutorKind = "local_activity"
	ExecutorSubprocess    ExecutorKind = "subprocess"
)

// TagLimit bounds how many steps with a tag run at once in one run.
type TagLimit struct {
	Key string `json:"key"`
	// Value restricts the limit to steps whose tag has it; "" is every value, all together or, PerValue, each for itself.
	Value    string `json:"value,omitempty"`
	PerValue bool   `json:"per_value,omitempty"`
	// Limit is at least 1.
	Limit int `json:"limit"`
}

// Input is a compute's need of assets and of other computes' op outputs.
type Input struct {
	Kind InputKind `json:"kind"`
	// Assets are keys, Ops names of computes: one of the two for InputValue, InputElement and InputCollect, any number for
	// InputAll and InputAfter.
	Assets []string `json:"assets,omitempty"`
	Ops    []string `json:"ops,omitempty"`
	// Parts say which partitions of the Assets, one for each of them; nil where neither side is partitioned.
	Parts []InputPart `json:"parts,omitempty"`
	// Default says that the function has a value of its own for what was not emitted: the input skips nothing.
	Default bool `json:"default,omitempty"`
}

// InputPart is which partitions of an asset an input takes.
type InputPart struct {
	// Mapping gives the upstream partitions that a partition needs; the zero Mapping is inferred.
	Mapping partition.Mapping `json:"mapping,omitzero"`
	// Take says how many the function expects.
	Take TakePartitions `json:"take,omitempty"`
}

// TakePartitions is how many partitions of an upstream asset a parameter expects.
type TakePartitions string

// What a parameter expects: the value of one partition, that of one or, where there is none, nothing, or a map of all by key.
const (
	TakeOnePartition    TakePartitions = ""
	TakeAtMostOne       TakePartitions = "at_most_one"
	TakePartitionsByKey TakePartitions = "by_key"
)

// Retries says how often a failure of the user's function is tried again.
type Retries struct {
	Max     int           `json:"max"`
	Delay   time.Duration `json:"delay,omitempty"`
	Backoff Backoff       `json:"backoff,omitempty"`
	Jitter  Jitter        `json:"jitter,omitempty"`
}

// Backoff is how the delay grows from retry to retry; "" is constant.
type Backoff string

// The backoffs: of retry n the delay is n times, or 2^n - 1 times the base.
const (
	BackoffLinear      Backoff = "linear"
	BackoffExponential Backoff = "exponential"
)

// Jitter spreads delays; "" is none.
type Jitter string

// The jitters: a random part of the delay, or the delay give or take the base.
const (
	JitterFull      Jitter = "full"
	JitterPlusMinus Jitter = "plus_minus"
)

// Resource is a resource's definition.
type Resource struct {
	Name string `json:"name"`
	// Config is the schema of its config; nil when it takes none.
	Config *ConfigSchema `json:"config,omitempty"`
	// Needs are the names of the resources it is opened with.
	Needs []string `json:"needs,omitempty"`
	At    string   `json:"at"`
}

// Job is a selection of assets, or ops, under a name, with config and tags.
type Job struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Selection is an asset job's; zero for an op job.
	Selection wire.AssetSelection `json:"selection,omitzero"`
	// Partitions is how an op job is partitioned; nil is not at all. An asset job is as its assets are.
	Partitions *partition.Definition `json:"partitions,omitempty"`
	// Ops are the names of all computes of an op job, sorted; nil for an asset job.
	Ops []string `json:"ops,omitempty"`
	// Executor is for its computes that have none of their own; nil is the instance's.
	Executor *Executor `json:"executor,omitempty"`
	// MaxConcurrentSteps of its runs; 0 is the instance's. TagLimits are beside it.
	MaxConcurrentSteps int        `json:"max_concurrent_steps,omitempty"`
	TagLimits          []TagLimit `json:"tag_limits,omitempty"`
	// Timeout bounds its runs, in nanoseconds; 0 is no bound.
	Timeout time.Duration `json:"timeout,omitempty"`
	// OnSuccess and OnFailure say that it has hooks, which run for each of its steps.
	OnSuccess bool `json:"on_success,omitempty"`
	OnFailure bool `json:"on_failure,omitempty"`
	// Loggers are the names of its log handlers.
	Loggers []string `json:"loggers,omitempty"`
	// Resources are the names of those that its hooks and log handlers use: its steps are planned with their configs, too.
	Resources []string `json:"resources,omitempty"`
	// Config is the run config that a request's config is laid over.
	Config json.RawMessage   `json:"config,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
	// Retries are for its computes that have none of their own.
	Retries *Retries `json:"retries,omitempty"`
	// Priority of its runs; 0 is normal.
	Priority wire.Priority `json:"priority,omitzero"`
	At       string        `json:"at"`
}

// ConfigSchema describes a config struct: a JSON Schema and the defaults.
type ConfigSchema struct {
	// Schema is JSON Schema, draft 2020-12, of an object; additionalProperties is false.
	Schema json.RawMessage `json:"schema"`
	// Defaults is an object with a value for every field that is not required.
	Defaults json.RawMessage `json:"defaults"`
}

// Encode writes the snapshot's one JSON form, the one that [Snapshot.Hash] hashes.
func (s *Snapshot) Encode() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the snapshot of location %q: %w", s.Location, err)
	}
	return data, nil
}

// DecodeSnapshot reads what Encode wrote.
func DecodeSnapshot(data []byte) (*Snapshot, error) {
	var s Snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	if s.V < 1 || s.V > SnapshotVersion {
		return nil, fmt.Errorf("snapshot of location %q has version %d, this program reads up to %d: upgrade it", s.Location, s.V, SnapshotVersion)
	}
	return &s, nil
}

// Hash is the SHA-256 of the encoded snapshot, in hex.
func (s *Snapshot) Hash() (string, error) {
	data, err := s.Encode()
	if err != nil {
		return "", err
	}
	return hashOf(data), nil
}

// ShapeOf is the hash of what a plan relies on in a compute: inputs, outputs and which are optional, and how it hangs on
// a dynamic output. optional are the keys of its optional assets, partitions is how it is sliced: what its keys mean, and not
// which there are. Go types and config are not part of it: a plan says nothing of them.
func ShapeOf(compute *Compute, optional map[string]bool, partitions *partition.Definition) (string, error) {
	type output struct {
		Key      string `json:"key"`
		Optional bool   `json:"optional,omitempty"`
	}
	shape := struct {
		Inputs    []Input  `json:"inputs"`
		Outputs   []output `json:"outputs"`
		CanSubset bool     `json:"can_subset"`
		Op        bool     `json:"op,omitempty"`
		Optional  bool     `json:"optional,omitempty"`
		FanOut    bool     `json:"fan_out,omitempty"`
		Over      string   `json:"over,omitempty"`
		NoValue   bool     `json:"no_value,omitempty"`
		Ranged    bool     `json:"ranged,omitempty"`
		// Partitions are left out of what is not partitioned.
		Partitions *partition.Definition `json:"partitions,omitempty"`
	}{
		Inputs: compute.Inputs, CanSubset: compute.CanSubset,
		Op: compute.Op, Optional: compute.Optional, FanOut: compute.FanOut, Over: compute.Over, NoValue: compute.NoValue,
		Ranged: compute.Ranged, Partitions: meaningOf(partitions),
	}
	for _, key := range compute.Outputs {
		shape.Outputs = append(shape.Outputs, output{key, optional[key]})
	}
	data, err := json.Marshal(shape)
	if err != nil {
		return "", fmt.Errorf("hash a step's shape: %w", err)
	}
	return hashOf(data)[:16], nil
}

// meaningOf is a definition without what says only which partitions there are: starts, ends, exclusions and static keys.
func meaningOf(definition *partition.Definition) *partition.Definition {
	if definition == nil {
		return nil
	}
	static := func(keys []string) []string {
		if keys == nil {
			return nil
		}
		return []string{"*"}
	}
	windows := func(w *partition.TimeWindows) *partition.TimeWindows {
		if w == nil {
			return nil
		}
		meaning := *w
		meaning.Start, meaning.End, meaning.EndOffset, meaning.Exclude = "", "", 0, partition.Exclusions{}
		return &meaning
	}
	meaning := &partition.Definition{Time: windows(definition.Time), Static: static(definition.Static), Dynamic: definition.Dynamic}
	for _, d := range definition.Grid {
		meaning.Grid = append(meaning.Grid, partition.Dimension{Name: d.Name, Time: windows(d.Time), Static: static(d.Static), Dynamic: d.Dynamic})
	}
	slices.SortFunc(meaning.Grid, func(a, b partition.Dimension) int { return cmp.Compare(a.Name, b.Name) })
	return meaning
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
