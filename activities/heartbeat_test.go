package activities

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

func TestHeartbeatCarriesWhatIsStagedUpToItsLimit(t *testing.T) {
	t.Parallel()
	staged := &step.StagedOutputs{Outputs: []wire.CommittedOutput{{Asset: "report", Location: "report/1"}}, Attempt: 1}
	carried := details(step.Beat{StagedOutputs: staged, Progress: &step.Progress{Done: 1, Total: 2}})
	require.Len(t, carried, 1)
	data, err := json.Marshal(carried[0])
	require.NoError(t, err)
	var found step.StagedOutputs
	require.NoError(t, json.Unmarshal(data, &found))
	require.Equal(t, *staged, found)

	text, err := json.Marshal(strings.Repeat("x", maxDetails))
	require.NoError(t, err)
	staged.Outputs[0].Metadata = []wire.Metadatum{{Label: "summary", Type: wire.MetadataMarkdown, Value: text}}
	carried = details(step.Beat{StagedOutputs: staged, Progress: &step.Progress{Done: 1, Total: 2}})
	require.Equal(t, []any{json.RawMessage(`{"progress":{"done":1,"total":2}}`)}, carried, "Temporal would fail the activity")
	require.Nil(t, details(step.Beat{StagedOutputs: staged}))
	require.Nil(t, details(step.Beat{}))
}
