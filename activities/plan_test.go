package activities

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestADryRunThatTemporalDoesNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	dryRun := func(steps int) (wire.PlanRunResult, wire.Problems) {
		planned := &plan.Plan{}
		for i := range steps {
			key := fmt.Sprintf("warehouse/analytics/marts/finance/daily_table_%05d", i)
			planned.Steps = append(planned.Steps, plan.Step{Key: key, Type: key, Outputs: []plan.Output{{Asset: key}}})
			planned.Walk.Steps = append(planned.Walk.Steps, plan.WalkStep{Key: key})
		}
		result, problems, err := dryRunResult(planned)
		require.NoError(t, err)
		return result, problems
	}
	result, problems := dryRun(5000)
	require.Empty(t, problems)
	require.Len(t, result.DryRun, 5000)
	data, err := json.Marshal(result)
	require.NoError(t, err)
	require.Less(t, len(data), 2<<20)

	result, problems = dryRun(30_000)
	require.Empty(t, result)
	require.Len(t, problems, 1)
	require.Equal(t, wire.CodeTooLarge, problems[0].Code)
	require.Contains(t, problems[0].Message, "30000 steps")
	require.Contains(t, problems[0].Fix, "--dry-run")
}
