package plan

import (
	"encoding/json"
	"time"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// Plan is what a run will do: the steps in an order in which they could run, and the walk over them.
type Plan struct {
	Steps []Step
	Walk  Walk
	// Job, Tags and Priority are the request's after the job's were laid under them.
	Job      string
	Tags     map[string]string
	Priority wire.Priority
	// Assets are the keys that the run will materialize, sorted.
	Assets []string
	// Targets are the partitions that the run will materialize of those Assets that are partitioned.
	Targets map[string]partition.Subset
	// Outside are the non-external assets that steps load but the run does not make, sorted: each of these partitions must
	// have a materialization already.
	Outside []AssetPartitions
	// Request is what was planned: the run's own request, or that of the run that it executes again with its own laid over
	// it. It is what [ParentRun].Request must be when this run is executed again.
	Request wire.RunRequest
	// RetryOf, RootRunID and Inherited are set of a run that executes another one again. Inherited are its steps that do
	// not run: the run that holds the outputs of each, by step key. For mapped steps that are the steps Key[key].
	RetryOf   string
	RootRunID string
	Inherited map[string]Inherited
	// reason says why the steps are in the plan.
	reason string
	// notes say more of single steps, by their place in Steps.
	notes map[int]string
}

// AssetPartitions is some partitions of an asset; the zero Subset stands for an asset that is not partitioned.
type AssetPartitions struct {
	Asset      string
	Partitions partition.Subset
	// By are the names of what loads them, sorted.
	By []string
}

// Inherited is a step that does not run, because an earlier run did it, or skipped it: it has emitted nothing then.
type Inherited struct {
	// Run holds its outputs.
	Run    string          `json:"run"`
	Result wire.StepResult `json:"result"`
}

// Step is one step as planned; it is stored for the attempt that claims it.
type Step struct {
	// Key is unique in the run and the activity's id.
	Key string `json:"key"`
	// Type is the compute's name and the activity's type.
	Type  string `json:"type"`
	Shape string `json:"shape"`
	// Partition is the key of the partition that the step makes; "" when it is not partitioned, or makes several.
	Partition string `json:"partition,omitempty"`
	// Partitions are the keys of a ranged step, in the order of their set: it makes them all at once.
	Partitions []string `json:"partitions,omitempty"`
	// Outputs are the assets that this step is asked for: each in all of its partitions.
	Outputs []Output `json:"outputs"`
	// Inputs are the assets that it loads, each once for each of its mappings and for what the run makes of it and what not,
	// sorted by key.
	Inputs []StepInput `json:"inputs,omitempty"`
	// Values are the op outputs that it loads, each once, sorted by step.
	Values []ValueInput `json:"values,omitempty"`
	// MadeOf are the keys of the op steps behind the value of a graph asset that load assets, sorted; for a mapped one that
	// of the template. What they have loaded is recorded as loaded for the asset.
	MadeOf []string `json:"made_of,omitempty"`
	// Op, FanOut, NoValue and Optional are as in the [Compute]: what an op stores, and whether it must.
	Op       bool `json:"op,omitempty"`
	FanOut   bool `json:"fan_out,omitempty"`
	NoValue  bool `json:"no_value,omitempty"`
	Optional bool `json:"optional,omitempty"`
	// Over is the key of the step with the dynamic output that this one is mapped over: Key is then the one of the
	// template, and each key of that output makes a step Key[key] of the same body.
	Over string `json:"over,omitempty"`
	// Executor is nil for an activity in the worker. Loggers are the configs of the job's log handlers by name.
	Executor *Executor                  `json:"executor,omitempty"`
	Loggers  map[string]json.RawMessage `json:"loggers,omitempty"`
	// StallTimeout is as in the Compute.
	StallTimeout time.Duration `json:"stall_timeout,omitempty"`
	// Config is its whole config, defaults filled in; nil when it takes none.
	Config json.RawMessage `json:"config,omitempty"`
	// Resources are the configs of the resources that the request or job configures, whole; others have their defaults.
	Resources map[string]json.RawMessage `json:"resources,omitempty"`
	Retries   *Retries                   `json:"retries,omitempty"`
	Timeout   time.Duration              `json:"timeout,omitempty"`
	// MaxLostWorkers is how many workers may die under the step before it fails.
	MaxLostWorkers int `json:"max_lost_workers"`
}

// Output is an asset that a step makes.
type Output struct {
	Asset       string `json:"asset"`
	Optional    bool   `json:"optional,omitempty"`
	CodeVersion string `json:"code_version,omitempty"`
}

// StepInput is an asset that a step loads.
type StepInput struct {
	Asset string `json:"asset"`
	// Mapping is as in the [InputPart] that the input is of: which parameters load it.
	Mapping partition.Mapping `json:"mapping,omitzero"`
	// Partitions are the keys to load, in the order of their set; nil of an asset that is not partitioned.
	Partitions []string `json:"partitions,omitempty"`
	// InRun says that a step of the same run makes it: that materialization is loaded, no other.
	InRun bool `json:"in_run,omitempty"`
	// From is the run whose materializations are loaded, of an asset InRun that the run inherits; "" is the run itself.
	From string `json:"from,omitempty"`
	// External assets may have no materialization: their IO manager knows where they are.
	External bool `json:"external,omitempty"`
}

// ValueInput is the op output that a step loads.
type ValueInput struct {
	// Step is the key of the step that stores it; for a mapped one that of the template.
	Step string `json:"step"`
	// Take says which of a dynamic or mapped output is loaded; "" is the one output of a plain step.
	Take Take `json:"take,omitempty"`
}

// Take says what a step loads of an output that is there once for each key of a dynamic output.
type Take string

// A mapped step takes what has its own key; a collecting one takes all, in the order of emission.
const (
	TakeKey Take = "key"
	TakeAll Take = "all"
)

// Facts are what planning needs to know besides snapshot and request.
type Facts struct {
	// RunID is the run's id; it is also the cause of a request that brings none.
	RunID string
	// Limits of the instance; the zero value is DefaultLimits.
	Limits Limits
	// Executor is the instance's, for computes and jobs that have none; the zero value is an activity in the worker.
	Executor Executor
	// MaxRuntime is the instance's, for runs whose job and tags have none; 0 is no bound.
	MaxRuntime time.Duration
	// Parent is the run that the request's RetryOf names; nil without one.
	Parent *ParentRun
	// Now is when the run is planned: without an as_of the partitions are those that exist by then. Dynamic are the keys of the
	// sets that [Planner.DynamicSets] names. States is for a request that is narrowed: those of [Planner.StatesNeeded].
	Now     time.Time
	Dynamic map[string][]string
	States  map[string]PartitionStates
}

// ParentRun is what planning knows of a run that is executed again.
type ParentRun struct {
	RunID string `json:"run_id"`
	// RootRunID is the first run of the chain of retries: the run itself when it retries none.
	RootRunID string         `json:"root_run_id"`
	Status    wire.RunStatus `json:"status"`
	// Request is the [Plan].Request that it was planned with.
	Request wire.RunRequest `json:"request"`
	// Steps are those that were planned, templates of mapped steps left out.
	Steps []ParentStep `json:"steps"`
}

// ParentStep is how a step of an earlier run stands.
type ParentStep struct {
	Step   string          `json:"step"`
	Status wire.StepStatus `json:"status"`
	// Run is the run that holds its outputs: the parent, or the run that the parent took them from.
	Run string `json:"run"`
	// Compute is the step's type; Assets are what it makes, Partition or Partitions of which partitions, as in its [Step].
	Compute    string   `json:"compute"`
	Assets     []string `json:"assets,omitempty"`
	Partition  string   `json:"partition,omitempty"`
	Partitions []string `json:"partitions,omitempty"`
	// Result is set of a step that is done.
	Result *wire.StepResult `json:"result,omitempty"`
	// Gone says that values it stored are no longer kept: it must run again where they are needed.
	Gone bool `json:"gone,omitempty"`
}

// Limits are the instance's settings that a run keeps to its end, however they change meanwhile.
type Limits struct {
	// MaxConcurrentSteps is how many steps may be pending at once: 1 to 500.
	MaxConcurrentSteps int `json:"max_concurrent_steps"`
	// ContinueAfter is the number of history events from which on the run continues as new when it can;
	// ForceAfter the number at which it must.
	ContinueAfter int `json:"continue_after"`
	ForceAfter    int `json:"force_after"`
	// MaxLostWorkers is how many workers may die under one step.
	MaxLostWorkers int `json:"max_lost_workers"`
}

// DefaultLimits are the limits of an instance that sets none.
func DefaultLimits() Limits {
	return Limits{MaxConcurrentSteps: 100, ContinueAfter: 4000, ForceAfter: 40000, MaxLostWorkers: 3}
}
