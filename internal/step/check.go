package step

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxKeys bounds the elements of one dynamic output, maxKeySize the bytes of one key.
	maxKeys    = 50_000
	maxKeySize = 100
	// maxKeyBytes bounds all keys of one output: they are part of the step's result, and Temporal takes results up to 2 MB.
	maxKeyBytes = 1_500_000
	// maxKeyProblems is how many wrong keys one message names.
	maxKeyProblems = 20
)

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// emitted is what the function gave, as the step's result says it.
type emitted struct {
	notEmitted, keys []string
}

// check compares what the function returned with what the step was asked for.
func (e *execution) check(outputs []Output) (emitted, error) {
	step := e.attempt.Plan
	switch {
	case !step.Op || len(step.Outputs) > 0:
		notEmitted, err := e.checkAssets(outputs)
		return emitted{notEmitted: notEmitted}, err
	case step.FanOut:
		keys, err := e.checkFan(outputs)
		return emitted{keys: keys}, err
	default:
		return e.checkValue(outputs)
	}
}

func (e *execution) checkAssets(outputs []Output) (notEmitted []string, err error) {
	if len(e.attempt.Plan.Partitions) > 0 {
		return nil, e.checkPartitions(outputs)
	}
	var problems []error
	requested := e.attempt.Requested()
	seen := make(map[string]bool, len(outputs))
	for _, output := range outputs {
		switch {
		case !slices.Contains(requested, output.Asset):
			problems = append(problems, fmt.Errorf("returned output %q, which was not requested (requested: %s)", output.Asset, strings.Join(requested, ", ")))
		case seen[output.Asset]:
			problems = append(problems, fmt.Errorf("returned output %q twice", output.Asset))
		case output.Partition != "" && output.Partition != e.attempt.Plan.Partition:
			problems = append(problems, fmt.Errorf("returned partition %q of output %q, and the step is for %q", output.Partition, output.Asset, e.attempt.Plan.Partition))
		}
		seen[output.Asset] = true
	}
	for _, output := range e.attempt.Plan.Outputs {
		switch {
		case seen[output.Asset]:
		case output.Optional:
			notEmitted = append(notEmitted, output.Asset)
		default:
			problems = append(problems, fmt.Errorf("did not return the required output %q", output.Asset))
		}
	}
	return notEmitted, errors.Join(problems...)
}

// checkPartitions checks what a step for many partitions returned: each of them once, of every asset, and no other.
func (e *execution) checkPartitions(outputs []Output) error {
	step := e.attempt.Plan
	missing := make(map[AssetPartition]bool, len(step.Outputs)*len(step.Partitions))
	for _, output := range step.Outputs {
		for _, key := range step.Partitions {
			missing[AssetPartition{output.Asset, key}] = true
		}
	}
	var problems []error
	seen := make(map[AssetPartition]bool, len(outputs))
	for _, output := range outputs {
		of := AssetPartition{output.Asset, output.Partition}
		switch {
		case seen[of]:
			problems = append(problems, fmt.Errorf("returned partition %q of output %q twice", of.Partition, of.Asset))
		case !missing[of]:
			problems = append(problems, fmt.Errorf("returned partition %q of output %q, which was not requested (requested: %s to %s)",
				of.Partition, of.Asset, step.Partitions[0], step.Partitions[len(step.Partitions)-1]))
		}
		seen[of] = true
		delete(missing, of)
	}
	for _, output := range step.Outputs {
		for _, key := range step.Partitions {
			if missing[AssetPartition{output.Asset, key}] {
				problems = append(problems, fmt.Errorf("did not return partition %q of output %q", key, output.Asset))
			}
		}
	}
	if more := len(problems) - maxKeyProblems; more > 0 {
		problems = append(problems[:maxKeyProblems], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

// checkValue checks the one output of an op that is not dynamic.
func (e *execution) checkValue(outputs []Output) (emitted, error) {
	op := e.attempt.Plan.Type
	switch {
	case len(outputs) > 1:
		return emitted{}, fmt.Errorf("op %q returned %d values, and has one output", op, len(outputs))
	case len(outputs) == 1 && outputs[0].Asset != "":
		return emitted{}, fmt.Errorf("op %q returned output %q, and makes no asset", op, outputs[0].Asset)
	case len(outputs) == 1 && outputs[0].Key != "":
		return emitted{}, fmt.Errorf("op %q returned an element under key %q, and its output is not dynamic: declare it with FanOut", op, outputs[0].Key)
	case len(outputs) == 1 || e.attempt.Plan.NoValue && !e.attempt.Plan.Optional:
		return emitted{}, nil
	case e.attempt.Plan.Optional:
		return emitted{notEmitted: []string{""}}, nil
	default:
		return emitted{}, fmt.Errorf("op %q returned no value: declare it with Maybe if it may give none", op)
	}
}

// checkFan checks the elements of a dynamic output. A key becomes part of step keys and of names in stores.
func (e *execution) checkFan(outputs []Output) (keys []string, err error) {
	op := e.attempt.Plan.Type
	if len(outputs) > maxKeys {
		return nil, fmt.Errorf("op %q returned %d elements, and a fan-out takes at most %d: put several into one element", op, len(outputs), maxKeys)
	}
	var problems []error
	seen := make(map[string]bool, len(outputs))
	size := 0
	for _, output := range outputs {
		if problem := keyProblem(output.Key, seen); problem != "" {
			problems = append(problems, fmt.Errorf("op %q returned an element under key %s: %s", op, shortKey(output.Key), problem))
		}
		seen[output.Key] = true
		size += len(output.Key)
		keys = append(keys, output.Key)
	}
	if size > maxKeyBytes {
		problems = append(problems, fmt.Errorf("op %q returned keys of %d bytes together, and a fan-out takes at most %d: use shorter keys", op, size, maxKeyBytes))
	}
	if more := len(problems) - maxKeyProblems; more > 0 {
		problems = append(problems[:maxKeyProblems], fmt.Errorf("and %d more", more))
	}
	return keys, errors.Join(problems...)
}

func keyProblem(key string, seen map[string]bool) string {
	switch {
	case key == "":
		return `a key is not empty: use letters, digits and "_"`
	case !keyForm.MatchString(key):
		return `a key is of letters, digits and "_"`
	case len(key) > maxKeySize:
		return fmt.Sprintf("a key has at most %d characters, and this one has %d", maxKeySize, len(key))
	case seen[key]:
		return "each key is there once"
	}
	return ""
}

// shortKey quotes a key, and cuts one that would flood the message.
func shortKey(key string) string {
	if len(key) <= maxKeySize {
		return strconv.Quote(key)
	}
	return strconv.Quote(key[:maxKeySize]) + "…"
}
