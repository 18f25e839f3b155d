package plan

import (
	"encoding/json"
	"time"

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
	// Outside are the keys of non-external assets that steps load but the run does not make, sorted: each must
	// have a materialization already.
	Outside []string
	// reason says why the steps are in the plan.
	reason string
}

// Step is one step as planned; it is stored for the attempt that claims it.
type Step struct {
	// Key is unique in the run and the activity's id.
	Key string `json:"key"`
	// Type is the compute's name and the activity's type.
	Type  string `json:"type"`
	Shape string `json:"shape"`
	// Outputs are the assets that this step is asked for.
	Outputs []Output `json:"outputs"`
	// Inputs are the assets that it loads, each once, sorted by key.
	Inputs []StepInput `json:"inputs,omitempty"`
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
	Partition   string `json:"partition,omitempty"`
	Optional    bool   `json:"optional,omitempty"`
	CodeVersion string `json:"code_version,omitempty"`
}

// StepInput is an asset that a step loads.
type StepInput struct {
	Asset string `json:"asset"`
	// InRun says that a step of the same run makes it: that materialization is loaded, no other.
	InRun bool `json:"in_run,omitempty"`
	// External assets may have no materialization: their IO manager knows where they are.
	External bool `json:"external,omitempty"`
}

// Facts are what planning needs to know besides snapshot and request.
type Facts struct {
	// RunID is the run's id; it is also the cause of a request that brings none.
	RunID string
	// Limits of the instance; the zero value is DefaultLimits.
	Limits Limits
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
