package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestSelectNamesWhatARequestCouldNotRun(t *testing.T) {
	t.Parallel()
	planner, err := plan.NewPlanner(&plan.Snapshot{
		V: plan.SnapshotVersion, Location: "flights",
		Assets: []plan.Asset{
			{Key: "source"}, {Key: "left", Compute: "both"}, {Key: "right", Compute: "both"}, {Key: "below", Compute: "below", Group: "end"},
		},
		Computes: []plan.Compute{
			{Name: "both", Outputs: []string{"left", "right"}, Inputs: []plan.Input{{Kind: plan.InputValue, Assets: []string{"source"}}}},
			{Name: "below", Outputs: []string{"below"}, Inputs: []plan.Input{{Kind: plan.InputValue, Assets: []string{"left"}}}},
		},
	}, nil)
	require.NoError(t, err)
	for expression, want := range map[string][]string{
		"*": {"below", "left", "right"}, "source": {"source"}, "left": {"left"}, "source+": {"below", "left", "right", "source"},
		"left and group:end": nil,
	} {
		keys, err := planner.Select(wire.AssetSelection{Expression: expression})
		require.NoError(t, err, expression)
		require.Equal(t, want, keys, expression)
	}
	keys, err := planner.Select(wire.AssetSelection{Keys: []string{"right", "source"}})
	require.NoError(t, err)
	require.Equal(t, []string{"right", "source"}, keys)

	_, err = planner.Select(wire.AssetSelection{Expression: "lefd"})
	require.Equal(t, wire.CodeUnknown, wire.ProblemsOf(err)[0].Code)
	_, err = planner.Select(wire.AssetSelection{Expression: "left and"})
	require.Equal(t, wire.CodeSyntax, wire.ProblemsOf(err)[0].Code)
}
