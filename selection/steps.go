package selection

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Step is what a [StepSelection] can ask about one step of a run or of a job of ops.
type Step struct {
	// Key is unique: "etl.clean", or "etl.clean[page_3]" of a mapped step.
	Key string
	// Alias is another name of it, "" for none: that of a run's only step of what is partitioned, with its partition.
	Alias string
	// Needs are the keys of the steps that it needs; for a mapped step those with the same mapping key.
	Needs []string
	// Mapped marks a step that another one stands for, the template that it is mapped by: it is selected by its own key, or
	// by way of another mapped step.
	Mapped bool
}

// StepIndex is a graph of steps, prepared for evaluating step selections. It never changes.
type StepIndex struct {
	steps     []Step
	positions map[string]int
	edges     [2][][]int32
}

// NewStepIndex prepares steps, in the order in which evaluation returns them. Its error joins one problem for each
// empty or doubled key and for each need that is not among the steps.
func NewStepIndex(steps []Step) (*StepIndex, error) {
	x := &StepIndex{steps: slices.Clone(steps), positions: make(map[string]int, len(steps))}
	var problems []error
	for i, step := range steps {
		if _, doubled := x.positions[step.Key]; doubled || step.Key == "" {
			problems = append(problems, fmt.Errorf("step %q is there twice, or has no key", step.Key))
		}
		x.positions[step.Key] = i
	}
	for i, step := range steps {
		if _, taken := x.positions[step.Alias]; step.Alias != "" && !taken {
			x.positions[step.Alias] = i
		}
	}
	x.edges = [2][][]int32{upstream: make([][]int32, len(steps)), downstream: make([][]int32, len(steps))}
	for i, step := range steps {
		for _, key := range step.Needs {
			need, known := x.positions[key]
			if !known {
				problems = append(problems, fmt.Errorf("step %q needs the step %q, which is not there", step.Key, key))
				continue
			}
			x.edges[upstream][i] = append(x.edges[upstream][i], int32(need))
			x.edges[downstream][need] = append(x.edges[downstream][need], int32(i))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return x, nil
}

// StepSelection is a parsed selection of steps. It is made by [ParseSteps], never changes, and may be used by many
// goroutines. The zero value and nil select nothing.
type StepSelection struct {
	items []stepItem
}

// stepItem is one part of the union: a step with what lies upstream and downstream of it.
type stepItem struct {
	// key is "" for *: every step.
	key      string
	up, down int
}

// Evaluate returns the keys of the selected steps in the order of the index. A key that names no step but is the path of
// a graph selects all steps in it, and one that is there for many partitions all of these. When there is no step of a key, the error is [UnknownErrors] with all such keys.
//
// The cost is linear in the index's steps and needs for each part of the selection.
func (s *StepSelection) Evaluate(index *StepIndex) ([]string, error) {
	if s == nil {
		return nil, nil
	}
	members := newSet(len(index.steps))
	var unknown UnknownErrors
	told := map[string]bool{}
	for _, item := range s.items {
		start := index.named(item.key)
		if start == nil && !told[item.key] {
			told[item.key] = true
			unknown = append(unknown, index.unknown(item.key, len(unknown) < maxSearches))
		}
		for _, position := range start {
			members.add(int(position))
		}
		index.reach(members, start, upstream, item.up)
		index.reach(members, start, downstream, item.down)
	}
	if len(unknown) > 0 {
		return nil, unknown
	}
	var keys []string
	for position := range members.all() {
		keys = append(keys, index.steps[position].Key)
	}
	return keys, nil
}

// named are the steps that a key names; nil when there is none.
func (x *StepIndex) named(key string) []int32 {
	if position, known := x.positions[key]; known {
		return []int32{int32(position)}
	}
	var found []int32
	for i, step := range x.steps {
		inGraph := len(step.Key) > len(key) && step.Key[:len(key)] == key && (key == "" || step.Key[len(key)] == '.' || step.Key[len(key)] == '@')
		if inGraph && !step.Mapped {
			found = append(found, int32(i))
		}
	}
	if found == nil && key == "" {
		found = []int32{} // * of no steps
	}
	return found
}

// reach adds what lies one to layers steps from start. From a step that is not mapped no way leads to mapped ones:
// their template stands for them.
func (x *StepIndex) reach(members set, start []int32, towards direction, layers int) {
	reached := newSet(len(x.steps))
	for ; len(start) > 0 && layers != 0; layers-- {
		var next []int32
		for _, position := range start {
			for _, neighbor := range x.edges[towards][position] {
				if reached.has(int(neighbor)) || (x.steps[neighbor].Mapped && !x.steps[position].Mapped) {
					continue
				}
				reached.add(int(neighbor))
				members.add(int(neighbor))
				next = append(next, neighbor)
			}
		}
		start = next
	}
}

func (x *StepIndex) unknown(key string, search bool) *UnknownError {
	problem := &UnknownError{What: "step", Name: key}
	if search {
		problem.Suggestions = near(key, maps.Keys(x.positions), len(x.positions))
	}
	return problem
}
