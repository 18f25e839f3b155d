package step_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestWhatARemoteStepIsGiven(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(plan.Step{
		Key: "scores", Type: "scores", Partition: "2001-01-01", Outputs: []plan.Output{{Asset: "scores"}}, Config: json.RawMessage(`{"top":3}`),
	})
	require.NoError(t, err)
	input, err := step.RemoteInput(step.Identity{Run: "r1", Step: "scores"}, wire.Claim{
		Plan: body, Attempt: 2, Cause: "c1", Job: "nightly", Tags: map[string]string{"team": "ml"},
		Inputs: []wire.InputVersion{{Asset: "raw/model", Location: "s3://b/m", DataVersion: "v1", Token: 4}},
		Values: []wire.StepValue{{Step: "pages", Key: "p1", Location: "mem://p1"}, {Step: "pages", Key: "p2", Location: "mem://p2"}},
	})
	require.NoError(t, err)
	text, err := json.Marshal(input)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"v": 1, "run": "r1", "step": "scores", "assets": ["scores"], "partition": "2001-01-01", "attempt": 2, "cause": "c1",
		"job": "nightly", "tags": {"team": "ml"}, "config": {"top": 3},
		"inputs": {"raw/model": {"location": "s3://b/m", "data_version": "v1"}},
		"values": {"pages": [{"key": "p1", "location": "mem://p1"}, {"key": "p2", "location": "mem://p2"}]}
	}`, string(text))
	_, err = step.RemoteInput(step.Identity{Run: "r1", Step: "scores"}, wire.Claim{Plan: json.RawMessage(`[]`)})
	require.ErrorContains(t, err, "read the plan of scores")
}

func TestTheFailureOfARemoteStep(t *testing.T) {
	t.Parallel()
	plain := step.RemoteFailure(&wire.RemoteError{Message: "no model"})
	require.EqualError(t, plain, "no model")
	var final *step.FinalError
	require.NotErrorAs(t, plain, &final)
	err := step.RemoteFailure(&wire.RemoteError{Message: "no model", NonRetryable: true, Stack: "line 1"})
	require.ErrorAs(t, err, &final)
	var stack *step.StackError
	require.ErrorAs(t, err, &stack)
	require.Equal(t, "line 1", stack.Stack)
	var retry *step.RetryError
	require.ErrorAs(t, step.RemoteFailure(&wire.RemoteError{Message: "busy", RetryAfter: time.Minute}), &retry)
	require.Equal(t, time.Minute, retry.Delay)
}
