package plan

import "github.com/perdure-io/perdure/wire"

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
}

// WalkStep is one step of a walk.
type WalkStep struct {
	// Key is the step's key and activity id.
	Key string `json:"key"`
	// Type is the activity type; "" when it is the key.
	Type string `json:"type,omitempty"`
	// Kind is an index into Walk.Kinds.
	Kind int `json:"kind,omitempty"`
	// Next are the steps that need this one, each once, ascending indexes into Walk.Steps.
	Next []int `json:"next,omitempty"`
	// Inputs are set only where a step could be skipped in a way that its needs alone do not tell: it is skipped
	// when all sources of one input emitted nothing. An input without sources skips nothing: it always has a member
	// from elsewhere. Without Inputs, one need that was skipped or left an output out skips the step.
	Inputs [][]Source `json:"inputs,omitempty"`
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
}

// ActivityType is the step's activity type.
func (s WalkStep) ActivityType() string {
	if s.Type == "" {
		return s.Key
	}
	return s.Type
}
