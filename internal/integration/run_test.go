package integration

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func numbers(definitions.Context) ([]int, error) { return []int{1, 2, 3}, nil }

func double(_ definitions.Context, in []int) ([]int, error) {
	out := make([]int, len(in))
	for i, n := range in {
		out[i] = 2 * n
	}
	return out, nil
}

func sum(ctx definitions.Context, a, b []int) (int, error) {
	total := 0
	for _, n := range append(a, b...) {
		total += n
	}
	ctx.Report(definitions.Int("total", total))
	return total, nil
}

func TestRunMaterializesAGraph(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := definitions.Asset("numbers", definitions.Bind0(numbers))
	second := definitions.Asset("doubled", definitions.Bind1(double, first))
	third := definitions.Asset("total", definitions.Bind2(sum, first, second))
	location := fmt.Sprintf("graph-%d", b.config.Worker.MaxConcurrentSteps)
	b.serve(t, definitions.New(location, first, second, third))

	run, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: location, ID: "graph-1", Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}}})
	require.NoError(t, err)
	result, err := b.starter.Await(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, wire.RunResult{
		RunID: "graph-1", Status: wire.RunSuccess, Steps: wire.StepCounts{Succeeded: 3},
		Materialized: []string{"doubled", "numbers", "total"},
	}, result)
}
