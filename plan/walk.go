package plan

import (
	"reflect"
	"slices"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Walk is the part of a plan that the workflow needs: which step follows which, and how each is
// scheduled. It is kept small, for it lies in the history of every run.
type Walk struct {
	V int `json:"v"`
	// Steps are in an order in which they could run.
	Steps []WalkStep `json:"steps"`
	// Kinds is the table of how steps are scheduled; most steps of a run share one row.
	Kinds  []Kind `json:"kinds"`
	Limits Limits `json:"limits"`
	// Job, Assets and Cause are for search attributes and details; Attributes are the names of the search
	// attributes that the namespace has.
	Job        string   `json:"job,omitempty"`
	Cause      string   `json:"cause,omitempty"`
	Assets     []string `json:"assets,omitempty"`
	Attributes []string `json:"attributes,omitempty"`
	// Started are those of them that the workflow was started with as they are to be, while its status is STARTED.
	Started []string `json:"started,omitempty"`
	// Partition is the key of the one partition that the run makes; Backfill the id of the backfill that it belongs to.
	Partition string `json:"partition,omitempty"`
	Backfill  string `json:"backfill,omitempty"`
	// Start is how the walk begins when it takes steps over from an earlier run.
	Start *State `json:"start,omitempty"`
	// Timeout bounds the run from its start, in nanoseconds; 0 is no bound.
	Timeout time.Duration `json:"timeout,omitempty"`
	// TagLimits bound how many steps with a tag run at once; Kind.Limits are indexes into it.
	TagLimits []TagLimit `json:"tag_limits,omitempty"`
	// Pools says that a step whose kind has a pool starts only with a slot of it, which [Progress.Grant] tells of.
	Pools bool `json:"pools,omitempty"`
}

// HasPool says whether some step of the walk is of a pool.
func (w *Walk) HasPool() bool {
	return slices.ContainsFunc(w.Kinds, func(kind Kind) bool { return kind.Pool != "" })
}

// WalkStep is one step of a walk.
type WalkStep struct {
	// Key is the step's key and activity id.
	Key string `json:"key"`
	// Type is the activity type; "" when it is the key.
	Type string `json:"type,omitempty"`
	// Partition is what of its asset the step makes, for people: "2001-01-01", or "2001-01-01 to 2001-01-31 (31)".
	Partition string `json:"partition,omitempty"`
	// Kind is an index into Walk.Kinds.
	Kind int `json:"kind,omitempty"`
	// Next are the steps that need this one, each once, ascending indexes into Walk.Steps.
	Next []int `json:"next,omitempty"`
	// Inputs are set only where a step could be skipped in a way that its needs alone do not tell: it is skipped
	// when all sources of one input emitted nothing. An input without sources skips nothing: it always has a member
	// from elsewhere. Without Inputs, one need that was skipped or left an output out skips the step.
	Inputs [][]Source `json:"inputs,omitempty"`
	// Fan says that the step's output is dynamic: its result names the keys.
	Fan bool `json:"fan,omitempty"`
	// Over is 1 + the index of the step whose dynamic output this one is mapped over; 0 is not mapped. A mapped step is a
	// template: it does not run itself, but once for each key, as Key[key]; it has ended when all of these have.
	Over int `json:"over,omitempty"`
}

// Source is one output of one step, as an input of another.
type Source struct {
	// Step is an index into Walk.Steps.
	Step int `json:"step"`
	// Asset is the output.
	Asset string `json:"asset"`
}

// Kind is how steps are scheduled.
type Kind struct {
	// Queue names the worker pool; "" is the location's own.
	Queue    string        `json:"queue,omitempty"`
	Pool     string        `json:"pool,omitempty"`
	Priority wire.Priority `json:"priority,omitzero"`
	// Order says which of the ready steps starts first: those with the greater one.
	Order int `json:"order,omitempty"`
	// Local runs the steps as local activities; Remote as activities that another program serves.
	Local  bool `json:"local,omitempty"`
	Remote bool `json:"remote,omitempty"`
	// Subprocess runs each step in a process of its own, which the worker starts.
	Subprocess bool `json:"subprocess,omitempty"`
	// Limits are indexes into Walk.TagLimits, with the tag's value of a limit that is per value.
	Limits []KindLimit `json:"limits,omitempty"`
	// OnSuccess and OnFailure say that hooks run when a step has ended.
	OnSuccess bool `json:"on_success,omitempty"`
	OnFailure bool `json:"on_failure,omitempty"`
	// Timeout bounds one attempt at a remote step, in nanoseconds; 0 is no bound.
	Timeout time.Duration `json:"timeout,omitempty"`
}

func (k Kind) equal(other Kind) bool {
	limits := slices.Equal(k.Limits, other.Limits)
	k.Limits, other.Limits = nil, nil
	return limits && reflect.DeepEqual(k, other)
}

// KindLimit is a limit that steps of a kind are under.
type KindLimit struct {
	// Limit is an index into Walk.TagLimits.
	Limit int `json:"limit"`
	// Value is the tag's, where each value has a limit of its own.
	Value string `json:"value,omitempty"`
}

// ActivityType is the step's activity type.
func (s WalkStep) ActivityType() string {
	if s.Type == "" {
		return s.Key
	}
	return s.Type
}

// Summary is the step for people, as Temporal's timeline shows it: its type and partition, "flights [2001-01-01]". Of a mapped
// step it is the key.
func (s WalkStep) Summary() string {
	if s.Partition == "" {
		return s.Key
	}
	return s.ActivityType() + " [" + s.Partition + "]"
}
