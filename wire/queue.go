package wire

// AdmittedRun is a run that waited in the queue and may begin, or whose steps waited for slots and have got them: its workflow is
// to be woken with [AdmittedSignal].
type AdmittedRun struct {
	RunID string `json:"run_id"`
	// Steps are those that have got slots; empty of a run that was let out of the queue.
	Steps []string `json:"steps,omitempty"`
}

// PoolStep is a step that needs a slot of a pool.
type PoolStep struct {
	Step string `json:"step"`
	Pool string `json:"pool"`
	// Order says which of a run's steps goes first: the one with the greater one.
	Order int `json:"order,omitempty"`
}

// WaitingSlot is a step that waits for a slot.
type WaitingSlot struct {
	Step string `json:"step"`
	Pool string `json:"pool"`
	// Reason says for what, and who holds it.
	Reason string `json:"reason"`
}

// TagLimit bounds how many runs with a tag are in progress at once.
type TagLimit struct {
	Key string `json:"key" mapstructure:"key"`
	// Value is the tag's value; "" is any: all runs that have the tag share the limit.
	Value string `json:"value,omitempty" mapstructure:"value"`
	// PerValue gives each value a limit of its own.
	PerValue bool `json:"per_value,omitempty" mapstructure:"per_value"`
	Limit    int  `json:"limit" mapstructure:"limit"`
}

// PoolGranularity says what a pool's limit counts.
type PoolGranularity string

// What pools count.
const (
	PoolOfSteps PoolGranularity = "step" // steps of the pool that run at once
	PoolOfRuns  PoolGranularity = "run"  // runs in progress that have a step of the pool
)

// String names what is limited: "tag team", "tag team=a", "each value of tag team".
func (l TagLimit) String() string {
	switch {
	case l.PerValue:
		return "each value of tag " + l.Key
	case l.Value != "":
		return "tag " + l.Key + "=" + l.Value
	default:
		return "tag " + l.Key
	}
}
