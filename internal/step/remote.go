package step

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// RemoteInput is what the program of a remote step is given, once its claim is granted.
func RemoteInput(id Identity, claim wire.Claim) (wire.RemoteInput, error) {
	var planned plan.Step
	if err := json.Unmarshal(claim.Plan, &planned); err != nil {
		return wire.RemoteInput{}, fmt.Errorf("read the plan of %s: %w", id.Step, err)
	}
	input := wire.RemoteInput{
		V: wire.Version, Run: id.Run, Step: id.Step, Assets: []string{}, MappingKey: claim.MappingKey, Attempt: claim.Attempt,
		Partition: planned.Partition, Job: claim.Job, Cause: claim.Cause, Tags: claim.Tags, Config: planned.Config, Inputs: map[string]wire.RemoteSource{},
	}
	for _, output := range planned.Outputs {
		input.Assets = append(input.Assets, output.Asset)
	}
	count := map[string]int{}
	for _, one := range claim.Inputs {
		count[one.Asset]++
	}
	for _, one := range claim.Inputs {
		source := wire.RemoteSource{Partition: one.Partition, Location: one.Location, DataVersion: one.DataVersion}
		if count[one.Asset] == 1 {
			input.Inputs[one.Asset] = source
			continue
		}
		if input.InputPartitions == nil {
			input.InputPartitions = map[string][]wire.RemoteSource{}
		}
		input.InputPartitions[one.Asset] = append(input.InputPartitions[one.Asset], source)
	}
	for _, one := range claim.Values {
		if input.Values == nil {
			input.Values = map[string][]wire.RemoteSource{}
		}
		input.Values[one.Step] = append(input.Values[one.Step], wire.RemoteSource{Key: one.Key, Location: one.Location, DataVersion: one.DataVersion})
	}
	return input, nil
}

// RemoteFailure is the failure of a remote step's program as an error of the user's side.
func RemoteFailure(failure *wire.RemoteError) error {
	err := errors.New(failure.Message)
	if failure.Stack != "" {
		err = &StackError{Cause: err, Stack: failure.Stack}
	}
	switch {
	case failure.NonRetryable:
		return &FinalError{Cause: err}
	case failure.RetryAfter > 0:
		return &RetryError{Cause: err, Delay: failure.RetryAfter}
	}
	return err
}
