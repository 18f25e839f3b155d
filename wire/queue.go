package wire

import (
	"fmt"
	"strconv"
	"strings"
)

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
	Key string `json:"key"`
	// Value is the tag's value; "" is any: all runs that have the tag share the limit.
	Value string `json:"value,omitempty"`
	// PerValue gives each value a limit of its own.
	PerValue bool `json:"per_value,omitempty"`
	Limit    int  `json:"limit"`
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

// eachValue stands for every value of a tag, in the text of a limit.
const eachValue = "*"

// ParseTagLimit reads a limit as people write it: "heavy:1", "team=a:2", or "team=*:3" for each value.
func ParseTagLimit(text string) (TagLimit, error) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return TagLimit{}, fmt.Errorf("%q is no limit of a tag: write it as heavy:1, team=a:2, or team=*:3 for each value", text)
	}
	limit := TagLimit{}
	var err error
	if limit.Limit, err = strconv.Atoi(text[at+1:]); err != nil {
		return TagLimit{}, fmt.Errorf("%q is no limit of a tag: after the last colon there must be a number of runs", text)
	}
	limit.Key, limit.Value, _ = strings.Cut(text[:at], "=")
	if limit.Value == eachValue {
		limit.Value, limit.PerValue = "", true
	}
	return limit, nil
}

// Text is what [ParseTagLimit] reads.
func (l TagLimit) Text() string {
	value := ""
	switch {
	case l.PerValue:
		value = "=" + eachValue
	case l.Value != "":
		value = "=" + l.Value
	}
	return fmt.Sprintf("%s%s:%d", l.Key, value, l.Limit)
}
