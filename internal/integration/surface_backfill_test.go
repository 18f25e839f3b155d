//go:build unix

package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// backfillLocation has days that are made one after the other, and those of the 3rd fail until they may not.
func backfillLocation(name string, open <-chan struct{}) *definitions.Definitions {
	days := definitions.Daily("2001-01-01").Ending("2001-01-11")
	daily := definitions.Asset("daily", definitions.Bind1(func(_ definitions.Context, day string) (string, error) {
		if day != "2001-01-03" {
			return day, nil
		}
		select {
		case <-open:
			return day, nil
		default:
			return "", errBroken
		}
	}, days.Key()), definitions.PartitionedBy(days))
	held := definitions.Asset("held", definitions.Bind1(func(ctx definitions.Context, day string) (string, error) {
		select {
		case <-open:
			return day, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}, days.Key()), definitions.PartitionedBy(days))
	return definitions.New(name, daily, held)
}

// asBackfill turns what starts a run into what starts a backfill.
func asBackfill(body string) string {
	return strings.Replace(body, `"name":"`+wire.RunWorkflow+`"`, `"name":"`+wire.BackfillWorkflow+`"`, 1)
}

func backfillArguments(verb, queue, id, input string) []string {
	return []string{"workflow", verb, "--type", wire.BackfillWorkflow, "--task-queue", queue, "--workflow-id", id, "--input", input}
}

// Each of the shapes that docs/wire.md has, by Temporal's own command line and by its HTTP API: both do the same.
func TestEverySurfaceStartsTheSameBackfill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "surface-backfill"
	open := make(chan struct{})
	close(open)
	b.serve(t, backfillLocation(queue, open))
	for name, one := range map[string]struct {
		input string
		days  int
	}{
		"partition":  {`{"assets":"daily","partition":"2001-01-01"}`, 1},
		"partitions": {`{"assets":["daily"],"partitions":["2001-01-01","2001-01-05"],"tags":{"team":"ops"},"title":"By hand","note":"why","priority":"low"}`, 2},
		"range":      {`{"range":{"end":"2001-01-04","start":"2001-01-02"},"max_concurrent_runs":2.0,"assets":"daily","v":1.0,"priority":4e0}`, 3},
		"all":        {`{"assets":"daily","all_partitions":true,"as_of":"2001-01-08T00:00:00Z","cause":"by hand"}`, 7},
	} {
		for surface, start := range map[string]func(id string){
			"cli":  func(id string) { temporalCLI(t, backfillArguments("start", queue, id, one.input)...).ok(t) },
			"http": func(id string) { call(t, "/workflows/"+id, asBackfill(startBody(t, queue, one.input))).ok(t) },
		} {
			id := "surface-backfill-" + name + "-" + surface
			start(id)
			require.Contains(t, closing(t, id), `"EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"`, one.input)
			row, err := b.store.Backfill(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, wire.BackfillSucceeded, row.Status)
			require.Equal(t, []wire.BackfillAsset{done("daily", one.days)}, row.Progress.Assets, one.input)
			require.Equal(t, one.days, row.Progress.Runs.Succeeded)
		}
	}
	refused := temporalCLI(t, backfillArguments("execute", queue, "surface-backfill-refused", `{"assets":"daily","partition":"2001-02-01"}`)...)
	require.NotZero(t, refused.code)
	require.Contains(t, refused.out+refused.err, `partition "2001-02-01" is not one of`)
	call(t, "/workflows/surface-backfill-refused-2", asBackfill(startBody(t, queue, `{"assets":"daily","partition":"2001-02-01"}`))).ok(t)
	require.Contains(t, closing(t, "surface-backfill-refused-2"), wire.FailureInvalidRequest)
}

func TestABackfillIsSteeredFromAnyShell(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue, id = "surface-steer", "surface-steer-1"
	open := make(chan struct{})
	b.serve(t, backfillLocation(queue, open))
	temporalCLI(t, backfillArguments("start", queue, id, `{"assets":"held","all_partitions":true,"max_concurrent_runs":1}`)...).ok(t)
	progress := func() wire.BackfillProgress {
		var answer struct {
			QueryResult []wire.BackfillProgress `json:"queryResult"`
		}
		require.NoError(t, json.Unmarshal([]byte(call(t, "/workflows/"+id+"/query/progress", `{}`).ok(t)), &answer))
		require.Len(t, answer.QueryResult, 1)
		return answer.QueryResult[0]
	}
	require.Eventually(t, func() bool { return progress().Runs.Open == 1 }, longEnough, often)
	temporalCLI(t, "workflow", "signal", "--workflow-id", id, "--name", wire.PauseSignal).ok(t)
	require.Eventually(t, func() bool { return progress().Paused }, longEnough, often)
	updated := call(t, "/workflows/"+id+"/update/"+wire.SetConcurrencyUpdate,
		`{"request":{"meta":{"updateId":"u1"},"input":{"args":[{"max_concurrent_runs":3.0}]}},"waitPolicy":{"lifecycleStage":"UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"}}`).ok(t)
	require.Contains(t, updated, `"max_concurrent_runs":3`)
	require.Equal(t, 3, progress().MaxConcurrentRuns)
	call(t, "/workflows/"+id+"/signal/"+wire.ResumeSignal, `{}`).ok(t)
	require.Eventually(t, func() bool { return !progress().Paused }, longEnough, often)
	temporalCLI(t, "workflow", "cancel", "--workflow-id", id).ok(t)
	require.Contains(t, closing(t, id), `"EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED"`)
	row, err := b.store.Backfill(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, wire.BackfillCanceled, row.Status)

	// What it has not made, by another shell.
	close(open)
	call(t, "/workflows/"+id+"-again", asBackfill(startBody(t, queue, `{"retry_of":{"run_id":"`+id+`"}}`))).ok(t)
	require.Contains(t, closing(t, id+"-again"), `"EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"`)
	again, err := b.store.Backfill(t.Context(), id+"-again")
	require.NoError(t, err)
	require.Equal(t, []wire.BackfillAsset{done("held", 10)}, again.Progress.Assets)
}
