package step_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// cross takes an error to another process and back.
func cross(t *testing.T, err error) error {
	t.Helper()
	text, problem := json.Marshal(step.DataOf(err))
	require.NoError(t, problem)
	var data *step.ErrorData
	require.NoError(t, json.Unmarshal(text, &data))
	return data.Err()
}

func TestErrorsCrossProcesses(t *testing.T) {
	t.Parallel()
	require.NoError(t, cross(t, nil))
	require.EqualError(t, cross(t, errors.New("no prices")), "no prices")

	away := cross(t, fmt.Errorf("load: %w", step.ErrUnavailable))
	require.ErrorIs(t, away, step.ErrUnavailable)
	require.NotErrorIs(t, away, step.ErrNotResumable)
	require.EqualError(t, away, "load: unavailable")
	require.ErrorIs(t, cross(t, step.ErrNotResumable), step.ErrNotResumable)

	metadata := []wire.Metadatum{{Label: "row", Type: wire.MetadataInt, Value: json.RawMessage("7")}}
	err := cross(t, fmt.Errorf("outer: %w", &step.RetryError{Delay: time.Minute, Max: 4, Cause: &step.FinalError{
		Cause: &step.DescribedError{Metadata: metadata, Cause: &step.StackError{Cause: errors.New("busy"), Stack: "line 7"}},
	}}))
	require.EqualError(t, err, "outer: busy")
	var retry *step.RetryError
	require.ErrorAs(t, err, &retry)
	require.Equal(t, time.Minute, retry.Delay)
	require.Equal(t, 4, retry.Max)
	var final *step.FinalError
	require.NotErrorAs(t, err, &final, "the outermost holds")
	require.Equal(t, &step.ErrorData{Message: "outer: busy", Stack: "line 7", Metadata: metadata, Retry: true, Delay: time.Minute, Max: 4}, step.DataOf(err))
	require.ErrorAs(t, cross(t, &step.FinalError{Cause: errors.New("never")}), &final)
}
