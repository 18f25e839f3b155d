package integration

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/worker"
)

// swappedLocation has an asset of which each side is made from the other one of its upstream asset.
func swappedLocation(name string) *definitions.Definitions {
	sides := definitions.Static("east", "west")
	other := map[string]string{"east": "west", "west": "east"}
	source := definitions.Asset("source", definitions.Bind1(func(_ definitions.Context, key string) (string, error) { return key, nil }, sides.Key()), definitions.PartitionedBy(sides))
	mapping := definitions.CustomMapping("the_other", func(key string) ([]string, error) { return []string{other[key]}, nil }, nil)
	swapped := definitions.Asset("swapped", definitions.Bind1(func(_ definitions.Context, from *string) (string, error) { return *from, nil },
		definitions.At(source, mapping)), definitions.PartitionedBy(sides))
	return definitions.New(name, source, swapped)
}

// serveBuild runs a worker of a build until it is stopped, or the test ends.
func (b *bundle) serveBuild(t *testing.T, d *definitions.Definitions, build string) (stop func()) {
	t.Helper()
	settings := b.config
	settings.Worker.Build = build
	w, err := worker.New(t.Context(), d, worker.Options{Config: settings, Log: testLog()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) { // it may be just registering
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
	}
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		builds, err := b.store.Builds(t.Context(), w.Location())
		require.NoError(t, err)
		return slices.ContainsFunc(builds, func(known metadata.Build) bool { return known.Build == build })
	}, longEnough, often)
	return stop
}

func TestACustomMappingIsEvaluatedByItsLocation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "custom-mapping"
	b.serve(t, swappedLocation(queue))
	// The anchor is of one definition: east of both.
	request := wire.RunRequest{Assets: wire.AssetSelection{Keys: []string{"source", "swapped"}}, AllPartitions: true}

	// A process without the location's code says what to do, and leaves it to the location when it starts it.
	_, err := b.starter.Plan(t.Context(), starter.NewRun{Location: queue, ID: "custom-1", Request: request})
	problems := wire.ProblemsOf(err)
	require.Len(t, problems, 1)
	require.Equal(t, wire.CodeNotHere, problems[0].Code)
	require.Contains(t, problems[0].String(), `mapping "the_other" is a function of its code location, which this program does not have`)
	require.Contains(t, problems[0].Fix, "start it as a workflow, which its code location plans")
	_, err = b.starter.StartRun(t.Context(), starter.NewRun{Location: queue, ID: "custom-1", Request: request})
	require.NoError(t, err)
	result, err := b.starter.Await(t.Context(), "custom-1")
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 4}, result.Steps)
	provenance, err := b.store.Provenance(t.Context(), "swapped", "east")
	require.NoError(t, err)
	require.Equal(t, []string{"source"}, provenance.Assets)

	// One that needs what is there already, from any shell.
	temporalCLI(t, startArguments("execute", queue, "custom-2", `{"assets":"swapped","partition":"west"}`)...).ok(t)

	_, err = b.starter.StartBackfill(t.Context(), starter.NewBackfill{
		Location: queue, ID: "custom-backfill", Request: wire.BackfillRequest{Assets: request.Assets, AllPartitions: true},
	})
	require.NoError(t, err)
	var filled wire.BackfillResult
	require.NoError(t, b.temporal.GetWorkflow(t.Context(), "custom-backfill", "").Get(t.Context(), &filled))
	require.Equal(t, wire.BackfillSucceeded, filled.Status)
	for _, asset := range filled.Assets {
		require.Equal(t, 2, asset.Materialized, asset.Asset)
	}
}

// A worker whose build lacks a function of the active one hands planning back, and refuses nothing.
func TestPlanningWaitsForABuildThatHasTheMapping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "custom-mapping-builds"
	other := func() *definitions.Definitions {
		return definitions.New(queue, definitions.Asset("numbers", definitions.Bind0(numbers)))
	}
	b.serveBuild(t, other(), "b")()
	b.serveBuild(t, swappedLocation(queue), "a")()
	// It was superseded: it does not take over by restarting.
	stopOther := b.serveBuild(t, other(), "b")
	temporalCLI(t, startArguments("start", queue, "builds-run", `{"assets":["source","swapped"],"all_partitions":true}`)...).ok(t)
	temporalCLI(t, "workflow", "start", "--type", wire.BackfillWorkflow, "--task-queue", queue, "--workflow-id", "builds-backfill",
		"--input", `{"assets":["source","swapped"],"all_partitions":true}`).ok(t)
	for _, id := range []string{"builds-run", "builds-backfill"} {
		require.Eventually(t, func() bool {
			described, err := b.temporal.DescribeWorkflowExecution(t.Context(), id, "")
			require.NoError(t, err)
			for _, pending := range described.GetPendingActivities() {
				if failure := pending.GetLastFailure(); failure.GetApplicationFailureInfo().GetType() == wire.FailureNotOnThisBuild {
					return true
				}
			}
			return false
		}, longEnough, often, id)
		refusals, err := b.store.Refusals(t.Context(), id)
		require.NoError(t, err)
		require.Empty(t, refusals)
	}
	stopOther()
	b.serveBuild(t, swappedLocation(queue), "a")
	for _, id := range []string{"builds-run", "builds-backfill"} {
		require.NoError(t, b.temporal.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil), id)
	}
}
